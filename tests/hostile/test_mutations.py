"""A hundred damaged slides, one after the other, through a running server: index, check, first tiles."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.figures import Figure
from fixtures.slides import SCAN
from fixtures.tiles import ready, running_desk

from benchmarks.torture_tiles.delivery import Desk
from benchmarks.torture_tiles.hostile import Control, feed
from benchmarks.torture_tiles.marked import make_marked
from benchmarks.torture_tiles.mutations import SlideMutator
from tiler.geometry import Size
from tiler.synthetic import Spec, make_slide

pytestmark = pytest.mark.hostile

# Some mutations give a file that was there before, which is not sent again.
SLIDES, SMALL = 70, Size(640, 512)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One sound slide of each kind; the last has label and macro, which OpenSlide reads."""
    home = tmp_path_factory.mktemp("seeds")
    for number, layout in enumerate(("svs", "tiff", "flat")):
        make_marked(home / f"{number}", number, layout, SMALL)
    make_slide(home / "3", Spec(900, 700, SCAN, seed=1))
    return [path.read_bytes() for path in sorted(home.iterdir())]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("desk"), sqlite_template, workers=2) as desk:
        yield desk


@pytest.fixture(scope="module")
def control(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    path = tmp_path_factory.mktemp("control") / "sound.tiff"
    make_marked(path, 99, "tiff", SMALL)
    shown = ready(desk, path)
    oracle = shown.oracle(path)
    yield Control(shown, oracle)
    oracle.close()


def test_damaged_slides_harm_nobody(desk: Desk, seeds: list[bytes], control: Control, figure: Figure) -> None:
    mutator = SlideMutator(seeds)
    tally = feed(desk, ((f"{number}.svs", mutator.mutated(number)) for number in range(SLIDES)), control)
    figure("tiles.mutated_slides", tally.slides)
    figure("tiles.web_deaths", tally.deaths)
    figure("tiles.hung", tally.hung + tally.undecided)
    assert tally.notes == []
    assert tally.slides > SLIDES * 0.95
    assert tally.ready > SLIDES // 5, "too few mutations get past the index to put a decoder to the test"
    assert set(tally.refusals) >= {"damaged", "unsupported"}


def test_what_the_damage_was_done_to_is_ready(desk: Desk, seeds: list[bytes], control: Control) -> None:
    """The control: each seed, longer by a byte that no directory knows, is accepted with all its tiles."""
    tally = feed(desk, ((f"sound-{number}.svs", data + b"\0") for number, data in enumerate(seeds)), control)
    assert (tally.slides, tally.ready, tally.tiles_refused, tally.notes) == (len(seeds), len(seeds), 0, [])
