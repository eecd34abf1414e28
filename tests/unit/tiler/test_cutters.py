"""Cutters: right pictures, one slide each, and a death that nobody notices but the log."""

import io
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fixtures.slides import jpeg_image
from PIL import Image

from tiler import isolation
from tiler.cutters import KEPT, CutterPool
from tiler.errors import DamagedSlideError, UnsupportedSlideError, WorkerDiedError, WorkerTimeoutError
from tiler.geometry import Size
from tiler.mosaic import Mosaic
from tiler.sandbox import Sandbox

TILE = Size(64, 64)
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]
FOUR = [jpeg_image(TILE, colour) for colour in COLOURS]
QUARTERS = Mosaic(FOUR, [TILE] * 4, 2, TILE)


@pytest.fixture(scope="module")
def pool(sandbox: Sandbox):
    pool = CutterPool(sandbox)
    yield pool
    pool.close()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def near(found: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(found - np.array(colour)) < 12).all())


def worker_pids(pool: CutterPool) -> list[int]:
    return [cutter.worker.pid for cutter in pool._cutters]


def test_four_tiles_become_one(pool: CutterPool) -> None:
    found = pixels(pool.cut("a", QUARTERS))
    assert found.shape == (64, 64, 3)
    for colour, (y, x) in zip(COLOURS, ((8, 8), (8, 40), (40, 8), (40, 40)), strict=True):
        assert near(found[y : y + 16, x : x + 16], colour)


def test_the_same_tiles_give_the_same_bytes(pool: CutterPool, sandbox: Sandbox) -> None:
    first = pool.cut("a", QUARTERS)
    other = CutterPool(sandbox)
    try:
        assert pool.cut("a", QUARTERS) == other.cut("b", QUARTERS) == first
    finally:
        other.close()


def test_a_corner_of_the_slide_has_one_child(pool: CutterPool) -> None:
    found = pixels(pool.cut("a", Mosaic(FOUR[:1], [TILE], 1, Size(32, 32))))
    assert found.shape == (32, 32, 3)
    assert near(found, COLOURS[0])


def test_padding_does_not_bleed_into_the_picture(pool: CutterPool) -> None:
    """An odd edge of red pixels in a tile padded with white stays red to its last pixel."""
    padded = np.full((64, 64, 3), 255, np.uint8)
    padded[:37, :21] = (200, 30, 30)
    out = io.BytesIO()
    Image.fromarray(padded).save(out, "JPEG", quality=95, subsampling=0)
    found = pixels(pool.cut("a", Mosaic([out.getvalue()], [Size(21, 37)], 1, Size(11, 19))))
    assert found.shape == (19, 11, 3)
    assert (np.abs(found - np.array((200, 30, 30))) < 25).all()


