"""Pages that follow one another, and the walk through all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from sharing.db.engine import Database, Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    rows: tuple[T, ...]
    next: str | None
    """The cursor of the following page; None on the last."""


def walk(
    database: Database, read: Callable[[Session, str | None, int], Page[T]], *, limit: int, step: int
) -> Iterator[T]:
    """The rows of page after page, `limit` of them at most. `read` is given a cursor and how many rows to read; each
    page, of `step` rows, in a transaction of its own, so that none is held for as long as somebody takes to read.
    """
    cursor: str | None = None
    for start in range(0, limit, step):
        with database.reading() as session:
            page = read(session, cursor, min(step, limit - start))
        yield from page.rows
        cursor = page.next
        if cursor is None:
            return
