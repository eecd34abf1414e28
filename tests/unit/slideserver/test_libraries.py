"""Libraries with known holes are not used: not here, not where the lock is installed, not where pip chooses."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import openslide
import pytest
from PIL import features

from slideserver.operations import libraries
from slideserver.operations.libraries import FLOORS, numbers, too_old

ROOT = Path(__file__).parents[3]


def test_none_of_those_installed_is_too_old() -> None:
    assert list(too_old()) == []


def test_what_is_loaded_is_what_is_installed() -> None:
    """Not the OpenSlide of the system, which may be years older."""
    assert numbers(openslide.__library_version__) >= numbers(FLOORS["openslide-bin"])
    assert numbers(version("openslide-bin"))[:3] == numbers(openslide.__library_version__)[:3]
    assert features.check("libjpeg_turbo")


@pytest.mark.parametrize("name", FLOORS)
def test_neither_the_project_nor_its_lock_lets_an_older_one_in(name: str) -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["server"]
    [least] = [line.partition(">=")[2] for line in wanted if line.startswith(f"{name}>=")]
    assert numbers(least) >= numbers(FLOORS[name])
    for lock in ("run.lock", "dev.lock"):
        lines = (ROOT / "requirements" / lock).read_text().splitlines()
        locked = [line.removeprefix(f"{name}==").split()[0] for line in lines if line.startswith(f"{name}==")]
        assert locked
        assert min(map(numbers, locked)) >= numbers(FLOORS[name])


@pytest.mark.parametrize(("least", "words"), [("999", "is needed"), ("4.0.2", "openslide-bin is 4.0.1")])
def test_one_that_is_too_old_is_named(least: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "FLOORS", {"openslide-bin": least, "no-such-library": "1"})
    old, absent = too_old()
    assert words in old
    assert absent == "no-such-library is not installed (1 is needed)"


def test_versions_are_compared_by_their_numbers() -> None:
    assert numbers("4.0.1.2") > numbers("4.0.1") > numbers("4.0") > numbers("3.10.9")
    assert numbers("2026.10.10") > numbers("2026.3.6")
