"""Decoders: a worker that is shown one slide and makes its tiles, dies unseen, and never meets another slide."""

import io
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fixtures.served import picture, served
from PIL import Image

from tiler import cutters as pools
from tiler import isolation
from tiler.cutters import CutterPool
from tiler.errors import DamagedSlideError, WorkerDiedError, WorkerTimeoutError
from tiler.geometry import Region, Size
from tiler.index import LevelKind, TileIndex
from tiler.mosaic import Mosaic
from tiler.pyramid import Pyramid
from tiler.sandbox import Sandbox
from tiler.slide import files_at
from tiler.storage.local import LocalByteSource

CORNER = Region(0, 0, 256, 256)
COLOURS = {"red": (200, 30, 40), "green": (30, 180, 60)}


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Slides of one level of 700 × 500 pixels that must be decoded, a ramp of one colour each."""
    folder = tmp_path_factory.mktemp("decoded")
    ramp = np.linspace(0.4, 1, 700)[None, :, None]
    found = {}
    for name, colour in COLOURS.items():
        pixels = np.broadcast_to(np.array(colour) * ramp, (500, 700, 3)).astype(np.uint8)
        tifffile.imwrite(folder / name, pixels, photometric="rgb", tile=(128, 128), compression="deflate")
        found[name] = files_at(folder / name)
    return found


@pytest.fixture(scope="module")
def pool(sandbox: Sandbox) -> Iterator[CutterPool]:
    pool = CutterPool(sandbox)
    yield pool
    pool.close()


def decoders(pool: CutterPool) -> dict[str, int]:
    return {cutter.slide_key: cutter.worker.pid for cutter in pool._cutters if cutter.decodes}


def is_of(name: str, tile: bytes) -> bool:
    wanted = np.broadcast_to(np.array(COLOURS[name]) * np.linspace(0.4, 1, 700)[None, :256, None], (256, 256, 3))
    return bool(np.abs(picture(tile) - wanted).max() < 8)


def test_a_decoder_serves_one_slide_for_life(pool: CutterPool, slides) -> None:
    tiles = {name: pool.decode(name, slides[name], 0, CORNER) for name in COLOURS}
    assert all(is_of(name, tile) for name, tile in tiles.items())
    assert not is_of("red", tiles["green"])
    before = decoders(pool)
    assert before["red"] != before["green"]
    assert pool.decode("red", slides["red"], 0, CORNER) == tiles["red"]
    assert decoders(pool) == before


def test_whoever_cuts_for_a_slide_is_not_who_decodes_it(pool: CutterPool, slides) -> None:
    tile = pool.decode("red", slides["red"], 0, CORNER)
    pool.cut("red", Mosaic([tile], [CORNER.size], 1, Size(128, 128)))
    pids = {cutter.decodes: cutter.worker.pid for cutter in pool._cutters if cutter.slide_key == "red"}
    assert pids[True] != pids[False]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_was_killed_or_frozen_is_replaced_unseen(
    pool: CutterPool, slides, how: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pool.decode("red", slides["red"], 0, CORNER)
    pid = decoders(pool)["red"]
    if how == signal.SIGSTOP:
        monkeypatch.setattr(pools, "_DECODE_TIMEOUT_S", 0.5)
        monkeypatch.setattr(pool, "_timeout_s", 0.5)
    os.kill(innermost(pid), how)
    try:
        assert pool.decode("red", slides["red"], 0, CORNER) == wanted
    except WorkerTimeoutError:  # half a second was too little for the new one, on a machine with much to do
        monkeypatch.undo()
        assert pool.decode("red", slides["red"], 0, CORNER) == wanted
    assert decoders(pool)["red"] != pid
    assert not Path(f"/proc/{pid}").exists()


def innermost(pid: int) -> int:
    """The last of the children of a process, which is the worker itself."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return innermost(int(children[-1])) if children else pid


@pytest.mark.parametrize(
    ("level", "area"),
    [(1, CORNER), (0, Region(600, 0, 256, 256)), (0, Region(0, 0, 0, 0)), (2**32 - 1, Region(2**31, 2**31, 1, 1))],
)
def test_what_no_slide_has_is_an_error_and_not_another_picture(
    pool: CutterPool, slides, level: int, area: Region
) -> None:
    with pytest.raises((DamagedSlideError, WorkerDiedError)):
        pool.decode("red", slides["red"], level, area)
    assert is_of("red", pool.decode("red", slides["red"], 0, CORNER))


class Scripted(Sandbox):
    """Decoders that run a program of the test's own, the last of them the real one."""

    def __init__(self, *scripts: str) -> None:
        super().__init__("strict")
        self._scripts = list(scripts)

    def _shut_in(self, task: str, files: Mapping[str, Path], arguments: Sequence[str] = ()) -> list[str]:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if not script:
            return super()._shut_in(task, files, arguments)
        return isolation.isolated(next(isolation.bubblewraps()), files, [], start=script)


