"""Links: secrets, link ids and guests' cookies, made up or altered from real ones; and 50 redemptions of a one-time
link at once, 25 at each server.
"""

import hashlib
import random
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, GUEST_COOKIE, Stage, stage
from sharing.db.tables import LinkRow
from sharing.vocabulary import new_id

RACERS = 50
RACES, FORGERIES = 20, 100_000
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
            forge(on, tally, -(-plan.times(FORGERIES) // 16) * 8, plan.seed)
    return Result(
        figures={
            "link.forgeries": tally.forgeries,
            "link.accepted": tally.accepted,
            "link.races": tally.races,
            "link.races_two_winners": tally.two_winners,
        },
        failed=bool(tally.accepted or tally.two_winners or tally.no_winner),
        notes=(f"95 % bound {3 / max(1, tally.forgeries):.1g} a forgery; no winner in {tally.no_winner} races",),
        void=tuple(tally.void),
    )


@dataclass
class Tally:
    forgeries: int = 0
    accepted: int = 0
    races: int = 0
    two_winners: int = 0
    no_winner: int = 0
    void: list[str] = field(default_factory=list)


def forge(on: Stage, tally: Tally, count: int, seed: int) -> None:
    """Half at the door, half with a cookie at a tile, from four browsers at once."""
    link, other = on.link(uses=100), on.link(uses=100)
    with on.browser(0) as guest:
        token = on.redeem(guest, link.id, link.secret)
        if token is None or guest.get(on.tile()).status_code != 200:
            tally.void.append("the right secret was not accepted: what is counted as accepted is not seen")
    assert token is not None

    def attack(worker: int) -> int:
        chance, accepted = random.Random(seed + worker), 0
        with on.browser(worker) as door, on.browser(worker) as reader:
            for turn in range(count // 8):
                door.cookies.clear()
                accepted += on.redeem(door, *_false_key(chance, turn, link.id, link.secret, other.secret)) is not None
                false = _altered(chance, turn, token)
                answer = reader.get(on.tile(turn), headers={"Cookie": f"{GUEST_COOKIE}={false}"})
                accepted += answer.status_code == 200
        return accepted

    with ThreadPoolExecutor(4) as pool:
        tally.accepted += sum(pool.map(attack, range(4)))
    tally.forgeries += 4 * (count // 8) * 2


def _false_key(chance: random.Random, turn: int, link_id: str, secret: str, other: str) -> tuple[str, str]:
    """Link and secret that do not go together."""
    match turn % 5:
        case 0:
            return link_id, secrets.token_urlsafe(32)
        case 1:
            return link_id, _altered(chance, turn, secret)
        case 2:
            return link_id, other
        case 3:
            return new_id(), secret
        case _:
            return link_id, hashlib.sha256(secret.encode()).hexdigest()  # what the database holds


def _altered(chance: random.Random, turn: int, right: str) -> str:
    at = chance.randrange(len(right) - 1)  # the last character of base64 has bits that mean nothing
    match turn % 4:
        case 0:
            return right[:at] + ("A" if right[at] != "A" else "B") + right[at + 1 :]
        case 1:
            return right[:at]
        case 2:
            return right + chance.choice("Aa0%-_")
        case _:
            return right.swapcase()


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
    """A redemption known to be bad: it looks, then writes."""

    def redeem(_: int, link_id: str, __: str) -> bool:
        with on.database.reading() as session:
            row = session.get_one(LinkRow, link_id)
            free = row.uses < row.max_uses
        if free:
            with on.database.writing() as session:
                session.get_one(LinkRow, link_id).uses = 1
        return free

    return redeem
