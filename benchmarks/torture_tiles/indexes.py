"""Mutated tile indexes before the parent's check: does any that it accepts lead outside the slide's own tiles?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.torture_tiles.mutations import mutated_indexes
from tiler import jpeg, webp
from tiler.errors import BadIndexError, TilerError
from tiler.geometry import Size
from tiler.index import JPEG, WEBP, TileIndex
from tiler.indexing import build_index
from tiler.opening import open_slide
from tiler.slide import ALONE, SlideFiles
from tiler.storage.memory import MemoryByteSource
from tiler.verification import check


@dataclass(slots=True)
class Tally:
    """`control`: how many that do lead outside could be opened; all of them were told apart by the check alone."""

    tried: int = 0
    accepted: int = 0
    outside: int = 0
    control: int = 0


def torture(slides: Sequence[bytes], count: int, seed: int) -> Tally:
    """Mutate the indexes of these slides so many times in all."""
    tally = Tally()
    for number, data in enumerate(slides):
        blob = MemoryByteSource(data)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, ALONE).write_bytes(data)
            files = SlideFiles(Path(folder))
            sound = build_index(files, open_slide(files))
        share = count // len(slides) + (number < count % len(slides))
        for mutated in islice(mutated_indexes(sound, len(data), seed + number), share):
            tally.tried += 1
            try:
                index = TileIndex(mutated)
            except BadIndexError:
                continue
            try:
                check(index, [blob])
            except BadIndexError:
                tally.control += leads_outside(index, blob)
                continue
            tally.accepted += 1
            tally.outside += leads_outside(index, blob)
    return tally


def is_bare_webp(data: bytes, size: Size) -> bool:
    """One picture of this size in one chunk, and nothing behind it."""
    whole = len(data) > 20 and data[:4] == b"RIFF" and data[8:12] == b"WEBP" and data[12:16] in (b"VP8 ", b"VP8L")
    return whole and int.from_bytes(data[4:8], "little") + 8 == len(data) and webp.frame_size(data) == size


def leads_outside(index: TileIndex, blob: MemoryByteSource) -> bool:
    """Looked at anew, tile by tile, as they would be served: is one not a bare image out of this blob, nor a blank?"""
    for number, level in enumerate(index.levels):
        for row in range(level.grid.height):
            for col in range(level.grid.width):
                try:
                    place = index.locate(number, col, row)
                    if place is None:
                        if level.placed:
                            return True
                        continue
                    which, offset, length, header = place
                    if length == 0 and header == jpeg.blank(level.tile) and level.media_type == JPEG:
                        continue
                    if level.media_type == WEBP:
                        if which or header or not is_bare_webp(blob.read_at(offset, length), level.tile):
                            return True
                        continue
                    if which or not 0 <= offset < offset + length <= blob.length or header[:2] != jpeg.SOI:
                        return True
                    whole = header + blob.read_at(offset, length)
                    if len(header) > 64 * 1024 or jpeg.frame_size(whole) != level.tile:
                        return True
                    # APP14 of ours comes first; behind it nothing of a vendor's.
                    kinds = [segment.marker for segment in jpeg.segments(whole)]
                    if any(kind == 0xFE or 0xE0 <= kind <= 0xEF for kind in kinds[1:]):
                        return True
                except (TilerError, IndexError):
                    return True
    return False
