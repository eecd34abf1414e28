"""From an opened slide to an index: what no format may hold, whatever its reader says."""

import pytest
from fixtures.slides import InMemory, jpeg_image

from tiler import jpeg
from tiler.errors import UnsupportedSlideError
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.indexing import build_index
from tiler.jpeg import Colour
from tiler.metadata import SlideMetadata
from tiler.slide import SlideFile, SlideFiles, StoredLevel
from tiler.storage.base import ByteSource
from tiler.storage.memory import MemoryByteSource

TILE = Size(64, 64)
IMAGE = jpeg_image(TILE)


class Several(InMemory):
    """A set of files in memory."""

    def __init__(self, *contents: bytes) -> None:
        super().__init__(b"")
        self.names = tuple(f"{number:02}" for number in range(len(contents)))
        self._contents = contents

    def source(self, number: int) -> ByteSource:
        return MemoryByteSource(self._contents[number])


def indexed(files: SlideFiles, lengths: list[int], numbers: list[int] | None = None, **facts: float) -> TileIndex:
    size = Size(64 * len(lengths), 64)
    level = StoredLevel(size, TILE, Colour.YCBCR, None, [0] * len(lengths), lengths, numbers)
    slide = SlideFile(SlideMetadata("tiff", "generic", size, **facts), (level,))
    return TileIndex(build_index(files, slide))


@pytest.mark.parametrize(("across", "down"), [(0.5, 0.25), (0.25, 0.256)])
def test_pixels_that_are_not_square_are_refused(across: float, down: float) -> None:
    with pytest.raises(UnsupportedSlideError, match="not square"):
        indexed(InMemory(IMAGE), [len(IMAGE)] * 2, mpp_x=across, mpp_y=down)


@pytest.mark.parametrize("facts", [{}, {"mpp_x": 0.5}, {"mpp_x": 0.2322, "mpp_y": 0.2325}])
def test_pixels_of_unknown_or_nearly_the_same_sides_are_not(facts: dict[str, float]) -> None:
    assert indexed(InMemory(IMAGE), [len(IMAGE)] * 2, **facts).metadata.mpp_x == facts.get("mpp_x")


def test_a_place_without_bytes_is_a_white_picture() -> None:
    index = indexed(InMemory(IMAGE), [len(IMAGE), 0])
    assert index.locate(0, 1, 0) == (0, 0, 0, jpeg.blank(TILE))
    assert index.headers == (jpeg.header(None, Colour.YCBCR), jpeg.blank(TILE))


def test_a_level_of_empty_places_only_is_refused() -> None:
    with pytest.raises(UnsupportedSlideError, match="no image data at all"):
        indexed(InMemory(IMAGE), [0, 0])


def test_tiles_are_found_in_the_files_they_lie_in() -> None:
    index = indexed(Several(b"text", IMAGE, b"", IMAGE), [len(IMAGE), 0, len(IMAGE)], [3, 0, 1])
    places = [index.locate(0, col, 0) for col in range(3)]
    assert [place[0] for place in places if place] == [3, 0, 1]
    assert index.blob_count == 4
    assert index.used_blobs == {0, 1, 3}
