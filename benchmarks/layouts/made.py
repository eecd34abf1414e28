"""The made slides: for every cell of the readers' tables, what makes a slide of that kind."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.layouts import Makers
from tiler.formats import Cell, Format, Handling
from tiler.opening import FORMATS
from tiler.slide import files_at


@dataclass(frozen=True, slots=True)
class Kind:
    """One cell of the table of one format."""

    format: Format
    cell: Cell

    def __str__(self) -> str:
        return f"{self.format.name}-{self.cell.key}"

    @property
    def refused(self) -> bool:
        return self.cell.handling is Handling.REFUSED

    def make(self, folder: Path) -> Path:
        """The slide in a folder of its own below this one: a file, or the folder where it is a set."""
        own = folder / str(self)
        own.mkdir(parents=True)
        return makers(self.format)[self.cell.key](own)

    def made(self, folder: Path) -> dict[str, Path]:
        """The files of the slide, as a sandbox is shown them."""
        return files_at(self.make(folder))


def kinds() -> list[Kind]:
    """All of them."""
    return [Kind(each, cell) for each in FORMATS for cell in each.cells]


def makers(format_: Format) -> Makers:
    """What makes slides of a format, by the keys of its cells."""
    found: Makers = importlib.import_module(f"benchmarks.layouts.{format_.name.replace('-', '_')}").MAKERS
    return found
