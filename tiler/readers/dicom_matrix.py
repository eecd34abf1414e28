"""The total pixel matrix (PS3.3 C.8.12.4): one image of a slide, put together from the frames of one or several DICOM
instances."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Final, NamedTuple

from PIL import Image

from tiler import jpeg
from tiler.address import grid, tile_region, tiles_of
from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.index import MAX_TILES, TILE_SIDE_PIXELS
from tiler.jpeg import Colour
from tiler.readers.dicom_frames import Frames, frames_of
from tiler.readers.dicom_instances import Instance, Position, Sources, form_of, images_of, is_full, planes_of
from tiler.readers.dicom_pixels import HEAVY, Coding, Form, decode, kind
from tiler.readers.dicom_tags import Tag
from tiler.slide import DECODED_TILE, DecodedLevel, StoredLevel

_MAX_KEPT_PIXELS: Final = 64_000_000
_MAX_JPEG_BYTES: Final = 16 * 1024 * 1024
# Decoded frames of such sides are tiles of the slide as they are: none is decoded twice.
_GOOD_SIDES: Final = (128, 1024)
# What a JPEG stream says of itself comes first; only where a profile is in front, later.
_PREFIX: Final = 2048


class _Place(NamedTuple):
    cell: int
    z: float
    part: int
    frame: int


class Matrix:
    """One image: ``parts`` are the instances it comes from, ``owners`` and ``numbers`` say for each place of its grid
    which of them has it (-1: none) and as which frame. Of several optical paths one is here, of several focal planes
    the middle one."""

    def __init__(self, parts: Sequence[Instance], sources: Sources, path: str | None = None) -> None:
        """`path` is an optical path that all parts have; None for the only one. Raises DamagedSlideError,
        UnsupportedSlideError."""
        first = parts[0]
        self._path = path
        self.parts = tuple(parts)
        self.size, self.tile = first.size, first.tile
        self.planes = 1
        self._sources = sources
        self.forms: tuple[Form, ...] = tuple(form_of(part) for part in parts)
        if len({(part.tile, form.samples, form.deep) for part, form in zip(parts, self.forms, strict=True)}) > 1:
            raise UnsupportedSlideError("A level of the slide has frames of several sizes or kinds.")
        self.frames: tuple[Frames, ...] = tuple(
            frames_of(part.file, part.count, form.raw_bytes, sources.of(part))
            for part, form in zip(parts, self.forms, strict=True)
        )
        self._cells = grid(self.size, self.tile)
        if self._cells.area > MAX_TILES:
            raise UnsupportedSlideError(
                f"The slide claims {self._cells.area} tiles in one level, more than can be served."
            )
        self.owners = array("i", [-1]) * self._cells.area
        self.numbers = array("i", [-1]) * self._cells.area
        # How the frame looked at last begins; nearly always the next begins so, too.
        self._latest: tuple[bytes, Form, tuple[Colour, Size]] | None = None
        self._take(images_of(range(len(parts)), parts))
        self._kept: OrderedDict[int, Image.Image] = OrderedDict()

    @property
    def empty(self) -> bool:
        """Whether it has places without a frame."""
        return -1 in self.owners

    @property
    def filled(self) -> Region:
        """Where its frames lie."""
        cells = [divmod(cell, self._cells.width) for cell, owner in enumerate(self.owners) if owner >= 0]
        top, bottom = min(row for row, _ in cells), max(row for row, _ in cells)
        left, right = min(col for _, col in cells), max(col for _, col in cells)
        first, last = (tile_region(self.size, self.tile, *cell) for cell in ((left, top), (right, bottom)))
        return Region(first.x, first.y, last.x + last.width - first.x, last.y + last.height - first.y)

    def level(self) -> StoredLevel | DecodedLevel:
        """Its frames as they are if they are JPEG as a browser shows them, each in one piece. Raises
        DamagedSlideError."""
        low, high = TILE_SIDE_PIXELS
        fitting = low <= min(self.tile.width, self.tile.height) and max(self.tile.width, self.tile.height) <= high
        whole = not any(frames.pieces for frames in self.frames)
        coded = all(form.coding is Coding.JPEG for form in self.forms)
        shallow = not any(form.deep for form in self.forms)
        if fitting and whole and coded and shallow and not any(part.file.inflated for part in self.parts):
            kinds = {self._kind(part, number) for part, number in self._places() if part >= 0}
            colour, size = next(iter(kinds))
            # An empty place is served white: right for a slide in colour, a blot in a dark one.
            if len(kinds) == 1 and size == self.tile and not (self.empty and colour is Colour.GREY):
                return self._stored(colour)
        return self.decoded_level()

    def decoded_level(self) -> DecodedLevel:
        sides = (self.tile.width, self.tile.height)
        good = all(_GOOD_SIDES[0] <= side <= _GOOD_SIDES[1] and side % 8 == 0 for side in sides)
        return DecodedLevel(self.size, self.tile if good else DECODED_TILE)

    def whole(self, area: Region) -> bytes | None:
        """What is in an area as a JPEG put together from the pieces of a frame, where that is possible."""
        col, row = area.x // self.tile.width, area.y // self.tile.height
        if area != Region(col * self.tile.width, row * self.tile.height, self.tile.width, self.tile.height):
            return None
        cell = row * self._cells.width + col
        part, number = self.owners[cell], self.numbers[cell]
        if (
            part < 0
            or self.forms[part].coding is not Coding.JPEG
            or self._kind(part, number) != (Colour.YCBCR, self.tile)
        ):
            return None
        frame = self._frame(part, number)
        shared = jpeg.header(None, Colour.YCBCR)
        start, end = jpeg.body(frame, self.tile, shared)
        return shared + frame[start:end]

    def region(self, area: Region) -> Image.Image:
        """The pixels in an area. Raises DamagedSlideError, UnsupportedSlideError."""
        grey = self.forms[0].samples == 1
        mode, nothing = ("L", 0) if grey else ("RGB", (255, 255, 255))
        canvas = Image.new(mode, (area.width, area.height), nothing)
        for col, row in tiles_of(area, self.size, self.tile):
            found = self._decoded(col, row)
            if found is not None:
                canvas.paste(found, (col * self.tile.width - area.x, row * self.tile.height - area.y))
        return canvas

    def _take(self, images: Sequence[Sequence[int]]) -> None:
        """Fill in which frame is at which place."""
        if len(images) == 1 and all(is_full(self.parts[part]) for part in images[0]):
            self.planes = planes_of(self.parts[images[0][0]])
            self._check_count(images[0], self.planes)
            starts = [*accumulate((self.parts[part].count for part in images[0]), initial=0)]
            first = (self._path_in(images[0][0]) * self.planes + self.planes // 2) * self._cells.area
            for part, start, end in zip(images[0], starts, starts[1:], strict=False):
                for frame in range(max(start, first), min(end, first + self._cells.area)):
                    self.owners[frame - first], self.numbers[frame - first] = part, frame - start
            return
        places = sorted(place for image in images for place in self._places_of(image))
        most = 0
        for cell, group in groupby(places, key=lambda place: place.cell):
            stack = [*group]
            if len({place.z for place in stack}) < len(stack):
                raise DamagedSlideError("The DICOM files hold two images of the same place of the slide.")
            shown = stack[len(stack) // 2]
            self.owners[cell], self.numbers[cell] = shown.part, shown.frame
            most = max(most, len(stack))
        if not most:
            raise DamagedSlideError("A level of the slide holds no image data at all.")
        self.planes = most

    def _places_of(self, image: Sequence[int]) -> Iterator[_Place]:
        if all(is_full(self.parts[part]) for part in image):
            planes = planes_of(self.parts[image[0]])
            self._check_count(image, planes)
            height = self.parts[image[0]].file.facts.first(Tag.SHARED).first(Tag.PLANE_POSITION).number(Tag.Z_OFFSET)
            wanted, count = self._path_in(image[0]), 0
            for part in image:
                for frame in range(self.parts[part].count):
                    (path, plane), cell = divmod(count // self._cells.area, planes), count % self._cells.area
                    if path == wanted:
                        yield _Place(cell, (height or 0.0) + plane / 1000, part, frame)
                    count += 1
            return
        for part in image:
            positions: Sequence[Position] = self.parts[part].file.facts.items(Tag.PER_FRAME)
            if len(positions) != self.parts[part].count:
                raise DamagedSlideError("The DICOM file does not say where each of its frames lies.")
            only = self.parts[part].paths
            for frame, place in enumerate(positions):
                if self._path is not None and (place.path or only[0]) != self._path:
                    continue
                if place.path is None and len(only) > 1:
                    raise DamagedSlideError("The DICOM file does not describe each of its optical paths.")
                yield _Place(self._cell(place), place.z, part, frame)

    def _path_in(self, part: int) -> int:
        """Which of the optical paths of a part is the one that is here."""
        return self.parts[part].paths.index(self._path) if self._path is not None else 0

    def _cell(self, place: Position) -> int:
        if place.column is None or place.row is None:
            raise DamagedSlideError("The DICOM file does not say where each of its frames lies.")
        col, right = divmod(place.column - 1, self.tile.width)
        row, down = divmod(place.row - 1, self.tile.height)
        if not (0 <= col < self._cells.width and 0 <= row < self._cells.height):
            raise DamagedSlideError("A frame of the DICOM file lies outside the slide.")
        if right or down:
            raise UnsupportedSlideError("The slide's frames do not lie side by side on a grid.")
        return row * self._cells.width + col

    def _check_count(self, image: Sequence[int], planes: int) -> None:
        count = sum(self.parts[part].count for part in image)
        planes *= len(self.parts[image[0]].paths)
        if count != planes * self._cells.area:
            raise DamagedSlideError(
                f"The level of {self.size.width} × {self.size.height} pixels has {count} frames and needs "
                f"{planes * self._cells.area}: a file of the slide may be missing."
            )

    def _places(self) -> Iterator[tuple[int, int]]:
        return zip(self.owners, self.numbers, strict=True)

    def _stored(self, colour: Colour) -> StoredLevel:
        offsets, lengths, files = array("Q"), array("Q"), array("H")
        for part, number in self._places():
            offsets.append(self.frames[part].offsets[number] if part >= 0 else 0)
            lengths.append(self.frames[part].lengths[number] if part >= 0 else 0)
            files.append(self.parts[part].number if part >= 0 else 0)
            if lengths[-1] > _MAX_JPEG_BYTES:
                raise DamagedSlideError("A tile of the slide has an impossible place or length.")
        return StoredLevel(self.size, self.tile, colour, None, offsets, lengths, files)

    def _kind(self, part: int, number: int) -> tuple[Colour, Size]:
        """Of a JPEG frame, from as little of it as tells."""
        frames, source = self.frames[part], self._sources.of(self.parts[part])
        length = frames.pieces[number][0][1] if number in frames.pieces else frames.lengths[number]
        start, form = source.read_at(frames.offsets[number], min(length, _PREFIX)), self.forms[part]
        if self._latest is not None and self._latest[1] == form and start.startswith(self._latest[0]):
            return self._latest[2]
        try:
            colour, size, end = kind(start, form)
        except DamagedSlideError:
            start = frames.read(source, number)
            colour, size, end = kind(start, form)
        self._latest = start[:end], form, (colour, size)
        return colour, size

    def _frame(self, part: int, number: int) -> bytes:
        # No coding makes a frame so much longer than it is.
        if self.frames[part].lengths[number] > 2 * self.forms[part].raw_bytes + 65_536:
            raise DamagedSlideError("A frame of the slide is longer than its pixels.")
        return self.frames[part].read(self._sources.of(self.parts[part]), number)

    def encoded(self, col: int, row: int) -> tuple[bytes, Form, Size] | None:
        """The frame at a place, how it is written, and how much of it at least must be there; None where none is."""
        cell = row * self._cells.width + col
        part = self.owners[cell]
        if part < 0:
            return None
        return (
            self._frame(part, self.numbers[cell]),
            self.forms[part],
            tile_region(self.size, self.tile, col, row).size,
        )

    def _decoded(self, col: int, row: int) -> Image.Image | None:
        cell = row * self._cells.width + col
        found = self._kept.pop(cell, None)
        if found is None:
            frame = self.encoded(col, row)
            if frame is None:
                return None
            found = _pixels(*frame)
        self._kept[cell] = found
        while len(self._kept) > 1 and len(self._kept) * self.tile.area > _MAX_KEPT_PIXELS:
            self._kept.popitem(last=False)
        return found


def _pixels(frame: bytes, form: Form, least: Size) -> Image.Image:
    if form.coding not in HEAVY:
        return decode(frame, form, least)
    from tiler.readers import dicom_codecs  # there already, where `tiler.codecs` are

    return dicom_codecs.decode(frame, form, least)
