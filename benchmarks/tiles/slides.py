"""The slides that are read: drawn once from a real scan's texture, kept, and looked at for where their tissue lies."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import openslide
import tifffile

from tiler import synthetic
from tiler.address import grid
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.synthetic.pyramid import Coding, Pyramid, TiffWriter

TEXTURE = Path(__file__).parents[2] / "tests" / "data" / "CMU-1-Small-Region.svs"
# Sides that can be halved often without rest, so that all servers agree where a cell of a coarse level lies.
NATIVE = synthetic.Spec(width=30_720, height=22_528, texture=TEXTURE, seed=20, layout="tiff")
APERIO = synthetic.Spec(width=30_720, height=22_560, texture=TEXTURE, seed=20, layout="svs")
TILE = 256
MAP_PIXELS = 400
# Saturation (of 255) from which a spot of the overview is stained tissue rather than glass.
STAINED = 40
# A sparse slide shows this many different tiles over and over; more would only fill the disk.
DIFFERENT = 20_000
TYPICAL_TILE_BYTES = 14_000


def drawn(directory: Path, spec: synthetic.Spec) -> Path:
    """A slide of this drawing, kept in `directory`; drawn anew when its drawing has changed."""
    drawing = hashlib.sha256(repr((spec.width, spec.height, spec.seed, spec.layout)).encode())
    for source in sorted(Path(synthetic.__file__).parent.glob("*.py")):
        drawing.update(source.read_bytes())
    path = directory / f"slide-{drawing.hexdigest()[:16]}.{spec.layout}"
    return _kept(path, lambda unfinished: synthetic.make_slide(unfinished, spec))


def repeated(directory: Path, original: Path, length: int, *, sparse: bool = False) -> Path:
    """A slide of about `length` bytes whose tiles are those with most in them of `original`, over and over, in a
    pyramid of powers of two. When `sparse`, many addresses share a tile, and these lie all over a file with holes."""
    path = directory / f"{original.stem}-{length}{'-sparse' if sparse else ''}-1.tiff"
    return _kept(path, lambda unfinished: _repeat(unfinished, original, length, sparse=sparse))


def tissue(path: Path) -> list[tuple[int, int]]:
    """Level-0 points, evenly spread, where there is tissue."""
    with openslide.OpenSlide(path) as scan:
        width = scan.dimensions[0]
        overview = scan.get_thumbnail((MAP_PIXELS, MAP_PIXELS)).convert("HSV")
    scale = width / overview.width
    saturation = overview.getchannel("S").tobytes()
    return [
        (round((spot % overview.width + 0.5) * scale), round((spot // overview.width + 0.5) * scale))
        for spot, value in enumerate(saturation)
        if value >= STAINED
    ]


def _kept(path: Path, make: Callable[[Path], None]) -> Path:
    if not path.exists():
        unfinished = path.with_suffix(".new")
        make(unfinished)
        unfinished.rename(path)
    return path


def _repeat(path: Path, original: Path, length: int, *, sparse: bool) -> None:
    with tifffile.TiffFile(original) as scan, original.open("rb") as file:
        page = scan.pages.first
        places = sorted(zip(page.dataoffsets, page.databytecounts, strict=True), key=lambda place: place[1])
        tiles = [os.pread(file.fileno(), count, offset) for offset, count in places[-2_000:]]
    mean = sum(map(len, tiles)) / len(tiles)
    # A pyramid of powers of two has 4/3 as many tiles as its finest level.
    side = round((length / (TYPICAL_TILE_BYTES if sparse else mean) * 3 / 4) ** 0.5)
    size = Size(side * TILE, side * TILE)
    powers = [1 << power for power in range((side - 1).bit_length() + 1)]
    with path.open("wb") as out:
        writer = TiffWriter(out, big=True)
        pyramid = Pyramid(writer, size, TILE, powers, Coding(Colour.YCBCR, 80))
        stored: list[tuple[int, int]] = []
        number = 0
        for level in pyramid.levels:
            for _ in range(grid(level.size, level.tile).area):
                if not sparse or len(stored) < DIFFERENT:
                    if sparse:
                        out.seek(length // DIFFERENT * len(stored) + 16)
                    tile = tiles[number % len(tiles)]
                    stored.append((writer.append(tile), len(tile)))
                offset, count = stored[number * 7919 % len(stored)] if sparse else stored[-1]
                level.offsets.append(offset)
                level.lengths.append(count)
                number += 1
        out.seek(0, os.SEEK_END)
        for level in pyramid.levels:
            writer.directory(pyramid.tags(level, reduced=level.downsample > 1))
