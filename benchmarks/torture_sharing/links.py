"""Links: what nobody may come in by (`forgeries`), tried at the doors and at the tiles of two servers; and 50
redemptions of a one-time link at once, 25 at each server.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing import forgeries
from benchmarks.torture_sharing.forgeries import Keyring, Try
from benchmarks.torture_sharing.stage import ENGINES, GUEST_COOKIE, Stage, stage
from sharing.db.tables import LinkRow

RACERS = 50
RACES, FORGERIES, BOUND = 20, 100_000, 60
BROWSERS = 4
GIVE_UP_S = 10.0


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
    races: int = 0
    two_winners: int = 0
    no_winner: int = 0
    void: list[str] = field(default_factory=list)

    @property
    def forgeries(self) -> int:
        return self.kinds.total()


def forge(on: Stage, tally: Tally, count: int, bound: int, seed: int) -> None:
    """Half at the doors, half with a cookie at a tile, from four browsers at once."""
    keys = forgeries.prepare(on, on.world.add_slide(on.centres.rouen, "26R00077"), bound)
    tally.void += forgeries.unnoticed(keys, seed)

    def attack(worker: int) -> None:
        chance, each = random.Random(seed + worker), -(-count // (2 * BROWSERS))
        with on.browser(worker) as door, on.browser(worker) as reader:
            for turn in range(each):
                tried = forgeries.at_the_door(keys, chance, turn)
                tally.kinds[tried.kind] += 1
                if knock(door, tried):
                    tally.accepted.append(f"{tried}")
                cookie = forgeries.at_a_tile(keys, chance, turn)
                tally.kinds["cookie"] += 1
                if reader.get(on.tile(turn), headers={"Cookie": cookie}).status_code == 200:
                    tally.accepted.append(f"a tile with {cookie}")

    with ThreadPoolExecutor(BROWSERS) as pool:
        for done in [pool.submit(attack, worker) for worker in range(BROWSERS)]:
            done.result()
    _what_is_right_is_seen(on, keys, tally)


def knock(browser: httpx.Client, tried: Try) -> bool:
    """Whether that lets in: into a session, or anywhere but a page of the door."""
    browser.cookies.clear()
    sent = {"secret": tried.secret, "code": tried.code}
    answer = browser.post(f"/l/{tried.link_id}", data=sent)
    if answer.status_code >= 500:
        raise RuntimeError(f"POST /l/… was answered {answer.status_code} for {tried}: {answer.text[:300]}")
    return answer.cookies.get(GUEST_COOKIE) is not None or answer.is_redirect


def _what_is_right_is_seen(on: Stage, keys: Keyring, tally: Tally) -> None:
    """After all of it the right key still opens, and so does the right code of a link that was not tried to its end."""
    fresh = forgeries.bind(on)
    right = (
        Try("right key", keys.standing.id, keys.standing.secret),
        Try("right code", fresh.link.id, fresh.link.secret, fresh.standing),
    )
    with on.browser(0) as browser:
        for tried in right:
            if not knock(browser, tried) or browser.get(on.tile()).status_code != 200:
                tally.void.append(f"the {tried.kind} was not accepted: what is counted as accepted is not seen")


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
