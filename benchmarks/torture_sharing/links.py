"""Links: what nobody may come in by (`forgeries`), tried at the doors of two servers and at every address below which a
slide is shown; and 50 redemptions of a one-time link at once, 25 at each server.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode, urlsplit

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing import forgeries
from benchmarks.torture_sharing.forgeries import Keyring, Try
from benchmarks.torture_sharing.losses import ABROAD
from benchmarks.torture_sharing.stage import ENGINES, GUEST_COOKIE, Stage, stage
from ingest.directory import PROFILE
from sharing.db.tables import LinkRow

RACERS = 50
RACES, FORGERIES, BOUND = 20, 100_000, 60
BROWSERS, COOKIES = 8, 3
"""How many attack at once, and how many cookies each shows for a key that it tries at a door."""
GIVE_UP_S = 10.0
ATTEMPTS, AGAIN_AFTER_S = 600, 0.1
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def run(plan: Plan) -> Result:
    tally = Tally()
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with stage(engine, plan.folder / engine) as on:
            for _ in range(plan.times(RACES)):
                race(on, tally)
            if race(on, tally, bad_twin(on)) < 2:
                tally.void.append("the twin that looks before it writes had one winner")
            forge(on, tally, plan.times(FORGERIES) // len(ENGINES) + 1, plan.times(BOUND), plan.seed)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.kinds.items()))
    return Result(
        figures={
            "link.forgeries": tally.forgeries,
            "link.accepted": len(tally.accepted),
            "link.races": tally.races,
            "link.races_two_winners": tally.two_winners,
        },
        failed=bool(tally.accepted or tally.two_winners or tally.no_winner),
        notes=(
            f"{tally.forgeries / tally.attacked_s:.0f} forgeries a second",
            f"95 % bound {3 / max(1, tally.forgeries):.1g} a forgery; no winner in {tally.no_winner} races",
            kinds,
            *(f"ACCEPTED: {each}" for each in tally.accepted[:10]),
        ),
        void=tuple(tally.void),
    )


@dataclass
class Tally:
    kinds: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    attacked_s: float = 0.0
    races: int = 0
    two_winners: int = 0
    no_winner: int = 0
    void: list[str] = field(default_factory=list)

    @property
    def forgeries(self) -> int:
        return self.kinds.total()


def forge(on: Stage, tally: Tally, count: int, bound: int, seed: int) -> None:
    """A quarter at the doors, the rest with cookies at whatever shows a slide, from BROWSERS at once."""
    (on.settings.var / "slides" / on.slide.id / PROFILE).write_bytes(b"a profile")  # the scan of the stage has none
    keys = forgeries.prepare(on, on.world.add_slide(on.centres.rouen, "26R00077"), bound)
    tally.void += forgeries.unnoticed(keys, seed)

    def attack(worker: int) -> tuple[Counter[str], list[str]]:
        """What was tried, by kind, and what let in."""
        chance, kinds, accepted = random.Random(seed + worker), Counter[str](), []
        with closing(_connection(on, worker)) as server:
            for turn in range(-(-count // ((1 + COOKIES) * BROWSERS))):
                tried = forgeries.at_the_door(keys, chance, turn)
                kinds[tried.kind] += 1
                if knock(server, tried) is not None:
                    accepted.append(f"{tried}")
                for shown in range(COOKIES * turn, COOKIES * (turn + 1)):
                    cookie, path = forgeries.at_a_tile(keys, chance, shown), _pictures(on)[shown % len(ABROAD)]
                    kinds["cookie"] += 1
                    if _shown(server, path, cookie):
                        accepted.append(f"{path} with {cookie}")
        return kinds, accepted

    began = time.monotonic()
    with ThreadPoolExecutor(BROWSERS) as pool:
        for kinds, accepted in pool.map(attack, range(BROWSERS)):
            tally.kinds += kinds
            tally.accepted += accepted
    tally.attacked_s += time.monotonic() - began
    _what_is_right_is_seen(on, keys, tally)


def _pictures(on: Stage) -> list[str]:
    """Every address below which the slide is shown to somebody abroad."""
    return [f"/tiles/{on.slide.id}/{on.slide.version}/{what}" for what in ABROAD]


def knock(server: HTTPConnection, tried: Try) -> str | None:
    """The guest's token, if that lets in; anything but a page of the door counts as letting in too."""
    form = urlencode({"secret": tried.secret, "code": tried.code}, errors="replace")
    answer = _ask(server, "POST", f"/l/{tried.link_id}", {"Content-Type": "application/x-www-form-urlencoded"}, form)
    if answer.status >= 500:
        raise RuntimeError(f"POST /l/… was answered {answer.status} for {tried}")
    set_cookie = answer.getheader("Set-Cookie") or ""
    if set_cookie.startswith(f"{GUEST_COOKIE}="):
        return set_cookie.partition("=")[2].partition(";")[0]
    return "" if 300 <= answer.status < 400 else None