def test_tiles_of_odd_sides_leave_no_seam(pool: CutterPool) -> None:
    """Two tiles of 45 pixels, reduced by 4, meet in the middle of a pixel; a ramp over both stays a ramp."""
    ramp = np.repeat(np.linspace(20, 230, 90, dtype=np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    children = []
    for part in (ramp[:, :45], ramp[:, 45:]):
        out = io.BytesIO()
        Image.fromarray(part).save(out, "JPEG", quality=98, subsampling=0)
        children.append(out.getvalue())
    found = pixels(pool.cut("a", Mosaic(children, [Size(45, 48)] * 2, 2, Size(23, 12), 4)))
    wanted = np.asarray(Image.fromarray(ramp).reduce(4)).astype(int)
    assert np.abs(found - wanted).max() <= 4


def test_a_picture_may_begin_within_a_tile(pool: CutterPool) -> None:
    found = pixels(pool.cut("a", Mosaic(FOUR, [TILE] * 4, 2, Size(48, 40), 1, 32, 48)))
    assert found.shape == (40, 48, 3)
    for colour, (y, x) in zip(COLOURS, ((2, 8), (2, 36), (26, 8), (26, 36)), strict=True):
        assert near(found[y : y + 8, x : x + 8], colour)


@pytest.mark.parametrize(
    "child",
    [
        b"not a jpeg",
        FOUR[0][:200],
        jpeg_image(Size(32, 32)),
        FOUR[0][:-60] + bytes(60),
        b"\xff\xd8\xff\xd9",
        b"RIFF\x18\0\0\0WEBPVP8X" + bytes(16),
    ],
)
def test_a_damaged_child_is_an_error_and_the_cutter_lives_on(pool: CutterPool, child: bytes) -> None:
    pool.cut("a", QUARTERS)
    before = worker_pids(pool)
    with pytest.raises((DamagedSlideError, UnsupportedSlideError)):
        pool.cut("a", Mosaic([child, *FOUR[1:]], [TILE] * 4, 2, TILE))
    assert worker_pids(pool) == before


def test_a_cutter_serves_one_slide_for_life(pool: CutterPool) -> None:
    pool.cut("a", QUARTERS)
    first = {cutter.slide_key: cutter.worker.pid for cutter in pool._cutters}
    pool.cut("b", QUARTERS)
    pool.cut("a", QUARTERS)
    both = {cutter.slide_key: cutter.worker.pid for cutter in pool._cutters}
    assert both["a"] == first["a"] != both["b"]


def test_the_slide_that_was_longest_not_looked_at_gives_up_its_cutter(sandbox: Sandbox) -> None:
    pool = CutterPool(sandbox)
    try:
        for number in range(KEPT):
            pool.cut(f"slide {number}", QUARTERS)
        pool.cut("slide 0", QUARTERS)
        before = worker_pids(pool)
        pool.cut("another", QUARTERS)
        slides = {cutter.slide_key for cutter in pool._cutters}
        assert slides == {"another", *(f"slide {number}" for number in range(KEPT) if number != 1)}
        assert not Path(f"/proc/{before[0]}").exists()
    finally:
        pool.close()


def test_a_cutter_that_was_killed_is_replaced_unseen(pool: CutterPool) -> None:
    wanted = pool.cut("a", QUARTERS)
    [pid] = [cutter.worker.pid for cutter in pool._cutters if cutter.slide_key == "a"]
    os.kill(pid, signal.SIGKILL)
    assert pool.cut("a", QUARTERS) == wanted


class Scripted(Sandbox):
    """Cutters that run a program of the test's own."""

    def __init__(self, *scripts: str) -> None:
        super().__init__("strict")
        self._scripts = list(scripts)
        self.started = 0

    def _shut_in(self, task: str, files: Mapping[str, Path], arguments: Sequence[str] = ()) -> list[str]:
        script = self._scripts[min(self.started, len(self._scripts) - 1)]
        self.started += 1
        if not script:
            return super()._shut_in(task, files, arguments)
        return isolation.isolated(next(isolation.bubblewraps()), files, [], start=script)


READY = "import os, struct, time; os.write(1, bytes(5)); "
DIE = READY + "os.read(0, 10); os.abort()"
HANG = READY + "time.sleep(600)"
LIE = READY + "os.read(0, 10); os.write(1, struct.pack('<BI', 8, 4) + b'page'); os.read(0, 10**8)"


def test_one_death_costs_one_retry() -> None:
    pool = CutterPool(Scripted(DIE, ""))
    try:
        assert near(pixels(pool.cut("a", QUARTERS))[8:24, 8:24], COLOURS[0])
    finally:
        pool.close()


def test_a_cutter_that_dies_before_it_has_work_costs_no_retry() -> None:
    pool = CutterPool(Scripted("raise SystemExit", DIE, "raise SystemExit", ""))
    try:
        assert near(pixels(pool.cut("a", QUARTERS))[8:24, 8:24], COLOURS[0])
    finally:
        pool.close()


def test_where_no_cutter_starts_the_tile_fails() -> None:
    pool = CutterPool(Scripted("raise SystemExit"))
    try:
        with pytest.raises(WorkerDiedError, match="start"):
            pool.cut("a", QUARTERS)
    finally:
        pool.close()


@pytest.mark.parametrize("script", [DIE, LIE])
def test_two_deaths_are_an_error(script: str) -> None:
    pool = CutterPool(Scripted(script))
    try:
        with pytest.raises(WorkerDiedError):
            pool.cut("a", QUARTERS)
        assert worker_pids(pool) == []
    finally:
        pool.close()


def test_a_cutter_that_hangs_costs_one_retry() -> None:
    pool = CutterPool(Scripted(HANG, ""), timeout_s=1.5)
    try:
        assert near(pixels(pool.cut("a", QUARTERS))[8:24, 8:24], COLOURS[0])
        assert len(worker_pids(pool)) == 1
    finally:
        pool.close()


def test_cutters_that_hang_are_ended() -> None:
    pool = CutterPool(Scripted(HANG), timeout_s=0.5)
    try:
        started = time.monotonic()
        with pytest.raises(WorkerTimeoutError):
            pool.cut("a", QUARTERS)
        assert time.monotonic() - started < 10
        assert worker_pids(pool) == []
    finally:
        pool.close()


def test_several_threads_and_slides_at_once(sandbox: Sandbox) -> None:
    pool = CutterPool(sandbox, size=2)
    wanted = pool.cut("0", QUARTERS)
    try:
        with ThreadPoolExecutor(8) as threads:
            jobs = [threads.submit(pool.cut, str(number % 3), QUARTERS) for number in range(48)]
            assert {job.result(60) for job in jobs} == {wanted}
        assert 3 <= len(worker_pids(pool)) <= 6
    finally:
        pool.close()


def test_nobody_is_left_when_the_pool_is_closed(sandbox: Sandbox) -> None:
    pool = CutterPool(sandbox)
    pool.cut("a", QUARTERS)
    pids = [*worker_pids(pool), pool._spare.result().pid]
    pool.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(WorkerDiedError, match="stopping"):
        pool.cut("a", QUARTERS)


def test_the_worker_that_waits_is_started_when_there_may_be_something_to_cut(sandbox: Sandbox) -> None:
    pool = CutterPool(sandbox)
    assert pool._spare is None
    pool.prepare()
    waiting = pool._spare.result().pid
    pool.prepare()
    assert pool._spare.result().pid == waiting
    pool.cut("a", QUARTERS)
    assert worker_pids(pool) == [waiting]
    pool.close()
    pool.prepare()
    assert not Path(f"/proc/{waiting}").exists()


def test_closing_ends_a_cut_that_is_going_on() -> None:
    pool = CutterPool(Scripted(HANG), timeout_s=60)
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(pool.cut, "a", QUARTERS)
        deadline = time.monotonic() + 20
        while not worker_pids(pool) and time.monotonic() < deadline:
            time.sleep(0.01)
        [pid] = worker_pids(pool)
        pool.close()
        with pytest.raises(WorkerDiedError):
            job.result(60)
    assert not Path(f"/proc/{pid}").exists()


def test_a_cutter_outlives_the_thread_that_asked_first(sandbox: Sandbox) -> None:
    """The kernel ends a worker with the thread that started it, so no thread of a request may."""
    pool = CutterPool(sandbox)
    try:
        with ThreadPoolExecutor(1) as short_lived:
            short_lived.submit(pool.cut, "a", QUARTERS).result(60)
        before = worker_pids(pool)
        pool.cut("a", QUARTERS)
        assert worker_pids(pool) == before
    finally:
        pool.close()
