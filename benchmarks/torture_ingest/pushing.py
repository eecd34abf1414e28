"""A push with a stopwatch, by the very code of the agent."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tiles.slides import TEXTURE, drawn, repeated
from benchmarks.torture_ingest.kills import Contender
from ingest.agent.client import Client, TransientError
from ingest.agent.upload import Glass, Patience, Pusher
from tiler.synthetic import Spec

DRAWING = Spec(width=6_144, height=4_096, texture=TEXTURE, seed=6, layout="tiff")
PATIENCE = Patience(unreachable_s=30, preparing_s=0)
MARK_BYTES = 16


@dataclass(frozen=True, slots=True)
class Pushed:
    """When what happened, in seconds of the monotonic clock."""

    slide: str
    began_s: float
    last_byte_s: float
    """The last byte was handed to the network."""
    proved_s: float
    """The server has said that it has all of it, durably and with this digest."""


class _Stopwatch:
    def __init__(self) -> None:
        self.last_byte_s = 0.0

    def hashing(self, done: int, total: int) -> None:
        pass

    def sending(self, done: int, total: int) -> None:
        if done == total:
            self.last_byte_s = time.monotonic()

    def preparing(self) -> None:
        pass

    def retrying(self, problem: TransientError, pause_s: float) -> None:
        raise AssertionError(f"nothing was to go wrong here: {problem}")


def push(url: str, key: str, slide: Path, accession: str | None = None) -> Pushed:
    """Comes back when the server has proved the slide."""
    watch, began_s = _Stopwatch(), time.monotonic()
    with Client(url, key) as client:
        answer = Pusher(client, watch, PATIENCE).push(slide, Glass(accession))
    return Pushed(answer.status.slide, began_s, watch.last_byte_s, time.monotonic())


def slide_of(folder: Path, length: int) -> Path:
    """A slide of about this length that can be opened."""
    return repeated(folder, drawn(folder, DRAWING), length)


def change(slide: Path) -> None:
    """Makes other bytes of it, and the same slide: what stands behind its end means nothing."""
    with slide.open("ab") as file:
        file.write(os.urandom(MARK_BYTES))


@contextmanager
def serving(contender: Contender) -> Iterator[str]:
    """The address of its server, while the block runs."""
    contender.server.start()
    try:
        yield f"http://127.0.0.1:{contender.server.port}"
    finally:
        contender.server.kill()
