"""A disk that fails where it is told to: the product's own calls that write, each known by the line it is on.

`watch` replaces, in this process, the functions by which Python programs write below a folder; the product is not
changed and knows nothing of it. What SQLite writes is not seen: a disk that is really full takes care of that.
"""

import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

PRODUCT = tuple(
    str(Path(__file__).parents[2] / name) + os.sep for name in ("tiler", "sharing", "ingest", "slideserver")
)
TWIN = str(Path(__file__).with_name("copying_store.py"))
BY_PATH = ("mkdir", "rename", "replace", "unlink", "chmod", "utime", "rmdir")
CALLERS = 3  # the same line of a helper is another site for another caller
BY_DESCRIPTOR = ("write", "pwrite", "fsync", "ftruncate")


class FailingDisk:
    """Counts how often each site was reached, and fails those that are armed for as long as they are."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve()) + os.sep
        self.reached: Counter[str] = Counter()
        self.failures = 0
        self._armed: dict[str, int] = {}

    def arm(self, sites: Mapping[str, int]) -> None:
        """From now on sites that begin so fail with these errors, and no others."""
        self._armed = dict(sites)

    def reach(self, operation: str, path: str) -> None:
        """Raises OSError when this call is to fail."""
        if not os.path.abspath(path).startswith(self._folder):
            return
        site = _site(operation)
        if site is None:
            return
        self.reached[site] += 1
        for armed, code in self._armed.items():
            if site.startswith(armed):
                self.failures += 1
                raise OSError(code, os.strerror(code))


@contextmanager
def watch(folder: Path) -> Iterator[FailingDisk]:
    """Every write below the folder goes through the disk that is given, until the block ends."""
    disk = FailingDisk(folder)
    saved: list[tuple[Any, str, Any]] = [(os, name, getattr(os, name)) for name in (*BY_PATH, *BY_DESCRIPTOR, "open")]
    saved.append((io, "open", io.open))
    for name in BY_PATH:
        setattr(os, name, _by_path(disk, name, getattr(os, name)))
    for name in BY_DESCRIPTOR:
        setattr(os, name, _by_descriptor(disk, name, getattr(os, name)))
    os.open = _opening(disk, os.open)
    io.open = _files(disk, io.open)
    try:
        yield disk
    finally:
        for module, name, function in saved:
            setattr(module, name, function)


def _by_path(disk: FailingDisk, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *args: Any, **more: Any) -> Any:
        if not isinstance(path, int) and more.get("dir_fd") is None:
            disk.reach(name, os.fsdecode(path))
        return function(path, *args, **more)

    return call


def _by_descriptor(disk: FailingDisk, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(descriptor: int, *args: Any, **more: Any) -> Any:
        disk.reach(name, _path_of(descriptor))
        return function(descriptor, *args, **more)

    return call


def _opening(disk: FailingDisk, function: Callable[..., int]) -> Callable[..., int]:
    def call(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & os.O_CREAT:
            disk.reach("open", os.fsdecode(path))
        return function(path, flags, *args, **more)

    return call


def _files(disk: FailingDisk, function: Callable[..., Any]) -> Callable[..., Any]:
    class File(io.FileIO):
        def write(self, data: Any) -> int:
            disk.reach("write", _path_of(self.fileno()))
            return super().write(data)

    def call(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **more: Any) -> Any:
        if set(mode) - set("wxab") or "b" not in mode:
            return function(file, mode, buffering, *args, **more)
        if not isinstance(file, int):
            disk.reach("open", os.fsdecode(file))
        raw = File(file, mode.replace("b", ""))
        return raw if buffering == 0 else io.BufferedWriter(raw)

    return call


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def _site(operation: str) -> str | None:
    """The line of the product that brought us here, and those that called it; None when it is none of the product's."""
    places: list[str] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(places) < CALLERS:
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        if path.startswith(PRODUCT) or path == TWIN:
            places.append(f"{Path(path).parent.name}/{Path(path).name}:{frame.f_lineno} {name}")
        frame = frame.f_back
    return f"{operation} in {' < '.join(places)}" if places else None