def _what_is_right_is_seen(on: Stage, keys: Keyring, tally: Tally) -> None:
    """After all of it the right key still opens, and so does the right code of a link that was not tried to its end."""
    fresh = forgeries.bind(on)
    right = (
        Try("right key", keys.standing.id, keys.standing.secret),
        Try("right code", fresh.link.id, fresh.link.secret, fresh.standing),
    )
    with closing(_connection(on, 0)) as server:
        for tried in right:
            cookie = f"{GUEST_COOKIE}={knock(server, tried)}"
            for path in _pictures(on):
                if not _shown(server, path, cookie):
                    tally.void.append(f"the {tried.kind}, with which {path} is not shown,")


def _shown(server: HTTPConnection, path: str, cookie: str) -> bool:
    """Whether a cookie lets in. Asked again where the server cannot say at the moment, as a viewer does."""
    for _ in range(ATTEMPTS):
        status = _ask(server, "GET", path, {"Cookie": cookie}).status
        if status != 503:
            return status == 200
        time.sleep(AGAIN_AFTER_S)
    raise RuntimeError(f"{path} was answered 503 for {ATTEMPTS * AGAIN_AFTER_S:.0f} s")


def _connection(on: Stage, worker: int) -> HTTPConnection:
    """Bare: a browser's client would take longer than the server."""
    return HTTPConnection(urlsplit(on.urls[worker % 2]).netloc, timeout=60)


def _ask(
    server: HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> HTTPResponse:
    server.request(method, path, body, {**SAME_ORIGIN, **headers})
    answer = server.getresponse()
    answer.read()
    return answer


def race(on: Stage, tally: Tally, redeem: Callable[[int, str, str], bool] | None = None) -> int:
    """50 try at once to be the one guest; how many are."""
    link, start = on.link(), threading.Barrier(RACERS)
    browsers = [on.browser(number) for number in range(RACERS)]

    def real(number: int, link_id: str, secret: str) -> bool:
        return on.redeem(browsers[number], link_id, secret) is not None

    def run(number: int) -> bool:
        browsers[number].get("/healthz")  # the connection stands
        start.wait(GIVE_UP_S)
        return (redeem or real)(number, link.id, link.secret)

    with ThreadPoolExecutor(RACERS) as pool:
        winners = sum(pool.map(run, range(RACERS)))
    for browser in browsers:
        browser.close()
    if redeem is None:
        tally.races += 1
        tally.two_winners += winners > 1
        tally.no_winner += winners == 0
    return winners


def bad_twin(on: Stage) -> Callable[[int, str, str], bool]:
    """A redemption known to be bad: it looks, then writes. All look before the first one writes."""
    looked = threading.Barrier(RACERS)

    def redeem(_: int, link_id: str, __: str) -> bool:
        with on.database.reading() as session:
            row = session.get_one(LinkRow, link_id)
            free = row.uses < row.max_uses
        looked.wait(GIVE_UP_S)
        if free:
            with on.database.writing() as session:
                session.get_one(LinkRow, link_id).uses = 1
        return free

    return redeem
