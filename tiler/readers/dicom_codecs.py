"""The codecs of DICOM frames that need the heavy libraries (`tiler.codecs`). What a frame says of its size is compared
with the data set before a decoder allocates anything."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from imagecodecs import jpeg2k_decode, jpeg8_decode, jpegls_decode, ljpeg_decode, packbits_decode
from numpy.typing import NDArray
from PIL import Image

from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.jpeg import SOI
from tiler.readers import dicom_pixels
from tiler.readers.dicom_pixels import Coding, Form, check_size, merged

_SOF: Final = {Coding.JPEG: 0xC1, Coding.JPEG_LOSSLESS: 0xC3, Coding.JPEG_LS: 0xF7}
_SIZ: Final = b"\xff\x4f\xff\x51"

Samples = NDArray[Any]


def decode(frame: bytes, form: Form, least: Size) -> Image.Image:
    """See `dicom_pixels.decode`."""
    found = samples(frame, form, least)
    return merged([found.tobytes()], form, Size(found.shape[1], found.shape[0]))


def samples(frame: bytes, form: Form, least: Size) -> Samples:
    """The values of one frame, rows × columns × samples, of 8 or 16 bits. Raises DamagedSlideError,
    UnsupportedSlideError."""
    if not form.deep and form.coding in (Coding.JPEG, Coding.PLAIN):
        found = np.asarray(dicom_pixels.decode(frame, form, least))
        return found.reshape(*found.shape[:2], form.samples)
    try:
        if form.coding in (Coding.PLAIN, Coding.RLE):
            return _uncompressed(frame, form)
        return _decompressed(frame, form, least)
    except TilerError:  # some of which are such errors, too
        raise
    except (ValueError, RuntimeError, IndexError, struct.error) as error:
        raise DamagedSlideError("A tile of the slide cannot be decoded.") from error


def _uncompressed(frame: bytes, form: Form) -> Samples:
    height, width = form.size.height, form.size.width
    if form.coding is Coding.RLE:
        planes: Samples = np.stack([np.frombuffer(plane, np.uint8) for plane in _run_lengths(frame, form)])
        if form.deep:  # the more significant byte of each sample comes first
            planes = planes[::2].astype(np.uint16) << 8 | planes[1::2]
    else:
        planes = np.frombuffer(frame, "<u2" if form.deep else np.uint8)
        if not form.planar:
            return planes.reshape(height, width, form.samples)
    return planes.reshape(form.samples, height, width).transpose(1, 2, 0)


def _decompressed(frame: bytes, form: Form, least: Size) -> Samples:
    actual = _size_of_codestream(frame, form) if form.coding is Coding.JPEG_2000 else _size_of_frame(frame, form)
    check_size(actual, form, least)
    if form.coding is Coding.JPEG_2000:
        found = jpeg2k_decode(frame, planar=False, numthreads=1)
    elif form.coding is Coding.JPEG_LS:
        found = jpegls_decode(frame)
    else:
        found = ljpeg_decode(frame) if form.coding is Coding.JPEG_LOSSLESS else jpeg8_decode(frame)
    found = np.asarray(found)
    shape = (actual.height, actual.width, *(() if form.samples == 1 else (form.samples,)))
    if found.shape != shape or found.dtype != (np.uint16 if form.deep else np.uint8):
        raise DamagedSlideError("A frame of the slide has another size than it says.")
    return found.reshape(actual.height, actual.width, form.samples)


def _size_of_codestream(frame: bytes, form: Form) -> Size:
    """From the size segment of a JPEG 2000 codestream (T.800 A.5.1)."""
    if frame[:4] != _SIZ:
        raise DamagedSlideError("A JPEG 2000 frame of the slide does not begin as one.")
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    (components,) = struct.unpack_from(">H", frame, 40)
    kinds = {frame[at : at + 3] for at in range(42, 42 + 3 * min(components, 4), 3)}
    if components != form.samples or len(kinds) != 1 or not _fits(min(kinds)[0] + 1, form) or min(kinds)[1:] != b"\1\1":
        raise UnsupportedSlideError("The slide's JPEG 2000 frames have other samples than the slide says.")
    return Size(right - left, bottom - top)


def _size_of_frame(frame: bytes, form: Form) -> Size:
    """From the frame header of a lossless JPEG or JPEG-LS stream (T.81 B.2.2, T.87 C.2.2)."""
    at = 2
    while frame[at] == 0xFF and frame[at + 1] != _SOF[form.coding]:
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    _, precision, height, width, components = struct.unpack_from(">HBHHB", frame, at + 2)
    if frame[:2] != SOI or frame[at] != 0xFF:
        raise DamagedSlideError(f"A {form.coding} frame of the slide does not begin as one.")
    if not _fits(precision, form) or components != form.samples:
        raise UnsupportedSlideError(f"The slide's {form.coding} frames have other samples than the slide says.")
    return Size(width, height)


def _fits(precision: int, form: Form) -> bool:
    return 8 < precision <= 16 if form.deep else precision == 8


def _run_lengths(frame: bytes, form: Form) -> list[bytes]:
    """RLE (PS3.5 annex G): a segment for each sample, most significant byte first."""
    count, *starts = struct.unpack_from("<16I", frame)
    if count != form.samples * (2 if form.deep else 1) or starts[0] != 64:
        raise DamagedSlideError("An RLE frame of the slide has another number of segments than it should.")
    ends = [*starts[1:count], len(frame)]
    planes: list[bytes] = []
    for start, end in zip(starts, ends, strict=False):
        # In the worst case two bytes to each, and one more to make them even.
        if not 64 <= start < end <= len(frame) or end - start > 2 * form.size.area + 2:
            raise DamagedSlideError("A segment of an RLE frame lies outside it.")
        plane = bytes(packbits_decode(frame[start:end]))
        planes.append(plane[: form.size.area])
    return planes
