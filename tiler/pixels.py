"""The only module that decodes, and so the only one that must run in a worker: thumbnails, label and macro, cut tiles.

What leaves here is encoded anew: no EXIF, ICC profile or comment of a scanner's file passes through.
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, JpegImagePlugin, WebPImagePlugin

from tiler import jpeg, webp
from tiler.address import grid, scaled, tile_region, tiles_of
from tiler.errors import DamagedSlideError
from tiler.geometry import Region, Size
from tiler.index import MAX_SIDE_PIXELS, WEBP
from tiler.ladder import MAX_CUT_TILES, MAX_DECODED_TILES
from tiler.mosaic import Mosaic
from tiler.slide import DecodedLevel, SlideFile, SlideFiles, StoredLevel
from tiler.storage.base import ByteSource

THUMBNAIL_SIDE: Final = 512
ASSOCIATED_SIDE: Final = 1600
# Of what is cut: a pathologist judges it beside the scanner's own tiles. The usual tables spend their bytes on what an
# eye does not see at a distance; these leave the same small error everywhere, 40 dB and more below the picture
# however finely grained the tissue is, for three quarters of the bytes of quality 98.
_CUT_TABLES: Final = ([4] * 64, [4] * 64)
_PICTURE_QUALITY: Final = 88
_PAPER: Final = (255, 255, 255)


def thumbnail(files: SlideFiles, slide: SlideFile) -> bytes:
    """What the slide shows, without the emptiness around it, as a JPEG of at most 512 pixels a side: from the coarsest
    native level that has as many, or from the finest that can be looked through in seconds. Raises
    DamagedSlideError."""
    number, level, part = _looked_at(slide)
    longest = max(part.width, part.height)
    if isinstance(level, StoredLevel):
        shown = _stored_overview(files, level, part, longest)
    else:
        shown = _decoded_overview(slide, number, level, part, longest)
    shown.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return _encode(shown, _PICTURE_QUALITY, "4:2:0")


def _looked_at(slide: SlideFile) -> tuple[int, StoredLevel | DecodedLevel, Region]:
    """The level that the thumbnail is made from, its number, and the part of it that shows anything."""
    full = slide.levels[0].size
    bounds = slide.metadata.bounds or Region(0, 0, full.width, full.height)
    chosen = None
    for number, level in reversed([*enumerate(slide.levels)]):
        part = scaled(bounds, full, level.size)
        most = MAX_CUT_TILES if isinstance(level, StoredLevel) else MAX_DECODED_TILES
        if chosen and grid(part.size, level.tile).area > most:
            break
        chosen = number, level, part
        if max(part.width, part.height) >= THUMBNAIL_SIDE:
            break
    if chosen is None:
        raise DamagedSlideError("The slide has no image.")
    return chosen


def _stored_overview(files: SlideFiles, level: StoredLevel, part: Region, longest: int) -> Image.Image:
    """A part of a stored level, at a fraction of its resolution that leaves enough for a thumbnail."""
    # A JPEG can be decoded at 1/2, 1/4, 1/8 for less work (libjpeg scale_denom).
    scale = next((by for by in (8, 4, 2) if longest // by >= THUMBNAIL_SIDE), 1)
    cols = grid(level.size, level.tile).width
    canvas = Image.new("RGB", (-(-part.width // scale), -(-part.height // scale)), _PAPER)
    shared = jpeg.header(level.tables, level.colour)
    sources: dict[int, ByteSource] = {}
    try:
        for col, row in tiles_of(part, level.size, level.tile):
            number = row * cols + col
            offset, length = level.offsets[number], level.lengths[number]
            if length == 0:
                continue
            file = level.files[number] if level.files else 0
            if file not in sources:
                sources[file] = files.source(file)
            tile = _scaled_tile(sources[file], level, shared, offset, length, scale)
            at = ((col * level.tile.width - part.x) // scale, (row * level.tile.height - part.y) // scale)
            canvas.paste(tile, at)
    finally:
        for source in sources.values():
            source.close()
    return canvas


def _decoded_overview(slide: SlideFile, number: int, level: DecodedLevel, part: Region, longest: int) -> Image.Image:
    """As `_stored_overview`, each tile reduced before the next is decoded."""
    if slide.decoder is None:
        raise DamagedSlideError("The slide has levels that nobody can decode.")
    scale = next((by for by in (16, 8, 4, 2) if longest // by >= THUMBNAIL_SIDE), 1)
    canvas = Image.new("RGB", (-(-part.width // scale), -(-part.height // scale)), _PAPER)
    for col, row in tiles_of(part, level.size, level.tile):
        area = tile_region(level.size, level.tile, col, row)
        found = slide.decoder.tile(number, area)
        tile = _decode(found, area.size, 1) if isinstance(found, bytes) else found.convert("RGB")
        canvas.paste(tile.reduce(scale), ((area.x - part.x) // scale, (area.y - part.y) // scale))
    return canvas


def cut(mosaic: Mosaic) -> bytes:
    """The picture that `mosaic` describes. The same tiles give the same bytes, which `tiler.index.CUTTING` stands for.
    Raises DamagedSlideError."""
    out, cols, by = mosaic.out, mosaic.cols, mosaic.reduction
    widths = (size.width for size in mosaic.sizes[: cols - 1])
    heights = (size.height for size in mosaic.sizes[:-cols:cols])
    # Where a tile ends between two pixels of the picture, only all of them together can be reduced.
    even = not any(side % by for side in (*widths, *heights))
    whole = _side_by_side(mosaic, by) if even else _side_by_side(mosaic, 1).reduce(by)
    canvas = Image.new("RGB", (out.width, out.height), _PAPER)
    canvas.paste(whole, (-mosaic.left, -mosaic.above))
    right, bottom = whole.width - mosaic.left, whole.height - mosaic.above
    if right < out.width:
        canvas.paste(canvas.crop((right - 1, 0, right, out.height)), (right, 0))
    if bottom < out.height:
        canvas.paste(canvas.crop((0, bottom - 1, out.width, bottom)), (0, bottom))
    return _encode_finely(canvas)


def _side_by_side(mosaic: Mosaic, by: int) -> Image.Image:
    cols, sizes = mosaic.cols, mosaic.sizes
    width = sum(-(-size.width // by) for size in sizes[:cols])
    height = sum(-(-size.height // by) for size in sizes[::cols])
    whole, bottom = Image.new("RGB", (width, height), _PAPER), 0
    for first in range(0, len(mosaic.children), cols):
        right, top = 0, bottom
        for child, size in zip(mosaic.children[first : first + cols], sizes[first : first + cols], strict=True):
            whole.paste(_reduced(child, size, by), (right, top))
            right, bottom = right + -(-size.width // by), top + -(-size.height // by)
    return whole


def picture(slide: SlideFile, name: str) -> bytes | None:
    """An associated image as a JPEG of bounded size; None when the slide has none, or none that can be read."""
    found = slide.pictures[name]() if name in slide.pictures else None
    if found is None:
        return None
    flat = found.convert("RGB")
    flat.thumbnail((ASSOCIATED_SIDE, ASSOCIATED_SIDE), Image.Resampling.LANCZOS)
    return _encode(flat, _PICTURE_QUALITY, "4:4:4")


def decoded_tile(slide: SlideFile, level: int, area: Region) -> bytes:
    """What `area` of a decoded level shows, as a JPEG. The same slide gives the same bytes, which `tiler.index.CUTTING`
    stands for. Raises DamagedSlideError."""
    shown = slide.levels[level] if level < len(slide.levels) else None
    if slide.decoder is None or not isinstance(shown, DecodedLevel) or not area.within(shown.size):
        raise DamagedSlideError("The slide has no such tile; its file is another than the one that was registered.")
    found = slide.decoder.tile(level, area)
    if isinstance(found, bytes):
        return found
    if found.size != (area.width, area.height):
        raise DamagedSlideError("A tile of the slide was decoded to another size than it says.")
    return _encode_finely(found.convert("RGB"))


def _scaled_tile(
    source: ByteSource, level: StoredLevel, shared: bytes, offset: int, length: int, scale: int
) -> Image.Image:
    tile = source.read_at(offset, length)
    if level.media_type == WEBP:
        return _decode(tile, level.tile, scale)
    start, end = jpeg.body(tile, level.tile, shared)
    return _decode(shared + tile[start:end], level.tile, scale)


def _reduced(child: bytes, size: Size, by: int) -> Image.Image:
    """A tile at a fraction of its resolution. A whole tile is decoded at that size; one that is padded is decoded in
    full and cut to its real size first, so that no padding bleeds into the picture."""
    actual = webp.frame_size(child) if child.startswith(webp.MAGIC) else jpeg.frame_size(child)
    if not size.fits(actual) or max(actual.width, actual.height) > MAX_SIDE_PIXELS:
        raise DamagedSlideError("A tile is smaller than its place in the slide.")
    if by <= 8 and actual == size and size.width % 16 == 0 and size.height % 16 == 0:
        return _decode(child, actual, by)
    whole = _decode(child, actual, 1)
    return whole.reduce(by, (0, 0, size.width, size.height)) if by > 1 else whole.crop((0, 0, size.width, size.height))


def _decode(data: bytes, size: Size, scale: int) -> Image.Image:
    """The RGB pixels of a JPEG or WebP image of this size at 1/scale."""
    is_webp = data.startswith(webp.MAGIC)
    try:
        image = (WebPImagePlugin.WebPImageFile if is_webp else JpegImagePlugin.JpegImageFile)(io.BytesIO(data))
        if image.size != (size.width, size.height):
            raise DamagedSlideError("A tile of the slide has another size than it says.")
        if is_webp:
            return image.convert("RGB").reduce(scale)
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


def _encode_finely(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", qtables=_CUT_TABLES, subsampling="4:4:4")
    return out.getvalue()
