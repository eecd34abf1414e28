"""Damage that is reproducible, of every kind of file, and damage indeed."""

from collections.abc import Mapping

import pytest

from benchmarks.layouts import dicom, mrxs, philips
from benchmarks.torture_tiles.set_mutations import Mutator
from tiler.slide import files_at

MAKERS = {"philips": philips.MAKERS, "mrxs": mrxs.MAKERS, "dicom": dicom.MAKERS}
TRIES = 60


@pytest.fixture(scope="module", params=sorted(MAKERS))
def slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    makers = MAKERS[request.param]
    made = next(iter(makers.values()))(tmp_path_factory.mktemp(request.param))
    return {name: path.read_bytes() for name, path in files_at(made).items()}


def test_the_same_number_gives_the_same_damage(slide: Mapping[str, bytes]) -> None:
    one, other = Mutator([slide]), Mutator([slide])
    assert [one.mutated(number) for number in range(5)] == [other.mutated(number) for number in range(5)]


def test_nearly_all_damage_is_different_and_none_touches_what_it_is_done_to(slide: Mapping[str, bytes]) -> None:
    before = dict(slide)
    mutator = Mutator([slide])
    damaged = {tuple(sorted(mutator.mutated(number).items())) for number in range(TRIES)}
    assert slide == before
    assert len(damaged) > TRIES * 0.8
    assert sum(dict(each) == before for each in damaged) < TRIES * 0.1


def test_sets_lose_gain_and_exchange_files(slide: Mapping[str, bytes]) -> None:
    mutator = Mutator([slide])
    mutated = [mutator.mutated(number) for number in range(TRIES)]
    names = {frozenset(each) for each in mutated}
    assert (len(names) > 1) == (len(slide) > 1)
