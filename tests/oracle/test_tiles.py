"""Tiles of several slides at once, asked for by eight readers: each is the right one, pixel for pixel, or near enough
where it had to be cut. The slides are marked so that no other tile can pass for it."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fixtures.figures import Figure
from fixtures.tiles import ready, running_desk

from benchmarks.torture_tiles.delivery import Desk, Shown, fetched
from benchmarks.torture_tiles.marked import Layout, make_marked
from benchmarks.torture_tiles.oracle import MIN_PSNR_DB, Oracle, decoded, psnr
from tiler.address import TileAddress

TILES, THREADS = 500, 8
SLIDES: tuple[Layout, ...] = ("svs", "svs", "tiff", "flat")


@dataclass
class Sampled:
    """One tile that a reader was given."""

    slide: int
    address: TileAddress
    data: bytes


@dataclass
class Stage:
    desk: Desk
    shown: list[Shown]
    oracles: list[Oracle]

    def address(self, chance: random.Random, slide: int) -> TileAddress:
        """Any tile, each level as often as any other, so that the few tiles that are cut come up often."""
        level = chance.randrange(len(self.shown[slide].levels))
        cells = self.oracles[slide].cells(level)
        return TileAddress(level, chance.randrange(cells.width), chance.randrange(cells.height))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("oracle")
    files = [home / f"{number}.{layout}" for number, layout in enumerate(SLIDES)]
    for number, (file, layout) in enumerate(zip(files, SLIDES, strict=True)):
        make_marked(file, number, layout)
    # Two of four slides are open at a time, and a few tiles are kept: slides and cutters change hands all the time.
    with running_desk(home, sqlite_template, open_slides=2, tile_cache_bytes=200_000) as desk:
        shown = [ready(desk, file) for file in files]
        oracles = [each.oracle(file) for each, file in zip(shown, files, strict=True)]
        yield Stage(desk, shown, oracles)
        for oracle in oracles:
            oracle.close()


@pytest.fixture(scope="module")
def sampled(stage: Stage) -> list[Sampled]:
    def read(thread: int) -> list[Sampled]:
        chance, found = random.Random(thread), []
        with stage.desk.reader() as reader:
            for _ in range(-(-TILES // THREADS)):
                slide = chance.randrange(len(SLIDES))
                address = stage.address(chance, slide)
                answer = fetched(reader, stage.shown[slide].path(address)).raise_for_status()
                found.append(Sampled(slide, address, answer.content))
        return found

    with ThreadPoolExecutor(THREADS) as threads:
        return [one for found in threads.map(read, range(THREADS)) for one in found]


def test_every_tile_is_the_right_one(stage: Stage, sampled: list[Sampled], figure: Figure) -> None:
    faults = [
        (one.slide, one.address, fault)
        for one in sampled
        if (fault := stage.oracles[one.slide].fault(one.address, one.data))
    ]
    cut = sum(not stage.oracles[one.slide].is_stored(one.address.level) for one in sampled)
    figure("tiles.oracle_tiles", len(sampled))
    figure("tiles.oracle_mismatch", len(faults))
    assert faults == []
    assert len(sampled) >= TILES
    assert cut > TILES // 5


def test_deep_zoom_gives_the_same_tiles_in_their_true_size(stage: Stage) -> None:
    """Those of the last column and row are cropped in the sandbox, the others are the bytes of our own address."""
    chance, cropped = random.Random(2), 0
    with stage.desk.reader() as reader:
        for slide in range(len(SLIDES)):
            for _ in range(20):
                address, shown, oracle = stage.address(chance, slide), stage.shown[slide], stage.oracles[slide]
                cells = oracle.cells(address.level)
                if chance.random() < 0.5:
                    address = address._replace(col=cells.width - 1)
                tile = fetched(reader, shown.deep_zoom_path(address)).raise_for_status().content
                assert oracle.piece_fault(address, tile) is None, (slide, address)
                size = decoded(tile).shape[:2]
                if size == decoded(own := fetched(reader, shown.path(address)).content).shape[:2]:
                    assert tile == own
                else:
                    cropped += 1
    assert cropped > 10


def test_a_tile_of_another_slide_or_place_cannot_pass(stage: Stage, sampled: list[Sampled]) -> None:
    """The control: had two slides or two places been exchanged, the oracle would have said so, each time."""
    chance = random.Random(1)
    for one in sampled[::4]:
        oracle = stage.oracles[one.slide]
        elsewhere = stage.address(chance, one.slide)
        if elsewhere != one.address:
            assert oracle.fault(elsewhere, one.data)
        other = (one.slide + chance.randrange(1, len(SLIDES))) % len(SLIDES)
        if one.address.level < len(stage.shown[other].levels):
            cells = stage.oracles[other].cells(one.address.level)
            if one.address.col < cells.width and one.address.row < cells.height:
                assert stage.oracles[other].fault(one.address, one.data)


def test_a_cut_tile_that_is_shifted_or_turned_cannot_pass(stage: Stage, sampled: list[Sampled]) -> None:
    """The control of the threshold: the smallest misplacement costs far more than encoding anew may."""
    cut = {
        (one.slide, one.address): one for one in sampled if not stage.oracles[one.slide].is_stored(one.address.level)
    }
    for one in list(cut.values())[:40]:
        pixels, wanted = decoded(one.data), stage.oracles[one.slide].wanted(one.address)
        near = psnr(pixels, wanted)
        assert near >= MIN_PSNR_DB
        for moved in (np.roll(pixels, 1, 0), np.roll(pixels, 1, 1), pixels[::-1], pixels[:, ::-1], pixels[..., ::-1]):
            assert psnr(moved, wanted) < MIN_PSNR_DB - 3
