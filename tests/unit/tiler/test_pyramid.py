"""What a build makes of a slide whose scanner left a gap high up and stored the small levels."""

from pathlib import Path

from tiler import index as index_file
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import TileIndex
from tiler.pyramid import Pyramid
from tiler.sandbox import Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource


def test_where_the_scanner_stored_the_small_levels_only_the_gap_is_built(
    svs_slide: Path, svs_index: TileIndex, sandbox: Sandbox, tmp_path: Path
) -> None:
    gap, coarse = 1, 2
    assert [level.stored for level in svs_index.levels[:3]] == [True, False, True]
    parts = (svs_index.packed(0) + svs_index.packed(coarse), svs_index.headers, svs_index.metadata)
    index = TileIndex(index_file.build(svs_index.levels[: coarse + 1], *parts))
    blob, cutters = LocalByteSource(svs_slide), CutterPool(sandbox)
    built = Pyramid(index, [blob], cutters, "slide", tmp_path).build()
    assert built.thumbnail is None, "the whole slide would be put together out of a fine level"

    later = TileIndex(built.index_bytes)
    assert all(level.placed for level in later.levels)
    assert later.version == index.version
    made = LocalByteSource(built.path)
    cut, kept = (
        TileSource(one, blobs, cutters, TileCache(10**7), "slide")
        for one, blobs in ((index, [blob]), (later, [blob, made]))
    )
    grid = later.levels[gap].grid
    for row in range(grid.height):
        for col in range(grid.width):
            assert kept.get(gap, col, row) == cut.get(gap, col, row)
    blob.close()
    made.close()
    cutters.close()
