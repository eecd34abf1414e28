"""Damaged and malicious files, made here one by one: each ends as a ready slide or as a sentence, in bounded time."""

import io
import os
import random
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.figures import Figure
from fixtures.slides import LONG, SCAN, SHORT, UNDEFINED, jpeg_image, level_tags, one_level

from benchmarks.torture_tiles import bombs
from tiler.errors import (
    DamagedSlideError,
    NotASlideError,
    SandboxError,
    TilerError,
    UnsupportedSlideError,
    WorkerDiedError,
    WorkerTimeoutError,
)
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.readers import tiff
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalByteSource
from tiler.synthetic.pyramid import TiffWriter, description
from tiler.verification import check

pytestmark = pytest.mark.hostile

MAX_SECONDS = 60  # far more than any takes, on a machine that is busy with other things
Outcome = type[TilerError] | None  # None: ready


def real() -> bytes:
    return SCAN.read_bytes()


def flipped(count: int, seed: int, first: int = 0) -> bytes:
    """The real slide with bytes changed from `first` on."""
    data = bytearray(real())
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(first, len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def bomb(side: int) -> bytes:
    """A tile whose own frame header claims to be much larger than its place."""
    image = bytearray(jpeg_image(Size(128, 128)))
    at = image.index(b"\xff\xc0")
    struct.pack_into(">HH", image, at + 5, side, side)
    return one_level(bytes(image))


def nothing_but_directories(count: int) -> bytes:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    for _ in range(count):
        writer.directory({tiff.WIDTH: (LONG, [1])})
    return out.getvalue()


def directory_loop() -> bytes:
    data = bytearray(one_level())
    [at] = struct.unpack_from("<I", data, 4)
    [count] = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    return bytes(data)


def many_tiles_in_one_place() -> bytes:
    """Half a million tiles, all the same few bytes: small to store, slow for who reads each."""
    image = jpeg_image(Size(16, 16))
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    at = writer.append(image)
    for side in (11_312, 512):
        count = (side // 16) ** 2
        tags = level_tags(Size(side, side), Size(16, 16), [at] * count, [len(image)] * count)
        writer.directory({**tags, tiff.SUBFILE_TYPE: (LONG, [int(side < 1000)])})
    return out.getvalue()


def described(text: str) -> bytes:
    return one_level(change={tiff.DESCRIPTION: description(text)})


FILES: dict[str, tuple[Callable[[], bytes], Outcome]] = {
    "empty": (lambda: b"", NotASlideError),
    "a sentence": (lambda: b"This is not a slide.", NotASlideError),
    "a program": (lambda: b"\x7fELF" + bytes(1000), NotASlideError),
    "a web page": (lambda: b"<html><script>alert(1)</script></html>", NotASlideError),
    "a picture": (lambda: jpeg_image(Size(64, 64)), UnsupportedSlideError),
    "an archive": (lambda: b"PK\x03\x04" + bytes(1000), UnsupportedSlideError),
    "a header alone": (lambda: real()[:8], DamagedSlideError),
    "one percent": (lambda: real()[: len(real()) // 100], DamagedSlideError),
    "half": (lambda: real()[: len(real()) // 2], DamagedSlideError),
    "all but one percent": (lambda: real()[: len(real()) * 99 // 100], DamagedSlideError),
    "all but a byte": (lambda: real()[:-1], DamagedSlideError),
    "an empty tail": (lambda: real()[: len(real()) // 2].ljust(len(real()), b"\0"), DamagedSlideError),
    "bit rot": (lambda: flipped(2000, 1, first=1000), DamagedSlideError),
    "directories in a loop": (directory_loop, DamagedSlideError),
    "twenty thousand directories": (lambda: nothing_but_directories(20_000), UnsupportedSlideError),
    "directory at the end of the world": (lambda: b"II+\0\x08\0\0\0" + b"\xff" * 8, DamagedSlideError),
    "four thousand million pixels": (lambda: one_level(change={tiff.WIDTH: (LONG, [2**32 - 1])}), DamagedSlideError),
    "four thousand million tiles": (
        lambda: one_level(change={tiff.WIDTH: (LONG, [2_000_000]), tiff.HEIGHT: (LONG, [2_000_000])}),
        UnsupportedSlideError,
    ),
    "tiles of no size": (lambda: one_level(change={tiff.TILE_WIDTH: (LONG, [0])}), DamagedSlideError),
    "tiles behind the end": (lambda: one_level(change={tiff.TILE_OFFSETS: (LONG, [2**31] * 6)}), DamagedSlideError),
    "no tile at all": (lambda: one_level(change={tiff.TILE_LENGTHS: (LONG, [0] * 6)}), UnsupportedSlideError),
    "a tile that claims 65,500 pixels": (lambda: bomb(65_500), DamagedSlideError),
    "a tile that is a page": (lambda: one_level(b"<html><script>alert(1)</script>"), DamagedSlideError),
    "a tile that is zeros": (lambda: one_level(bytes(5000)), DamagedSlideError),
    "tables of noise": (lambda: one_level(change={tiff.JPEG_TABLES: (UNDEFINED, b"\xff" * 99)}), DamagedSlideError),
    "deflate": (lambda: one_level(change={tiff.COMPRESSION: (SHORT, [8])}), UnsupportedSlideError),
    "half a million tiles in one place": (many_tiles_in_one_place, None),
    "markup in the description": (lambda: described("Aperio|Parmset = <img src=x onerror=alert(1)>|MPP = 0.5"), None),
    "nonsense in the description": (lambda: described("Aperio|MPP = NaN|AppMag = \x1b[31mten|=|Date = 0/0/0"), None),
    "an endless description": (lambda: described("Aperio|" + "MPP = 0.5|" * 20_000), None),
    "an external entity": (lambda: described("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), None),
}  # fmt: skip


def outcome(sandbox: Sandbox, path: Path) -> Outcome:
    """What becomes of a file, all the way through the parent's check; the reason has to be a sentence."""
    started = time.monotonic()
    reason = refusal(sandbox, path)
    assert time.monotonic() - started < MAX_SECONDS
    if reason is None:
        return None
    assert reason.sentence[0].isupper()
    assert reason.sentence.endswith(".")
    assert len(reason.sentence) < 300
    assert "/slide" not in reason.sentence
    return type(reason)


def refusal(sandbox: Sandbox, path: Path) -> TilerError | None:
    blob = LocalByteSource(path)
    try:
        check(TileIndex(sandbox.index_slide(path, timeout_s=MAX_SECONDS).index_bytes), [blob])
    except TilerError as error:
        return error
    finally:
        blob.close()
    return None


@pytest.mark.parametrize("name", FILES)
def test_each_file_ends_ready_or_refused_in_words(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    make, expected = FILES[name]
    path = tmp_path / "file.svs"
    path.write_bytes(make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert outcome(sandbox, path) is expected
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 200


def test_bombs_are_refused_at_once_and_within_bounds(tmp_path: Path, figure: Figure) -> None:
    slowest_s, largest_mb, accepted = bombs.set_off(tmp_path)
    figure("tiles.bombs", len(bombs.BOMBS))
    figure("tiles.bomb_refused_s", slowest_s)
    assert accepted == 0
    assert largest_mb < 200
    assert slowest_s < 10, "two seconds on a machine with nothing else to do"


def test_nobody_is_named_by_what_is_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "file.svs"
    path.write_bytes(described("Aperio|User = Dr DUPONT|Title = MARTIN Paul 12/03/1961|Filename = MARTIN|MPP = 0.5"))
    index = sandbox.index_slide(path).index_bytes
    for name in (b"DUPONT", b"MARTIN", b"1961"):
        assert name not in index


@pytest.mark.parametrize("seed", range(24))
def test_no_rotten_directory_harms_the_parent(seed: int, sandbox: Sandbox, tmp_path: Path) -> None:
    """Bits flipped among directories and tables only, where parsers break; whatever OpenSlide makes of it stays
    inside."""
    data = bytearray(real())
    [at] = struct.unpack_from("<I", data, 4)
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 3, 10))):
        data[min(len(data) - 1, at + chance.randrange(3000))] = chance.randrange(256)
    path = tmp_path / "file.svs"
    path.write_bytes(data)
    outcome(sandbox, path)


CODES = {
    "segmentation fault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "arithmetic error": "signal.raise_signal(signal.SIGFPE)",
    "silent end": "os._exit(0)",
}


@pytest.mark.parametrize("death", CODES)
def test_a_decoder_that_kills_its_process_is_a_refusal(
    death: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real worker on a real slide, dying where OpenSlide would: after the index and the thumbnail are sent."""
    from tiler import isolation

    start = (
        "import ctypes, os, signal, sys; sys.path[:0] = sys.argv.pop(1).split(':')\n"
        "import tiler.pixels\n"
        f"tiler.pixels.picture = lambda slide, name: {CODES[death]}\n"
        "from tiler.worker import main; main()"
    )
    honest = isolation.isolated
    monkeypatch.setattr(
        isolation, "isolated", lambda bubblewrap, slide, arguments: honest(bubblewrap, slide, arguments, start=start)
    )
    dying = Sandbox("strict")
    dying._bubblewrap = next(isolation.bubblewraps())
    with pytest.raises(WorkerDiedError) as caught:
        dying.index_slide(SCAN)
    assert caught.value.code == "decoder-died"
    assert not isinstance(caught.value, WorkerTimeoutError)
    assert isinstance(caught.value, SandboxError)
    monkeypatch.undo()
    assert sandbox.index_slide(SCAN).thumbnail


if FOLDER := os.environ.get("IAIN_HOSTILE_DIR"):

    @pytest.mark.parametrize(
        "path", sorted(path for path in Path(FOLDER).rglob("*") if path.is_file()), ids=lambda path: path.name
    )
    def test_each_file_of_the_folder_ends_ready_or_refused(path: Path, sandbox: Sandbox) -> None:
        outcome(sandbox, path)
