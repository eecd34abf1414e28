"""A right ends while 32 read by it, 16 at each of two servers: when does the last of them see the last of the slide?

Guests by a link, consultants by a consultation, and members of the slide's own site ask for everything that shows it,
one after the other: tiles at our own addresses, Deep Zoom's and IIIF's, small pictures, what describes the slide, and
its file. Their right is taken back, runs out, is objected to by the patient, or goes with an account. A time counts
from before the transaction that ends the right to the last byte of the last answer that held anything.
"""

import http.client
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.losses import WAYS, Loser, prepare
from benchmarks.torture_sharing.stage import ENGINES, Stage, stage

ROUNDS = 5
AT_MOST_MS = 1000
GIVE_UP_S = 30.0
# After what was the right is gone; the servers of the control take up to five seconds.
GONE_WITHIN_S = 12.0
BETWEEN_S = 0.01
# Who is refused asks again: nobody may be let in later.
REFUSALS = 2
SLOW = ("-m", "benchmarks.torture_sharing.slow_epoch")


@dataclass
class Tally:
    by_way_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    by_route_ms: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shown: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def worst_ms(self) -> float:
        return max(max(each) for each in self.by_way_ms.values())


def run(plan: Plan) -> Result:
    tallies = {}
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        tallies[engine] = Tally()
        with stage(engine, plan.folder / engine) as on:
            for number in range(plan.times(ROUNDS)):
                for way in WAYS:
                    _lose(on, way, f"{number}{way[0]}", tallies[engine])
    (plan.folder / "slow").mkdir()
    control = Tally()
    with stage("sqlite", plan.folder / "slow", program=SLOW) as on:
        _lose(on, "revocation", "0", control)
    wrong = [each for tally in tallies.values() for each in tally.wrong]
    worst = max(tally.worst_ms for tally in tallies.values())
    routes: Counter[str] = Counter()
    for tally in tallies.values():
        routes |= Counter({what: round(ms) for what, ms in tally.by_route_ms.items()})
    notes = [
        f"{engine}, slowest ms: "
        + "; ".join(f"{way} {', '.join(f'{each:.0f}' for each in ms)}" for way, ms in tally.by_way_ms.items())
        + f"; {tally.shown} answers before"
        for engine, tally in tallies.items()
    ]
    notes.append("by what was asked for: " + ", ".join(f"{what} {ms}" for what, ms in routes.most_common()))
    notes.append(f"an epoch that is read every 5 s: {control.worst_ms:.0f} ms")
    notes.extend(wrong[:5])
    return Result(
        figures={"link.revoke_to_last_tile_ms": round(worst), "link.routes_read": len(routes)},
        failed=worst > AT_MOST_MS or bool(wrong),
        notes=tuple(notes),
        void=() if control.worst_ms > AT_MOST_MS else ("an epoch that is read every 5 s",),
    )


def _lose(on: Stage, way: str, name: str, tally: Tally) -> None:
    loss = prepare(on, way, name)
    ended = threading.Event()
    readers = [Reader(on.urls[number % 2], loser, ended) for number, loser in enumerate(loss.losers)]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + GIVE_UP_S
    while not all(reader.begun for reader in readers) and time.monotonic() < deadline and way != "expiry":
        time.sleep(BETWEEN_S)
    gone = loss.end()
    while time.monotonic() < gone:
        time.sleep(BETWEEN_S)
    tally.wrong += [
        f"{way}: a {reader.loser.kind} was not shown {sorted(set(reader.loser.routes) - reader.last.keys())} before"
        for reader in readers
        if not reader.begun
    ]
    ended.set()
    for reader in readers:
        reader.join(GIVE_UP_S)
        tally.wrong += [f"{way}: a {reader.loser.kind} {wrong}" for wrong in reader.wrong]
        tally.shown += reader.shown
        for route, last in reader.last.items():
            ms = max(0.0, last - gone) * 1000
            what = f"{reader.loser.kind} {_what(route)}"
            tally.by_route_ms[what] = max(tally.by_route_ms[what], ms)
    tally.by_way_ms[way].append(max(max(0.0, max(reader.last.values()) - gone) * 1000 for reader in readers))


class Reader(threading.Thread):
    """Asks for one address after the other until each is refused; `last` is when each was last answered."""

    def __init__(self, url: str, loser: Loser, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.loser, self.shown = loser, 0
        self.last: dict[str, float] = {}
        self.wrong: list[str] = []
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=GIVE_UP_S)
        self._ended = ended

    @property
    def begun(self) -> bool:
        return self.last.keys() >= set(self.loser.routes)

    def run(self) -> None:
        try:
            self._read(self.loser.routes)
        except OSError as error:
            self.wrong.append(f"lost the connection: {error!r}")
        finally:
            self._connection.close()

    def _read(self, routes: Sequence[str]) -> None:
        refused: Counter[str] = Counter()
        give_up, turn = None, 0
        while len(refused) < len(routes) or min(refused.values()) < REFUSALS:
            route = routes[turn % len(routes)]
            turn += 1
            over = self._ended.is_set()
            status, length = self._ask(route)
            if status == 200 and length:
                self.last[route], self.shown = time.monotonic(), self.shown + 1
                if refused[route]:
                    self.wrong.append(f"was let in again to {route}")
            elif status not in (200, 503):
                refused[route] += 1
            if over and give_up is None:
                give_up = time.monotonic() + GONE_WITHIN_S
            if give_up is not None and time.monotonic() > give_up:
                self.wrong.append(f"was still shown {route}")
                return
            time.sleep(BETWEEN_S)

    def _ask(self, route: str) -> tuple[int, int]:
        """The status, and how much came of the body."""
        self._connection.request("GET", route, headers={"Cookie": self.loser.cookie})
        answer = self._connection.getresponse()
        try:
            return answer.status, len(answer.read())
        except http.client.IncompleteRead as cut:
            self._connection.close()
            return answer.status, len(cut.partial)


def _what(route: str) -> str:
    return "/".join(route.split("/")[4:])
