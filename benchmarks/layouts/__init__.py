"""Makers of small slides in the layouts of the scanners' vendors, around real pixels: one module a format.

Each module has ``MAKERS``: for the key of a cell of its format (`tiler.formats.Cell`), what makes a slide of that kind
in a folder and gives back its path, a folder again where the slide is a set of files. They are faithful to the layouts
as far as these are known; no proof that a scanner's file works.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

Maker = Callable[[Path], Path]
Makers = Mapping[str, Maker]
