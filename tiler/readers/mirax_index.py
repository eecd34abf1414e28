"""``Index.dat`` of a MIRAX slide: lists of pages that say where in which data file each image lies."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.storage.base import ByteSource

_VERSION: Final = b"01.02"
_MAX_BYTES: Final = 256 * 1024 * 1024
_DAMAGED: Final = "The slide's Index.dat is damaged."
_IMAGE: Final = 4  # numbers of 32 bits: its place among the images, its offset, its length, its file


def check_index(source: ByteSource, slide_id: str, levels: int, names: Sequence[str], lengths: Sequence[int]) -> None:
    """Raises DamagedSlideError unless every image of the levels lies within its data file. `names` and `lengths` are
    those of the data files, `slide_id` is how the slide calls itself."""
    own = slide_id.encode()
    roots = len(_VERSION) + len(own)
    if not roots + 8 <= source.length <= _MAX_BYTES:
        raise DamagedSlideError(_DAMAGED)
    data = source.read_at(0, source.length)
    if not data.startswith(_VERSION):
        raise UnsupportedSlideError("The slide's Index.dat is of another version than 01.02, the only one known.")
    if data[len(_VERSION) : roots] != own:
        raise DamagedSlideError("The slide's Index.dat belongs to another slide.")
    [table] = _numbers(data, roots, 1)
    ends = [0] * len(lengths)
    for record in _numbers(data, table, levels):
        pages = [*_pages(data, record)]
        if not any(pages):
            raise UnsupportedSlideError("A level of the slide holds no image data at all.")
        for images in pages:
            _note(images, ends)
    for name, length, end in zip(names, lengths, ends, strict=True):
        if end > length:
            raise DamagedSlideError(f"The slide's file {name} is cut short.")


def _pages(data: bytes, record: int) -> Iterator[array[int]]:
    """The images of one level, page by page."""
    nothing, at = _numbers(data, record, 2)
    if nothing:
        raise DamagedSlideError(_DAMAGED)
    seen: set[int] = set()
    room = len(data) // (4 * _IMAGE)  # so many images there can be, unless pages lie one over the other
    while at:
        if at in seen:
            raise DamagedSlideError("The pages of the slide's Index.dat form a loop.")
        seen.add(at)
        count, following = _numbers(data, at, 2)
        room -= count
        if count < 0 or room < 0:
            raise DamagedSlideError(_DAMAGED)
        yield _numbers(data, at + 8, count * _IMAGE)
        at = following


def _note(images: array[int], ends: list[int]) -> None:
    """Where in each data file the last of these images ends."""
    for offset, length, file in zip(images[1::_IMAGE], images[2::_IMAGE], images[3::_IMAGE], strict=True):
        if offset < 0 or length < 0 or not 0 <= file < len(ends):
            raise DamagedSlideError(_DAMAGED)
        if offset + length > ends[file]:
            ends[file] = offset + length


def _numbers(data: bytes, at: int, count: int) -> array[int]:
    if not 0 <= at <= at + 4 * count <= len(data):
        raise DamagedSlideError(_DAMAGED)
    found = array("i", data[at : at + 4 * count])
    if sys.byteorder == "big":
        found.byteswap()
    return found
