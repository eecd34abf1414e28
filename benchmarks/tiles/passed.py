"""Whether a tile is the scanner's own: its entropy-coded data byte for byte that of the file.

The file is read by tifffile, which shares no code with us; the JPEG markers are walked here, so that a fault of ours in
telling where image data begins cannot hide itself.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tifffile

from benchmarks.tiles.servers.iain import tile_path
from tiler.address import TileAddress

START_OF_SCAN = 0xDA


class NothingComparedError(Exception):
    """No tile was of a level of the file, or a changed tile passed as equal: the share would mean nothing."""


def equal_share(slide: Path, description: Mapping[str, Any], tiles: Mapping[str, bytes]) -> float:
    """Of the given tiles (path → JPEG) that are stored in the file, the share that is passed on unchanged."""
    verdicts, last = [], b""
    for path, stored in _stored(slide, description):
        if path in tiles:
            verdicts.append(scan_data(tiles[path]) == scan_data(stored))
            last = stored
    if not verdicts or scan_data(_damaged(last)) == scan_data(last):
        raise NothingComparedError(f"No stored tile of {slide.name} could be compared.")
    return sum(verdicts) / len(verdicts)


def scan_data(jpeg: bytes) -> bytes:
    """Everything after the header of the first scan: entropy-coded data up to and with the end of the image."""
    at = 2
    while jpeg[at + 1] != START_OF_SCAN:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def _stored(slide: Path, description: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every tile of the levels that are in the file; thumbnail, label and macro are no tiles."""
    numbers = {(level["width"], level["height"]): number for number, level in enumerate(description["levels"])}
    with tifffile.TiffFile(slide) as scan, slide.open("rb") as file:
        for page in scan.pages:
            if not isinstance(page, tifffile.TiffPage) or not page.is_tiled:
                continue
            number = numbers[page.imagewidth, page.imagelength]
            columns = -(-page.imagewidth // page.tilewidth)
            for place, (offset, length) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
                file.seek(offset)
                row, column = divmod(place, columns)
                yield tile_path(description, TileAddress(number, column, row)), file.read(length)


def _damaged(jpeg: bytes) -> bytes:
    return jpeg[:-3] + bytes([jpeg[-3] ^ 1]) + jpeg[-2:]
