"""What a reader finds in a scanner's file: facts and places, no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.metadata import SlideMetadata


@dataclass(frozen=True, slots=True)
class NativeLevel:
    """One resolution that the scanner stored. ``offsets`` and ``lengths`` give the bytes of each tile, row by row;
    ``tables`` are JPEG tables shared by its tiles (TIFF JPEGTables, tag 347)."""

    size: Size
    tile: Size
    colour: Colour
    tables: bytes | None
    offsets: Sequence[int]
    lengths: Sequence[int]


@dataclass(frozen=True, slots=True)
class SlideFile:
    """An opened scan; ``levels`` run from full resolution down, ``profile`` is the ICC profile as the file has it."""

    metadata: SlideMetadata
    levels: tuple[NativeLevel, ...]
    profile: bytes | None = None
