"""Workers that make the tiles a scanner left out or stored as no browser can show them: cutters are shown some JPEG
tiles at a time and no file, decoders the files of one slide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from tiler import jpeg
from tiler.errors import DamagedSlideError, UnsupportedSlideError, WorkerDiedError, WorkerTimeoutError
from tiler.geometry import Region, Size
from tiler.mosaic import Mosaic
from tiler.pipes import DECODE, Kind
from tiler.sandbox import Sandbox, Worker, refusal

# A cutter is replaced after so many tiles: what leaks in a decoder stays small.
MAX_CUTS: Final = 10_000
MAX_DECODES: Final = 1_000  # some milliseconds of computing time each, of those a worker has
# Readers of several slides take turns; so many cutters stay with their slides, 15 MB each, rather than start anew each
# time.
KEPT: Final = 8
# A cut takes milliseconds, sixty-four large tiles a quarter of a second. What takes longer has been frozen.
TIMEOUT_S: Final = {"cut": 5.0, "build": 60.0}
# A decoder has the slide to open first, and some slides store a whole row of tiles in one piece.
_DECODE_TIMEOUT_S: Final = 20.0
# On a machine with other things to do, a new worker may take a while to load its decoder.
_START_TIMEOUT_S: Final = 30.0
_STARTS: Final = 3
_NO_FILES: Final[Mapping[str, Path]] = MappingProxyType({})
_PATIENT: Final = 19  # as nice as a process can be


class _NotStartedError(WorkerDiedError):
    """A cutter died before it was given anything: no tile is to blame."""


# Before the body of every picture a cutter makes; what else an encoder likes to write in front does not travel.
HEADER: Final = jpeg.header(None, jpeg.Colour.YCBCR)


@dataclass(slots=True)
class _Cutter:
    """A worker bound to one slide for life: what it once saw can never reach another slide's reader. A decoder is shown
    its files."""

    worker: Worker
    slide_key: str
    decodes: bool
    ready: bool = False
    cuts: int = 0
    busy: bool = True


class CutterPool:
    """Up to `size` cutters at work at once, of up to `KEPT` each bound to one slide for life, and for cutting one more
    that waits for the next slide.

    Safe to use from several threads. Workers are started by a thread of the pool's own: the kernel ends them when the
    thread that started them does (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(
        self, sandbox: Sandbox, size: int = 1, *, timeout_s: float | None = None, task: Literal["cut", "build"] = "cut"
    ) -> None:
        """`task`: to `cut` while somebody waits, or to `build`, one slide after the other, with what time the machine
        has left."""
        self._sandbox = sandbox
        self._task: Literal["cut", "build"] = task
        self._size = size
        self._keep = KEPT if task == "cut" else 2  # a decoder and a cutter
        self._timeout_s = timeout_s or TIMEOUT_S[task]
        self._cutters: list[_Cutter] = []  # the least recently used first
        self._changed = threading.Condition()
        self._closed = False
        self._starter = ThreadPoolExecutor(1, "cutter-starter")
        self._spare: Future[Worker] | None = None

    def prepare(self) -> None:
        """Start the worker that waits for the next slide, if none waits: there may soon be something to cut."""
        with self._changed:
            if self._spare is None and not self._closed:
                self._spare = self._start()

    def cut(self, slide_key: str, mosaic: Mosaic) -> bytes:
        """See `tiler.source.Cutter`. A cutter that dies or hangs is replaced, and costs one retry. Raises
        WorkerDiedError or WorkerTimeoutError after the second, DamagedSlideError."""
        return self._made(slide_key, Kind.CUT, mosaic.pack(), mosaic.out, _NO_FILES)

    def decode(self, slide_key: str, files: Mapping[str, Path], level: int, area: Region) -> bytes:
        """See `tiler.source.Cutter`. The same holds as for `cut`."""
        request = DECODE.pack(level, area.x, area.y, area.width, area.height)
        return self._made(slide_key, Kind.DECODE, request, area.size, files)

    def _made(self, slide_key: str, kind: Kind, request: bytes, out: Size, files: Mapping[str, Path]) -> bytes:
        tried, starts = False, _STARTS
        while True:
            try:
                return self._ask(slide_key, kind, request, out, files)
            except _NotStartedError:
                starts -= 1
                if not starts:
                    raise
            except (WorkerDiedError, WorkerTimeoutError):
                if tried:
                    raise
                tried = True

    def close(self) -> None:
        """End all cutters, also those at work."""
        with self._changed:
            self._closed = True
            ending, self._cutters = self._cutters, []
            self._changed.notify_all()
        for cutter in ending:
            # The pipe of one at work belongs to the thread that waits for it, and is closed by that thread.
            cutter.worker.kill() if cutter.busy else cutter.worker.end()
        self._starter.shutdown(wait=True)
        if self._spare is not None and self._spare.exception() is None:
            self._spare.result().end()

    def _ask(self, slide_key: str, asked: Kind, request: bytes, out: Size, files: Mapping[str, Path]) -> bytes:
        with self._cutter(slide_key, files) as cutter:
            if not cutter.ready:
                try:
                    kind, _ = cutter.worker.pipe.receive(deadline=time.monotonic() + _START_TIMEOUT_S)
                except WorkerDiedError as error:
                    raise _NotStartedError("The program that cuts tiles did not start.") from error
                if kind != Kind.READY:
                    raise WorkerDiedError("The program that cuts tiles did not start as it should.")
                cutter.ready = True
            deadline = time.monotonic() + max(self._timeout_s, _DECODE_TIMEOUT_S if cutter.decodes else 0)
            cutter.worker.pipe.send(asked, request, deadline=deadline)
            kind, payload = cutter.worker.pipe.receive(deadline=deadline)
            if kind == Kind.REFUSED:
                raise refusal(payload)
            return _sound(kind, payload, out)

    @contextmanager
    def _cutter(self, slide_key: str, files: Mapping[str, Path]) -> Iterator[_Cutter]:
        """A cutter for this slide, or a decoder of these files of it; nobody else's meanwhile. One that died or hangs
        is not given back."""
        cutter = self._take(slide_key, files)
        keep = False
        try:
            yield cutter
            keep = True
        except (DamagedSlideError, UnsupportedSlideError):  # said by the cutter itself, which is well
            keep = True
            raise
        finally:
            cutter.cuts += 1
            with self._changed:
                cutter.busy = False
                spent = cutter.cuts >= (MAX_DECODES if cutter.decodes else MAX_CUTS)
                if not keep or spent or self._closed:
                    if cutter in self._cutters:
                        self._cutters.remove(cutter)
                    cutter.worker.end()
                self._changed.notify_all()

    def _take(self, slide_key: str, files: Mapping[str, Path]) -> _Cutter:
        with self._changed:
            while True:
                if self._closed:
                    raise WorkerDiedError("The server is stopping.")
                for cutter in [one for one in self._cutters if not (one.busy or one.worker.alive)]:
                    self._drop(cutter)
                idle = [cutter for cutter in self._cutters if not cutter.busy]
                if len(self._cutters) - len(idle) < self._size:
                    for cutter in idle:
                        if (cutter.slide_key, cutter.decodes) == (slide_key, bool(files)):
                            return self._use(cutter)
                    if len(self._cutters) >= max(self._keep, self._size):
                        self._drop(idle[0])
                    return self._bind(slide_key, files)
                self._changed.wait()

    def _use(self, cutter: _Cutter) -> _Cutter:
        cutter.busy = True
        self._cutters.remove(cutter)
        self._cutters.append(cutter)
        return cutter

    def _drop(self, cutter: _Cutter) -> None:
        self._cutters.remove(cutter)
        cutter.worker.end()

    def _bind(self, slide_key: str, files: Mapping[str, Path]) -> _Cutter:
        """Start a decoder, or give the spare worker to a slide and start the next spare."""
        if files:
            starting = self._start(files)
        else:
            starting, self._spare = self._spare or self._start(), self._start() if self._task == "cut" else None
        cutter = _Cutter(starting.result(), slide_key, bool(files))
        self._cutters.append(cutter)
        return cutter

    def _start(self, files: Mapping[str, Path] = _NO_FILES) -> Future[Worker]:
        task: Literal["cut", "decode"] = "decode" if files else "cut"
        niceness = _PATIENT if self._task == "build" else 0
        return self._starter.submit(self._sandbox.start, task, files, codecs=bool(files), niceness=niceness)


def _sound(kind: Kind, picture: bytes, out: Size) -> bytes:
    """The picture under our header, once it is known to be one baseline image of this size and nothing else."""
    try:
        if kind == Kind.TILE:
            start, end = jpeg.body(picture, out, HEADER)
            return HEADER + picture[start:end]
    except (DamagedSlideError, UnsupportedSlideError):
        pass
    raise WorkerDiedError("The program that cuts tiles gave an answer that makes no sense.")
