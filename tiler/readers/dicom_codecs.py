"""The codecs of DICOM frames that need the heavy libraries (`tiler.codecs`). What a frame says of its size is compared
with the data set before a decoder allocates anything."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from imagecodecs import jpeg2k_decode, jpegls_decode, ljpeg_decode, packbits_decode
from PIL import Image

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.jpeg import SOI
from tiler.readers.dicom_pixels import Coding, Form, check_size, merged

_SOF: Final = {Coding.JPEG_LOSSLESS: 0xC3, Coding.JPEG_LS: 0xF7}
_SIZ: Final = b"\xff\x4f\xff\x51"


def decode(frame: bytes, form: Form, least: Size) -> Image.Image:
    """See `dicom_pixels.decode`."""
    try:
        if form.coding is Coding.RLE:
            return merged(_run_lengths(frame, form), form, form.size)
        return _decoded(frame, form, least)
    except (ValueError, RuntimeError, IndexError, struct.error) as error:
        raise DamagedSlideError("A tile of the slide cannot be decoded.") from error


def _decoded(frame: bytes, form: Form, least: Size) -> Image.Image:
    actual = _size_of_codestream(frame, form) if form.coding is Coding.JPEG_2000 else _size_of_frame(frame, form)
    check_size(actual, form, least)
    if form.coding is Coding.JPEG_2000:
        pixels = jpeg2k_decode(frame, planar=False, numthreads=1)
    else:
        pixels = ljpeg_decode(frame) if form.coding is Coding.JPEG_LOSSLESS else jpegls_decode(frame)
    pixels = np.asarray(pixels)
    shape = (actual.height, actual.width, *(() if form.samples == 1 else (form.samples,)))
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise DamagedSlideError("A frame of the slide has another size than it says.")
    return merged([pixels.tobytes()], form, actual)


def _size_of_codestream(frame: bytes, form: Form) -> Size:
    """From the size segment of a JPEG 2000 codestream (T.800 A.5.1)."""
    if frame[:4] != _SIZ:
        raise DamagedSlideError("A JPEG 2000 frame of the slide does not begin as one.")
    right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
    (components,) = struct.unpack_from(">H", frame, 40)
    kinds = {frame[at : at + 3] for at in range(42, 42 + 3 * min(components, 4), 3)}
    if kinds != {b"\7\1\1"} or components != form.samples:
        raise UnsupportedSlideError("The slide's JPEG 2000 frames are not of 8 bits, or subsampled.")
    return Size(right - left, bottom - top)


def _size_of_frame(frame: bytes, form: Form) -> Size:
    """From the frame header of a lossless JPEG or JPEG-LS stream (T.81 B.2.2, T.87 C.2.2)."""
    at = 2
    while frame[at] == 0xFF and frame[at + 1] != _SOF[form.coding]:
        at += 2 + int.from_bytes(frame[at + 2 : at + 4])
    _, precision, height, width, components = struct.unpack_from(">HBHHB", frame, at + 2)
    if frame[:2] != SOI or frame[at] != 0xFF:
        raise DamagedSlideError(f"A {form.coding} frame of the slide does not begin as one.")
    if precision != 8 or components != form.samples:
        raise UnsupportedSlideError(f"The slide's {form.coding} frames are not of 8 bits.")
    return Size(width, height)


def _run_lengths(frame: bytes, form: Form) -> list[bytes]:
    """RLE (PS3.5 annex G): a segment for each sample, most significant byte first."""
    count, *starts = struct.unpack_from("<16I", frame)
    if count != form.samples or starts[0] != 64:
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
