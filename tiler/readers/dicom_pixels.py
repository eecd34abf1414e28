"""From the bytes of one DICOM frame to pixels (PS3.5 chapter 8, PS3.3 C.7.6.3), for what no browser can show."""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from PIL import Image, JpegImagePlugin

from tiler import jpeg
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.jpeg import Colour


class Coding(StrEnum):
    """How the pixels of a frame are written."""

    PLAIN = "uncompressed"
    JPEG = "JPEG"
    JPEG_LOSSLESS = "lossless JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    RLE = "RLE"


# Transfer syntaxes (PS3.6 table A-1).
CODINGS: Final = {
    "1.2.840.10008.1.2": Coding.PLAIN,
    "1.2.840.10008.1.2.1": Coding.PLAIN,
    "1.2.840.10008.1.2.1.99": Coding.PLAIN,
    "1.2.840.10008.1.2.4.50": Coding.JPEG,
    "1.2.840.10008.1.2.4.51": Coding.JPEG,
    "1.2.840.10008.1.2.4.57": Coding.JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.70": Coding.JPEG_LOSSLESS,
    "1.2.840.10008.1.2.4.80": Coding.JPEG_LS,
    "1.2.840.10008.1.2.4.81": Coding.JPEG_LS,
    "1.2.840.10008.1.2.4.90": Coding.JPEG_2000,
    "1.2.840.10008.1.2.4.91": Coding.JPEG_2000,
    "1.2.840.10008.1.2.4.201": Coding.JPEG_2000,  # High-Throughput
    "1.2.840.10008.1.2.4.202": Coding.JPEG_2000,
    "1.2.840.10008.1.2.4.203": Coding.JPEG_2000,
    "1.2.840.10008.1.2.5": Coding.RLE,
}
# What Pillow and the standard library cannot decode.
HEAVY: Final = frozenset({Coding.JPEG_LOSSLESS, Coding.JPEG_LS, Coding.JPEG_2000, Coding.RLE})
_SCAN: Final = 0xDA
_FRAMES: Final = range(0xC0, 0xC4)
_SUBSAMPLED: Final = ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")


@dataclass(frozen=True, slots=True)
class Form:
    """What a frame is: Rows and Columns, Samples per Pixel (1 or 3), Photometric Interpretation, Planar Configuration
    and Bits Stored (0028,0xxx), of 8 bits allocated or 16."""

    size: Size
    coding: Coding
    samples: int
    photometric: str
    planar: bool
    bits: int = 8

    @property
    def deep(self) -> bool:
        """Whether its samples take two bytes each."""
        return self.bits > 8

    @property
    def raw_bytes(self) -> int:
        return self.size.area * self.samples * (2 if self.deep else 1)


def form(size: Size, coding: Coding, samples: int, photometric: str, *, planar: bool, bits: int = 8) -> Form:
    """Raises UnsupportedSlideError for what cannot be decoded."""
    grey = samples == 1 and photometric == "MONOCHROME2"
    coloured = samples == 3 and photometric in ("RGB", "YBR_FULL", "YBR_ICT", "YBR_RCT", *_SUBSAMPLED)
    if not (grey or coloured):
        raise UnsupportedSlideError("The slide's colours are neither RGB, YCbCr nor grey from black to white.")
    if photometric in _SUBSAMPLED and coding is not Coding.JPEG:
        raise UnsupportedSlideError(f"The slide's colours are subsampled in {coding} frames, which cannot be shown.")
    if bits > 8 and photometric.startswith("YBR_FULL"):
        raise UnsupportedSlideError("The slide's colours are YCbCr of more than 8 bits, which cannot be shown.")
    return Form(size, coding, samples, photometric, planar, bits)


def kind(frame: bytes, form: Form) -> tuple[Colour, Size, int]:
    """What the components of a JPEG frame are, its size, and where its image data begin. The stream is believed first,
    as every decoder does, and only if it says nothing of its colours, the data set. `frame` may end behind the stream's
    tables. Raises DamagedSlideError."""
    if frame[:2] != jpeg.SOI:
        raise DamagedSlideError("A JPEG stream of the slide does not begin as one.")
    guess = Colour.RGB if form.photometric == "RGB" else Colour.YCBCR
    size: Size | None = None
    for marker, start, end in jpeg.segments(frame):
        if marker in _FRAMES and end - start >= 10:
            size = Size(int.from_bytes(frame[start + 7 : start + 9]), int.from_bytes(frame[start + 5 : start + 7]))
            components = [frame[at : at + 2] for at in range(start + 10, end, 3)]
            if len({part[1:] for part in components}) > 1:
                guess = Colour.YCBCR  # subsampled, which RGB never is
            elif b"".join(part[:1] for part in components) == b"RGB":
                guess = Colour.RGB
        elif marker == _SCAN and size is not None:
            return (Colour.GREY if form.samples == 1 else jpeg.stated_colour(frame, guess)), size, end
    raise DamagedSlideError("A JPEG stream of the slide is cut short.")


def decode(frame: bytes, form: Form, least: Size) -> Image.Image:
    """The pixels of a frame that is not `HEAVY`, in RGB or grey. Some converters cut frames at the slide's edge short:
    as long as `least` is left, that is no fault. Raises DamagedSlideError, UnsupportedSlideError."""
    if form.deep:
        raise UnsupportedSlideError("A picture beside the slide has more than 8 bits.")
    if form.coding is Coding.JPEG:
        return _decoded_jpeg(frame, form, least)
    planes = [frame]
    if form.planar and form.samples == 3:
        planes = [frame[start : start + form.size.area] for start in range(0, len(frame), form.size.area)][:3]
    return merged(planes, form, form.size)


def check_size(actual: Size, form: Form, least: Size) -> None:
    """Raises DamagedSlideError unless a frame of this size can be what the slide says."""
    if not (least.fits(actual) and actual.fits(form.size)):
        raise DamagedSlideError("A frame of the slide has another size than it says.")


def merged(planes: list[bytes], form: Form, actual: Size) -> Image.Image:
    """One plane of all samples of a pixel side by side, or one for each sample."""
    size = (actual.width, actual.height)
    if sum(map(len, planes)) != actual.area * form.samples:
        raise DamagedSlideError("A frame of the slide has another size than it says.")
    if form.samples == 1:
        return Image.frombytes("L", size, planes[0])
    mode = "YCbCr" if form.photometric == "YBR_FULL" else "RGB"
    if len(planes) == 3:
        return Image.merge(mode, [Image.frombytes("L", size, plane) for plane in planes]).convert("RGB")
    return Image.frombytes(mode, size, planes[0]).convert("RGB")


def _decoded_jpeg(frame: bytes, form: Form, least: Size) -> Image.Image:
    colour, actual, _ = kind(frame, form)
    check_size(actual, form, least)
    shared = jpeg.header(None, colour)
    start, end = jpeg.body(frame, actual, shared)
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(shared + frame[start:end]))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedSlideError("A tile of the slide cannot be decoded.") from error
    return image.convert("RGB") if form.samples == 3 else image
