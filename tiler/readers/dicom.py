"""DICOM whole-slide images (PS3.3 A.32.8, Supplement 145): every instance of one series, in as many files, or a whole
full-resolution image alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from PIL import Image

from tiler import codecs, icc
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.formats import Cell, Format, Handling
from tiler.geometry import Region, Size
from tiler.metadata import (
    FOCAL_PLANE,
    MAX_FOCAL_PLANES,
    MPP_RANGE,
    PICTURES,
    POWER_RANGE,
    SlideMetadata,
    clean_text,
    number_within,
)
from tiler.readers import dicom_dataset
from tiler.readers.dicom_dataset import DataSet
from tiler.readers.dicom_instances import Instance, Sources, position
from tiler.readers.dicom_matrix import Matrix
from tiler.readers.dicom_pixels import CODINGS, HEAVY
from tiler.readers.dicom_tags import Tag
from tiler.readers.openslide import MAX_PICTURE_PIXELS
from tiler.slide import Picture, SlideFile, SlideFiles

_WHOLE_SLIDE: Final = "1.2.840.10008.5.1.4.1.1.77.1.6"
_DIRECTORY: Final = "1.2.840.10008.1.3.10"
# The elements that a data set, or the group before it, begins with.
_BARE: Final = (b"\x02\0\0\0", b"\x02\0\1\0", b"\x08\0\5\0", b"\x08\0\x08\0")
_VOLUME: Final = "VOLUME"
_PICTURE_OF: Final = {"LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}
_PASSED: Final = ("LOCALIZER",)  # of the retired kind, all levels in one
_MM: Final = 1000.0
# Levels are of one image when their physical sides differ by less, in shares of the finest's.
_SAME_AREA: Final = 0.05
_WORD: Final = re.compile(r"[A-Z0-9_]{1,16}")
# YYYYMMDDHHMMSS.FFFFFF&ZZXX (PS3.5 6.2); what has no seconds says less than a time of day.
_TIME: Final = re.compile(r"(\d{14})(\.\d{1,6})?([+-]\d{4})?")

_STORED, _DECODED, _REFUSED = Handling.STORED, Handling.DECODED, Handling.REFUSED
FORMAT: Final = Format(
    name="dicom",
    title="DICOM WSI",
    oracle="OpenSlide; wsidicom for what OpenSlide does not read",
    cells=(
        Cell("jpeg", "JPEG baseline, YCbCr", _STORED),
        Cell("jpeg-rgb", "JPEG baseline, RGB", _STORED),
        Cell("jpeg-grey", "JPEG baseline, grey", _STORED),
        Cell("single-file", "One file alone, which is the whole full resolution", _STORED),
        Cell("sparse", "TILED_SPARSE, with empty places", _STORED),
        Cell("concatenation", "A level in several files, concatenated", _STORED),
        Cell("extended-offset-table", "An extended offset table", _STORED),
        Cell("no-offset-table", "No offset table", _STORED),
        Cell("focal-planes", "Several focal planes; the middle one is shown", _STORED),
        Cell("pictures", "Label, overview and thumbnail", _STORED),
        Cell("fragments", "JPEG frames in several fragments", _DECODED),
        Cell("short-frames", "JPEG frames cut short at the slide's edge, as some converters write them", _DECODED),
        Cell("small-frames", "Frames too small or too large for tiles", _DECODED),
        Cell("jpeg-2000", "JPEG 2000, lossy or lossless", _DECODED),
        Cell("htj2k", "High-Throughput JPEG 2000", _DECODED),
        Cell("jpeg-ls", "JPEG-LS, lossless or near-lossless", _DECODED),
        Cell("jpeg-lossless", "Lossless JPEG", _DECODED),
        Cell("rle", "RLE", _DECODED),
        Cell("uncompressed", "No compression, explicit or implicit value representations", _DECODED),
        Cell("planar", "No compression, colour by plane", _DECODED),
        Cell("deflated", "The data set deflated as a whole", _DECODED),
        Cell("grey-sparse", "JPEG baseline, grey, with empty places", _DECODED),
        Cell("grey-16", "Grey of 9 to 16 bits, through a stated display window", _DECODED),
        Cell("colour-16", "Colour of 9 to 16 bits, through a stated display window", _DECODED),
        Cell("channels", "Several optical paths in grey, added through stated display windows", _DECODED),
        Cell("colour-paths", "Several optical paths in colour", _REFUSED, "several optical paths in colour"),
        Cell("signed", "Signed numbers, or more than 16 bits", _REFUSED, "not whole numbers of 8 to 16 bits"),
        Cell("palette", "Palette or inverted colours", _REFUSED, "neither RGB, YCbCr nor grey from black to white"),
        Cell("video", "MPEG and other transfer syntaxes", _REFUSED, "(transfer syntax) that is not read"),
        Cell("big-endian", "Explicit big endian", _REFUSED, "written big endian"),
        Cell("other-modality", "Other kinds of DICOM images", _REFUSED, "no whole-slide image"),
        Cell("no-preamble", "A data set without the header of a file", _REFUSED, "without the header of a DICOM file"),
        Cell("off-grid", "Frames that overlap or do not lie on a grid", _REFUSED, "side by side on a grid"),
        Cell("mirrored", "An image seen from behind", _REFUSED, "mirrored"),
        Cell("not-square", "Pixels that are not square", _REFUSED, "not square"),
        Cell("several-series", "Files of several series", _REFUSED, "several series"),
        Cell("several-areas", "Several scanned areas in one series", _REFUSED, "several areas"),
        Cell("missing-part", "A file of a concatenation is missing", _REFUSED, "part 2 of 3"),
        Cell("missing-frames", "A file of a level is missing", _REFUSED, "a file of the slide may be missing"),
        Cell("missing-full-resolution", "Only reduced copies", _REFUSED, "full resolution is missing"),
        Cell("not-dicom", "Another file among the instances", _REFUSED, "is no DICOM file"),
    ),
)


def recognises(files: SlideFiles) -> bool:
    for number in range(len(files.names)):
        source = files.source(number)
        try:
            if dicom_dataset.is_dicom(source):
                return True
        finally:
            source.close()
    return False


def check_head(head: bytes) -> None:
    """Raises UnsupportedSlideError for the beginning of a bare data set."""
    if head[:4] in _BARE and head[4:6] in (b"UL", b"OB", b"CS"):
        raise UnsupportedSlideError("The file is DICOM, but without the header of a DICOM file; export it again.")


def read(files: SlideFiles) -> SlideFile:
    """The slide of one series. Raises DamagedSlideError, UnsupportedSlideError."""
    instances = _instances(files)
    if any(CODINGS.get(one.file.transfer_syntax) in HEAVY for one in instances):
        codecs.require()
    volumes = [one for one in instances if one.kind == _VOLUME]
    if not volumes:
        raise UnsupportedSlideError("The DICOM files hold no scan of the tissue; send all files of the series.")
    paths = _paths(volumes)
    if len(paths) > 1 or any((one.file.facts.integer(Tag.BITS_ALLOCATED) or 8) > 8 for one in volumes):
        codecs.require()
    sources = Sources(files)
    by_size: dict[Size, list[Instance]] = defaultdict(list)
    for one in volumes:
        by_size[one.size].append(one)
    sizes = sorted(by_size, key=lambda size: -size.area)
    _check_areas([by_size[size][0] for size in sizes])
    levels: list[list[Matrix]] = []
    for size in sizes:
        levels.append([_matrix(by_size[size], sources, path if len(paths) > 1 else None) for path in paths])
        if size.fits(levels[-1][0].tile):  # what is smaller than one tile nobody needs
            break
    finest = [level[0] for level in levels]
    facts = finest[0].parts[0].file.facts
    pictures = _pictures(instances, sources)
    profile = facts.first(Tag.OPTICAL_PATHS).data(Tag.ICC_PROFILE)
    metadata = _metadata(finest, instances, tuple(pictures), profile)
    profile = profile if profile and len(profile) <= icc.MAX_BYTES else None
    if len(paths) == 1 and not any(form.deep for matrix in finest for form in matrix.forms):
        shown = tuple(matrix.level() for matrix in finest)
        return SlideFile(metadata, shown, profile, _Pixels(finest), pictures)
    return _through_a_window(SlideFile(metadata, (), profile, None, pictures), levels)


def _paths(volumes: Sequence[Instance]) -> list[str]:
    """The optical paths of all, in their order."""
    paths = [*dict.fromkeys(path for one in volumes for path in one.paths)]
    used = {frame.path for one in volumes for frame in one.file.facts.items(Tag.PER_FRAME)} - {None}
    if len(used) > len(paths) or (len(paths) > 1 and used - set(paths)):
        raise DamagedSlideError("The DICOM file does not describe each of its optical paths.")
    return paths


def _matrix(parts: Sequence[Instance], sources: Sources, path: str | None) -> Matrix:
    having = [one for one in parts if path is None or path in one.paths]
    if not having:
        raise DamagedSlideError("A level of the slide lacks one of its optical paths: a file may be missing.")
    return Matrix(having, sources, path)


def _through_a_window(slide: SlideFile, levels: Sequence[Sequence[Matrix]]) -> SlideFile:
    from tiler import window
    from tiler.readers.dicom_channels import Channels  # there already, where `tiler.codecs` are

    channels = Channels(levels)
    told = {**slide.metadata.properties, **({window.PROPERTY: words} if (words := channels.display.words) else {})}
    if len(levels[0]) > 1:
        told["dicom.optical-paths"] = str(len(levels[0]))
    shown = tuple(level[0].decoded_level() for level in levels)
    return replace(slide, metadata=replace(slide.metadata, properties=told), levels=shown, decoder=channels)


class _Pixels:
    """See `tiler.slide.Decoder`."""

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        self._matrices = matrices

    def tile(self, level: int, area: Region) -> Image.Image | bytes:
        return self._matrices[level].whole(area) or self._matrices[level].region(area)


def _instances(files: SlideFiles) -> list[Instance]:
    found = [one for number in range(len(files.names)) if (one := _instance(files, number)) is not None]
    if len({one.file.facts.text(Tag.SERIES) for one in found}) > 1:
        raise UnsupportedSlideError("The DICOM files are of several series, which are several slides; send each alone.")
    names = [one.file.facts.text(Tag.SOP_INSTANCE) for one in found]
    if len(set(names)) < len(names):
        raise DamagedSlideError("The DICOM files hold the same instance twice.")
    return found


def _instance(files: SlideFiles, number: int) -> Instance | None:
    """None for a DICOMDIR, which only lists the others."""
    source = files.source(number)
    try:
        if not dicom_dataset.is_dicom(source):
            raise UnsupportedSlideError(f"The file {clean_text(files.names[number])} is no DICOM file.")
        file = dicom_dataset.read(source, {Tag.PER_FRAME: position})
    finally:
        source.close()
    if file.media_storage == _DIRECTORY:
        return None
    facts = file.facts
    # What the file says outside of its data set is a copy, for who looks no further.
    if {file.media_storage or _WHOLE_SLIDE, facts.text(Tag.SOP_CLASS)} != {_WHOLE_SLIDE}:
        raise UnsupportedSlideError("The DICOM file is no whole-slide image, but one of another kind.")
    if facts.text(Tag.MODALITY) not in ("SM", None):
        raise UnsupportedSlideError("The DICOM file is no whole-slide image: it names another modality.")
    kind = [*facts.texts(Tag.IMAGE_TYPE), "", "", ""][2]
    if kind not in (_VOLUME, *_PICTURE_OF, *_PASSED):
        raise UnsupportedSlideError("The DICOM file does not say what of the slide it shows (Image Type).")
    size = Size(facts.integer(Tag.MATRIX_COLUMNS) or 0, facts.integer(Tag.MATRIX_ROWS) or 0)
    tile = Size(facts.integer(Tag.COLUMNS) or 0, facts.integer(Tag.ROWS) or 0)
    count = facts.integer(Tag.FRAMES)
    return Instance(number, file, kind, size, tile, 1 if count is None else count)


def _check_areas(levels: Sequence[Instance]) -> None:
    """Raises UnsupportedSlideError unless these, finest first, are one area of a slide as it is seen from above, at
    full resolution."""
    finest = levels[0].file.facts
    if [*finest.texts(Tag.IMAGE_TYPE), ""][3] == "RESAMPLED":
        raise UnsupportedSlideError("The slide's full resolution is missing; send all files of the series.")
    orientation = finest.numbers(Tag.ORIENTATION)
    if orientation:
        _check_orientation(orientation)
    if len({one.file.facts.text(Tag.PYRAMID) for one in levels} - {None}) > 1:
        raise UnsupportedSlideError("The series shows several areas of the slide; send each as a series of its own.")
    spacing, corner = _spacing(finest), _corner(finest)
    for one in levels[1:]:
        facts = one.file.facts
        turned = zip(orientation, facts.numbers(Tag.ORIENTATION), strict=False)
        if any(abs(cosine - other) > 0.01 for cosine, other in turned):
            raise UnsupportedSlideError("The slide's levels are turned differently.")
        here, at = _spacing(facts), _corner(facts)
        if spacing is None or here is None:
            continue
        for side in (0, 1):
            full = (levels[0].size.width, levels[0].size.height)[side] * spacing[side]
            length = (one.size.width, one.size.height)[side] * here[side]
            away = abs(corner[side] - at[side]) if corner and at else 0.0
            if max(abs(length - full), away) > max(_SAME_AREA * full, 2 * here[side]):
                raise UnsupportedSlideError(
                    "The series shows several areas of the slide; send each as a series of its own."
                )


def _check_orientation(cosines: Sequence[float]) -> None:
    """Image Orientation (Slide): the directions of rows and columns, the slide's z pointing at who looks at it."""
    if len(cosines) != 6:
        raise DamagedSlideError("The DICOM file does not say how its image lies on the slide.")
    x, y, _, u, v, _ = cosines
    if max(abs(x * x + y * y - 1), abs(u * u + v * v - 1), abs(x * u + y * v)) > 0.01:
        raise UnsupportedSlideError("The slide's image is seen at an angle, or skewed.")
    if x * v - y * u > 0:
        raise UnsupportedSlideError("The slide's image is mirrored, as if seen from behind.")


