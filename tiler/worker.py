"""The program inside the sandbox: ``index`` one slide, ``decode`` its tiles or ``cut`` those of any until told to stop.

It confines itself once everything it needs is imported and before it looks at a single byte of a slide. It answers on
its standard output (see `tiler.pipes`); nothing it says is believed by the other side without a check."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path

from tiler.codecs import CodecsNeededError
from tiler.errors import DamagedSlideError, SandboxUnavailableError, TilerError
from tiler.geometry import Region
from tiler.mosaic import Mosaic
from tiler.pipes import DECODE, Kind, receive_blocking, send_blocking
from tiler.slide import SlideFiles


def main() -> None:
    """``argv``: task, directory of the slide, memory in bytes, seconds of CPU, open files, `strict` or `weak`,
    niceness, `codecs` or `plain`."""
    task, root, memory, cpu, files, mode, niceness, tools = sys.argv[1:]
    # Libraries sometimes print; what they print must not reach the pipe of answers.
    out = os.dup(1)
    os.dup2(2, 1)
    _limit(int(memory), int(cpu), int(files))
    run = {"probe": _probe, "index": _index, "cut": _cut, "decode": _decode}[task]
    os.nice(int(niceness))
    _load(with_codecs=tools == "codecs")
    slide = SlideFiles(Path(root))  # a look into the directory; at no file
    _confine(strict=mode == "strict")
    run(out, slide)


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


def _load(*, with_codecs: bool) -> None:
    """Import all that a task will use: afterwards no code can be loaded any more."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's library starts no threads: it may not
    import openslide  # noqa: F401
    from PIL import Image

    from tiler import codecs, indexing, opening, pixels  # noqa: F401

    if with_codecs:
        codecs.load()

    importlib.import_module("_strptime")  # what datetime.strptime imports when it is first called
    Image.preinit()


def _confine(*, strict: bool) -> None:
    from tiler import seccomp

    try:
        seccomp.install()
    except SandboxUnavailableError:
        if strict:
            raise


def _probe(out: int, files: SlideFiles) -> None:
    send_blocking(out, Kind.READY)


def _index(out: int, files: SlideFiles) -> None:
    from tiler.indexing import build_index, colour_profile, natives_of
    from tiler.ladder import ladder, must_be_built
    from tiler.opening import open_slide
    from tiler.pixels import picture, thumbnail

    for number in range(len(files.names)):
        files.source(number).close()
    send_blocking(out, Kind.READY)  # whatever goes wrong from here on is the slide's doing
    try:
        opened = open_slide(files)
        send_blocking(out, Kind.INDEX, build_index(files, opened))
        if not must_be_built(ladder(natives_of(opened))):
            send_blocking(out, Kind.THUMBNAIL, thumbnail(files, opened))
        for kind, name in ((Kind.LABEL, "label"), (Kind.MACRO, "macro")):
            if found := picture(opened, name):
                send_blocking(out, kind, found)
        profile = colour_profile(opened)
        if profile:
            send_blocking(out, Kind.PROFILE, profile)
        send_blocking(out, Kind.DONE)
    except CodecsNeededError:
        send_blocking(out, Kind.NEEDS_CODECS)
    except TilerError as error:
        _refuse(out, error)
    except MemoryError:
        _refuse(out, DamagedSlideError("The slide asks for more memory than a slide needs."))
    except Exception as error:  # the edge of the process: whatever a decoder threw, the slide is at fault
        _refuse(out, DamagedSlideError(f"The slide could not be read ({type(error).__name__})."))


def _refuse(out: int, error: TilerError) -> None:
    send_blocking(out, Kind.REFUSED, json.dumps({"code": error.code, "sentence": error.sentence}).encode())


def _cut(out: int, files: SlideFiles) -> None:
    from tiler.pixels import cut

    send_blocking(out, Kind.READY)
    while message := receive_blocking(0):
        try:
            send_blocking(out, Kind.TILE, cut(Mosaic.unpack(message[1])))
        except TilerError as error:
            _refuse(out, error)


def _decode(out: int, files: SlideFiles) -> None:
    from tiler.opening import open_slide
    from tiler.pixels import decoded_tile

    send_blocking(out, Kind.READY)
    try:
        opened = open_slide(files)
    except TilerError as error:
        if receive_blocking(0):
            _refuse(out, error)
        return
    while message := receive_blocking(0):
        level, *area = DECODE.unpack(message[1])
        try:
            send_blocking(out, Kind.TILE, decoded_tile(opened, level, Region(*area)))
        except TilerError as error:
            _refuse(out, error)
        except MemoryError:
            _refuse(out, DamagedSlideError("A tile of the slide asks for more memory than a tile needs."))
        except Exception as error:  # the edge of the process: whatever a decoder threw, the slide is at fault
            _refuse(out, DamagedSlideError(f"A tile of the slide cannot be decoded ({type(error).__name__})."))
