"""What an address under /tiles/ asks for, and how it is got from an open slide.

Three ways lead to the same tiles: our own (level/col_row), Deep Zoom's and IIIF's. Beside them are the small pictures
and the documents that describe the slide. A document shows nothing of the slide, so asking for one is not yet reading
it (`Look.THUMBNAIL`); every tile is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Scope

from ingest.directory import PROFILE
from slideserver.admissions import Look
from slideserver.sources import OpenSlide
from tiler import descriptor
from tiler.descriptor import Halvings, Piece
from tiler.geometry import Size

SLIDE = r"/tiles/([a-z2-7]{26})/([0-9a-f]{16})/"
NUMBER = r"([0-9]{1,7})"
TILE = re.compile(rf"{SLIDE}([0-9]{{1,2}})/{NUMBER}_{NUMBER}")
OTHER = re.compile(rf"{SLIDE}([a-z_]{{4,11}}(?:[./][a-z0-9_,./]{{3,60}})?)")
DEEP_ZOOM = re.compile(rf"slide_files/([0-9]{{1,2}})/{NUMBER}_{NUMBER}\.jpe?g")
REGION, SIZE = rf"(?:full|{NUMBER},{NUMBER},{NUMBER},{NUMBER})", rf"(?:max|{NUMBER},{NUMBER})"
IIIF = re.compile(rf"iiif/{REGION}/{SIZE}/0/default\.jpg")
# The macro shows the label too, on most scanners.
SMALL_PICTURES = {"thumbnail": Look.THUMBNAIL, "label": Look.LABEL, "macro": Look.LABEL}
INFO = "iiif/info.json"
JPEG = b"image/jpeg"
# IIIF Image API 3.0 §6.1: where a client finds what the server can do.
LEVEL_0 = (b"link", b'<http://iiif.io/api/image/3/level0.json>;rel="profile"')

Headers = tuple[tuple[bytes, bytes], ...]


class Wanted(Protocol):
    """Something of a slide. What is `lasting` stays the same as long as the slide's version does."""

    @property
    def look(self) -> Look: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def lasting(self) -> bool: ...

    def media_type(self, opened: OpenSlide) -> bytes:
        """Of what there is."""

    def at_hand(self, opened: OpenSlide) -> bytes | None:
        """The bytes, if they are in memory; never waits. Raises TileNotFoundError, NotTellableError."""

    def cuts(self, opened: OpenSlide) -> bool:
        """Whether what is not at hand must be cut, and not only read."""

    def get(self, opened: OpenSlide) -> bytes:
        """The bytes; may wait. Raises FileNotFoundError, TilerError."""


@dataclass(frozen=True, slots=True)
class OurTile:
    level: int
    col: int
    row: int
    look: Look = Look.TILE
    headers: Headers = ()
    lasting: bool = True

    def media_type(self, opened: OpenSlide) -> bytes:
        return opened.source.index.levels[self.level].media_type.encode()

    def at_hand(self, opened: OpenSlide) -> bytes | None:
        return opened.source.resident(self.level, self.col, self.row)

    def cuts(self, opened: OpenSlide) -> bool:
        return opened.source.index.locate(self.level, self.col, self.row) is None

    def get(self, opened: OpenSlide) -> bytes:
        return opened.source.get(self.level, self.col, self.row)


