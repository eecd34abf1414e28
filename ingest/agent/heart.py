"""The heartbeat: every few seconds the server is told how this workstation is, also while nothing may be sent.

Each is written into the state folder as well, where `iain-agent status` finds it.
"""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from shutil import disk_usage
from threading import Event, Thread
from typing import Protocol

from ingest.agent.client import Client, RefusedError, TransientError
from ingest.agent.clock import SiteClock
from ingest.agent.entries import State
from ingest.agent.pace import SitePace
from ingest.agent.queue import Queue, plain
from ingest.heartbeat import (
    EVERY_S,
    REPORT_MAX_BYTES,
    TEXT_MAX_CHARS,
    TROUBLES_MAX,
    Heartbeat,
    Pause,
    Trouble,
)

FILE_NAME = "now.json"
ANSWER_WITHIN_S = 2.0
ROUND_TRIP_MAX_S = 5  # an answer that took longer says too little of the time at which it was given


class Watched(Protocol):
    """What a watch of folders says of itself."""

    def pause(self) -> Pause | None: ...
    def troubles(self) -> Iterable[Trouble]: ...


@dataclass(frozen=True, slots=True)
class Pulse:
    """The last heartbeat, as `status` reads it: when it was (µs, workstation's clock), when the server last heard one,
    and else why it does not."""

    at_us: int
    heard_us: int | None
    failure: str | None
    detail: str
    pause: Pause | None
    bytes_per_s: int


def version() -> str:
    """Of the installed program."""
    try:
        return metadata.version("iain")
    except metadata.PackageNotFoundError:
        return "0"


class Heart:
    """Beats until it is stopped, whatever the network, the disk or the server do."""

    def __init__(
        self,
        connect: Callable[[], Client],
        queue: Queue,
        watch: Watched,
        pace: SitePace,
        clock: SiteClock,
        folders: Iterable[Path],
        state_folder: Path,
        every_s: float = EVERY_S,
        paused: Callable[[Pause | None, float], None] = lambda _pause, _span_s: None,
    ) -> None:
        """`paused` hears of every change of why nothing is sent, and for how many seconds that lasts."""
        self._connect, self._queue, self._watch, self._pace, self._clock = connect, queue, watch, pace, clock
        self._disks, self._state_folder, self._every_s = Disks((*folders, state_folder)), state_folder, every_s
        self._paused = paused
        self._pause: Pause | None = None
        self._told_bytes = 0
        self._heard_us: int | None = None

    def run(self, stop: Event) -> None:
        """Until `stop`; then the last word is in the state folder."""
        with self._connect() as client:
            while not stop.is_set():
                began = time.monotonic()
                self._beat(client)
                stop.wait(max(self._every_s - (time.monotonic() - began), self._every_s / 10))

    def _beat(self, client: Client) -> None:
        sent_bytes = self._pace.sent_bytes
        failure, detail = None, ""
        beat = Heartbeat(version(), f"{platform.system()} {platform.release()}")
        try:
            beat = self._now(sent_bytes - self._told_bytes)
            before_us, began = self._clock.wall_us(), time.monotonic()
            server_us = client.beat(beat)
            took_s = time.monotonic() - began
            self._told_bytes, self._heard_us = sent_bytes, self._clock.wall_us()
            if took_s <= ROUND_TRIP_MAX_S:
                self._clock.skew_ms = round((before_us + took_s * 5e5 - server_us) / 1000)
        except (TransientError, RefusedError) as error:
            failure, detail = error.code, error.detail
        except (OSError, sqlite3.Error) as error:
            failure, detail = "queue-unwritable", str(error)
        if beat.pause is not self._pause:
            self._pause = beat.pause
            self._paused(beat.pause, self._pace.closed_s())
        pulse = Pulse(self._clock.wall_us(), self._heard_us, failure, detail, beat.pause, beat.bytes_per_s)
        _write(self._state_folder, pulse)

    def _now(self, sent_bytes: int) -> Heartbeat:
        summary = self._queue.summary(self._clock.midnight_us())
        counts = summary.counts
        found = (*self._watch.troubles(), *self._queue.troubles())
        beat = Heartbeat(
            version=version(),
            system=f"{platform.system()} {platform.release()}",
            queued=counts[State.QUEUED],
            sending=counts[State.SENDING],
            sent=summary.sent_since,
            refused=counts[State.REFUSED] + counts[State.INCOMPLETE],
            queued_bytes=summary.waiting_bytes,
            sent_bytes=sent_bytes,
            bytes_per_s=self._pace.bytes_per_s(),
            free_bytes=self._disks.free_bytes(),
            skew_ms=self._clock.skew_ms,
            last_name=_short(summary.last_sent) if summary.last_sent else None,
            last_us=summary.last_sent_us,
            pause=self._watch.pause(),
            troubles=tuple(_told(each) for each in dict.fromkeys(found))[:TROUBLES_MAX],
        )
        while len(beat.to_json().encode()) > REPORT_MAX_BYTES:
            beat = replace(beat, troubles=beat.troubles[:-1])
        return beat


class Disks:
    """The disks on which some folders lie. They are asked by a thread of its own: a network share that is away may not
    answer for hours, and a heartbeat does not wait for it."""

    def __init__(
        self, folders: Iterable[Path], ask: Callable[[Path], int] = lambda path: disk_usage(path).free
    ) -> None:
        self._folders, self._ask = tuple(folders), ask
        self._asking: Thread | None = None
        self._free: int | None = None

    def free_bytes(self, within_s: float = ANSWER_WITHIN_S) -> int | None:
        """Of the fullest of them; None when none of them can be asked, or one does not answer."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = Thread(target=self._look, name="disks", daemon=True)
            self._asking.start()
        self._asking.join(within_s)
        return None if self._asking.is_alive() else self._free

    def _look(self) -> None:
        free = []
        for folder in self._folders:
            try:
                free.append(self._ask(folder))
            except OSError:
                continue
        self._free = min(free, default=None)


def read_pulse(state_folder: Path) -> Pulse | None:
    """The last heartbeat of a watch with this state folder; None when there was none, or it cannot be read."""
    try:
        said = json.loads((state_folder / FILE_NAME).read_text(encoding="utf-8"))
        pause = Pause(said.pop("pause")) if said.get("pause") else said.pop("pause", None)
        return Pulse(**said, pause=pause)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _write(state_folder: Path, pulse: Pulse) -> None:
    new = state_folder / f".{FILE_NAME}"
    try:
        new.write_text(json.dumps(asdict(pulse)), encoding="utf-8")
        os.replace(new, state_folder / FILE_NAME)
    except OSError:
        pass  # the disk is full, or somebody reads it just now on Windows; the next one is due soon


def _told(trouble: Trouble) -> Trouble:
    return replace(trouble, name=_short(trouble.name), detail=_short(trouble.detail))


def _short(text: str) -> str:
    return plain(text)[:TEXT_MAX_CHARS]
