"""What lies on a workstation, seen as slides: which files belong together, decided by what they contain.

A slide of several files is sent under names that are the same wherever it lies, so that a copy in another folder is
the same slide: `slide.mrxs` and `slide/…`, `slide.tif` and `slide.Full`, DICOM instances by their UID.
"""

import filecmp
import os
import re
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ingest.agent.dicom import HEAD_BYTES, WHOLE_SLIDE, Instance, instance_in

INI_MAX_BYTES = 4 * 1024 * 1024
DATA_FILES_MAX = 2000

_INI = "Slidedat.ini"
_INDEX = "dicomdir"
_TRESTLE = b"MedScan"
_UID = re.compile(r"[0-9.]{1,64}")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ALONE = (*_TIFF, b"ZISRAWFILE", b"[Virtual Microscope Specimen]", b"[Uncompressed Virtual Microscope Specimen]")
_SHORT = 256
_SOFTWARE = 305


@dataclass(frozen=True, slots=True)
class Parcel:
    """One slide to send: its name for people, and its files under the names they are sent by. `missing`: what should
    lie beside them and does not, by its name or number."""

    name: str
    files: tuple[tuple[str, Path], ...]
    missing: tuple[str, ...] = ()

    @property
    def alone(self) -> Path | None:
        """The file of a slide that has only one."""
        return self.files[0][1] if len(self.files) == 1 and not self.missing else None


@dataclass(frozen=True, slots=True)
class Found:
    """The slides of a path, and the files beside them that belong to none."""

    parcels: tuple[Parcel, ...]
    left: tuple[Path, ...] = ()


def find(path: Path) -> Found:
    """The slides at a path: a file with what belongs to it, or all of a folder. Raises OSError."""
    if path.is_dir():
        return grouped(list(_files(path.resolve())))
    if path.name.casefold() == _INI.casefold():
        return Found((_mirax(path.resolve().parent),))
    if _is_front(path):
        return Found((_mirax(path.with_suffix(""), path),))
    return Found((_alone(path),))


def together(parcels: Iterable[Parcel]) -> list[Parcel]:
    """These slides, each once, however the files were named: `scans/*` names a slide and all its parts."""
    whole: dict[frozenset[Path], Parcel] = {}
    series: dict[str, list[tuple[Path, Instance]]] = defaultdict(list)
    for parcel in parcels:
        path = parcel.alone
        instance = _instance(path) if path else None
        if path and instance and instance.sop_class == WHOLE_SLIDE and _is_named(instance):
            series[instance.series].append((path, instance))
        whole.setdefault(frozenset(each.resolve() for _, each in parcel.files), parcel)
    for instances in series.values():
        if len(instances) > 1:
            found = _series(instances)
            whole.setdefault(frozenset(each.resolve() for _, each in found.files), found)
    parts = {path for files in whole if len(files) > 1 for path in files}
    return [parcel for files, parcel in whole.items() if len(files) > 1 or not files <= parts]


def grouped(files: Sequence[Path]) -> Found:
    """The slides that these files, all below one folder, are; what belongs to them and is not among the files is looked
    for beside them. Raises OSError."""
    parcels: list[Parcel] = []
    taken: set[Path] = set()
    folders = {path.parent for path in files if path.name.casefold() == _INI.casefold()}
    folders |= {path.with_suffix("") for path in files if _is_front(path)}
    for data in sorted(folders):
        parcels.append(_mirax(data))
        taken.update(path for _, path in parcels[-1].files)
    series: dict[str, list[tuple[Path, Instance]]] = defaultdict(list)
    indexed = {path.parent for path in files if path.name.casefold() == _INDEX}
    rest: list[Path] = []
    for path in files:
        if path in taken or path.parent in folders:
            continue
        instance = _instance(path)
        if instance is None:
            if _head(path, _SHORT).startswith(_ALONE):
                rest.append(path)
        elif instance.sop_class not in (WHOLE_SLIDE, ""):
            continue
        elif _is_named(instance):
            series[instance.series].append((path, instance))
        else:
            rest.append(path)
    parcels += [_series(each) for uid in sorted(series) for each in _homes(series[uid], indexed)]
    parcels += [_alone(path) for path in rest]
    taken.update(path for parcel in parcels for _, path in parcel.files)
    return Found(tuple(_told_apart(parcels)), tuple(path for path in files if path not in taken))


