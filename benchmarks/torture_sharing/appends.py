"""How many acts a second go on record, durable, by the way that requests take (`slideserver.recorder`).

200 at once ask again and again for what must be on record before they are answered: a list of cases, with what was
typed. Those who wait share a commit, 64 at most. What counts is what another connection finds afterwards, and it must
be what was answered. PostgreSQL runs with fsync, unlike the one of the tests; SQLite always does.

The control writes and takes back: of what it answers, nothing may be found.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import count

from sqlalchemy import func, select

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, founded
from sharing import sightings
from sharing.db.engine import Database
from sharing.db.tables import AuditEventRow
from sharing.subjects import Member
from sharing.vocabulary import Act
from slideserver.recorder import Record, recorder

SECONDS, READERS = 15, 200
AT_LEAST = 1000


def run(plan: Plan) -> Result:
    rates: dict[str, float] = {}
    notes, void = [], []
    wrong = False
    for engine in ENGINES:
        folder = plan.folder / engine
        folder.mkdir()
        with founded(engine, folder, durable=True) as on:
            reader, seconds = on.centres.caen.pathologist, plan.times(SECONDS)
            alone = _alone(on.database, reader, seconds / 3)
            before = _events(on.database)
            began = time.monotonic()
            waited_ms = asyncio.run(_together(on.database, reader, seconds))
            found = _events(on.database) - before
            rates[engine] = found / (time.monotonic() - began)
            wrong |= found != len(waited_ms)
            p50, p99 = statistics.quantiles(waited_ms, n=100)[49::49]
            notes.append(
                f"{engine}: {found} events of {len(waited_ms)} answers, {READERS} at once waited {p50:.0f} ms "
                f"(p50), {p99:.0f} ms (p99); each alone, one after the other: {alone:.0f} a second"
            )
            if not _taken_back(on.database, reader):
                void.append(f"{engine}: what was taken back is found all the same")
    return Result(
        figures={
            "audit.appends_per_s": min(rates.values()),
            **{f"audit.appends_per_s.{engine}": rate for engine, rate in rates.items()},
        },
        failed=wrong or min(rates.values()) < AT_LEAST,
        notes=tuple(notes),
        void=tuple(void),
    )


async def _together(database: Database, reader: Member, seconds: float) -> list[float]:
    """How long each answer was waited for, in ms."""
    counter, number, end = recorder(database), count(), time.monotonic() + seconds
    waited_ms: list[float] = []

    async def ask() -> None:
        while time.monotonic() < end:
            record = Record()
            record(sightings.list_cases, reader, "worklist", 3, search=f"fictif {next(number)}")
            asked = time.monotonic()
            await counter.ask(record)
            waited_ms.append((time.monotonic() - asked) * 1000)

    asking: list[Callable[[], Awaitable[None]]] = [ask] * READERS
    await asyncio.gather(*(each() for each in asking))
    return waited_ms


def _alone(database: Database, reader: Member, seconds: float) -> float:
    """Events a second where each has a commit of its own."""
    written, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        with database.writing() as session:
            sightings.list_cases(session, reader, "worklist", 3, search="fictif")
        written += 1
    return written / (time.monotonic() - began)


def _taken_back(database: Database, reader: Member) -> bool:
    """Whether nothing is found of what was written and undone."""
    before = _events(database)
    try:
        with database.writing() as session:
            sightings.list_cases(session, reader, "worklist", 3)
            raise InterruptedError
    except InterruptedError:
        return _events(database) == before


def _events(database: Database) -> int:
    with database.reading() as session:
        listed = select(func.count()).where(AuditEventRow.act == Act.CASES_LISTED)
        return session.scalars(listed).one()
