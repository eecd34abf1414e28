"""What opens slides, for `iain doctor`: the sandbox, the libraries inside of it, and a slide that they really open."""

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from slideserver.operations.findings import Finding, State
from slideserver.operations.libraries import too_old
from tiler.cutters import CutterPool
from tiler.errors import TilerError
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.jpeg import Colour
from tiler.mosaic import Mosaic
from tiler.sandbox import Sandbox
from tiler.synthetic.pyramid import Coding, Pyramid, TiffWriter


def examined(sandbox: Sandbox) -> Iterator[Finding]:
    yield _libraries()
    isolated = _isolation(sandbox)
    yield isolated
    if isolated.state is not State.FAILED:
        yield _codecs(sandbox)


def _isolation(sandbox: Sandbox) -> Finding:
    problem = sandbox.probe()
    if problem is not None:
        return Finding(
            "sandbox",
            State.FAILED,
            problem,
            "apt-get install bubblewrap; sysctl kernel.unprivileged_userns_clone=1; in a container, allow user "
            "namespaces. Slides that arrive meanwhile are kept and wait.",
        )
    if sandbox.mode == "weak":
        return Finding(
            "sandbox",
            State.WARNING,
            "weak: a crafted slide is held back by limits and a system-call filter only",
            "Set IAIN_SANDBOX=strict where user namespaces are allowed.",
        )
    return Finding("sandbox", State.FINE, "strict: files are opened without network and without other files")


def _libraries() -> Finding:
    if old := ", ".join(too_old()):
        remedy = "Install the server again with its locked packages: make setup"
        return Finding("libraries", State.FAILED, f"Crafted slides may get the better of {old}.", remedy)
    return Finding("libraries", State.FINE, "what reads slides is of a version without known holes")


def _codecs(sandbox: Sandbox) -> Finding:
    """Opens a small slide as a scanner's would be opened, and has a missing tile cut."""
    remedy = "Install the server again with its locked packages: make setup"
    tile = Size(256, 256)
    try:
        with tempfile.TemporaryDirectory(prefix="iain-doctor-") as folder:
            path = Path(folder) / "doctor.tiff"
            _write_slide(path)
            index = TileIndex(sandbox.index_slide(path).index_bytes)
        cutters = CutterPool(sandbox)
        try:
            cut = cutters.cut("doctor", Mosaic([_picture(tile)] * 4, [tile] * 4, 2, tile))
        finally:
            cutters.close()
        Image.open(io.BytesIO(cut)).load()
    except (TilerError, OSError, ValueError) as error:
        return Finding("codecs", State.FAILED, f"A slide made for the purpose cannot be opened: {error}", remedy)
    return Finding("codecs", State.FINE, f"a slide of {len(index.levels)} levels was opened, a tile was cut")


def _write_slide(path: Path) -> None:
    size = Size(600, 400)
    with path.open("wb") as file:
        writer = TiffWriter(file, big=True)
        pyramid = Pyramid(writer, size, 256, [1, 2], Coding(Colour.YCBCR, 80))
        for top in range(0, size.height, 256):
            pyramid.feed(np.full((min(256, size.height - top), size.width, 3), 200, np.uint8))
        for level in pyramid.levels:
            writer.directory(pyramid.tags(level, reduced=level.downsample > 1))


def _picture(size: Size) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size.width, size.height), (200, 120, 160)).save(out, "JPEG", quality=80)
    return out.getvalue()
