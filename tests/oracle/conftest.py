"""One slide of each kind, and its tiles as the platform cuts and serves them."""

from pathlib import Path

import pytest
from fixtures.slides import SCAN

from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import TileIndex
from tiler.sandbox import IndexedSlide, Sandbox
from tiler.source import TileSource
from tiler.storage.local import LocalByteSource


@pytest.fixture(scope="module")
def cutter(sandbox: Sandbox):
    pool = CutterPool(sandbox)
    yield pool
    pool.close()


@pytest.fixture(scope="module", params=["scan", "svs_slide", "tiff_slide"])
def slide(request: pytest.FixtureRequest) -> Path:
    return SCAN if request.param == "scan" else request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def indexed(slide: Path, sandbox: Sandbox) -> IndexedSlide:
    return sandbox.index_slide(slide)


@pytest.fixture(scope="module")
def source(slide: Path, indexed: IndexedSlide, cutter: CutterPool):
    blob = LocalByteSource(slide)
    yield TileSource(TileIndex(indexed.index_bytes), [blob], cutter, TileCache(10**8), str(slide))
    blob.close()
