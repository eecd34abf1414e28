"""Tiles side by side, to be put together into one picture: what a cutter is asked for, and how it crosses the pipe.

head      u32 width and height of the picture · u32 reduction · u32 columns · u32 rows · u32 what is left out on the
          left · u32 and above
children  per child, row by row: u32 bytes · u32 width · u32 height
tiles     the children's JPEG images, one after the other
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tiler.geometry import Size

_HEAD: Final = struct.Struct("<7I")
_CHILD: Final = struct.Struct("<3I")


@dataclass(frozen=True, slots=True)
class Mosaic:
    """One JPEG of `out` pixels out of `children`, which run row by row, `cols` to a row. `sizes` are their real sizes,
    without padding: the same height along a row, the same width down a column. What they show is reduced by a power of
    two, 1 among them; `out` may show less of it, from `left` and `above` on, or one pixel more, which then repeats the
    last."""

    children: Sequence[bytes]
    sizes: Sequence[Size]
    cols: int
    out: Size
    reduction: int = 2
    left: int = 0
    above: int = 0

    def pack(self) -> bytes:
        rows = len(self.children) // self.cols
        head = _HEAD.pack(self.out.width, self.out.height, self.reduction, self.cols, rows, self.left, self.above)
        places = (
            _CHILD.pack(len(child), size.width, size.height)
            for child, size in zip(self.children, self.sizes, strict=True)
        )
        return b"".join((head, *places, *self.children))

    @staticmethod
    def unpack(payload: bytes) -> Mosaic:
        """The inverse of `pack`, for the worker's side, which trusts whom it works for."""
        width, height, reduction, cols, rows, left, above = _HEAD.unpack_from(payload)
        at = _HEAD.size + cols * rows * _CHILD.size
        children: list[bytes] = []
        sizes: list[Size] = []
        for length, child_width, child_height in _CHILD.iter_unpack(payload[_HEAD.size : at]):
            children.append(payload[at : at + length])
            sizes.append(Size(child_width, child_height))
            at += length
        return Mosaic(children, sizes, cols, Size(width, height), reduction, left, above)
