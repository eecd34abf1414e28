"""JPEG streams taken apart and put together again without decoding (ITU-T T.81, annex B).

A scanner stores a tile as an abbreviated stream: tables shared by the level stand apart, and the TIFF, not the JPEG,
says which colours the components are. A browser needs one whole image. So a served tile is ::

    header = SOI + APP14 (which colours) + the level's shared tables      made here once per level
    body   = the tile's own bytes after its SOI, APPn and COM segments    read from the slide as they are

Nothing of what a vendor wrote into APPn or COM segments travels: it may name a patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size

SOI: Final = b"\xff\xd8"
EOI: Final = b"\xff\xd9"
# What a body may consist of before its image data begin, which bounds what a browser is asked to do.
MAX_PREFIX_BYTES: Final = 4096

_SOF_BASELINE: Final = 0xC0
_SOF_EXTENDED: Final = 0xC1
_SOF_PROGRESSIVE: Final = 0xC2
DHT: Final = 0xC4
_EOI: Final = 0xD9
_SOS: Final = 0xDA
DQT: Final = 0xDB
_DRI: Final = 0xDD
_APP0, _APP14 = 0xE0, 0xEE
_COM: Final = 0xFE
_OTHER_FRAMES: Final = frozenset({*range(0xC2, 0xD0)} - {DHT, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_BODY: Final = frozenset({_SOF_BASELINE, _SOF_EXTENDED, DHT, DQT, _DRI, _SOS})

# The typical Huffman tables of T.81 K.3: some writers leave them out, since decoders fall back on them.
_TYPICAL_DHT: Final = bytes.fromhex(
    "ffc4001f0000010501010101010100000000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d"
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637"
    "38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3"
    "a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    "ffc4001f0100030101010101010101010000000000000102030405060708090a0bffc400b51100020102040403040705040400010277"
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536"
    "3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a"
    "a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)


# APP14 up to its last byte, the transform.
_ADOBE: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_ADOBE_FLAGS: Final = frozenset({b"\x00\x00", b"\x40\x00", b"\x80\x00", b"\xc0\x00"})


class Colour(IntEnum):
    """What the components are: the transform byte of the Adobe segment (Adobe Technical Note 5116); grey needs none."""

    RGB = 0
    YCBCR = 1
    GREY = 2


class Segment(NamedTuple):
    """One marker segment; `start` is the offset of its 0xFF, `end` that of what follows."""

    marker: int
    start: int
    end: int


def header(tables: bytes | None, colour: Colour) -> bytes:
    """What to put before each body of a level. `tables` is the TIFF tag JPEGTables (347), None when tiles bring their
    own. Raises DamagedSlideError."""
    adobe = b"" if colour is Colour.GREY else _ADOBE + bytes([colour])
    if tables is None:
        return SOI + adobe
    _require_soi(tables)
    kept = b""
    for segment in segments(tables):
        if segment.marker in (DQT, DHT):
            kept += tables[segment.start : segment.end]
        elif segment.marker in _BODY - {_DRI}:
            raise DamagedSlideError("The slide's shared JPEG tables contain an image.")
    if not any(segment.marker == DHT for segment in segments(kept, 0)):
        kept += _TYPICAL_DHT
    return SOI + adobe + kept


def stated_colour(stream: bytes, otherwise: Colour) -> Colour:
    """What a stream of three components says of itself: JFIF means YCbCr, an Adobe segment names its transform, and
    what has more of the first component than of the others is brightness and colours. Some writers of TIFF say RGB of
    what they store as YCbCr. `otherwise` where the stream says nothing, or is damaged."""
    try:
        for marker, start, end in segments(stream):
            if marker == _APP0 and stream[start + 4 : start + 9] == b"JFIF\0":
                return Colour.YCBCR
            if marker == _APP14 and stream[start + 4 : start + 9] == b"Adobe" and end - start >= 16:
                return {0: Colour.RGB, 1: Colour.YCBCR}.get(stream[start + 15], otherwise)
            if marker in (_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE) and end - start == 19:
                otherwise = Colour.YCBCR if stream[start + 11] != stream[start + 14] else otherwise
    except DamagedSlideError:
        pass
    return otherwise


def body(tile: bytes, size: Size, shared: bytes) -> tuple[int, int]:
    """Where the body of one stored tile begins and ends in its bytes. Proves that it is a single baseline image of
    `size` pixels, in grey or three components as `shared` says, and that nothing is hidden behind or within its image
    data. `shared` is the `header` it will follow. Raises DamagedSlideError, UnsupportedSlideError."""
    _require_soi(tile)
    start = 2
    for segment in segments(tile):
        if not (_is_application(segment.marker) or segment.marker == _COM):
            break
        start = segment.end
    if _is_coloured(shared):
        colour = Colour(shared[len(SOI) + len(_ADOBE)])
        if stated_colour(tile, colour) is not colour:
            raise DamagedSlideError("The JPEG tiles of the slide differ in how they store colours.")
    scan = check_prefix(tile[start : start + MAX_PREFIX_BYTES], size, shared)
    return start, _scan_end(tile, start + scan)


def check_prefix(prefix: bytes, size: Size, shared: bytes) -> int:
    """The offset of the image data in a body of which `prefix` is the beginning. Raises DamagedSlideError unless the
    body is a baseline image of `size` pixels without APPn, COM or any other segment that a decoder does not need; an
    Adobe segment may say again what `shared` does, as some converters to DICOM write it behind the tables."""
    seen: set[int] = set()
    for segment in segments(prefix, 0):
        if segment.marker in _OTHER_FRAMES:
            raise UnsupportedSlideError(
                "The slide's tiles are progressive, lossless or arithmetic JPEG; only baseline JPEG tiles can be shown."
            )
        if segment.marker not in _BODY and not _repeats_colours(prefix[segment.start : segment.end], shared):
            raise DamagedSlideError("A JPEG tile of the slide has foreign data between its tables.")
        if segment.marker in (_SOF_BASELINE, _SOF_EXTENDED):
            if _SOF_BASELINE in seen:
                raise DamagedSlideError("A JPEG tile of the slide holds two images.")
            _check_frame(prefix[segment.start : segment.end], size, 3 if _is_coloured(shared) else 1)
            seen.add(_SOF_BASELINE)
        seen.add(segment.marker)
        if segment.marker == _SOS:
            break
    if not {_SOF_BASELINE, _SOS} <= seen:
        raise DamagedSlideError("A JPEG tile of the slide has no image.")
    if not {DQT, DHT} <= seen | _tables_in(shared):
        raise DamagedSlideError("The slide's JPEG tables are missing.")
    return segment.end


@lru_cache(maxsize=16)
def _tables_in(shared: bytes) -> frozenset[int]:
    """The kinds of tables in a `header`: SOI and APP14, which grey does without, then whole DQT and DHT segments."""
    start = len(SOI) + (len(_ADOBE) + 1 if _is_coloured(shared) else 0)
    return frozenset(segment.marker for segment in segments(shared, start))


def _repeats_colours(segment: bytes, shared: bytes) -> bool:
    """Whether it is an Adobe segment with the colours of a `header` and nothing more: no text fits into the flags."""
    version, flags, others, transform = segment[9:11], segment[11:13], segment[13:15], segment[15:]
    return (
        segment[:9] == _ADOBE[:9]
        and version in (b"\0\x64", b"\0\x65")
        and {flags, others} <= _ADOBE_FLAGS
        and _is_coloured(shared)
        and transform == shared[len(SOI) + len(_ADOBE) :][:1]
    )


def _is_coloured(shared: bytes) -> bool:
    return shared.startswith(_ADOBE, len(SOI))


@lru_cache(maxsize=4)
def blank(size: Size) -> bytes:
    """A whole white image: every block after the first is two zero bits."""
    blocks = -(-size.width // 8) * -(-size.height // 8)
    bits = 10 + 2 * (blocks - 1)
    scan = (0b1011111110 << (bits - 10) + -bits % 8) | (
        1 << -bits % 8
    ) - 1  # DC +127 and end of block, then nothing new
    return b"".join(
        (
            SOI,
            b"\xff\xdb\x00\x43\x00" + b"\x08" * 64,
            b"\xff\xc0\x00\x0b\x08" + size.height.to_bytes(2) + size.width.to_bytes(2) + b"\x01\x01\x11\x00",
            b"\xff\xc4\x00\x15\x00\x01\x01" + bytes(14) + b"\x00\x07",
            b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\x00",
            b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00",
            scan.to_bytes((bits + -bits % 8) // 8),
            EOI,
        )
    )


def frame_size(image: bytes) -> Size:
    """The pixels of a whole JPEG image, as its frame header says. Raises DamagedSlideError."""
    _require_soi(image)
    for marker, start, end in segments(image):
        if marker in (_SOF_BASELINE, _SOF_EXTENDED) and end - start >= 10:
            return Size(int.from_bytes(image[start + 7 : start + 9]), int.from_bytes(image[start + 5 : start + 7]))
    raise DamagedSlideError("The JPEG image has no frame header.")


def segments(data: bytes, at: int = 2) -> Iterator[Segment]:
    """The marker segments from `at` on, up to and including the first start of scan, or to the end. Raises
    DamagedSlideError."""
    while at < len(data):
        if data[at] != 0xFF or at + 2 > len(data):
            raise DamagedSlideError("A JPEG stream of the slide is damaged: a marker is missing.")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte, T.81 B.1.1.2
            at += 1
            continue
        if marker == _EOI:
            return
        if marker in _ALONE or marker == 0:
            raise DamagedSlideError("A JPEG stream of the slide is damaged: a marker stands in the wrong place.")
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(data):
            raise DamagedSlideError("A JPEG stream of the slide is cut short.")
        yield Segment(marker, at, at + 2 + length)
        if marker == _SOS:
            return
        at += 2 + length


def _check_frame(segment: bytes, size: Size, components: int) -> None:
    """SOF: length, precision, lines, samples per line, components (T.81 B.2.2)."""
    if len(segment) < 10 or len(segment) != 10 + 3 * segment[9]:
        raise DamagedSlideError("A JPEG tile of the slide has a damaged frame header.")
    if segment[4] != 8 or segment[9] != components:
        raise UnsupportedSlideError("The slide's JPEG tiles have other colours or depths than the slide says.")
    if any(not (1 <= segment[at] >> 4 <= 4 and 1 <= segment[at] & 15 <= 4) for at in range(11, len(segment), 3)):
        raise DamagedSlideError("A JPEG tile of the slide has a damaged frame header.")
    actual = Size(int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7]))
    if actual != size:
        raise DamagedSlideError(
            f"A JPEG tile of the slide says that it is {actual.width} × {actual.height} pixels, "
            f"where the slide says {size.width} × {size.height}."
        )


def _scan_end(tile: bytes, scan: int) -> int:
    """Where the image data end, EOI included; scanners pad with zeros behind it. Within them 0xFF may be followed only
    by a stuffed zero or a restart number, so whatever else follows is another segment."""
    end = len(tile)
    while end > scan and tile[end - 1] == 0 and len(tile) - end < 16:
        end -= 1
    if tile[max(scan, end - 2) : end] != EOI:
        raise DamagedSlideError("A JPEG tile of the slide does not end where the slide says it does.")
    markers = tile.count(b"\xff", scan, end) - tile.count(b"\xff\x00", scan, end)
    if markers > 1:
        markers -= sum(tile.count(bytes([0xFF, 0xD0 + number]), scan, end) for number in range(8))
    if markers != 1:
        raise DamagedSlideError("A JPEG tile of the slide has foreign data within its image data.")
    return end


def _is_application(marker: int) -> bool:
    return 0xE0 <= marker <= 0xEF


def _require_soi(data: bytes) -> None:
    if data[:2] != SOI:
        raise DamagedSlideError("A JPEG stream of the slide does not begin as one.")
