"""A right is lost while 32 read, 16 at each of two servers: the time from the moment it is asked for to the last tile
that anybody still received.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, Stage, stage

READERS = 32
ROUNDS = 5
WARM_S = 0.4
GIVE_UP_S = 10.0
BETWEEN_TILES_S = 0.01
AT_MOST_MS = 1000


def run(plan: Plan) -> Result:
    tally = Tally()
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with stage(engine, plan.folder / engine) as on:
            for _ in range(plan.times(ROUNDS)):
                revoke_while_read(on, tally)
    shown = ", ".join(f"{each:.0f}" for each in tally.revocations_ms)
    answered = ", ".join(f"{each:.0f}" for each in tally.after_answer_ms)
    return Result(
        figures={"link.revoke_to_last_tile_ms": round(max(tally.revocations_ms))},
        failed=max(tally.revocations_ms) > AT_MOST_MS,
        notes=(f"revocations, ms: {shown}; after their answer: {answered}; {tally.tiles_read} tiles read meanwhile",),
        void=tuple(tally.void),
    )


@dataclass
class Tally:
    revocations_ms: list[float] = field(default_factory=list)
    after_answer_ms: list[float] = field(default_factory=list)
    """The same, from the moment the revocation was acknowledged."""
    tiles_read: int = 0
    void: list[str] = field(default_factory=list)


class Reader(threading.Thread):
    """A guest who asks for one tile after the other until he is refused; `last` is when the last one came."""

    def __init__(self, on: Stage, link_id: str, secret: str, number: int) -> None:
        super().__init__(name=f"reader-{number}")
        self._browser = on.browser(number)
        token = on.redeem(self._browser, link_id, secret)
        if token is None:
            raise RuntimeError("A guest with the right secret was not admitted.")
        self._addresses = [on.tile(turn) for turn in range(3)]
        self.tiles, self.last, self.first = 0, 0.0, threading.Event()
        self._end_by = time.monotonic() + 60

    def run(self) -> None:
        refused = 0
        # A few more tries after the first refusal: nobody may be let in again.
        while refused < 3 and time.monotonic() < self._end_by:
            answer = self._browser.get(self._addresses[self.tiles % len(self._addresses)])
            if answer.status_code == 200 and answer.content.startswith(b"\xff\xd8"):
                self.tiles, self.last = self.tiles + 1, time.monotonic()
                self.first.set()
            elif answer.status_code != 503:
                refused += 1
            time.sleep(BETWEEN_TILES_S)
        self._browser.close()


def revoke_while_read(on: Stage, tally: Tally) -> None:
    link = on.link(uses=READERS)
    with ThreadPoolExecutor(8) as pool:
        readers = list(pool.map(lambda number: Reader(on, link.id, link.secret, number), range(READERS)))
    maker = on.world.signed_in("pathologiste.caen", on.urls[0])
    for reader in readers:
        reader.start()
    for reader in readers:
        if not reader.first.wait(GIVE_UP_S):
            tally.void.append("a guest of a standing link saw no tile")
    time.sleep(WARM_S)
    asked = time.monotonic()
    answer = maker.post(f"/api/links/{link.id}/revoke")
    answered = time.monotonic()
    if answer.status_code != 204:
        raise RuntimeError(f"The link could not be revoked: {answer.status_code} {answer.text[:200]}")
    for reader in readers:
        reader.join(GIVE_UP_S)
        if reader.is_alive():
            tally.revocations_ms.append(GIVE_UP_S * 1000)
    tally.tiles_read += sum(reader.tiles for reader in readers)
    last = max(reader.last for reader in readers)
    tally.revocations_ms.append(max(0.0, last - asked) * 1000)
    tally.after_answer_ms.append(max(0.0, last - answered) * 1000)
