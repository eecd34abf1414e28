"""Hamamatsu's lists of files, VMS, VMU and NDPIS: known by name, and refused."""

from __future__ import annotations

from typing import Final

from tiler.errors import UnsupportedSlideError
from tiler.slide import SlideFile, SlideFiles

_EXPORT: Final = "which cannot be shown; export it as NDPI or DICOM."
_KINDS: Final = {
    b"[Virtual Microscope Specimen]": f"The slide is a Hamamatsu VMS slide, {_EXPORT}",
    b"[Uncompressed Virtual Microscope Specimen]": f"The slide is a Hamamatsu VMU slide, {_EXPORT}",
    b"[NanoZoomer Digital Pathology Image Set]": (
        "The slide is a Hamamatsu NDPIS image set, which only lists files; push its NDPI files one by one."
    ),
}
_HEAD: Final = 64


def recognises(files: SlideFiles) -> bool:
    return _sentence(files) is not None


def read(files: SlideFiles) -> SlideFile:
    """Raises UnsupportedSlideError."""
    raise UnsupportedSlideError(_sentence(files) or "The slide is of no known kind.")


def _sentence(files: SlideFiles) -> str | None:
    for number in range(len(files.names)):
        source = files.source(number)
        try:
            head = source.read_at(0, min(_HEAD, source.length)).removeprefix(b"\xef\xbb\xbf")
        finally:
            source.close()
        for section, sentence in _KINDS.items():
            if head.startswith(section):
                return sentence
    return None
