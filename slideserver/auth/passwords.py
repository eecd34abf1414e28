"""Password hashes: argon2id at the cost OWASP recommends, as slow for a login nobody has as for a wrong password."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP Password Storage Cheat Sheet: argon2id, m = 19 MiB, t = 2, p = 1.
MEMORY_KIB, ITERATIONS, LANES = 19_456, 2, 1
# Longer ones cost nothing in security and would let a visitor make us hash megabytes.
MAX_LENGTH = 256
# Of a password that nobody wrote down, at the cost above.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$7AijROH4N06+2rkQ/Ww3ug$uqujgM/uo0iLnJmk2BV3mkMf5f5F35CfTcIavfDGmH4"


class Passwords:
    """Hashes and checks. Both take tens of milliseconds of one core: call them in a thread, under a limiter."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=ITERATIONS, memory_cost=MEMORY_KIB, parallelism=LANES)

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one behind the hash `kept`; None (no such account) takes as long, and fails."""
        try:
            self._hasher.verify(kept or NOBODY, password[:MAX_LENGTH])
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None and len(password) <= MAX_LENGTH