def said(picture: bytes) -> str:
    return f"{READY}os.read(0, 99); os.write(1, struct.pack('<BI', 8, {len(picture)}) + {picture!r}); os.read(0, 9)"


def jpeg_of(size: tuple[int, int], **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "JPEG", **more)
    return out.getvalue()


READY = "import os, struct, time; os.write(1, bytes(5)); "
REFUSED = b'{"code": "damaged", "sentence": "It is broken."}'
DIES = READY + "os.read(0, 99); os.abort()"
LIES = {
    "a page": said(b"<html>"),
    "another size": said(jpeg_of((256, 255))),
    "progressive": said(jpeg_of((256, 256), progressive=True)),
    "two pictures": said(jpeg_of((256, 256)) * 2),
    "a slide instead": READY + "os.read(0, 99); os.write(1, struct.pack('<BI', 1, 1) + b'x'); os.read(0, 9)",
    "asks for libraries": READY + "os.read(0, 99); os.write(1, struct.pack('<BI', 11, 0)); os.read(0, 9)",
    "is ready twice": READY + "os.write(1, bytes(5)); os.read(0, 99); os.read(0, 9)",
    "dies": DIES,
}


def test_one_death_of_a_decoder_costs_one_retry(slides) -> None:
    pool = CutterPool(Scripted(DIES, ""))
    try:
        assert is_of("red", pool.decode("red", slides["red"], 0, CORNER))
    finally:
        pool.close()


@pytest.mark.parametrize("lie", LIES)
def test_a_decoder_that_lies_or_dies_twice_is_one_error(lie: str, slides) -> None:
    pool = CutterPool(Scripted(LIES[lie]))
    try:
        with pytest.raises(WorkerDiedError):
            pool.decode("red", slides["red"], 0, CORNER)
        assert decoders(pool) == {}
    finally:
        pool.close()


def test_what_a_decoder_writes_in_front_does_not_travel(slides) -> None:
    pool = CutterPool(Scripted(said(jpeg_of((256, 256), comment=b"MARTIN Paul"))))
    try:
        assert b"MARTIN" not in pool.decode("red", slides["red"], 0, CORNER)
    finally:
        pool.close()


def test_a_decoder_that_cannot_open_its_slide_says_so(pool: CutterPool, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(DamagedSlideError):
        pool.decode("broken", files_at(tmp_path / "x"), 0, CORNER)


@pytest.fixture(scope="module")
def index(slides, sandbox: Sandbox) -> TileIndex:
    index = TileIndex(sandbox.index_slide(slides["red"]).index_bytes)
    assert [level.kind for level in index.levels[:2]] == [LevelKind.DECODED, LevelKind.DERIVED]
    return index


def test_a_build_survives_the_death_of_its_decoders_and_gives_what_is_decoded_on_demand(
    pool: CutterPool, slides, index: TileIndex, sandbox: Sandbox, tmp_path: Path
) -> None:
    [path] = slides["red"].values()
    blob, builders = LocalByteSource(path), CutterPool(sandbox, task="build")
    killed = []

    def kill(done: int, durable: bool) -> None:
        decoder = decoders(builders).get("red")
        # One that was killed may be known for a while yet: its death is met with the next tile that is asked of it.
        if done >= 2 and len(killed) < 2 and not durable and decoder and decoder not in killed:
            killed.append(decoder)
            os.kill(decoder, signal.SIGKILL)

    try:
        built = Pyramid(index, [blob], builders, "red", tmp_path, files=slides["red"]).build(kill)
    finally:
        builders.close()
        blob.close()
    assert killed  # two, unless the build was done before the second could be met
    later, made = TileIndex(built.index_bytes), built.path.read_bytes()
    assert all(level.placed for level in later.levels)
    blobs = {tile.blob for number in range(len(later.levels)) for tile in later.stored_tiles(number)}
    assert blobs == {1}, "nothing is left that needs the slide's own file"
    with served(path, sandbox, pool) as (source, _):
        for number, level in enumerate(later.levels):
            for row in range(level.grid.height):
                for col in range(level.grid.width):
                    blob_number, offset, length, header = later.locate(number, col, row) or pytest.fail("no place")
                    assert blob_number == 1
                    assert header + made[offset : offset + length] == source.get(number, col, row)


def test_a_build_whose_decoders_all_die_ends_in_an_error(slides, index: TileIndex, tmp_path: Path) -> None:
    pool = CutterPool(Scripted(DIES), task="build")
    started = time.monotonic()
    try:
        with pytest.raises(WorkerDiedError):
            Pyramid(index, [], pool, "red", tmp_path, files=slides["red"]).build()
    finally:
        pool.close()
    assert time.monotonic() - started < 20