@dataclass(frozen=True, slots=True)
class TheirTile:
    """A picture at an address of a standard's; `find` says what it stands for."""

    find: Callable[[Halvings], Piece]
    headers: Headers = ()
    look: Look = Look.TILE
    lasting: bool = True

    def media_type(self, opened: OpenSlide) -> bytes:
        return JPEG

    def _piece(self, opened: OpenSlide) -> Piece:
        return self.find(Halvings.of(opened.source.index.levels))

    def at_hand(self, opened: OpenSlide) -> bytes | None:
        return opened.source.resident_piece(self._piece(opened))

    def cuts(self, opened: OpenSlide) -> bool:
        piece = self._piece(opened)
        return not piece.whole or opened.source.index.locate(piece.level, piece.col, piece.row) is None

    def get(self, opened: OpenSlide) -> bytes:
        return opened.source.piece(self._piece(opened))


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that registration left in the slide's directory."""

    name: str
    look: Look
    type: bytes = JPEG
    headers: Headers = ()
    lasting: bool = True

    def media_type(self, opened: OpenSlide) -> bytes:
        return self.type

    def at_hand(self, opened: OpenSlide) -> bytes | None:
        return None

    def cuts(self, opened: OpenSlide) -> bool:
        return False

    def get(self, opened: OpenSlide) -> bytes:
        return (opened.directory / self.name).read_bytes()


@dataclass(frozen=True, slots=True)
class Told:
    """A document about the slide, written when it is asked for: arithmetic, which waits for nothing."""

    write: Callable[[OpenSlide], bytes]
    type: bytes
    headers: Headers = ()
    look: Look = Look.THUMBNAIL
    lasting: bool = False

    def media_type(self, opened: OpenSlide) -> bytes:
        return self.type

    def at_hand(self, opened: OpenSlide) -> bytes | None:
        return self.write(opened)

    def cuts(self, opened: OpenSlide) -> bool:
        return False

    def get(self, opened: OpenSlide) -> bytes:
        return self.write(opened)


def find(scope: Scope, base_url: str) -> tuple[str, str, Wanted] | None:
    """The slide's id, its version, and what of it the request asks for; None for an address that cannot be."""
    path: str = scope["path"]
    if match := TILE.fullmatch(path):
        slide_id, version, level, col, row = match.groups()
        return slide_id, version, OurTile(int(level), int(col), int(row))
    if match := OTHER.fullmatch(path):
        slide_id, version, rest = match.groups()
        wanted = _kept_or_told(rest, scope, base_url) or _their_tile(rest)
        return (slide_id, version, wanted) if wanted else None
    return None


def _kept_or_told(rest: str, scope: Scope, base_url: str) -> Wanted | None:
    if rest in SMALL_PICTURES:
        return Kept(f"{rest}.jpg", SMALL_PICTURES[rest])
    if rest == PROFILE:  # ICC.1:2022, annex B
        return Kept(PROFILE, Look.THUMBNAIL, b"application/vnd.iccprofile")
    if rest == "slide.json":
        return Told(_slide_json, b"application/json")
    if rest == "slide.dzi":
        return Told(lambda opened: descriptor.dzi(_halvings(opened)), b"application/xml")
    if rest == INFO:
        address = (base_url or _origin(scope)) + scope["path"].removesuffix("/info.json")
        return Told(lambda opened: descriptor.iiif_info(_halvings(opened), address), b"application/json", (LEVEL_0,))
    return None


def _their_tile(rest: str) -> Wanted | None:
    if match := DEEP_ZOOM.fullmatch(rest):
        dz_level, col, row = map(int, match.groups())
        return TheirTile(lambda halvings: descriptor.dzi_piece(halvings, dz_level, col, row))
    if match := IIIF.fullmatch(rest):
        x, y, width, height, to_width, to_height = (int(number) if number else None for number in match.groups())
        region = None if x is None or y is None or width is None or height is None else (x, y, width, height)
        size = None if to_width is None or to_height is None else Size(to_width, to_height)
        return TheirTile(lambda halvings: descriptor.iiif_piece(halvings, region, size), (LEVEL_0,))
    return None


def _slide_json(opened: OpenSlide) -> bytes:
    index = opened.source.index
    return descriptor.slide_json(index, version=index.version, profile=opened.has_profile)


def _halvings(opened: OpenSlide) -> Halvings:
    return Halvings.of(opened.source.index.levels)


def _origin(scope: Scope) -> str:
    """Where the client found us, as it says itself: the answer is for nobody else."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"localhost")
    return f"{scope['scheme']}://{host.decode('latin-1')}"
