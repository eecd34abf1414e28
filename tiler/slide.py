"""What a reader finds in a scanner's files: facts, places, and a way to decode what no browser could show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tiler.geometry import Region, Size
from tiler.index import JPEG
from tiler.jpeg import Colour
from tiler.metadata import SlideMetadata
from tiler.storage.base import ByteSource
from tiler.storage.local import LocalByteSource

if TYPE_CHECKING:
    from PIL import Image

# What a slide of one file is called where a worker sees it: its own name is nobody's business there.
ALONE: Final = "slide"
DECODED_TILE: Final = Size(256, 256)


class SlideFiles:
    """The files of one slide as a worker sees them: below a directory, under the names they had beside each other.
    Their numbers, in the order of their names, are those of the slide's blobs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: tuple[str, ...] = tuple(
            sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        )

    @property
    def single(self) -> bool:
        return self.names == (ALONE,)

    def path(self, number: int) -> Path:
        return self.root / self.names[number]

    def source(self, number: int) -> ByteSource:
        """Opened anew each time; who asks for many closes them."""
        return LocalByteSource(self.path(number))


def files_at(path: Path) -> dict[str, Path]:
    """What a worker is to be shown of a slide at this path: the file, or all files of the folder."""
    if not path.is_dir():
        return {ALONE: path}
    return {each.relative_to(path).as_posix(): each for each in sorted(path.rglob("*")) if each.is_file()}


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """One resolution whose tiles are served as the scanner stored them. ``offsets`` and ``lengths`` give the bytes of
    each tile, row by row; a length of 0 is a place the scanner left empty. ``files`` names the file each lies in, None
    when all lie in the first. ``tables`` are JPEG tables shared by its tiles (TIFF JPEGTables, tag 347)."""

    size: Size
    tile: Size
    colour: Colour
    tables: bytes | None
    offsets: Sequence[int]
    lengths: Sequence[int]
    files: Sequence[int] | None = None
    media_type: str = JPEG


@dataclass(frozen=True, slots=True)
class DecodedLevel:
    """One resolution whose tiles must be decoded: by `SlideFile.decoder`, under this level's number."""

    size: Size
    tile: Size = DECODED_TILE


class Decoder(Protocol):
    """Makes what is not stored as a browser needs it. Used by one thread."""

    def tile(self, level: int, area: Region) -> Image.Image | bytes:
        """What is in `area` of a decoded level, in pixels of that level and within it: as RGB or grey pixels, or as a
        whole baseline JPEG of exactly that size put together without decoding, under `jpeg.header(None, YCBCR)`.
        Raises DamagedSlideError."""
        ...


Picture = Callable[[], "Image.Image | None"]


@dataclass(frozen=True, slots=True)
class SlideFile:
    """An opened scan; ``levels`` run from full resolution down, ``profile`` is the ICC profile as the file has it.
    ``pictures`` gives ``label``, ``macro`` and ``thumbnail`` (DICOM Image Type LABEL, OVERVIEW, THUMBNAIL) as far as
    the file has them, decoded when called."""

    metadata: SlideMetadata
    levels: tuple[StoredLevel | DecodedLevel, ...]
    profile: bytes | None = None
    decoder: Decoder | None = None
    pictures: Mapping[str, Picture] = field(default_factory=dict)
