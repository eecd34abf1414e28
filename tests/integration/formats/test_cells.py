"""Every line of `docs/reference/formats.md` is so: a slide of that kind is made, read by a confined worker, and shown
or refused as the line says."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.figures import Figure
from fixtures.forked import ForkedSandbox
from PIL import Image

from benchmarks.layouts.made import Kind, kinds, makers
from benchmarks.viewing import Viewed, viewed
from tiler.cutters import CutterPool
from tiler.errors import SandboxError, TilerError
from tiler.formats import Handling
from tiler.geometry import Region
from tiler.index import LevelKind
from tiler.opening import FORMATS
from tiler.sandbox import Sandbox

_KINDS = {Handling.STORED: LevelKind.STORED, Handling.DECODED: LevelKind.DECODED}
# Levels of one slide, reduced to one size, differ by what compression and resampling do, not more.
_ALIKE = 12.0
_SIDE = 96


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    forking = ForkedSandbox()
    yield forking
    forking.close()


@pytest.fixture(scope="module")
def cutter(sandbox: Sandbox) -> Iterator[CutterPool]:
    pool = CutterPool(sandbox)
    yield pool
    pool.close()


@pytest.mark.parametrize("kind", kinds(), ids=str)
def test_a_slide_of_this_kind_is_shown_or_refused_as_the_table_says(
    kind: Kind, sandbox: Sandbox, cutter: CutterPool, tmp_path: Path, figure: Figure
) -> None:
    wrong = fault(kind, kind.made(tmp_path), sandbox, cutter)
    figure("formats.cells", 1, add=True)
    figure("formats.cells_wrong", int(wrong is not None), add=True)
    assert wrong is None


def fault(kind: Kind, files: dict[str, Path], sandbox: Sandbox, cutter: CutterPool) -> str | None:
    """What the table says of the slide that is not so."""
    try:
        with viewed(sandbox, cutter, files, key=str(kind)) as slide:
            if kind.refused:
                return "it is shown"
            return _shown_fault(kind, slide)
    except SandboxError as error:
        return f"its decoder failed: {error}"
    except TilerError as error:
        if kind.refused and kind.cell.reason and kind.cell.reason in error.sentence:
            return None
        return f"it is refused: {error}"


def _shown_fault(kind: Kind, slide: Viewed) -> str | None:
    index = slide.index
    if index.metadata.format != kind.format.name:
        return f"it is taken for {index.metadata.format}"
    if index.levels[0].kind is not _KINDS[kind.cell.handling]:
        return f"its full resolution is {index.levels[0].kind.name.lower()}"
    if slide.indexed.thumbnail is None:
        return "it has no thumbnail"
    small = _reduced(Image.open(io.BytesIO(slide.indexed.thumbnail)))
    if small.std() < 5:
        return "nothing is to be seen"
    bounds = index.metadata.bounds
    for number, level in enumerate(index.levels):
        if min(level.size.width, level.size.height) < _SIDE:
            break
        region = Region(0, 0, level.size.width, level.size.height)
        if bounds:
            numbers = (bounds.x, bounds.y, bounds.width, bounds.height)
            region = Region(*(int(one / level.downsample) for one in numbers))
        differing = np.abs(_reduced(slide.picture(number, region)) - small).mean()
        if differing > _ALIKE:
            return f"level {number} shows something else than the thumbnail: {differing:.0f} grey levels apart"
    return None


def _reduced(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX)).astype(float)


def test_a_table_that_is_not_so_is_noticed(sandbox: Sandbox, cutter: CutterPool, tmp_path: Path) -> None:
    """The control: of one kind of each handling, every other handling, reason and format is found to be wrong."""
    tried = set()
    for kind in kinds():
        if kind.cell.handling in tried:
            continue
        tried.add(kind.cell.handling)
        files = kind.made(tmp_path)
        for other in set(Handling) - {kind.cell.handling}:
            said = replace(kind.cell, handling=other, reason="because")
            assert fault(replace(kind, cell=said), files, sandbox, cutter)
        if kind.refused:
            assert fault(replace(kind, cell=replace(kind.cell, reason="another")), files, sandbox, cutter)
        else:
            assert fault(replace(kind, format=replace(kind.format, name="another")), files, sandbox, cutter)
    assert tried == set(Handling)


def test_the_tables_are_whole() -> None:
    names = [each.name for each in FORMATS]
    assert len(set(names)) == len(names)
    for each in FORMATS:
        keys = [cell.key for cell in each.cells]
        assert len(set(keys)) == len(keys), each.name
        assert set(makers(each)) == set(keys), f"each kind of {each.name} has a maker, and each maker makes a kind"
        for cell in each.cells:
            assert bool(cell.reason) == (cell.handling is Handling.REFUSED), f"{each.name}: {cell.key}"
