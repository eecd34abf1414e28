"""3DHISTECH MIRAX: a small file beside a folder of data files, whose tiles overlap. All pixels come from OpenSlide."""

from __future__ import annotations

from tiler.readers import openslide
from tiler.slide import SlideFile, SlideFiles

_INDEX = "Slidedat.ini"


def recognises(files: SlideFiles) -> bool:
    return any(name.rpartition("/")[2] == _INDEX for name in files.names)


def read(files: SlideFiles) -> SlideFile:
    """The slide of a MIRAX set. Raises DamagedSlideError, UnsupportedSlideError."""
    number = next(number for number, name in enumerate(files.names) if name.endswith(".mrxs"))
    return openslide.read(files.path(number), format_name="mrxs", vendor="mirax")
