"""Whether a slide is all there: by its format, since a file that rests may be one whose scanner rests, too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.agent.czi_extent import check_czi
from ingest.agent.dicom import WHOLE_SLIDE
from ingest.agent.dicom_extent import Extent, check_dicom
from ingest.agent.extent import Bytes, OddError, UnfinishedError
from ingest.agent.mirax_extent import check_mirax
from ingest.agent.parcels import Parcel, data_files, said_in
from ingest.agent.tiff_extent import check_tiff

INCOMPLETE_SET, INCOMPLETE_FILE, NO_IMAGE = "incomplete-set", "incomplete-file", "incomplete-series"
NAMES_TOLD = 8
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DICOM_DIR = "dicomdir"
# What a DICOM slide has beside its picture (Image Type, PS3.3 C.8.12.4.1.1).
_BESIDE = frozenset({"LABEL", "OVERVIEW", "THUMBNAIL", "LOCALIZER"})


@dataclass(frozen=True, slots=True)
class Lack:
    """Why a slide is not complete: a code for which the agent has a sentence, and what exactly is missing."""

    code: str
    detail: str = ""


def lack_of(parcel: Parcel) -> Lack | None:
    """What a slide lacks, None when it is all there as far as its files say. Raises OSError."""
    if parcel.missing:
        return Lack(INCOMPLETE_SET, listed(parcel.missing))
    extents: list[Extent] = []
    for _, path in parcel.files:
        try:
            extent = _check(path)
        except UnfinishedError as error:
            return _unfinished(path, error)
        if extent:
            extents.append(extent)
    if extents:
        return _lack_of_series(parcel, extents)
    return _lack_of_mirax(dict(parcel.files))


def listed(names: Iterable[str]) -> str:
    """The first of these names, and how many there are if that is more."""
    all_names = list(names)
    more = f" … ({len(all_names)})" if len(all_names) > NAMES_TOLD else ""
    return ", ".join(all_names[:NAMES_TOLD]) + more


def _check(path: Path) -> Extent | None:
    """What a DICOM file says of itself; None for others. Raises UnfinishedError, OSError."""
    with path.open("rb") as raw:
        length = raw.seek(0, 2)
        file = Bytes(raw, length)
        head = file.read(0, min(length, 132))
        try:
            if head[128:] == b"DICM":  # which may be a TIFF as well
                return check_dicom(file)
            if head.startswith(_TIFF):
                check_tiff(file, ndpi=path.suffix.casefold() == ".ndpi")
            elif head.startswith(b"ZISRAWFILE"):
                check_czi(file)
        except OddError:
            pass
    return None


def _unfinished(path: Path, error: UnfinishedError) -> Lack:
    path = path.with_name(error.name) if error.name else path
    length = path.stat().st_size
    there = f"{length:,} / {error.needed:,}" if error.needed else f"{length:,}"
    return Lack(INCOMPLETE_FILE, f"{path.name}: {there.replace(',', ' ')}")


def _lack_of_mirax(files: Mapping[str, Path]) -> Lack | None:
    """What the index of a MIRAX slide names and its data files, all of which are there, do not hold."""
    ini = files.get("slide/Slidedat.ini")
    if ini is None:
        return None
    said = said_in(ini)
    index = files.get(f"slide/{said.get(('HIERARCHICAL', 'INDEXFILE'))}")
    data = tuple(path for name in data_files(said) if (path := files.get(f"slide/{name}")))
    if index is None:
        return None
    try:
        check_mirax(said, index, data)
    except UnfinishedError as error:
        return _unfinished(index, error)
    except OddError:
        pass
    return None


def _lack_of_series(parcel: Parcel, extents: list[Extent]) -> Lack | None:
    slides = [each for each in extents if each.sop_class == WHOLE_SLIDE]
    kinds = {each.image_type[2] for each in slides if len(each.image_type) > 2}
    if slides and kinds and kinds <= _BESIDE:
        return Lack(NO_IMAGE, ", ".join(sorted(kinds)))
    absent = sorted(name for folder in {path.parent for _, path in parcel.files} for name in _unlisted(folder))
    return Lack(INCOMPLETE_SET, listed(absent)) if absent else None


def _unlisted(folder: Path) -> list[str]:
    """The files that a DICOMDIR in this folder, or in the one above, lists below the folder and that are not there."""
    for place in (folder, folder.parent):
        index = next((each for each in place.iterdir() if each.name.casefold() == _DICOM_DIR), None)
        if index is None or not index.is_file():
            continue
        with index.open("rb") as raw:
            try:
                names = check_dicom(Bytes(raw, raw.seek(0, 2))).listed
            except OddError:
                continue
            except UnfinishedError:
                return [index.name]
        within = [name for name in names if place.joinpath(*name[:-1]) == folder]
        return ["/".join(name) for name in within if not place.joinpath(*name).exists()]
    return []
