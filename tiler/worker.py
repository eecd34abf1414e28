"""The program inside the sandbox: ``index`` one slide, or ``cut`` tiles until told to stop; to ``build`` is to cut them
when the machine has nothing better to do.

It confines itself once everything it needs is imported and before it looks at a single byte of a slide. It answers on
its standard output (see `tiler.pipes`); nothing it says is believed by the other side without a check."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path

from tiler.errors import DamagedSlideError, SandboxUnavailableError, TilerError
from tiler.mosaic import Mosaic
from tiler.pipes import Kind, receive_blocking, send_blocking


def main() -> None:
    """``argv``: task, slide, memory in bytes, seconds of CPU, open files, `strict` or `weak`."""
    task, slide, memory, cpu, files, mode = sys.argv[1:]
    # Libraries sometimes print; what they print must not reach the pipe of answers.
    out = os.dup(1)
    os.dup2(2, 1)
    _limit(int(memory), int(cpu), int(files))
    run = {"probe": _probe, "index": _index, "cut": _cut, "build": _cut}[task]
    if task == "build":
        os.nice(19)
    _load()
    _confine(strict=mode == "strict")
    run(out, Path(slide))


def _limit(memory_bytes: int, cpu_s: int, open_files: int) -> None:
    for what, amount in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        hard = resource.getrlimit(what)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        # Out of computing time, the soft limit ends the process with SIGXCPU, which tells why; the hard one would kill
        # it.
        resource.setrlimit(what, (amount, hard if what == resource.RLIMIT_CPU else amount))


def _load() -> None:
    """Import all that a task will use: afterwards no code can be loaded any more."""
    from PIL import Image

    import tiler.indexing
    import tiler.opening
    import tiler.pixels
    import tiler.storage.local  # noqa: F401

    importlib.import_module("_strptime")  # what datetime.strptime imports when it is first called
    Image.preinit()


def _confine(*, strict: bool) -> None:
    from tiler import seccomp

    try:
        seccomp.install()
    except SandboxUnavailableError:
        if strict:
            raise


def _probe(out: int, slide: Path) -> None:
    send_blocking(out, Kind.READY)


def _index(out: int, slide: Path) -> None:
    from tiler.indexing import build_index, colour_profile
    from tiler.ladder import ladder, must_be_built
    from tiler.opening import open_slide
    from tiler.pixels import associated_images, thumbnail
    from tiler.storage.local import LocalByteSource

    source = LocalByteSource(slide)
    send_blocking(out, Kind.READY)  # whatever goes wrong from here on is the slide's doing
    try:
        opened = open_slide(source)
        send_blocking(out, Kind.INDEX, build_index(source, opened))
        if not must_be_built(ladder([(level.size, level.tile) for level in opened.levels])):
            send_blocking(out, Kind.THUMBNAIL, thumbnail(source, opened))
        label, macro = associated_images(slide, opened.metadata.size)
        if label:
            send_blocking(out, Kind.LABEL, label)
        if macro:
            send_blocking(out, Kind.MACRO, macro)
        profile = colour_profile(opened)
        if profile:
            send_blocking(out, Kind.PROFILE, profile)
        send_blocking(out, Kind.DONE)
    except TilerError as error:
        _refuse(out, error)
    except MemoryError:
        _refuse(out, DamagedSlideError("The slide asks for more memory than a slide needs."))
    except Exception as error:  # the edge of the process: whatever a decoder threw, the slide is at fault
        _refuse(out, DamagedSlideError(f"The slide could not be read ({type(error).__name__})."))


def _refuse(out: int, error: TilerError) -> None:
    send_blocking(out, Kind.REFUSED, json.dumps({"code": error.code, "sentence": error.sentence}).encode())


def _cut(out: int, slide: Path) -> None:
    from tiler.pixels import cut

    send_blocking(out, Kind.READY)
    while message := receive_blocking(0):
        try:
            send_blocking(out, Kind.TILE, cut(Mosaic.unpack(message[1])))
        except TilerError as error:
            _refuse(out, error)
