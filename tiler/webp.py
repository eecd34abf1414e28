"""WebP tiles (RFC 9649): whether one is a bare image, without the chunks that may hold metadata, and of what size."""

from __future__ import annotations

import struct
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size

MAGIC: Final = b"RIFF"
MAX_PREFIX_BYTES: Final = 32
# RIFF, its length, WEBP, the one chunk's name and length
_CONTAINER: Final = struct.Struct("<4sI4s4sI")
_START_CODE: Final = b"\x9d\x01\x2a"
_SIDE: Final = 0x3FFF


def is_bare(tile: bytes) -> bool:
    """Whether this beginning of a tile is that of an opaque image and nothing else, as far as one can see."""
    try:
        frame_size(tile)
    except (DamagedSlideError, UnsupportedSlideError):
        return False
    return True


def length(prefix: bytes, size: Size) -> int:
    """Bytes of the tile that begins so. Raises DamagedSlideError, UnsupportedSlideError unless it is one opaque image
    of this size in one chunk, lossy or lossless."""
    actual = frame_size(prefix)
    if actual != size:
        raise DamagedSlideError(
            f"A WebP tile of the slide says that it is {actual.width} × {actual.height} pixels, "
            f"where the slide says {size.width} × {size.height}."
        )
    return 8 + int.from_bytes(prefix[4:8], "little")


def frame_size(prefix: bytes) -> Size:
    """The pixels of a bare opaque image of which this is the beginning. Raises DamagedSlideError,
    UnsupportedSlideError for one with alpha, animation or metadata."""
    if len(prefix) < MAX_PREFIX_BYTES:
        raise DamagedSlideError("A WebP tile of the slide is cut short.")
    riff, whole, form, kind, chunk = _CONTAINER.unpack_from(prefix)
    if (riff, form) != (MAGIC, b"WEBP"):
        raise DamagedSlideError("A WebP tile of the slide does not begin as one.")
    if kind not in (b"VP8 ", b"VP8L"):
        raise UnsupportedSlideError("The slide's WebP tiles are not bare images.")
    if whole != 4 + 8 + chunk + chunk % 2:
        raise DamagedSlideError("A WebP tile of the slide holds more than an image.")
    return _lossy(prefix[20:]) if kind == b"VP8 " else _lossless(prefix[20:])


def _lossy(frame: bytes) -> Size:
    """RFC 6386, 9.1: a key frame that is shown, a start code, the sides in 14 bits each."""
    if frame[0] & 1 or not frame[0] & 16 or frame[3:6] != _START_CODE:
        raise DamagedSlideError("A WebP tile of the slide has a damaged frame header.")
    width, height = struct.unpack_from("<HH", frame, 6)
    return Size(width & _SIDE, height & _SIDE)


def _lossless(frame: bytes) -> Size:
    """RFC 9649, 3.4: a signature, the sides less one in 14 bits each, whether alpha is used, the version."""
    packed = int.from_bytes(frame[1:5], "little")
    if frame[0] != 0x2F or packed >> 29:
        raise DamagedSlideError("A WebP tile of the slide has a damaged frame header.")
    if packed >> 28 & 1:
        raise UnsupportedSlideError("The slide's WebP tiles are not bare images.")
    return Size(1 + (packed & _SIDE), 1 + (packed >> 14 & _SIDE))
