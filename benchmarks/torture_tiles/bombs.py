"""Small files that ask for much: pixels, tiles, directories, memory or time. Each must be refused in words, fast."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from tiler.errors import TilerError
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.sandbox import Sandbox
from tiler.synthetic.pyramid import Coding, TiffWriter, description, image_tags

Tags = dict[int, tuple[int, Sequence[int] | bytes]]
_SHORT, _LONG, _UNDEFINED, _LONG8 = 3, 4, 7, 16
_CODING: Final = Coding(Colour.YCBCR, 80)
_SIZE, _TILE = Size(300, 200), Size(128, 128)


def _slide(change: Tags | None = None, tile: bytes = b"", *, big: bool = False) -> bytes:
    """One level of six tiles, with some tags replaced."""
    image = tile or _CODING.encode(np.full((_TILE.height, _TILE.width, 3), 180, np.uint8))
    out = io.BytesIO()
    writer = TiffWriter(out, big=big)
    places = [writer.append(image) for _ in range(6)]
    tags: Tags = {
        **image_tags(_SIZE, _CODING, reduced=False),
        tiff.TILE_WIDTH: (_LONG, [_TILE.width]),
        tiff.TILE_HEIGHT: (_LONG, [_TILE.height]),
        tiff.TILE_OFFSETS: (_LONG, places),
        tiff.TILE_LENGTHS: (_LONG, [len(image)] * 6),
    }
    writer.directory({**tags, **(change or {})})
    return out.getvalue()


def _sides(pixels: int) -> Tags:
    return {tiff.WIDTH: (_LONG, [pixels]), tiff.HEIGHT: (_LONG, [pixels])}


def _tiles(pixels: int) -> Tags:
    return {tiff.TILE_WIDTH: (_LONG, [pixels]), tiff.TILE_HEIGHT: (_LONG, [pixels])}


def _claims(side: int) -> bytes:
    """A tile whose own header says that it is larger than its place."""
    image = bytearray(_CODING.encode(np.zeros((_TILE.height, _TILE.width, 3), np.uint8)))
    struct.pack_into(">HH", image, image.index(b"\xff\xc0") + 5, side, side)
    return _slide(tile=bytes(image))


def _directories(count: int) -> bytes:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    for _ in range(count):
        writer.directory({tiff.WIDTH: (_LONG, [1])})
    return out.getvalue()


def _counts(tag: int, count: int, *, kind: int = _LONG, big: bool = False) -> bytes:
    """A tag that claims to have so many values."""
    data = bytearray(_slide(big=big))
    entry = struct.pack("<H", tag)
    wide = 8 if big else 4
    [at] = struct.unpack_from("<Q" if big else "<I", data, wide if not big else 8)
    first = at + (8 if big else 2)
    step = 20 if big else 12
    place = next(first + number * step for number in range(40) if data[first + number * step :][:2] == entry)
    struct.pack_into("<H", data, place + 2, kind)
    data[place + 4 : place + 4 + wide] = (count % 2 ** (8 * wide)).to_bytes(wide, "little")
    return bytes(data)


def _png(side: int) -> bytes:
    """A picture of many pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + side // 8) * 1000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _laughs(depth: int) -> bytes:
    """Entities of entities of entities, in the description of an OME-TIFF."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, depth))
    document = f"<O>openmicroscopy.org/Schemas/OME &l{depth - 1};</O>"
    text = f'<?xml version="1.0"?><!DOCTYPE O [<!ENTITY l0 "ha">{entities}]>{document}'
    return _slide({tiff.DESCRIPTION: description(text)})


def _deflated(megabytes: int) -> bytes:
    """Tiles of zeros by the gigabyte, deflated."""
    packed = zlib.compress(bytes(megabytes * 2**20), 9)
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    at = writer.append(packed)
    side = 16_384
    tags: Tags = {
        **image_tags(Size(side, side), _CODING, reduced=False),
        tiff.COMPRESSION: (_SHORT, [8]),
        tiff.TILE_WIDTH: (_LONG, [side]),
        tiff.TILE_HEIGHT: (_LONG, [side]),
        tiff.TILE_OFFSETS: (_LONG, [at]),
        tiff.TILE_LENGTHS: (_LONG, [len(packed)]),
    }
    writer.directory(tags)
    return out.getvalue()


BOMBS: Final[dict[str, Callable[[], bytes]]] = {
    "2^31 pixels a side": lambda: _slide(_sides(2**31)),
    "2^32 tiles": lambda: _slide({**_sides(2**20), **_tiles(16)}),
    "a million places that are not there": lambda: _counts(tiff.TILE_OFFSETS, 1_000_000),
    "2^61 places": lambda: _counts(tiff.TILE_OFFSETS, 2**61, kind=_LONG8, big=True),
    "four gigabytes of tables": lambda: _counts(tiff.COMPRESSION, 2**32 - 1, kind=_UNDEFINED),
    "a tile of 65,535 pixels a side": lambda: _claims(65_535),
    "a tile of 16,384 pixels a side": lambda: _claims(16_384),
    "twenty thousand directories": lambda: _directories(20_000),
    "a deflated gigabyte": lambda: _deflated(1024),
    "a PNG of 60,000 pixels a side": lambda: _png(60_000),
    "a ZIP that unfolds": lambda: b"PK\x03\x04" + zlib.compress(bytes(2**26), 9),
    "a billion laughs": lambda: _laughs(10),
    "tiles of 65,520 pixels a side": lambda: _slide(_tiles(65_520)),
}


def set_off(folder: Path) -> tuple[float, float, int]:
    """Each bomb in a worker of its own: seconds the slowest took, megabytes the largest worker held, how many were
    accepted."""
    sandbox = Sandbox()
    slowest = most = 0.0
    accepted = 0
    for make in BOMBS.values():
        path = folder / "bomb"
        path.write_bytes(make())
        with watched() as memory:
            began = time.monotonic()
            try:
                sandbox.index_slide(path)
                accepted += 1
            except TilerError:
                pass
            slowest = max(slowest, time.monotonic() - began)
        most = max(most, *memory)
    return slowest, most, accepted


@contextmanager
def watched() -> Iterator[list[float]]:
    """The memory, in megabytes, that each descendant of this process held at a look during the block. A child that
    has yet to become its program still holds what this process holds, and is not looked at."""
    seen, stop = [0.0], threading.Event()
    program = Path("/proc/self/cmdline").read_bytes()

    def look() -> None:
        while not stop.wait(0.005):
            family = [os.getpid()]
            for one in family:
                with suppress(OSError, ValueError):
                    for task in Path(f"/proc/{one}/task").iterdir():
                        family += map(int, (task / "children").read_text().split())
                    if Path(f"/proc/{one}/cmdline").read_bytes() != program:
                        seen.append(int(Path(f"/proc/{one}/statm").read_text().split()[1]) * 4096 / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