def series_of(path: Path) -> str | None:
    """Series Instance UID of a DICOM file; empty when it cannot be told yet, as of one that is just begun, None when
    the file is no DICOM file."""
    try:
        head = _head(path, _SHORT)
    except OSError:  # its scanner holds it for itself
        return ""
    if len(head) < 132 and not head[:128].strip(b"\0"):
        return ""
    instance = _instance(path)
    return instance.series if instance else None


def awaits_company(parcel: Parcel) -> bool:
    """Whether more files may join this slide of which it says nothing: an instance of its DICOM series, or the picture
    of the glass that a Trestle scanner writes last. Raises OSError."""
    path = parcel.files[0][1]
    if series_of(path) is not None:
        return True
    return parcel.alone is not None and _head(path, 4) in _TIFF and _software(path).startswith(_TRESTLE)


def _homes(instances: list[tuple[Path, Instance]], indexed: set[Path]) -> list[list[tuple[Path, Instance]]]:
    """The instances of a series, those apart that lie in folders which have nothing to do with each other: they are
    copies. One folder has to do with another that it lies in, and with all below the same DICOMDIR."""
    folders = {path.parent for path, _ in instances} | indexed
    found: dict[Path, list[tuple[Path, Instance]]] = defaultdict(list)
    for path, instance in instances:
        home = next(each for each in reversed(path.parents) if each in folders)
        found[home].append((path, instance))
    return [found[home] for home in sorted(found)]


