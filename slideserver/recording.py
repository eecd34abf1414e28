"""Putting on record what a page or an answer shows, before it leaves.

Reading needs no turn to write; putting it on record does. So a route that shows patients' data reads as every other,
says what has to be noted, and `RecordDep` writes that in a short transaction when the route is done. It is committed
before the first byte of the answer leaves; if it cannot be, there is no answer.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Concatenate, ParamSpec

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool

from sharing.db.engine import Database, Session
from slideserver.deps import StateDep, VisitorDep

Arguments = ParamSpec("Arguments")


class Record:
    """`record(sightings.open_case, member, case.id, case)`: what to call in the writing transaction to come."""

    def __init__(self) -> None:
        self.notes: list[Callable[[Session], object]] = []

    def __call__(
        self,
        note: Callable[Concatenate[Session, Arguments], object],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> None:
        self.notes.append(lambda session: note(session, *args, **kwargs))


async def get_record(state: StateDep, _visitor: VisitorDep) -> AsyncIterator[Record]:
    record = Record()
    yield record
    if record.notes:
        async with state.writers:
            await run_in_threadpool(_write, state.database, record)


RecordDep = Annotated[Record, Depends(get_record, scope="function")]


def _write(database: Database, record: Record) -> None:
    with database.writing() as session:
        for note in record.notes:
            note(session)
