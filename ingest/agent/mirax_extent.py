"""The ends of the data files of a MIRAX slide: its Index.dat says where in which of them each picture lies."""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from ingest.agent.extent import Bytes, OddError, UnfinishedError

VERSION = b"01.02"
LAYERS_MAX, LEVELS_MAX = 64, 64
_ZOOM = "Slide zoom level"
_IMAGE = 4  # numbers of 32 bits: its place among the images, its offset, its length, its file
_BESIDE = 5  # of what is no part of the scan: two unused, its offset, its length, its file


def check_mirax(says: Mapping[tuple[str, str], str], index: Path, data: tuple[Path, ...]) -> None:
    """`says`: what Slidedat.ini says, by section and key; `data`: its data files, in its order. Raises
    UnfinishedError, OddError, OSError."""
    with index.open("rb") as raw:
        file = Bytes(raw, raw.seek(0, 2))
        own = says.get(("GENERAL", "SLIDE_ID"), "").encode()
        if file.read(0, len(VERSION)) != VERSION:
            raise OddError
        roots = len(VERSION) + len(own)
        scan, beside = _numbers(file, roots, 2)
        ends = [0] * len(data)
        _note(file, scan, _zoom_levels(says), _IMAGE, ends)
        if not any(ends):
            raise UnfinishedError
        _note(file, beside, _count(says, "NONHIER"), _BESIDE, ends)
    for path, end in zip(data, ends, strict=True):
        if end > path.stat().st_size:
            raise UnfinishedError(end, path.name)


def _zoom_levels(says: Mapping[tuple[str, str], str]) -> int:
    """How many records there are up to the last one of the pictures of the scan."""
    total = 0
    for layer in range(LAYERS_MAX):
        total += _number(says, f"HIER_{layer}_COUNT")
        if says.get(("HIERARCHICAL", f"HIER_{layer}_NAME")) == _ZOOM:
            return total
    raise OddError


def _count(says: Mapping[tuple[str, str], str], kind: str) -> int:
    return sum(
        _number(says, f"{kind}_{layer}_COUNT") for layer in range(min(LAYERS_MAX, _number(says, f"{kind}_COUNT")))
    )


def _number(says: Mapping[tuple[str, str], str], key: str) -> int:
    value = says.get(("HIERARCHICAL", key), "0")
    return min(int(value), LEVELS_MAX) if re.fullmatch(r"[0-9]{1,9}", value) else 0


def _note(file: Bytes, table: int, records: int, width: int, ends: list[int]) -> None:
    """Where in each data file the last of what these records name ends."""
    for record in _numbers(file, table, records) if table > 0 else ():
        for found in _pages(file, record, width) if record > 0 else ():
            for offset, length, number in zip(
                found[width - 3 :: width], found[width - 2 :: width], found[width - 1 :: width], strict=True
            ):
                if offset < 0 or length < 0 or not 0 <= number < len(ends):
                    raise OddError
                ends[number] = max(ends[number], offset + length)


def _pages(file: Bytes, record: int, width: int) -> Iterator[array[int]]:
    nothing, at = _numbers(file, record, 2)
    if nothing:
        raise OddError
    seen: set[int] = set()
    while at > 0:
        if at in seen:
            raise OddError
        seen.add(at)
        count, following = _numbers(file, at, 2)
        if count < 0:
            raise OddError
        yield _numbers(file, at + 8, count * width)
        at = following


def _numbers(file: Bytes, at: int, count: int) -> array[int]:
    if at < 0:
        raise OddError
    found = array("i", file.read(at, 4 * count))
    if sys.byteorder == "big":
        found.byteswap()
    return found
