"""Hamamatsu slides against OpenSlide and, where it reads no such file, against Pillow's view of a whole level."""

import io
from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.served import picture, served
from PIL import Image

from benchmarks.layouts import ndpi
from tiler.address import tile_region
from tiler.cutters import CutterPool
from tiler.index import LevelKind
from tiler.jpeg import Colour, body, header
from tiler.readers.ifd import directories
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalByteSource


def whole_levels(path: Path) -> list[np.ndarray]:
    """Each scan of the file as Pillow decodes it in one go, in the order of the file."""
    source = LocalByteSource(path)
    found = [source.read_at(one.integer(273), one.integer(279)) for one in directories(source)]
    source.close()
    return [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data in found]


def quality_db(error: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean(error.astype(float) ** 2), 1e-9)))


def made(kind: str, folder: Path) -> Path:
    if kind == "beyond-4-gb":
        scans = [*ndpi.levels(ndpi.tissue(1024, 704), (64, 32)), ndpi.scan(ndpi.associated("macro"), -1.0)]
        return ndpi.write(folder / "far.ndpi", scans, begin=5 << 30)
    return ndpi.MAKERS[kind](folder)


@pytest.mark.parametrize("kind", ["restart-marks", "beyond-4-gb", "no-marks", "wide", "focal-planes"])
def test_every_tile_shows_what_openslide_reads(kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    path = made(kind, tmp_path)
    reassembled = kind not in ("no-marks", "wide")
    with openslide.OpenSlide(path) as oracle, served(path, sandbox, cutter) as (source, slide):
        levels = [
            (number, level) for number, level in enumerate(source.index.levels) if level.kind is LevelKind.DECODED
        ]
        assert len(levels) > 1
        assert source.index.metadata.mpp_x == pytest.approx(float(oracle.properties["openslide.mpp-x"]))
        assert source.index.metadata.objective_power == float(oracle.properties["openslide.objective-power"])
        assert np.array_equal(picture(slide.macro).shape[:2], np.asarray(oracle.associated_images["macro"]).shape[:2])
        for number, level in levels:
            theirs = oracle.level_dimensions.index((level.size.width, level.size.height))
            down = oracle.level_downsamples[theirs]
            assert down == round(down)
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    area = tile_region(level.size, level.tile, col, row)
                    corner = (round(area.x * down), round(area.y * down))
                    wanted = oracle.read_region(corner, theirs, (area.width, area.height)).convert("RGB")
                    error = picture(source.get(number, col, row)) - np.asarray(wanted)
                    assert not error.any() if reassembled else quality_db(error) > 40, (number, col, row)


@pytest.mark.parametrize("kind", ["narrow", "restart-marks", "grey"])
def test_every_tile_shows_what_the_whole_level_shows(
    kind: str, tmp_path: Path, sandbox: Sandbox, cutter: CutterPool
) -> None:
    """Where a tile is put together, the same numbers; at its edge a decoder guesses the colour between two pixels from
    what it sees, which is less."""
    path = made(kind, tmp_path)
    with served(path, sandbox, cutter) as (source, _):
        assert source.index.levels[0].kind is LevelKind.DECODED
        for number, whole in enumerate(whole_levels(path)[:2]):
            level = source.index.levels[number]
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    area = tile_region(level.size, level.tile, col, row)
                    error = picture(source.get(number, col, row))
                    error -= whole[area.y : area.y + area.height, area.x : area.x + area.width]
                    if kind != "grey":
                        assert not error[2:-2, 2:-2].any(), (number, col, row)
                    assert quality_db(error) > 40, (number, col, row)


def test_what_is_put_together_are_the_bytes_of_the_file(tmp_path: Path, sandbox: Sandbox, cutter: CutterPool) -> None:
    """Between the marks: so nothing was decoded and encoded again."""
    path = made("narrow", tmp_path)
    stored = path.read_bytes()
    with served(path, sandbox, cutter) as (source, _):
        tile = source.get(0, 1, 0)
    start, end = body(tile, source.index.levels[0].tile, header(None, Colour.YCBCR))
    data = tile[tile.index(b"\xff\xda", start) + 14 : end - 2]
    pieces = [data]
    for number in range(8):
        pieces = [part for piece in pieces for part in piece.split(bytes((0xFF, 0xD0 + number)))]
    assert len(pieces) == 4 * 32
    assert all(piece in stored for piece in pieces)
    assert data not in stored, "the control: they follow each other in another order"