def _spacing(facts: DataSet) -> tuple[float, float] | None:
    """Millimetres from pixel to pixel, across and down: Pixel Spacing, or else the Imaged Volume's sides."""
    down_across = facts.first(Tag.SHARED).first(Tag.PIXEL_MEASURES).numbers(Tag.PIXEL_SPACING)
    if len(down_across) == 2 and min(down_across) > 0:
        return down_across[1], down_across[0]
    width, height = facts.number(Tag.IMAGED_VOLUME_WIDTH), facts.number(Tag.IMAGED_VOLUME_HEIGHT)
    columns, rows = facts.integer(Tag.MATRIX_COLUMNS), facts.integer(Tag.MATRIX_ROWS)
    if width and height and columns and rows and min(width, height) > 0:
        return width / columns, height / rows
    return None


def _corner(facts: DataSet) -> tuple[float, float] | None:
    """Where on the slide the image begins, in millimetres along its own rows and columns."""
    origin, cosines = facts.first(Tag.MATRIX_ORIGIN), facts.numbers(Tag.ORIENTATION)
    x, y = origin.number(Tag.X_OFFSET), origin.number(Tag.Y_OFFSET)
    if x is None or y is None or len(cosines) != 6:
        return None
    return x * cosines[0] + y * cosines[1], x * cosines[3] + y * cosines[4]


