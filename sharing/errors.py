"""What can go wrong in `sharing`.

    SharingError
    ├── NotFoundError     there is no such thing, or this subject must not learn that there is
    │   └── GoneError     the link that led here no longer does; whoever holds its secret may know why
    ├── RefusedError      the subject knows that the thing exists and may not do this to it
    │   └── CodeWantedError   the link's secret was right; the code that was mailed is missing or wrong
    ├── ConflictError     the thing is already there, or no longer in the state the caller believed
    ├── InvalidError      a value that cannot be stored (also a ValueError)
    ├── SchemaError       the database is of another version than this one, and there is no way from one to the other
    └── BusyError         the database did not give us a turn to write in time

An error that stands for a refusal carries it in `refusal`. The edge that catches the error answers the visitor and
then calls `audit.record_refusal(database, error.refusal)`: the transaction of the act is rolled back by then.
"""

from dataclasses import dataclass

from sharing.subjects import Subject
from sharing.vocabulary import Action, Entity, LinkState, SiteId


@dataclass(frozen=True, slots=True)
class Refusal:
    """A "no" to be put on record in the chain of `site_id`, the site that owns what was asked for."""

    subject: Subject
    action: Action
    site_id: SiteId
    reason: str
    entities: tuple[Entity, ...] = ()


class SharingError(Exception):
    """The root of the tree above."""

    def __init__(self, message: str, *, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


class NotFoundError(SharingError):
    pass


class GoneError(NotFoundError):
    """To be told to nobody but the holder of the link's secret, or of a session that it opened."""

    def __init__(self, message: str, why: LinkState, *, refusal: Refusal | None = None) -> None:
        super().__init__(message, refusal=refusal)
        self.why = why


class RefusedError(SharingError):
    pass


class CodeWantedError(RefusedError):
    """To be told to nobody but the holder of the link's secret. `wrong`: a code was given, and it opens nothing."""

    def __init__(self, message: str, *, wrong: bool) -> None:
        super().__init__(message)
        self.wrong = wrong


class ConflictError(SharingError):
    pass


class InvalidError(SharingError, ValueError):
    pass


class SchemaError(SharingError):
    pass


class BusyError(SharingError):
    pass
