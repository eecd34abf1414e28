"""Password hashes: argon2id at the cost OWASP recommends, as slow for a login nobody has as for a wrong password."""

import re
import secrets
import unicodedata
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


def N_(message: str) -> str:
    """Marks a message for the catalogues."""
    return message


# OWASP Password Storage Cheat Sheet: argon2id, m = 19 MiB, t = 2, p = 1.
MEMORY_KIB, ITERATIONS, LANES = 19_456, 2, 1
# Longer ones cost nothing in security and would let a visitor make us hash megabytes.
MAX_LENGTH = 256
# OWASP ASVS 5.0 6.2.1 asks for eight and advises fifteen.
MIN_LENGTH = 12
# Letters and digits that are not mistaken for one another when they are read aloud or copied by hand.
LEGIBLE = "23456789abcdefghjkmnpqrstuvwxyz"
COMMON = re.compile(
    "pass?word|passwort|motdepasse|azerty(uiop)?|qwerty(uiop)?|qwertz(uiop)?|iloveyou|jetaime|welcome|bienvenue|bonjour|"
    "admin|administrat(eu|o)r|hopital|hospital|pathologie|pathology|changeme|letmein|soleil|sunshine|princesse?|doudou|"
    "loulou|football|marseille|dragon|master|monkey|superman|batman|secret"
)
"""What the most frequent long passwords are made of in French, beside digits and signs; and some of the English."""
GUESSABLE = 3
"""What zxcvbn calls it from which on 10^8 guesses do not find a password."""
LOOKED_AT = 72
"""Characters that it looks at: more would take it too long."""
ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "azertyuiopqsdfghjklmwxcvbn",
    "qwertyuiopasdfghjklzxcvbnm",
)

TOO_SHORT = N_("This password is too short: take at least 12 characters, for example four words.")
TOO_LONG = N_("This password is too long: at most 256 characters are kept.")
TOO_COMMON = N_("This password is too easy to guess. Take four words that have nothing to do with one another.")
OWN_NAME = N_("This password holds your login, your name or your centre. Take another.")
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


def given() -> str:
    """A first password to hand over: 98 random bits, in groups that can be read aloud."""
    return "-".join("".join(secrets.choice(LEGIBLE) for _ in range(5)) for _ in range(4))


def weakness(password: str, about: Iterable[str]) -> str | None:
    """What is wrong with a password that somebody chooses, as a message id; None if nothing is. `about`: names that
    an attacker would try first. Any characters will do (OWASP ASVS 5.0 6.2.5)."""
    if len(password) < MIN_LENGTH:
        return TOO_SHORT
    if len(password) > MAX_LENGTH:
        return TOO_LONG
    plain = _plain(password)
    letters = "".join(filter(str.isalpha, plain))
    if len(set(plain)) < 5 or COMMON.fullmatch(_halved(letters)) or any(map(plain.__contains__, _runs())):
        return TOO_COMMON
    if _score(password) < GUESSABLE:
        return TOO_COMMON
    words = {_plain(word) for name in about for word in name.replace(".", " ").replace("@", " ").split()}
    rest = letters
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace("".join(filter(str.isalpha, word)), "") if len(word) > 3 else rest
    return OWN_NAME if len(rest) < len(letters) and len(rest) < MIN_LENGTH // 2 else None


def _score(password: str) -> int:
    """From 0 to 4, how many guesses it takes who begins with the 30,000 most frequent passwords, words, names, dates,
    runs and repetitions, alone and put together (OWASP ASVS 5.0 6.2.4)."""
    from zxcvbn import zxcvbn  # its lists take 15 MB, and most servers that run now are asked for no new password

    score: int = zxcvbn(password[:LOOKED_AT])["score"]
    return score


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _halved(letters: str) -> str:
    """The word that is written twice, if it is."""
    half = letters[: len(letters) // 2]
    return half if half + half == letters else letters


def _runs() -> Iterable[str]:
    """Eight keys or more in a row, in either direction."""
    for row in ROWS:
        for line in (row, row[::-1]):
            yield from (line[start : start + 8] for start in range(len(line) - 7))
