"""How often somebody may try to sign in, so that guessing is hopeless and nobody can lock a colleague out.

Tries are counted for an account *from one address* (10 in 15 minutes), for one address over all accounts (50: a
hospital may stand behind a single one), and for an account over all addresses it has never signed in from (30). The
addresses its owner has used are exempt from the last, so that an attacker with many addresses slows only himself.
Counted in memory, per process: a restart forgets, which costs an attacker more than it gives.
"""

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address
from threading import Lock

from sharing.clock import Clock

WINDOW_US = 15 * 60 * 1_000_000
PAIR, SOURCE, ACCOUNT = 10, 50, 30
MAX_KEYS = 100_000
MAX_FAMILIAR = 10_000

Key = tuple[str, str]


class Throttle:
    """`admit` each try before its password is checked; tell `succeeded` when it was right."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tries: OrderedDict[Key, deque[int]] = OrderedDict()
        self._familiar: OrderedDict[Key, None] = OrderedDict()

    def admit(self, login: str, source: str) -> int:
        """0: go on, and the try is counted. Otherwise the seconds to wait; such a try is not counted."""
        now = self._clock.now_us()
        with self._lock:
            limits = self._limits(login, source)
            wait_us = max(self._wait_us(key, limit, now) for key, limit in limits)
            if wait_us > 0:
                return -(-wait_us // 1_000_000)
            for key, limit in limits:
                self._tries.setdefault(key, deque(maxlen=limit)).append(now)
                self._tries.move_to_end(key)
            _trim(self._tries, MAX_KEYS)
        return 0

    def succeeded(self, login: str, source: str) -> None:
        """Forgets the tries of this login from this source, gives the last one back to the others."""
        with self._lock:
            for key, _ in self._limits(login, source):
                if tries := self._tries.get(key):
                    tries.pop()
            self._tries.pop((login, source), None)
            self._familiar[login, source] = None
            self._familiar.move_to_end((login, source))
            _trim(self._familiar, MAX_FAMILIAR)

    def _limits(self, login: str, source: str) -> list[tuple[Key, int]]:
        limits = [((login, source), PAIR), (("", source), SOURCE)]
        if (login, source) not in self._familiar:
            limits.append(((login, ""), ACCOUNT))
        return limits

    def _wait_us(self, key: Key, limit: int, now: int) -> int:
        """A key is full while the oldest of its last `limit` tries is younger than the window."""
        tries = self._tries.get(key)
        return tries[0] + WINDOW_US - now if tries and len(tries) >= limit else 0


def source_of(host: str | None) -> str:
    """What the tries of an address are counted under: IPv4 whole, IPv6 by its /64, which is what one customer gets."""
    if host is None:
        return "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def _trim(entries: OrderedDict[Key, deque[int]] | OrderedDict[Key, None], size: int) -> None:
    while len(entries) > size:
        entries.popitem(last=False)
