"""How folders are watched, when slides may be sent, and who hears of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Protocol

from ingest.agent.client import TransientError
from ingest.agent.entries import Entry
from ingest.agent.upload import Delivery, Glass
from ingest.heartbeat import Trouble


class After(StrEnum):
    """What becomes of a slide's files once the platform has proved them and the slide is ready."""

    KEEP = "keep"
    MOVE = "move"
    DELETE = "delete"


class Pace(Protocol):
    """When, and how fast, slides may be sent."""

    def closed_s(self) -> float:
        """For how many seconds nothing may be sent; 0 when it may."""

    def spend(self, sent_bytes: int, stop: Event) -> None:
        """Waits for as long as these bytes, just handed to the network, have to take; returns early on `stop`."""


class Witness(Protocol):
    """Who hears what the watch does. Called from several threads."""

    def found(self, entry: Entry) -> None: ...
    def hashing(self, entry: Entry, done: int, total: int) -> None: ...
    def sending(self, entry: Entry, done: int, total: int) -> None:
        """`done` includes what the server held already."""

    def retrying(self, entry: Entry, problem: TransientError, pause_s: float) -> None: ...
    def put_back(self, entry: Entry) -> None:
        """It could not be sent now and will be tried again: `entry.code` says why."""

    def arrived(self, entry: Entry, delivery: Delivery) -> None:
        """The server has proved the digest."""

    def ready(self, entry: Entry) -> None:
        """It can be read on the platform, and its files were put away as configured."""

    def refused(self, entry: Entry) -> None:
        """`entry.code` and `entry.detail` say why; its files stay."""

    def trouble(self, trouble: Trouble) -> None:
        """Of a folder, of a slide that stays incomplete, or of the queue itself; told once."""

    def cleared(self, trouble: Trouble) -> None: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How folders are watched. Times in seconds. `rest_s`: how long nothing of a slide may change before it is looked
    at; `tell_after_s`: when an incomplete one is told; `archive`: where slides are moved to; `glass`: what the name of
    a slide says of it."""

    folders: tuple[Path, ...]
    after: After = After.KEEP
    archive: Path | None = None
    parallel: int = 2
    rest_s: float = 30
    poll_s: float = 5
    tell_after_s: float = 900
    unreachable_s: float = 60
    glass: Callable[[str], Glass] = lambda _: Glass()
