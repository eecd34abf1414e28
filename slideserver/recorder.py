"""Where requests wait until what they show is on record: all that wait at a moment share one transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, ParamSpec

from sharing import audit
from sharing.db.engine import Database, Session
from slideserver.counter import Counter

TOGETHER = 64
"""Acts that share a commit at most."""

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


Recorder = Counter[Record, None]
"""Where requests wait until their notes are durable; what hindered it is raised."""


def recorder(database: Database) -> Recorder:
    # SQLite gives one turn to write at a time.
    turns = 1 if database.engine.dialect.name == "sqlite" else 3
    return Counter(lambda records: write(database, records), turns=turns, together=TOGETHER)


def write(database: Database, records: Sequence[Record]) -> Mapping[Record, None]:
    """All of them, or none."""
    with database.writing() as session, audit.together(session):
        for record in records:
            for note in record.notes:
                note(session)
    return dict.fromkeys(records)