def _files(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is not hidden, in order."""
    for place, folders, names in os.walk(folder, onerror=_give_up):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _give_up(error: OSError) -> None:
    raise error


def _head(path: Path, length: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(length)


def _instance(path: Path) -> Instance | None:
    """What a DICOM file says; None for other files, and for those that cannot be read."""
    try:
        return instance_in(_head(path, HEAD_BYTES)) if instance_in(_head(path, _SHORT)) else None
    except OSError:
        return None


def _is_named(instance: Instance) -> bool:
    return bool(instance.series) and _UID.fullmatch(instance.uid) is not None


def _is_front(path: Path) -> bool:
    """Whether a file is the one beside a MIRAX folder. It is a mere picture, so nothing but its name says so."""
    return path.suffix.casefold() == ".mrxs" and not _head(path, 4).startswith(_TIFF)


def _alone(path: Path) -> Parcel:
    return _tiff(path) if _head(path, 4) in _TIFF else _single(path)


def _single(path: Path) -> Parcel:
    return Parcel(path.name, ((path.name, path),))


def _tiff(path: Path) -> Parcel:
    """The file; of a Trestle scan with the picture of the whole glass that it writes beside it."""
    if not _software(path).startswith(_TRESTLE):
        return _single(path)
    name = f"{path.stem}.full".casefold()
    whole_glass = next(
        (each for each in path.parent.iterdir() if each.name.casefold() == name and each.is_file()), None
    )
    if whole_glass is None:
        return _single(path)
    return Parcel(path.name, (("slide.tif", path), ("slide.Full", whole_glass)))


def _software(path: Path) -> bytes:
    """The beginning of what the first directory of a classic TIFF says in Software (tag 305); empty when nothing."""
    with path.open("rb") as file:
        head = file.read(8)
        order = "<" if head[:2] == b"II" else ">"
        try:
            file.seek(struct.unpack_from(order + "I", head, 4)[0])
            (count,) = struct.unpack(order + "H", file.read(2))
            for tag, _, length, value in struct.iter_unpack(order + "HHII", file.read(12 * count)):
                if tag == _SOFTWARE and length > 4:
                    file.seek(value)
                    return file.read(min(length, 64))
        except struct.error:
            pass
    return b""


def _mirax(data: Path, front: Path | None = None) -> Parcel:
    """A MIRAX slide: the file X.mrxs, and beside it the folder X with what its Slidedat.ini names."""
    name = f"{data.name}.mrxs"
    if front is None and data.parent.is_dir():
        mates = (path for path in data.parent.iterdir() if path.name.casefold() == name.casefold())
        front = next((path for path in mates if path.is_file()), None)
    files = [("slide.mrxs", front)] if front else []
    missing = [] if front else [name]
    ini = _ini_of(data)
    if ini is None:
        return Parcel(name, tuple(files), (*missing, f"{data.name}/{_INI}"))
    beside = {path.name.casefold(): path for path in data.iterdir() if path.is_file()}
    files.append((f"slide/{_INI}", ini))
    for wanted in _named_in(ini):
        path = beside.get(wanted.casefold())
        if path is None:
            missing.append(f"{data.name}/{wanted}")
        elif all(name != f"slide/{wanted}" for name, _ in files):
            files.append((f"slide/{wanted}", path))
    return Parcel(name, tuple(files), tuple(missing))


def _ini_of(data: Path) -> Path | None:
    if not data.is_dir():
        return None
    return next((path for path in data.iterdir() if path.name.casefold() == _INI.casefold()), None)


def _named_in(ini: Path) -> Iterator[str]:
    """The index file and the data files that a Slidedat.ini names."""
    said = said_in(ini)
    if index := said.get(("HIERARCHICAL", "INDEXFILE")):
        yield index
    yield from data_files(said)


def said_in(ini: Path) -> dict[tuple[str, str], str]:
    """What a Slidedat.ini says, by section and key. Raises OSError."""
    section = ""
    values: dict[tuple[str, str], str] = {}
    for line in _head(ini, INI_MAX_BYTES).decode("utf-8-sig", "replace").splitlines():
        key, equals, value = line.partition("=")
        if line.startswith("["):
            section = line.strip().strip("[]")
        elif equals:
            values.setdefault((section, key.strip()), value.strip())
    return values


def data_files(said: Mapping[tuple[str, str], str]) -> list[str]:
    """The names of the data files, in the order of their numbers."""
    count = said.get(("DATAFILE", "FILE_COUNT"), "")
    numbers = range(min(int(count), DATA_FILES_MAX) if re.fullmatch(r"[0-9]{1,9}", count) else 0)
    return [name for number in numbers if (name := said.get(("DATAFILE", f"FILE_{number}")))]


def _series(instances: Iterable[tuple[Path, Instance]]) -> Parcel:
    """One DICOM series; a copy of an instance that it has already is left."""
    files: dict[str, Path] = {}
    parts: dict[str, set[int]] = defaultdict(set)
    totals: dict[str, int] = {}
    for path, instance in instances:
        name = f"{instance.uid}.dcm"
        for number in count(2):
            if name not in files or _same(files[name], path):
                break
            name = f"{instance.uid}-{number}.dcm"
        files.setdefault(name, path)
        if instance.concatenation:
            parts[instance.concatenation].add(instance.number)
            totals[instance.concatenation] = max(instance.total, totals.get(instance.concatenation, 0))
    missing = tuple(
        f"{number}/{total} ({uid})"
        for uid, total in sorted(totals.items())
        for number in range(1, total + 1)
        if number not in parts[uid]
    )
    if len(files) == 1 and not missing:
        return _single(next(iter(files.values())))
    try:
        folder = Path(os.path.commonpath([path.resolve().parent for path in files.values()])).name
    except ValueError:  # on two drives
        folder = ""
    return Parcel(folder or "dicom", tuple(sorted(files.items())), missing)


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; one that cannot be read is told when it is to be sent."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _told_apart(parcels: list[Parcel]) -> Iterator[Parcel]:
    """Slides whose names are the same are numbered."""
    names, seen = Counter(parcel.name for parcel in parcels), Counter[str]()
    for parcel in parcels:
        seen[parcel.name] += 1
        several = names[parcel.name] > 1 and parcel.alone is None
        yield Parcel(f"{parcel.name} ({seen[parcel.name]})", parcel.files, parcel.missing) if several else parcel
