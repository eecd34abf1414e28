"""From files to a slide: who can read them, decided by what they contain, never by a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from tiler.errors import NotASlideError, UnsupportedSlideError
from tiler.formats import Format
from tiler.readers import bif, czi, dicom, generic, leica, mrxs, ndpi, ome, philips, svs, trestle, vms
from tiler.readers.ifd import Directory, directories
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.base import ByteSource

# Every format of `docs/reference/formats.md`.
FORMATS: Final[tuple[Format, ...]] = (
    svs.FORMAT,
    generic.FORMAT,
    czi.FORMAT,
    dicom.FORMAT,
    ome.FORMAT,
    ndpi.FORMAT,
    bif.FORMAT,
    mrxs.FORMAT,
    leica.FORMAT,
    philips.FORMAT,
    trestle.FORMAT,
)


class _TiffReader(Protocol):
    """A module that reads one flavour of TIFF."""

    def recognises(self, found: Sequence[Directory]) -> bool: ...

    def read(self, files: SlideFiles, source: ByteSource, found: Sequence[Directory]) -> SlideFile: ...


class _SetReader(Protocol):
    """A module that reads slides of several files."""

    def recognises(self, files: SlideFiles) -> bool: ...

    def read(self, files: SlideFiles) -> SlideFile: ...


# Asked in this order; what none of them knows is read as a generic TIFF.
_TIFF: Final[tuple[_TiffReader, ...]] = (svs, ndpi, bif, leica, ome, philips, trestle)
_SETS: Final[tuple[_SetReader, ...]] = (mrxs, dicom, trestle.Set, vms)

# What people take for a slide: (offset, bytes there, name).
FOREIGN: Final = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"%PDF", "a PDF document"),
    (0, b"<DataObject", "a Philips iSyntax file"),
)


def open_slide(files: SlideFiles) -> SlideFile:
    """The slide in these files. Raises NotASlideError, DamagedSlideError or UnsupportedSlideError, and
    CodecsNeededError when only a worker with the heavy libraries can read it (`tiler.codecs`)."""
    if not files.single:
        return _open_set(files)
    source = files.source(0)
    if source.length == 0:
        raise NotASlideError("The file is empty.")
    head = source.read_at(0, min(256, source.length))
    if dicom.recognises(files):  # first: the space before its header is anybody's, even a TIFF's
        return dicom.read(files)
    dicom.check_head(head)
    if head[:2] in (b"II", b"MM"):
        return _open_tiff(files, source)
    if czi.recognises(head):
        return czi.read(source)
    if vms.recognises(files):
        return vms.read(files)
    raise _refusal(head)


def _open_set(files: SlideFiles) -> SlideFile:
    for reader in _SETS:
        if reader.recognises(files):
            return reader.read(files)
    raise UnsupportedSlideError("The files together are of no format that has several files.")


def _open_tiff(files: SlideFiles, source: ByteSource) -> SlideFile:
    found = directories(source)
    for reader in _TIFF:
        if reader.recognises(found):
            return reader.read(files, source, found)
    return generic.read(files, source, found)


def _refusal(head: bytes) -> NotASlideError | UnsupportedSlideError:
    for at, magic, name in FOREIGN:
        if head[at : at + len(magic)] == magic:
            return UnsupportedSlideError(f"The file is {name}, which cannot be shown as a slide.")
    return NotASlideError("The file is not a slide: its content is of no known kind.")
