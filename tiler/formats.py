"""Which formats there are, and what becomes of what a file of each may hold: the table that the documentation shows and
the tests go through, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Handling(StrEnum):
    """What becomes of an image of some kind."""

    STORED = "stored"
    """Its tiles are served as the scanner stored them."""
    DECODED = "decoded"
    """Its tiles are decoded and encoded anew."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of image that a format may hold. ``key`` is a stable word; ``reason`` says why it is refused, in words
    that the refusal's sentence contains."""

    key: str
    title: str
    handling: Handling
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """One format. ``name`` is `SlideMetadata.format`; ``oracle`` is the independent reader ours is held
    against."""

    name: str
    title: str
    oracle: str
    cells: tuple[Cell, ...]