def _pictures(instances: Sequence[Instance], sources: Sources) -> dict[str, Picture]:
    def reader(one: Instance) -> Picture:
        return lambda: _picture(one, sources)

    by_name = {_PICTURE_OF[one.kind]: one for one in reversed(instances) if one.kind in _PICTURE_OF}
    return {name: reader(by_name[name]) for name in PICTURES if name in by_name}


def _picture(one: Instance, sources: Sources) -> Image.Image | None:
    """None when it cannot be read or is larger than any should be."""
    if one.size.area > MAX_PICTURE_PIXELS:
        return None
    try:
        return Matrix([one], sources).region(Region(0, 0, one.size.width, one.size.height))
    except TilerError:
        return None


def _metadata(
    matrices: Sequence[Matrix], instances: Sequence[Instance], pictures: tuple[str, ...], profile: bytes | None
) -> SlideMetadata:
    finest = matrices[0]
    facts = finest.parts[0].file.facts
    spacing = _spacing(facts)
    said = (one.file.facts.text(Tag.BARCODE) for one in instances)
    return SlideMetadata(
        format=FORMAT.name,
        vendor="dicom",
        size=finest.size,
        mpp_x=number_within(spacing[0] * _MM, MPP_RANGE) if spacing else None,
        mpp_y=number_within(spacing[1] * _MM, MPP_RANGE) if spacing else None,
        objective_power=number_within(facts.first(Tag.OPTICAL_PATHS).number(Tag.OBJECTIVE_POWER), POWER_RANGE),
        scanner_manufacturer=clean_text(facts.text(Tag.MANUFACTURER)),
        scanner_model=clean_text(facts.text(Tag.MODEL)),
        scanner_serial=clean_text(facts.text(Tag.SERIAL)),
        acquired_at=_acquired(facts),
        icc_profile_present=profile is not None,
        barcode=clean_text(next(filter(None, said), None)),
        bounds=_bounds(finest),
        focal_planes=finest.planes if finest.planes <= MAX_FOCAL_PLANES else None,
        pictures=pictures,
        properties=_properties(matrices, instances),
    )


