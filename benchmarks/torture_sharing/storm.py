"""The morning rush: 200 readers open 200 slides within one second, while 50 others look on at what they have open.

Each opens a slide that he has not read before, so that each opening is put on record, durably, before the first tile
leaves. An opening lasts from when it falls due to the last byte of the first tile, on a connection of its own. The
others pan at their own pace (`benchmarks.tiles.uploads`); a tile of theirs is late from when it falls due.
"""

import asyncio
import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from benchmarks.tiles.load import Generator, Pattern, Target
from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, Stage, stage
from benchmarks.torture_sharing.twins import add_twin
from sharing import sessions, sites
from sharing.db.tables import AuditEventRow
from sharing.vocabulary import Act, Role
from slideserver.auth.cookies import SessionCookie

OPENERS, SLIDES, OTHERS = 200, 200, 50
WITHIN_S = 1.0
ROUNDS = 6
# A round: the others alone for so long, then so long with the storm in the middle.
WINDOW_S, BEFORE_S = 2.0, 0.5
OPEN_WITHIN_MS, OTHERS_RATIO = 500.0, 2.0
TILES = [f"0/{col}_{row}" for row in range(2) for col in range(4)]
PANNING = Pattern("open", 6, len(TILES), round(1e6 / OTHERS))
COOKIE = SessionCookie(secure=False).name
GIVE_UP_S = 30.0


@dataclass
class Tally:
    openings_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    """The others' p99, of each round."""
    beside_ms: list[float] = field(default_factory=list)
    unrecorded: int = 0

    @property
    def p99(self) -> float:
        ordered = sorted(self.openings_ms)
        return ordered[int(len(ordered) * 0.99)]

    @property
    def by_round(self) -> list[float]:
        """The p99 of each round. In the first no slide has been opened by the server before."""
        rounds = [self.openings_ms[start : start + OPENERS] for start in range(0, len(self.openings_ms), OPENERS)]
        return [sorted(each)[int(len(each) * 0.99)] for each in rounds]

    @property
    def ratio(self) -> float:
        return median(self.beside_ms) / median(self.alone_ms)


def run(plan: Plan) -> Result:
    tallies = {}
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with stage(engine, plan.folder / engine) as on:
            tallies[engine] = _storms(on, plan, plan.folder / engine)
    worst = max(tally.p99 for tally in tallies.values())
    ratio = max(tally.ratio for tally in tallies.values())
    unrecorded = sum(tally.unrecorded for tally in tallies.values())
    return Result(
        figures={"access.open_storm_p99_ms": round(worst), "access.others_p99_ratio": round(ratio, 2)},
        failed=worst > OPEN_WITHIN_MS or ratio > OTHERS_RATIO or unrecorded > 0,
        notes=tuple(_told(engine, tally) for engine, tally in tallies.items()),
    )


def _told(engine: str, tally: Tally) -> str:
    def each(values: Sequence[float], digits: int) -> str:
        return ", ".join(f"{value:.{digits}f}" for value in values)

    return (
        f"{engine}: {len(tally.openings_ms)} openings, p50 {median(tally.openings_ms):.0f} ms, p99 {tally.p99:.0f} "
        f"(by round {each(tally.by_round, 0)}), slowest {max(tally.openings_ms):.0f}; the others' p99 alone "
        f"{each(tally.alone_ms, 1)} ms, beside it {each(tally.beside_ms, 1)}; "
        f"{tally.unrecorded} openings not on record"
    )


def _storms(on: Stage, plan: Plan, folder: Path) -> Tally:
    tokens, others = _readers(on)
    shown = [add_twin(on, f"{number}", "26H01234") for number in range(SLIDES)]
    port = int(on.urls[0].rpartition(":")[2])
    generator = Generator(Path(os.environ.get("IAIN_BUILD", folder)), folder)
    # In the order in which they fall due: eight tiles of the one slide that each of the others has open.
    targets = [Target(f"/tiles/{slide}/{on.slide.version}/{tile}", 0) for slide in shown[:OTHERS] for tile in TILES]
    cookies = [f"{COOKIE}={token}" for token in others]
    tally, chance = Tally(), random.Random(plan.seed)
    generator.run(port, targets, cookies, PANNING, seconds=2 * WINDOW_S)  # what the others have open is on record
    before = _on_record(on)
    rounds = plan.times(ROUNDS)
    for number in range(rounds):
        tally.alone_ms.append(generator.run(port, targets, cookies, PANNING, seconds=WINDOW_S).p99_us / 1e3)
        openings = [
            (token, f"/tiles/{shown[(at + number) % SLIDES]}/{on.slide.version}/{TILES[0]}")
            for at, token in enumerate(tokens)
        ]
        due = sorted(chance.uniform(BEFORE_S, BEFORE_S + WITHIN_S) for _ in openings)
        storm = threading.Thread(target=lambda: tally.openings_ms.extend(asyncio.run(_open(port, openings, due))))  # noqa: B023
        storm.start()
        tally.beside_ms.append(generator.run(port, targets, cookies, PANNING, seconds=WINDOW_S).p99_us / 1e3)
        storm.join(GIVE_UP_S)
    tally.unrecorded = rounds * OPENERS - (_on_record(on) - before)
    return tally


async def _open(port: int, openings: Sequence[tuple[str, str]], due: Sequence[float]) -> list[float]:
    """How long each opening took, ms; each is due that many seconds from now."""
    began = time.monotonic()
    return await asyncio.gather(
        *(_opened(port, *opening, began + seconds) for opening, seconds in zip(openings, due, strict=True))
    )


async def _opened(port: int, token: str, path: str, due: float) -> float:
    await asyncio.sleep(due - time.monotonic())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"Host: 127.0.0.1:{port}\r\nCookie: {COOKIE}={token}\r\nConnection: close\r\n\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
    answer = await asyncio.wait_for(reader.read(), GIVE_UP_S)
    took = time.monotonic() - due
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"\xff\xd9"):
        raise RuntimeError(f"A slide that may be read did not open: {answer[:300]!r}")
    return took * 1000


def _readers(on: Stage) -> tuple[list[str], list[str]]:
    """The session tokens of those who open slides, and of those who have some open."""
    tokens = []
    with on.database.writing() as session:
        for number in range(OPENERS + OTHERS):
            login = f"lecteur.{number}"
            sites.add_member(
                session, on.centres.caen.id, login=login, name=login, role=Role.PATHOLOGIST, password_hash="-"
            )
            account = sites.member_by_login(session, login)
            assert account is not None
            tokens.append(sessions.create(session, account.member))
    return tokens[:OPENERS], tokens[OPENERS:]


def _on_record(on: Stage) -> int:
    with on.database.reading() as session:
        events = select(func.count()).select_from(AuditEventRow).where(AuditEventRow.act == Act.SLIDE_OPENED)
        return session.scalar(events) or 0
