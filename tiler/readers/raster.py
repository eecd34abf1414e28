"""One image of a TIFF: where its pieces are and what they hold, in TIFF's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tiler.geometry import Size
from tiler.slide import DECODED_TILE, DecodedLevel

# PhotometricInterpretation (tag 262), and how many samples each needs
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
COLOURS: Final = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
# Compression (tag 259)
PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD = 1, 5, 7, 8, 32946, 32773, 50000
JPEG_2000_YCBCR, JPEG_2000_LOSSY, JPEG_2000_RGB, JPEG_2000 = 33003, 33004, 33005, 34712
WEBP_TILES: Final = (50001, 34927)
ANY_JPEG_2000: Final = (JPEG_2000_YCBCR, JPEG_2000_LOSSY, JPEG_2000_RGB, JPEG_2000)
# ExtraSamples (tag 338): colours multiplied by alpha already, or not
ASSOCIATED, UNASSOCIATED = 1, 2
_DECODED_SIDE: Final = (128, 512)


@dataclass(frozen=True, slots=True)
class Raster:
    """One image as a TIFF stores it, in pieces: tiles or strips, row by row, of planar images plane by plane. All of it
    has been checked against the file, nothing decoded. ``extra`` is the kind of alpha (ExtraSamples, tag 338), 0 when
    there is none; ``order`` is that of the bytes of a sample, as `struct` says it."""

    size: Size
    piece: Size
    tiled: bool
    offsets: Sequence[int]
    lengths: Sequence[int]
    compression: int
    photometric: int
    samples: int
    bits: int = 8
    signed: bool = False
    planar: bool = False
    predictor: bool = False
    extra: int = 0
    order: str = "<"
    tables: bytes | None = None
    palette: Sequence[int] = ()

    @property
    def grid(self) -> Size:
        return Size(-(-self.size.width // self.piece.width), -(-self.size.height // self.piece.height))

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel in a piece."""
        return (1 if self.planar else self.samples) * self.bits // 8

    @property
    def plain(self) -> bool:
        """Whether its samples are its colours and nothing else."""
        return self.samples == COLOURS[self.photometric]

    def decoded_level(self) -> DecodedLevel:
        """As a level to be decoded: in the file's own tiles where they are of a good size."""
        low, high = _DECODED_SIDE
        sides = (self.piece.width, self.piece.height)
        fits = self.tiled and all(low <= side <= high and side % 16 == 0 for side in sides)
        return DecodedLevel(self.size, self.piece if fits else DECODED_TILE)
