"""The only door to decoders: disposable workers that see one slide, no network and no other file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NoReturn

from tiler import isolation
from tiler.errors import REFUSALS, SandboxUnavailableError, TilerError, WorkerDiedError, WorkerTimeoutError
from tiler.metadata import clean_text
from tiler.pipes import Kind, Pipe
from tiler.slide import ALONE

Mode = Literal["strict", "weak"]
_START_TIMEOUT_S: Final = 30.0
_GRACE_S: Final = 1.0
_PLAIN: Final = ("0", "plain")  # niceness, libraries
_OF_A_SLIDE: Final = frozenset({Kind.INDEX, Kind.THUMBNAIL, Kind.LABEL, Kind.MACRO, Kind.PROFILE, Kind.DONE})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use."""

    memory_bytes: int = 2 * 1024**3
    cpu_s: int = 300
    open_files: int = 1_100  # all files of the largest set, and what Python and its libraries have open


@dataclass(frozen=True, slots=True)
class IndexedSlide:
    """What a worker says about a slide: claims, until `tiler.verification.check` has passed. A slide that must be built
    (`tiler.ladder.must_be_built`) has no thumbnail yet."""

    index_bytes: bytes
    thumbnail: bytes | None
    label: bytes | None
    macro: bytes | None
    profile: bytes | None = None
    """The ICC profile, rebuilt (`tiler.icc`)."""


class Worker:
    """One process and the pipe to it; used by one thread at a time."""

    def __init__(self, command: list[str], ended: Callable[[], None] = lambda: None) -> None:
        """`ended` is called once, after the end."""
        self._ended = ended
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, env={}
        )
        self._streams = [stream for stream in (self._process.stdout, self._process.stdin) if stream]
        self.pipe = Pipe(*(stream.fileno() for stream in self._streams))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process and all it has started; whoever waits at the pipe is told."""
        if self._process.returncode is None:
            self._kill_children()
        self._process.kill()

    def _kill_children(self) -> None:
        """bubblewrap asks the kernel to end its child with it only some moments after it has made one; killed in
        between, it would leave an orphan that holds the pipe. Stopped, it makes no child and reaps none, so numbers
        stay true."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)

    def end(self, *, grace_s: float = 0) -> int:
        """Kill the process, unless it ends by itself within the grace, and all it may have started; its exit status
        comes back."""
        if grace_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        self.kill()
        for stream in self._streams:
            stream.close()
        status = self._process.wait()
        ended, self._ended = self._ended, lambda: None
        ended()
        return status


