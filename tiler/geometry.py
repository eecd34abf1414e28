"""Sizes and rectangles in pixels. Width always comes before height, x before y."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Extent in pixels, or in tiles where the name says so."""

    width: int
    height: int

    @property
    def area(self) -> int:
        return self.width * self.height

    def halved(self) -> Size:
        """Extent at half the resolution; an odd last row or column still counts."""
        return Size((self.width + 1) // 2, (self.height + 1) // 2)

    def fits(self, other: Size) -> bool:
        """Whether this extent lies within the other."""
        return self.width <= other.width and self.height <= other.height


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle; (x, y) is its upper left pixel."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)

    def within(self, size: Size) -> bool:
        """Whether it is a part, and not nothing, of a picture of this size."""
        right, bottom = self.x + self.width, self.y + self.height
        return 0 <= self.x < right <= size.width and 0 <= self.y < bottom <= size.height
