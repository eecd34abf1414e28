"""Aperio SVS: full resolution, thumbnail, reduced levels, label, macro; the scanner's facts in the descriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.layouts import Maker, Makers
from benchmarks.layouts.jpeg2000 import codestream, ycbcr_codestream
from benchmarks.layouts.jpegtiff import LONG, SHORT, Tags, strip, text, tiled
from benchmarks.layouts.specimen import MPP, Pixels, associated, jpeg, pyramid, tissue
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic.pyramid import Coding, Pyramid, TiffWriter

NAME: Final = "slide.svs"
TILE: Final = 240
STEP: Final = 4
LABEL, MACRO = 1, 9  # NewSubfileType
BARCODE: Final = "H26-00418"
WIDTH, HEIGHT = 1000, 700


def described(size: tuple[int, int], coding: str, *, more: str = "") -> str:
    """ImageDescription of a level, as a scanner writes it."""
    facts = (
        "AppMag = 20|StripeWidth = 2040|ScanScope ID = SS7001|ScannerType = AT2|Filename = 418|Date = 03/02/26"
        f"|Time = 09:30:00|Time Zone = GMT+01:00|User = technician|MPP = {MPP}|Left = 25.69|Top = 23.45"
        f"|Barcode = {BARCODE}|ICC Profile = ScanScope v1"
    )
    whole = f"{WIDTH}x{HEIGHT} [0,0 {WIDTH}x{HEIGHT}] ({TILE}x{TILE})"
    reduced = "" if size == (WIDTH, HEIGHT) else f" -> {size[0]}x{size[1]}"
    return f"Aperio Image Library v12.0.15 \r\n{whole}{reduced} {coding}|{facts}{more}"


def levels(count: int = 2) -> list[Pixels]:
    return pyramid(tissue(WIDTH, HEIGHT), count, STEP)


def make(
    path: Path,
    *,
    encode: Callable[[Pixels], bytes] = jpeg,
    compression: int = 7,
    count: int = 2,
    empty: tuple[int, int] | None = None,
    empty_level: int = 0,
    offsets: tuple[str, ...] = ("",),
    change: Tags | None = None,
) -> Path:
    """Tiles compressed by ourselves; one tile of one level may be `empty`, `offsets` are those of several planes."""
    with _writer(path) as writer:
        for number, pixels in enumerate(levels(count)):
            gaps = {empty} if empty and number == empty_level else set()
            for plane in offsets:
                tags = tiled(writer, pixels, TILE, empty=gaps, encode=encode, compression=compression)
                said = described((pixels.shape[1], pixels.shape[0]), "J2K/YUV16 Q=70", more=plane)
                writer.directory({**tags, tiff.DESCRIPTION: text(said), **(change or {})})
            if number == 0:
                _thumbnail(writer)
        _pictures(writer)
    return path


def _tables(path: Path) -> Path:
    with _writer(path) as writer:
        made = Pyramid(writer, Size(WIDTH, HEIGHT), TILE, (1, STEP), Coding(Colour.RGB, 85))
        made.feed(tissue(WIDTH, HEIGHT))
        for number, level in enumerate(made.levels):
            said = described((level.size.width, level.size.height), "JPEG/RGB Q=85")
            writer.directory({**made.tags(level, reduced=False), tiff.DESCRIPTION: text(said)})
            if number == 0:
                _thumbnail(writer)
        _pictures(writer)
    return path


def _not_tiled(path: Path) -> Path:
    with _writer(path) as writer:
        said = described((WIDTH, HEIGHT), "JPEG/RGB Q=85")
        writer.directory({**strip(writer, tissue(WIDTH, HEIGHT)), tiff.DESCRIPTION: text(said)})
        _pictures(writer)
    return path


def _thumbnail(writer: TiffWriter) -> None:
    said = f"Aperio Image Library v12.0.15 \r\n{WIDTH}x{HEIGHT} -> {WIDTH // STEP}x{HEIGHT // STEP} - |AppMag = 20"
    _picture(writer, levels()[1], 0, said)


def _pictures(writer: TiffWriter) -> None:
    for kind, name in ((LABEL, "label"), (MACRO, "macro")):
        pixels = associated(name)
        said = f"Aperio Image Library v12.0.15 \r\n{name} {pixels.shape[1]}x{pixels.shape[0]}"
        _picture(writer, pixels, kind, said)


def _picture(writer: TiffWriter, pixels: Pixels, kind: int, said: str) -> None:
    writer.directory({**strip(writer, pixels), tiff.SUBFILE_TYPE: (LONG, [kind]), tiff.DESCRIPTION: text(said)})


@contextmanager
def _writer(path: Path) -> Iterator[TiffWriter]:
    with path.open("wb") as file:
        yield TiffWriter(file, big=False)


def _named(make: Callable[[Path], Path]) -> Maker:
    return lambda folder: make(folder / NAME)


MAKERS: Final[Makers] = {
    key: _named(made)
    for key, made in {
        "jpeg-rgb-tables": _tables,
        "jpeg-ycbcr": make,
        "one-level": lambda path: make(path, count=1),
        "gaps-below": lambda path: make(path, empty=(1, 0), empty_level=1),
        "jpeg-2000-rgb": lambda path: make(path, encode=codestream, compression=33005),
        "jpeg-2000-ycbcr": lambda path: make(path, encode=ycbcr_codestream, compression=33003),
        "gaps": lambda path: make(path, empty=(1, 1)),
        "focal-planes": lambda path: make(path, offsets=("", "|OffsetZ = 0.5")),
        "sixteen-bit": lambda path: make(path, change={tiff.BITS: (SHORT, [16, 16, 16])}),
        "not-tiled": _not_tiled,
    }.items()
}
