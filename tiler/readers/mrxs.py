"""3DHISTECH MIRAX: a small file beside a folder of data files, whose tiles overlap. All pixels come from OpenSlide,
which trusts what the files say of themselves: so that is looked at here first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from tiler.errors import DamagedSlideError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.metadata import FOCAL_PLANE, MAX_FOCAL_PLANES, clean_text
from tiler.readers import openslide
from tiler.readers.mirax_index import check_index
from tiler.readers.slidedat import MAX_BYTES, Slidedat
from tiler.slide import SlideFile, SlideFiles

FORMAT: Final = Format(
    "mrxs",
    "3DHISTECH MIRAX (MRXS)",
    "OpenSlide",
    (
        Cell("jpeg", "JPEG images, places without any left empty", Handling.DECODED),
        Cell("png", "PNG images", Handling.DECODED),
        Cell("bmp", "BMP images", Handling.DECODED),
        Cell("overlaps", "camera images that overlap, each at its own position", Handling.DECODED),
        Cell("focal-planes", "several focal planes: the one the scanner shows first", Handling.DECODED),
        Cell("jpeg-xr", "images in other formats", Handling.REFUSED, "only JPEG, PNG and BMP images can be shown"),
        Cell("fluorescence", "fluorescence", Handling.REFUSED, "scanned in fluorescence"),
        Cell("deep", "more than 8 bits a channel", Handling.REFUSED, "more than 8 bits"),
        Cell("old", "slides of versions before 1.9", Handling.REFUSED, "an old version of the scanner's software"),
        Cell("file-missing", "sets of which a file is missing", Handling.REFUSED, "The slide is not complete"),
        Cell("cut-short", "sets of which a file is cut short", Handling.REFUSED, "is cut short"),
    ),
)

_INDEX: Final = "Slidedat.ini"
_GENERAL: Final = "GENERAL"
_LAYERS: Final = "HIERARCHICAL"
_FILES: Final = "DATAFILE"
_IMAGES: Final = ("JPEG", "PNG", "BMP24")
_MAX_IMAGES: Final = 16_000_000
_MAX_FILES: Final = 1000
_MAX_LAYERS: Final = 64
_FOCUS: Final = "Microscope focus level"
_NAMED: Final = 3  # of the files that are missing, so many are named
# Technical fields, under OpenSlide's names; the names of slide and project are what somebody typed.
_TECHNICAL: Final = (
    "ADAPTER_SIZE",
    "CAMERA_TYPE",
    "CURRENT_SLIDE_VERSION",
    "EXTENDED_FOCUS_ALGORITHM",
    "FLAT_FIELD_CORRECTION",
    "OBJECTIVE_NAME",
    "OPTOVAR_SIZE",
    "SLIDE_TYPE",
    "SLIDE_VERSION",
    "VIMSLIDE_SLIDE_BITDEPTH",
)


def recognises(files: SlideFiles) -> bool:
    return any(name.rpartition("/")[2] == _INDEX or name.lower().endswith(".mrxs") for name in files.names)


def read(files: SlideFiles) -> SlideFile:
    """The slide of a MIRAX set. Raises DamagedSlideError, UnsupportedSlideError."""
    folder = _folder(files)
    source = files.source(files.names.index(f"{folder}/{_INDEX}"))
    try:
        said = Slidedat(source.read_at(0, min(source.length, MAX_BYTES + 1)))
    finally:
        source.close()
    levels = _check_kind(said)
    planes, shown = _focal_planes(said)
    _check_complete(files, folder, said, levels)
    path = files.path(files.names.index(f"{folder}.mrxs"))
    slide = openslide.read(path, format_name="mrxs", vendor="mirax")
    facts = {f"mirax.{_GENERAL}.{key}": clean_text(said.get(_GENERAL, key)) for key in _TECHNICAL}
    facts[FOCAL_PLANE] = shown
    metadata = replace(
        slide.metadata,
        scanner_manufacturer="3DHISTECH",
        scanner_model=clean_text(said.anywhere("SCANNER_HARDWARE_VERSION")),
        scanner_serial=clean_text(said.anywhere("SCANNER_HARDWARE_ID")),
        acquired_at=_acquired(said.get(_GENERAL, "SLIDE_CREATIONDATETIME") or ""),
        focal_planes=planes,
        properties={name: text for name, text in facts.items() if text},
    )
    return replace(slide, metadata=metadata)


def _folder(files: SlideFiles) -> str:
    """The folder of the data files; what it is called is what the small file is called."""
    folders = [name.rpartition("/")[0] for name in files.names if name.rpartition("/")[2] == _INDEX]
    small = [name for name in files.names if name.lower().endswith(".mrxs")]
    if len(folders) > 1 or len(small) > 1:
        raise UnsupportedSlideError("The files are those of several MIRAX slides; push each by itself.")
    if not folders:
        raise _incomplete([f"{small[0][:-5]}/{_INDEX}"])
    if f"{folders[0]}.mrxs" not in files.names:
        raise _incomplete([f"{folders[0] or '*'}.mrxs"])
    return folders[0]


def _incomplete(missing: Iterable[str]) -> DamagedSlideError:
    names = [*missing]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return DamagedSlideError(
        f"The slide is not complete: {', '.join(filter(None, map(clean_text, names[:_NAMED])))}{more} {verb} missing."
    )


def _check_kind(said: Slidedat) -> int:
    """How many levels there are. Raises unless they are of the kind that OpenSlide shows as it should be."""
    if said.get(_GENERAL, "SLIDE_TYPE") == "SLIDE_TYPE_FLUORESCENCE":
        raise UnsupportedSlideError(
            "The MIRAX slide was scanned in fluorescence; which of its colours is which channel is not certain."
        )
    if 8 < said.integer(_GENERAL, "VIMSLIDE_SLIDE_BITDEPTH", 0, 64, 8) <= 16:
        raise UnsupportedSlideError("The MIRAX slide has more than 8 bits a channel; only 8 bits can be shown.")
    across = said.integer(_GENERAL, "IMAGENUMBER_X", 1, 1_000_000)
    down = said.integer(_GENERAL, "IMAGENUMBER_Y", 1, 1_000_000)
    said.integer(_GENERAL, "CameraImageDivisionsPerSide", 1, min(1024, across, down), 1)
    if across * down > _MAX_IMAGES:
        raise DamagedSlideError(f"The slide claims {across} × {down} images.")
    said.integer(_GENERAL, "OBJECTIVE_MAGNIFICATION", 0, 1000)
    if said.text(_LAYERS, "HIER_0_NAME") != "Slide zoom level":
        raise UnsupportedSlideError("The MIRAX slide's first layer is not that of its levels; no reader knows such.")
    levels = said.integer(_LAYERS, "HIER_0_COUNT", 1, 32)
    for number in range(levels):
        _check_level(said, number)
    for number in range(said.integer(_LAYERS, "NONHIER_COUNT", 0, _MAX_LAYERS)):
        said.integer(_LAYERS, f"NONHIER_{number}_COUNT", 0, 10_000)
    return levels


def _check_level(said: Slidedat, number: int) -> None:
    section = said.text(_LAYERS, f"HIER_0_VAL_{number}_SECTION")
    stored = said.text(section, "IMAGE_FORMAT")
    if stored not in _IMAGES:
        name = clean_text(stored[:20]) or "in no format"
        raise UnsupportedSlideError(
            f"The MIRAX slide's images are stored as {name}; only JPEG, PNG and BMP images can be shown."
        )
    width = said.integer(section, "DIGITIZER_WIDTH", 1, 8192)
    height = said.integer(section, "DIGITIZER_HEIGHT", 1, 8192)
    said.real(section, "OVERLAP_X", -width, width * 1024)
    said.real(section, "OVERLAP_Y", -height, height * 1024)
    if said.integer(section, "IMAGE_CONCAT_FACTOR", 0, 20) == 0 and number:
        raise UnsupportedSlideError(
            "The MIRAX slide was written by an old version of the scanner's software, whose images are joined in "
            "another way. Open and save it with a newer one."
        )


def _check_complete(files: SlideFiles, folder: str, said: Slidedat, levels: int) -> None:
    """Raises DamagedSlideError unless all data files are there, and as long as the index needs them."""
    names = [said.text(_LAYERS, "INDEXFILE")]
    for number in range(said.integer(_FILES, "FILE_COUNT", 1, _MAX_FILES)):
        names.append(said.text(_FILES, f"FILE_{number}"))
    present = set(files.names)
    if missing := [name for name in dict.fromkeys(names) if f"{folder}/{name}" not in present]:
        raise _incomplete(missing)
    index, *data = (files.names.index(f"{folder}/{name}") for name in names)
    lengths = [files.path(number).stat().st_size for number in data]
    source = files.source(index)
    try:
        check_index(source, said.text(_GENERAL, "SLIDE_ID"), levels, names[1:], lengths)
    finally:
        source.close()


def _focal_planes(said: Slidedat) -> tuple[int | None, str | None]:
    """How many there are, and which is shown: the scanner's first."""
    for layer in range(1, said.integer(_LAYERS, "HIER_COUNT", 1, _MAX_LAYERS)):
        if said.get(_LAYERS, f"HIER_{layer}_NAME") != _FOCUS:
            continue
        count = said.integer(_LAYERS, f"HIER_{layer}_COUNT", 0, MAX_FOCAL_PLANES)
        names = [said.get(_LAYERS, f"HIER_{layer}_VAL_{number}") or "" for number in range(count)]
        planes = [name for name in names if name.startswith("ZStackLevel")]
        if len(planes) > 1:
            # EDF, extended depth of field: what is sharp in any of them.
            shown = str(planes.index(names[0]) + 1) if names[0] in planes else "EDF"
            return len(planes), f"{shown} of {len(planes)}"
    return None, None


def _acquired(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d/%m/%Y %H:%M:%S")
    except ValueError:
        return None
