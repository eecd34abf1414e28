"""What is put together for other viewers against OpenSlide's pixels, and all pictures of a slide in one colour."""

import io
from pathlib import Path

import numpy as np
import openslide
import pytest
from fixtures.profiles import matrix_profile
from fixtures.slides import SCAN, one_level
from PIL import Image

from tiler import icc
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.descriptor import Halvings, Piece, at_power, dzi_piece, iiif_piece
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.sandbox import IndexedSlide, Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource


@pytest.fixture(scope="module")
def whole(slide: Path) -> np.ndarray:
    """Every pixel of level 0, as OpenSlide reads it."""
    with openslide.OpenSlide(slide) as oracle:
        return np.asarray(oracle.read_region((0, 0), 0, oracle.dimensions).convert("RGB"))


def pixels(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert not image.info.keys() & {"icc_profile", "exif", "comment"}
    return np.asarray(image.convert("RGB")).astype(float)


def quality_db(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Peak signal to noise ratio."""
    return float(10 * np.log10(255**2 / max(np.mean((ours - theirs) ** 2), 1e-9)))


def test_deep_zoom_tiles_at_full_resolution_show_what_openslide_reads(source: TileSource, whole: np.ndarray) -> None:
    """Inside they are the file's bytes, so equal; the cropped ones at the edge were encoded once more."""
    told = Halvings.of(source.index.levels)
    height, width = whole.shape[:2]
    highest = (max(width, height) - 1).bit_length()
    cells, side = told.levels[0].grid, told.tile.width
    edges = 0
    for col in range(cells.width):
        for row in range(cells.height):
            piece = dzi_piece(told, highest, col, row)
            ours = pixels(source.piece(piece))
            wanted = whole[row * side : row * side + piece.size.height, col * side : col * side + piece.size.width]
            assert ours.shape == wanted.shape
            if piece.whole:
                assert source.piece(piece) == source.get(0, col, row)
                assert np.array_equal(ours, wanted)
            else:
                edges += 1
                assert quality_db(ours, wanted) > 40, (col, row)
                if wanted.std() > 10 and min(wanted.shape[:2]) > 20:
                    assert quality_db(ours[1:], wanted[:-1]) < 40, "the control: one pixel aside is far off"
    assert edges == (cells.width + cells.height - 1)


def test_smaller_pictures_are_the_whole_slide(source: TileSource, whole: np.ndarray) -> None:
    told = Halvings.of(source.index.levels)
    highest = (max(told.full.width, told.full.height) - 1).bit_length()
    pieces: dict[int, Piece] = {told.largest_whole: iiif_piece(told, None, None)}
    small = (told.coarsest, told.coarsest + 1, told.coarsest + 4, highest)
    pieces |= {power: dzi_piece(told, highest - power, 0, 0) for power in small}
    for power, piece in pieces.items():
        size = at_power(told.full, power)
        ours = pixels(source.piece(piece))
        assert ours.shape[:2] == (size.height, size.width)
        wanted = averaged(whole, 1 << power)
        # Of a few pixels, those of the last column and row stand for little of the slide, at every step for less.
        alike = 2 if min(size.width, size.height) >= 16 else 25
        assert np.abs(ours.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < alike
        if power <= told.coarsest:
            assert np.abs(ours - wanted).mean() < 6
            assert np.abs(ours[::-1] - wanted).mean() > 1.5 * np.abs(ours - wanted).mean(), (
                "the control: not upside down"
            )


def averaged(whole: np.ndarray, by: int) -> np.ndarray:
    """The mean of each block of `by` × `by` pixels, or of what there is of one."""
    height, width = whole.shape[:2]
    rows, cols = np.arange(0, height, by), np.arange(0, width, by)
    sums = np.add.reduceat(np.add.reduceat(whole, rows, axis=0, dtype=np.uint32), cols, axis=1)
    down, across = np.minimum(by, height - rows), np.minimum(by, width - cols)
    means: np.ndarray = sums / (down[:, None, None] * across[None, :, None])
    return means


def test_thumbnail_and_cut_tiles_have_the_colours_of_the_slide(
    source: TileSource, indexed: IndexedSlide, whole: np.ndarray
) -> None:
    """Nothing of them is converted: on average the three channels are those of full resolution, to within one step."""
    wanted = whole.mean(axis=(0, 1))
    told = Halvings.of(source.index.levels)
    for data in (indexed.thumbnail, source.piece(iiif_piece(told, None, None))):
        assert np.abs(pixels(data).mean(axis=(0, 1)) - wanted).max() < 1
    for number, level in enumerate(source.index.levels):
        tiles = [
            pixels(source.get(number, col, row)) for row in range(level.grid.height) for col in range(level.grid.width)
        ]
        if level.stored:
            continue
        mean = sum(tile.sum(axis=(0, 1)) for tile in tiles) / sum(tile.shape[0] * tile.shape[1] for tile in tiles)
        assert np.abs(mean - wanted).max() < 1, number


def test_the_profile_of_a_slide_comes_out_of_the_sandbox_without_its_words(sandbox: Sandbox, tmp_path: Path) -> None:
    """And changes no pixel of what is served: who wants converted colours converts."""
    profile = matrix_profile(2, b"CANARY")
    plain = tmp_path / "plain.tif"
    plain.write_bytes(one_level())
    tagged = tmp_path / "tagged.tif"
    tagged.write_bytes(one_level(change={34675: (7, profile)}))
    without, with_profile = sandbox.index_slide(plain), sandbox.index_slide(tagged)
    assert without.profile is None
    assert with_profile.profile == icc.rebuilt(profile)
    assert b"CANARY" not in with_profile.profile + with_profile.index_bytes
    assert with_profile.thumbnail == without.thumbnail


@pytest.mark.parametrize("profile", [b"\0" * 500, b"no profile at all", matrix_profile(2, b"X")[:-40]])
def test_a_damaged_profile_is_no_reason_to_refuse_a_slide(sandbox: Sandbox, tmp_path: Path, profile: bytes) -> None:
    path = tmp_path / "slide.tif"
    path.write_bytes(one_level(change={34675: (7, profile)}))
    assert sandbox.index_slide(path).profile is None


def test_a_level_that_was_rounded_down_repeats_its_last_row(cutter: CutterPool, sandbox: Sandbox) -> None:
    """A piece may be one pixel larger than the tiles it is made of."""
    indexed = sandbox.index_slide(SCAN)
    index = TileIndex(indexed.index_bytes)
    blob = LocalByteSource(SCAN)
    source = TileSource(index, [blob], cutter, TileCache(10**7), "rounded")
    col, row = index.levels[0].grid.width - 1, index.levels[0].grid.height - 1
    exact = pixels(source.piece(Piece(0, col, row, 1, 1, 1, Size(60, 87), False)))
    larger = pixels(source.piece(Piece(0, col, row, 1, 1, 1, Size(61, 88), False)))
    blob.close()
    assert larger.shape == (88, 61, 3)
    assert quality_db(larger[:87, :60], exact) > 40
    assert quality_db(larger[87, :60], exact[86]) > 35
    assert quality_db(larger[:87, 60], exact[:, 59]) > 35
