"""The slides below a folder: which files belong together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tiler.slide import files_at

# Trestle's, beside a `.tif` of the same name.
_COMPANIONS: Final = (".Full", ".slide", ".Slide", ".tif-b", ".jpg")
# Series Instance UID, in both ways in which its length may be written.
_SERIES: Final = re.compile(rb"\x20\x00\x0e\x00(?:UI(..)|(..)\x00\x00)", re.DOTALL)
_SERIES_WITHIN: Final = 64 * 1024
_NO_SLIDES: Final = frozenset({".md", ".txt", ".csv", ".json", ".log"})


@dataclass(frozen=True, slots=True)
class Found:
    """One slide, or what somebody took for one. ``name`` is where it is below the folder; ``files`` are as
    `tiler.sandbox.Sandbox` takes them."""

    name: str
    files: dict[str, Path]

    @property
    def length(self) -> int:
        return sum(path.stat().st_size for path in self.files.values())


def slides_below(folder: Path) -> Iterator[Found]:
    """Every file as a slide of its own, but for sets: a `.mrxs` and the folder of its name, the DICOM files of one
    series in one folder, a `.tif` and what Trestle's scanners write beside it."""
    here = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    used: set[Path] = set()
    series: dict[bytes, list[Path]] = defaultdict(list)
    for path in here:
        if path.is_file() and (uid := _series(path)) is not None:
            series[uid].append(path)
    for together in series.values():
        if len(together) > 1:
            used.update(together)
            name = folder.name if len(series) == 1 else f"{folder.name} ({together[0].name}, …)"
            yield Found(name, {path.name: path for path in together})
    for path in here:
        beside = path.with_suffix("")
        if path.suffix.lower() == ".mrxs" and beside.is_dir():
            used |= {path, beside}
            inside = {f"{beside.name}/{name}": each for name, each in files_at(beside).items()}
            yield Found(path.name, {path.name: path, **inside})
        elif path.suffix.lower() == ".tif" and (
            companions := [path.with_suffix(end) for end in _COMPANIONS if path.with_suffix(end).is_file()]
        ):
            used |= {path, *companions}
            yield Found(path.name, {each.name: each for each in (path, *companions)})
    for path in here:
        if path in used:
            continue
        if path.is_dir():
            for found in slides_below(path):
                yield Found(f"{path.name}/{found.name}", found.files)
        elif path.is_file() and path.suffix.lower() not in _NO_SLIDES:
            yield Found(path.name, files_at(path))


def _series(path: Path) -> bytes | None:
    """The series of a DICOM file, empty where it is not told in plain bytes; None for any other file."""
    with path.open("rb") as file:
        head = file.read(_SERIES_WITHIN)
    if head[128:132] != b"DICM":
        return None
    found = _SERIES.search(head)
    if found is None:
        return b""
    length = int.from_bytes(found[1] or found[2], "little")
    return head[found.end() : found.end() + length].rstrip(b"\0 ")