class Sandbox:
    """Starts workers. `strict` isolates them with bubblewrap and refuses to work without; `weak` has only resource
    limits and, where the kernel offers it, the system-call filter: for hosts where namespaces are off."""

    def __init__(self, mode: Mode = "strict", limits: Limits = Limits()) -> None:
        self.mode: Mode = mode
        self.limits = limits
        self._bubblewrap: Path | None = None
        self._lock = threading.Lock()

    def index_slide(self, slide: Path | Mapping[str, Path], *, timeout_s: float = 120) -> IndexedSlide:
        """Open, validate and index one slide in a worker of its own: one file, or several under the names they have
        beside each other. Raises TilerError with the reason in words; SandboxUnavailableError says nothing about the
        slide, try again later."""
        files = {ALONE: slide} if isinstance(slide, Path) else slide
        deadline = time.monotonic() + timeout_s
        return (
            self._indexed(files, deadline, codecs=False) or self._indexed(files, deadline, codecs=True) or _nonsense()
        )

    def _indexed(self, files: Mapping[str, Path], deadline: float, *, codecs: bool) -> IndexedSlide | None:
        """What a worker says; None when it asks for the heavy libraries."""
        worker = self.start("index", files, codecs=codecs)
        parts: dict[Kind, bytes] = {}
        try:
            self._await_ready(worker)
            while Kind.DONE not in parts:
                kind, payload = worker.pipe.receive(deadline=deadline)
                if kind == Kind.REFUSED:
                    raise refusal(payload)
                if kind == Kind.NEEDS_CODECS and not (codecs or parts):
                    return None
                if kind in parts or kind not in _OF_A_SLIDE:
                    raise WorkerDiedError("The program that decodes slides gave an answer that makes no sense.")
                parts[kind] = payload
            if not parts.get(Kind.INDEX):
                raise WorkerDiedError("The program that decodes slides stopped before it had finished.")
        except WorkerDiedError as error:
            if worker.end(grace_s=_GRACE_S) in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
                raise WorkerTimeoutError("The slide took too much computing time to decode.") from error
            raise WorkerDiedError(
                "The slide made the program that decodes it crash. It may be damaged or made to attack; "
                "scan or export it again."
            ) from error
        finally:
            worker.end()
        label, macro, profile = (parts.get(kind) or None for kind in (Kind.LABEL, Kind.MACRO, Kind.PROFILE))
        return IndexedSlide(parts[Kind.INDEX], parts.get(Kind.THUMBNAIL) or None, label, macro, profile)

    def start(
        self,
        task: Literal["index", "cut", "decode"],
        files: Mapping[str, Path] = MappingProxyType({}),
        *,
        codecs: bool = False,
        niceness: int = 0,
    ) -> Worker:
        """A new worker, shown these files alone; it may still be loading. Raises SandboxUnavailableError."""
        arguments = [str(niceness), "codecs" if codecs else "plain"]
        if self.mode == "strict":
            return Worker(self._shut_in(task, files, arguments))
        folder = tempfile.TemporaryDirectory(prefix="iain-slide-")
        for name, path in files.items():
            link = Path(folder.name, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve(strict=True))
        return Worker(isolation.exposed(self._arguments(task, Path(folder.name), arguments)), folder.cleanup)

    def probe(self) -> str | None:
        """Why no worker can be isolated on this machine, as one sentence; None when it works."""
        try:
            if self.mode == "weak":
                return self._try(isolation.exposed(self._arguments("probe", isolation.SLIDE)))
            self._shut_in("probe", {})
        except SandboxUnavailableError as error:
            return error.sentence
        return None

    @staticmethod
    def _await_ready(worker: Worker) -> None:
        """Until then the worker has seen nothing of the slide: if it fails, the slide is not to blame."""
        try:
            kind, _ = worker.pipe.receive(deadline=time.monotonic() + _START_TIMEOUT_S)
        except (WorkerDiedError, WorkerTimeoutError):
            kind = None
        if kind != Kind.READY:
            raise SandboxUnavailableError(
                "No isolated program could be started to decode the slide, or it may not read the slide's file. "
                "Check the owner of the data directory and the machine's memory, then try again."
            )

    def _shut_in(self, task: str, files: Mapping[str, Path], arguments: Sequence[str] = _PLAIN) -> list[str]:
        with self._lock:
            if self._bubblewrap is None:
                self._bubblewrap = self._find_bubblewrap()
        return isolation.isolated(self._bubblewrap, files, self._arguments(task, isolation.SLIDE, arguments))

    def _find_bubblewrap(self) -> Path:
        """The first bubblewrap that really isolates a worker here."""
        reason = "bubblewrap is not installed"
        for candidate in isolation.bubblewraps():
            failure = self._try(isolation.isolated(candidate, {}, self._arguments("probe", isolation.SLIDE)))
            if failure is None:
                return candidate
            reason = failure
        raise SandboxUnavailableError(
            f"Slides cannot be decoded in isolation on this machine: {reason}. Install bubblewrap and allow user "
            "namespaces, or set the sandbox to weak."
        )

    def _arguments(self, task: str, root: Path, arguments: Sequence[str] = _PLAIN) -> list[str]:
        limits = self.limits
        numbers = (limits.memory_bytes, limits.cpu_s, limits.open_files)
        return [task, str(root), *map(str, numbers), self.mode, *arguments]

    @staticmethod
    def _try(command: list[str]) -> str | None:
        """Run the probe task; why it failed, None when it answered."""
        try:
            ran = subprocess.run(command, capture_output=True, timeout=_START_TIMEOUT_S, env={}, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return clean_text(str(error))
        if ran.returncode == 0 and ran.stdout == bytes([Kind.READY, 0, 0, 0, 0]):
            return None
        lines = ran.stderr.decode(errors="replace").strip().splitlines()
        return clean_text(lines[-1] if lines else f"the worker ended with status {ran.returncode}")


def _nonsense() -> NoReturn:
    raise WorkerDiedError("The program that decodes slides gave an answer that makes no sense.")


def refusal(payload: bytes) -> TilerError:
    """A worker's reason as an error; its words are shown to people, so they are cut to one clean line."""
    try:
        said = json.loads(payload)
        error, sentence = REFUSALS[said["code"]], clean_text(said["sentence"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return WorkerDiedError("The program that decodes slides gave an answer that makes no sense.")
    return error(sentence or "The slide could not be read.")
