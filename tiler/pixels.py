"""The only module that decodes, and so the only one that must run in a worker: thumbnails, label and macro, cut tiles.

What leaves here is encoded anew: no EXIF, ICC profile or comment of a scanner's file passes through.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import openslide
from openslide import lowlevel
from PIL import Image, JpegImagePlugin

from tiler import jpeg
from tiler.address import grid
from tiler.errors import DamagedSlideError
from tiler.geometry import Size
from tiler.index import MAX_SIDE_PIXELS
from tiler.mosaic import Mosaic
from tiler.slide import NativeLevel, SlideFile
from tiler.storage.base import ByteSource

THUMBNAIL_SIDE: Final = 512
ASSOCIATED_SIDE: Final = 1600
MAX_ASSOCIATED_PIXELS: Final = 64_000_000
# Of what is cut: a pathologist judges it beside the scanner's own tiles. The usual tables spend their bytes on what an
# eye does not see at a distance; these leave the same small error everywhere, 40 dB and more below the picture
# however finely grained the tissue is, for three quarters of the bytes of quality 98.
_CUT_TABLES: Final = ([4] * 64, [4] * 64)
_PICTURE_QUALITY: Final = 88
_PAPER: Final = (255, 255, 255)


def thumbnail(source: ByteSource, slide: SlideFile) -> bytes:
    """The whole slide as a JPEG of at most 512 pixels a side, from the coarsest stored level that has as many. Raises
    DamagedSlideError."""
    level = next((one for one in reversed(slide.levels) if _longest(one.size) >= THUMBNAIL_SIDE), slide.levels[0])
    # A JPEG can be decoded at 1/2, 1/4, 1/8 for less work (libjpeg scale_denom); tile sides are multiples of 16.
    scale = next((by for by in (8, 4, 2) if _longest(level.size) // by >= THUMBNAIL_SIDE), 1)
    cells = grid(level.size, level.tile)
    across, down = level.tile.width // scale, level.tile.height // scale
    canvas = Image.new("RGB", (-(-level.size.width // scale), -(-level.size.height // scale)), _PAPER)
    shared = jpeg.header(level.tables, level.colour)
    for number, (offset, length) in enumerate(zip(level.offsets, level.lengths, strict=True)):
        row, col = divmod(number, cells.width)
        canvas.paste(_scaled_tile(source, level, shared, offset, length, scale), (col * across, row * down))
    canvas.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return _encode(canvas, _PICTURE_QUALITY, "4:2:0")


def cut(mosaic: Mosaic) -> bytes:
    """The picture that `mosaic` describes. The same tiles give the same bytes, which `tiler.index.CUTTING` stands for.
    Raises DamagedSlideError."""
    out, cols, by = mosaic.out, mosaic.cols, mosaic.reduction
    canvas = Image.new("RGB", (out.width, out.height), _PAPER)
    right = bottom = 0
    for first in range(0, len(mosaic.children), cols):
        right, top = 0, bottom
        for child, size in zip(mosaic.children[first : first + cols], mosaic.sizes[first : first + cols], strict=True):
            canvas.paste(_reduced(child, size, by), (right, top))
            right, bottom = right + -(-size.width // by), top + -(-size.height // by)
    if right < out.width:
        canvas.paste(canvas.crop((right - 1, 0, right, out.height)), (right, 0))
    if bottom < out.height:
        canvas.paste(canvas.crop((0, bottom - 1, out.width, bottom)), (0, bottom))
    out_file = io.BytesIO()
    canvas.save(out_file, "JPEG", qtables=_CUT_TABLES, subsampling="4:4:4")
    return out_file.getvalue()


def associated_images(path: Path, size: Size) -> tuple[bytes | None, bytes | None]:
    """Label and macro (DICOM Image Type LABEL, OVERVIEW) as JPEG, None where OpenSlide finds none or cannot read it.
    Raises DamagedSlideError when OpenSlide sees another slide size than `size`."""
    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError:
        return None, None
    with slide:
        if slide.dimensions != (size.width, size.height):
            raise DamagedSlideError(
                f"The slide contradicts itself: it is {size.width} × {size.height} pixels to one reader and "
                f"{slide.dimensions[0]} × {slide.dimensions[1]} to another."
            )
        return _associated(slide, "label"), _associated(slide, "macro")


def _associated(slide: openslide.OpenSlide, name: str) -> bytes | None:
    try:
        if name not in slide.associated_images:
            return None
        width, height = lowlevel.get_associated_image_dimensions(slide._osr, name)
        if width * height > MAX_ASSOCIATED_PIXELS:
            return None
        picture = slide.associated_images[name]
    except openslide.OpenSlideError:
        return None
    flat = Image.new("RGB", picture.size, _PAPER)
    flat.paste(picture, mask=picture.getchannel("A"))
    flat.thumbnail((ASSOCIATED_SIDE, ASSOCIATED_SIDE), Image.Resampling.LANCZOS)
    return _encode(flat, _PICTURE_QUALITY, "4:4:4")


def _scaled_tile(
    source: ByteSource, level: NativeLevel, shared: bytes, offset: int, length: int, scale: int
) -> Image.Image:
    tile = source.read_at(offset, length)
    start, end = jpeg.body(tile, level.tile, shared)
    return _decode(shared + tile[start:end], level.tile, scale)


def _reduced(child: bytes, size: Size, by: int) -> Image.Image:
    """A tile at a fraction of its resolution. A whole tile is decoded at that size; one that is padded is decoded in
    full and cut to its real size first, so that no padding bleeds into the picture."""
    actual = jpeg.frame_size(child)
    if not size.fits(actual) or max(actual.width, actual.height) > MAX_SIDE_PIXELS:
        raise DamagedSlideError("A tile is smaller than its place in the slide.")
    if by <= 8 and actual == size and size.width % 16 == 0 and size.height % 16 == 0:
        return _decode(child, actual, by)
    whole = _decode(child, actual, 1)
    return whole.reduce(by, (0, 0, size.width, size.height)) if by > 1 else whole.crop((0, 0, size.width, size.height))


def _decode(data: bytes, size: Size, scale: int) -> Image.Image:
    """The RGB pixels of a JPEG image of this size at 1/scale."""
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if image.size != (size.width, size.height):
            raise DamagedSlideError("A tile of the slide has another size than it says.")
        if scale > 1:
            image.draft("RGB", (size.width // scale, size.height // scale))
        image.load()
        return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedSlideError("A tile of the slide cannot be decoded.") from error


def _encode(image: Image.Image, quality: int, subsampling: str) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, subsampling=subsampling)
    return out.getvalue()


def _longest(size: Size) -> int:
    return max(size.width, size.height)