def _bounds(finest: Matrix) -> Region | None:
    if not finest.empty:
        return None
    filled = finest.filled
    return filled if filled.size != finest.size else None


def _acquired(facts: DataSet) -> datetime | None:
    found = _TIME.fullmatch(facts.text(Tag.ACQUISITION_DATE_TIME) or "")
    if found is None:
        return None
    zone = found[3] or facts.text(Tag.TIMEZONE) or ""
    try:
        return datetime.strptime(found[1] + (found[2] or ".0") + zone, "%Y%m%d%H%M%S.%f" + ("%z" if zone else ""))
    except ValueError:
        return None


def _properties(matrices: Sequence[Matrix], instances: Sequence[Instance]) -> dict[str, str]:
    """Words and numbers that the standard defines: nobody's own text."""
    part = matrices[0].parts[0]
    facts = part.file.facts
    words = {
        "dicom.image-type": " ".join(text for text in facts.texts(Tag.IMAGE_TYPE) if _WORD.fullmatch(text)),
        "dicom.photometric": facts.text(Tag.PHOTOMETRIC),
        "dicom.dimension-organization": facts.text(Tag.DIMENSION_ORGANIZATION_TYPE),
        "dicom.lossy": facts.text(Tag.LOSSY),
        "dicom.focus-method": facts.text(Tag.FOCUS_METHOD),
        "dicom.extended-depth-of-field": facts.text(Tag.EXTENDED_DEPTH_OF_FIELD),
    }
    properties = {name: text for name, text in words.items() if text and all(map(_WORD.fullmatch, text.split(" ")))}
    properties["dicom.instances"] = str(len(instances))
    properties["dicom.transfer-syntax"] = part.file.transfer_syntax
    if cosines := facts.numbers(Tag.ORIENTATION):
        properties["dicom.image-orientation"] = " ".join(f"{cosine:g}" for cosine in cosines)
    if origin := facts.first(Tag.MATRIX_ORIGIN):
        for name, tag in (("x", Tag.X_OFFSET), ("y", Tag.Y_OFFSET)):
            if (offset := origin.number(tag)) is not None:
                properties[f"dicom.origin-{name}-mm"] = f"{offset:g}"
    if matrices[0].planes > 1:
        properties[FOCAL_PLANE] = f"{matrices[0].planes // 2 + 1} of {matrices[0].planes}"
    return properties
