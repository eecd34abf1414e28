"""DICOM whole-slide images as converters and scanners write them, one file a level and more, with everything that a
reader may meet."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from PIL import Image, ImageFilter
from pydicom import Dataset, dcmwrite, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.sequence import Sequence as Items

from benchmarks.layouts import Makers
from benchmarks.layouts.specimen import MPP, Pixels, associated, jpeg, pyramid, tissue

TILE: Final = 256
BARCODE: Final = "H26-00731-A1"
SERIAL: Final = "SN-0042"
OBJECTIVE: Final = 20.0
_ROOT: Final = "2.25.9000"
_MPEG: Final = "1.2.840.10008.1.2.4.100"
_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_HTJ2K: Final = "1.2.840.10008.1.2.4.201"
_KINDS: Final = {"LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}

Encoder = Callable[[Pixels], bytes]
Edit = Callable[[Dataset], None]


def jpeg_422(pixels: Pixels) -> bytes:
    return jpeg(pixels, subsampling="4:2:2")


def jpeg_rgb(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85, keep_rgb=True)
    return out.getvalue()


def run_lengths(pixels: Pixels) -> bytes:
    """PS3.5 annex G: each row of each sample by itself."""
    planes = [pixels] if pixels.ndim == 2 else [pixels[..., sample] for sample in range(pixels.shape[2])]
    segments = [b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane) for plane in planes]
    segments = [segment + bytes(len(segment) % 2) for segment in segments]
    starts = np.zeros(16, "<u4")
    starts[0] = len(segments)
    starts[1 : 1 + len(segments)] = 64 + np.cumsum([0, *map(len, segments[:-1])])
    return starts.tobytes() + b"".join(segments)


def coded(encode: Callable[..., bytes | bytearray], **options: Any) -> Encoder:
    return lambda pixels: bytes(encode(pixels, **options))


def plain(pixels: Pixels) -> bytes:
    return pixels.tobytes()


def by_plane(pixels: Pixels) -> bytes:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()


@dataclass(frozen=True, slots=True)
class Writing:
    """How the frames of a slide are written."""

    syntax: str = uid.JPEGBaseline8Bit
    encode: Encoder = jpeg_422
    photometric: str = "YBR_FULL_422"
    tile: tuple[int, int] = (TILE, TILE)
    fragments: int = 1
    table: bool = True
    extended: bool = False

    @property
    def grey(self) -> bool:
        return self.photometric == "MONOCHROME2"


JPEG: Final = Writing()
RGB: Final = Writing(encode=jpeg_rgb, photometric="RGB")
GREY: Final = Writing(photometric="MONOCHROME2", encode=jpeg)
PLAIN: Final = Writing(uid.ExplicitVRLittleEndian, plain, "RGB")
JPEG_2000: Final = Writing(uid.JPEG2000, coded(imagecodecs.jpeg2k_encode, codecformat="J2K", level=42), "YBR_ICT")
JPEG_2000_LOSSLESS: Final = Writing(
    uid.JPEG2000Lossless, coded(imagecodecs.jpeg2k_encode, codecformat="J2K", reversible=True), "YBR_RCT"
)
HTJ2K: Final = Writing(_HTJ2K, coded(imagecodecs.htj2k_encode), "RGB")
JPEG_LS: Final = Writing(uid.JPEGLSLossless, coded(imagecodecs.jpegls_encode), "RGB")
JPEG_LOSSLESS: Final = Writing(uid.JPEGLosslessSV1, coded(imagecodecs.jpeg8_encode, lossless=True), "RGB")
RLE: Final = Writing(uid.RLELossless, run_lengths, "RGB")


def frames(pixels: Pixels, tile: tuple[int, int]) -> list[Pixels]:
    """The tiles of a picture, row by row, its edges repeated where they reach beyond."""
    across, down = tile
    rows, columns = -pixels.shape[0] % down, -pixels.shape[1] % across
    whole = np.pad(pixels, ((0, rows), (0, columns), (0, 0))[: pixels.ndim], mode="edge")
    return [
        np.ascontiguousarray(whole[y : y + down, x : x + across])
        for y in range(0, whole.shape[0], down)
        for x in range(0, whole.shape[1], across)
    ]


def positions(pixels: Pixels, tile: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for y in range(0, pixels.shape[0], tile[1]):
        for x in range(0, pixels.shape[1], tile[0]):
            yield x + 1, y + 1


def instance(pixels: Pixels, writing: Writing, *, number: int = 0, kind: str = "VOLUME", step: int = 1) -> Dataset:
    """All of one picture but its frames; `step` is how much smaller than the full resolution it is."""
    rows, columns = pixels.shape[:2]
    derived = ("DERIVED", "PRIMARY", kind, "RESAMPLED") if step > 1 else ("ORIGINAL", "PRIMARY", kind, "NONE")
    spacing = [MPP / 1000 * step] * 2
    data = Dataset()
    put(
        data,
        ImageType=[*derived],
        SOPClassUID=uid.VLWholeSlideMicroscopyImageStorage,
        SOPInstanceUID=f"{_ROOT}.{number + 1}",
        StudyDate="20260413",
        ContentDate="20260413",
        AcquisitionDateTime="20260413101522.250000+0200",
        StudyTime="101500",
        ContentTime="101530",
        AccessionNumber="H26-00731",
        Modality="SM",
        Manufacturer="IAIN",
        ReferringPhysicianName="",
        ManufacturerModelName="Layouts",
        VolumetricProperties="VOLUME",
        PatientName="DÉMO^Démo",
        PatientID="0",
        PatientBirthDate="",
        PatientSex="",
        DeviceSerialNumber=SERIAL,
        SoftwareVersions="1",
        StudyInstanceUID=f"{_ROOT}.0.1",
        SeriesInstanceUID=f"{_ROOT}.0.2",
        SeriesNumber=1,
        InstanceNumber=number + 1,
        FrameOfReferenceUID=f"{_ROOT}.0.3",
        PositionReferenceIndicator="SLIDE_CORNER",
        DimensionOrganizationType="TILED_FULL",
        SamplesPerPixel=1 if pixels.ndim == 2 else 3,
        PhotometricInterpretation=writing.photometric,
        Rows=writing.tile[1],
        Columns=writing.tile[0],
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        BurnedInAnnotation="NO",
        LossyImageCompression="01" if writing.syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else "00",
        ContainerIdentifier=BARCODE,
        ImagedVolumeWidth=columns * spacing[1],
        ImagedVolumeHeight=rows * spacing[0],
        ImagedVolumeDepth=1.0,
        TotalPixelMatrixColumns=columns,
        TotalPixelMatrixRows=rows,
        SpecimenLabelInImage="YES" if kind == "LABEL" else "NO",
        FocusMethod="AUTO",
        ExtendedDepthOfField="NO",
        ImageOrientationSlide=[0, -1, 0, -1, 0, 0],
        NumberOfOpticalPaths=1,
        TotalPixelMatrixFocalPlanes=1,
    )
    data.TotalPixelMatrixOriginSequence = items(
        XOffsetInSlideCoordinateSystem=20.0, YOffsetInSlideCoordinateSystem=40.0
    )
    data.OpticalPathSequence = items(
        OpticalPathIdentifier="1",
        ObjectiveLensPower=OBJECTIVE,
        IlluminationTypeCodeSequence=items(CodeValue="111744", CodingSchemeDesignator="DCM", CodeMeaning="Brightfield"),
    )
    measures = items(PixelSpacing=spacing, SliceThickness=0.001)
    types = items(FrameType=[*derived])
    data.SharedFunctionalGroupsSequence = items(
        PixelMeasuresSequence=measures, WholeSlideMicroscopyImageFrameTypeSequence=types
    )
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    if kind == "LABEL":
        data.BarcodeValue = BARCODE
        data.LabelText = ""
    return data


def put(data: Dataset, **facts: Any) -> None:
    """Elements by their keywords."""
    for keyword, value in facts.items():
        setattr(data, keyword, value)


def items(**facts: Any) -> Items:
    """A sequence of one item."""
    one = Dataset()
    put(one, **facts)
    return Items([one])


def write(path: Path, data: Dataset, pictures: Sequence[Pixels], writing: Writing) -> Path:
    """The instance with these frames."""
    encoded = [writing.encode(picture) for picture in pictures]
    data.NumberOfFrames = len(encoded)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = uid.UID(writing.syntax)
    data.file_meta = meta
    if not meta.TransferSyntaxUID.is_encapsulated:
        whole = b"".join(encoded)
        data.PixelData = whole + bytes(len(whole) % 2)
        data["PixelData"].VR = "OW" if data.BitsAllocated > 8 else "OB"
    elif writing.extended:
        data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = encapsulate_extended(encoded)
    else:
        data.PixelData = encapsulate(encoded, fragments_per_frame=writing.fragments, has_bot=writing.table)
        data["PixelData"].VR = "OB"
    if "PixelData" in data and meta.TransferSyntaxUID.is_encapsulated:
        data["PixelData"].is_undefined_length = True
    dcmwrite(path, data, enforce_file_format=True)
    return path


def scan(writing: Writing, levels: int = 2) -> list[Pixels]:
    """The levels of a slide."""
    full = tissue()
    return pyramid(np.asarray(Image.fromarray(full).convert("L")) if writing.grey else full, levels)


def slide(folder: Path, writing: Writing = JPEG, edit: Edit = lambda data: None, *, levels: int = 2) -> Path:
    """A slide of one file a level."""
    for number, pixels in enumerate(scan(writing, levels)):
        data = instance(pixels, writing, number=number, step=2**number)
        edit(data)
        write(folder / f"level-{number}.dcm", data, frames(pixels, writing.tile), writing)
    return folder


def single_file(folder: Path) -> Path:
    return slide(folder, levels=1) / "level-0.dcm"


def sparse(folder: Path, writing: Writing = JPEG, *, shift: int = 0) -> Path:
    """Without the last column of frames of its finest level, nor the first frame; there it is white, or black where it
    is grey. All frames lie `shift` pixels further right."""
    full = scan(writing, 1)[0].copy()
    across, down = writing.tile
    nothing = 0 if writing.grey else 255
    full[:down, :across] = nothing
    full[:, full.shape[1] // across * across :] = nothing
    for number, pixels in enumerate(pyramid(full, 2)):
        data = instance(pixels, writing, number=number, step=2**number)
        data.DimensionOrganizationType = "TILED_SPARSE"
        kept: list[Pixels] = []
        groups: list[Dataset] = []
        for (x, y), picture in zip(positions(pixels, writing.tile), frames(pixels, writing.tile), strict=True):
            if number == 0 and ((x, y) == (1, 1) or x + across > full.shape[1]):
                continue
            kept.append(picture)
            place = items(
                ColumnPositionInTotalImagePixelMatrix=x + shift,
                RowPositionInTotalImagePixelMatrix=y,
                XOffsetInSlideCoordinateSystem=20.0 - y * MPP / 1000,
                YOffsetInSlideCoordinateSystem=40.0 - x * MPP / 1000,
                ZOffsetInSlideCoordinateSystem=0.0,
            )
            groups += items(
                PlanePositionSlideSequence=place,
                OpticalPathIdentificationSequence=items(OpticalPathIdentifier="1"),
                FrameContentSequence=items(DimensionIndexValues=[x, y]),
            )
        data.PerFrameFunctionalGroupsSequence = Items(groups)
        write(folder / f"level-{number}.dcm", data, kept, writing)
    return folder


def concatenation(folder: Path, missing: Sequence[int] = ()) -> Path:
    """Its finest level is in three files, written in another order than they come in."""
    slide(folder)
    pixels = scan(JPEG)[0]
    pictures = frames(pixels, JPEG.tile)
    (folder / "level-0.dcm").unlink()
    first = 0
    for number, count in enumerate((5, 4, 3), start=1):
        data = instance(pixels, JPEG, number=10 + number)
        data.ConcatenationUID = f"{_ROOT}.0.4"
        data.InConcatenationNumber = number
        data.InConcatenationTotalNumber = 3
        data.ConcatenationFrameOffsetNumber = first
        if number not in missing:
            write(folder / f"part-{4 - number}.dcm", data, pictures[first : first + count], JPEG)
        first += count
    return folder


def focal_planes(folder: Path, count: int = 3) -> Path:
    """Its finest level is seen at several depths, sharp only in the middle."""
    for number, pixels in enumerate(scan(JPEG)):
        data = instance(pixels, JPEG, number=number, step=2**number)
        pictures = frames(pixels, JPEG.tile)
        if number == 0:
            blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(4)))
            data.TotalPixelMatrixFocalPlanes = count
            aside = frames(blurred, JPEG.tile)
            pictures = [each for plane in range(count) for each in (pictures if plane == count // 2 else aside)]
            measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            measures.SpacingBetweenSlices = 0.002
        write(folder / f"level-{number}.dcm", data, pictures, JPEG)
    return folder


def pictures(folder: Path) -> Path:
    """With label, overview and thumbnail beside its levels."""
    slide(folder)
    for number, (kind, name) in enumerate(_KINDS.items(), start=20):
        pixels = associated(name)
        whole = replace(RGB if kind == "LABEL" else JPEG, tile=(pixels.shape[1], pixels.shape[0]))
        write(folder / f"{name}.dcm", instance(pixels, whole, number=number, kind=kind), [pixels], whole)
    return folder


def deep(pixels: Pixels) -> bytes:
    """Twelve bits, none of them black."""
    return (pixels.astype("<u2") * 12 + 300).tobytes()


def twelve_bits(data: Dataset) -> None:
    put(data, BitsAllocated=16, BitsStored=12, HighBit=11)


def channels(folder: Path) -> Path:
    """Two optical paths: at full resolution one after the other in one file, below in two."""
    for number, (first, second) in enumerate(zip(scan(GREY), pyramid(second_channel(), 2), strict=True)):
        data = instance(first, GREY, number=number, step=2**number)
        tiles = [frames(each, GREY.tile) for each in (first, second)]
        other = instance(second, GREY, number=10 + number, step=2**number)
        other.OpticalPathSequence[0].OpticalPathIdentifier = "2"
        if number == 0:
            data.OpticalPathSequence = Items([*data.OpticalPathSequence, *other.OpticalPathSequence])
            data.NumberOfOpticalPaths = 2
            write(folder / "level-0.dcm", data, [*tiles[0], *tiles[1]], GREY)
        else:
            write(folder / f"level-{number}-1.dcm", data, tiles[0], GREY)
            write(folder / f"level-{number}-2.dcm", other, tiles[1], GREY)
    return folder


def second_channel() -> Pixels:
    """How blue the tissue is."""
    return np.ascontiguousarray(255 - tissue()[..., 1])


def colour_paths(folder: Path) -> Path:
    slide(folder)
    for number, pixels in enumerate(scan(JPEG)):
        data = instance(pixels, JPEG, number=10 + number, step=2**number)
        data.OpticalPathSequence[0].OpticalPathIdentifier = "2"
        write(folder / f"second-{number}.dcm", data, frames(pixels, JPEG.tile), JPEG)
    return folder


def no_preamble(folder: Path) -> Path:
    path = single_file(folder)
    path.write_bytes(path.read_bytes()[132:])
    return path


def several_series(folder: Path) -> Path:
    def rename(data: Dataset) -> None:
        data.SeriesInstanceUID += f".{data.InstanceNumber}"

    return slide(folder, edit=rename)


def several_areas(folder: Path) -> Path:
    """A second, smaller pyramid."""
    slide(folder, edit=partial(put, PyramidUID=f"{_ROOT}.0.5"))
    pixels = scan(JPEG)[0][:512, :512]
    data = instance(pixels, JPEG, number=10)
    data.PyramidUID = f"{_ROOT}.0.6"
    data.TotalPixelMatrixOriginSequence[0].YOffsetInSlideCoordinateSystem = 20.0
    write(folder / "area-2.dcm", data, frames(pixels, JPEG.tile), JPEG)
    return folder


def missing_frames(folder: Path) -> Path:
    slide(folder)
    pixels = scan(JPEG)[0]
    write(folder / "level-0.dcm", instance(pixels, JPEG), frames(pixels, JPEG.tile)[:8], JPEG)
    return folder


def missing_full_resolution(folder: Path) -> Path:
    (slide(folder) / "level-0.dcm").unlink()
    return folder / "level-1.dcm"


def short_frames(folder: Path) -> Path:
    """Those of the last column are only as wide as the slide is there."""
    for number, pixels in enumerate(scan(JPEG)):
        places = positions(pixels, JPEG.tile)
        tiles = [
            np.ascontiguousarray(tile[:, : pixels.shape[1] - x + 1])
            for (x, _), tile in zip(places, frames(pixels, JPEG.tile), strict=True)
        ]
        write(folder / f"level-{number}.dcm", instance(pixels, JPEG, number=number, step=2**number), tiles, JPEG)
    return folder


def not_dicom(folder: Path) -> Path:
    (slide(folder) / "notes.txt").write_text("What somebody put beside it.")
    return folder


def _edited(**facts: Any) -> Callable[[Path], Path]:
    return partial(slide, edit=partial(put, **facts), levels=1)


def _stretched(data: Dataset) -> None:
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [MPP / 1000, MPP / 1250]


def _planar(data: Dataset) -> None:
    data.PlanarConfiguration = 1


MAKERS: Final[Makers] = {
    "jpeg": slide,
    "jpeg-rgb": partial(slide, writing=RGB),
    "jpeg-grey": partial(slide, writing=GREY),
    "single-file": single_file,
    "sparse": sparse,
    "concatenation": concatenation,
    "extended-offset-table": partial(slide, writing=replace(JPEG, extended=True)),
    "no-offset-table": partial(slide, writing=replace(JPEG, table=False)),
    "focal-planes": focal_planes,
    "pictures": pictures,
    "fragments": partial(slide, writing=replace(JPEG, fragments=3)),
    "short-frames": short_frames,
    "small-frames": partial(slide, writing=replace(JPEG, tile=(12, 120))),
    "jpeg-2000": partial(slide, writing=JPEG_2000),
    "htj2k": partial(slide, writing=HTJ2K),
    "jpeg-ls": partial(slide, writing=JPEG_LS),
    "jpeg-lossless": partial(slide, writing=JPEG_LOSSLESS),
    "rle": partial(slide, writing=RLE),
    "uncompressed": partial(slide, writing=PLAIN),
    "planar": partial(slide, writing=replace(PLAIN, encode=by_plane), edit=_planar),
    "deflated": partial(slide, writing=replace(PLAIN, syntax=uid.DeflatedExplicitVRLittleEndian)),
    "grey-sparse": partial(sparse, writing=GREY),
    "grey-16": partial(slide, writing=replace(PLAIN, photometric="MONOCHROME2", encode=deep), edit=twelve_bits),
    "colour-16": partial(slide, writing=replace(PLAIN, encode=deep), edit=twelve_bits),
    "channels": channels,
    "colour-paths": colour_paths,
    "signed": _edited(PixelRepresentation=1),
    "palette": partial(
        slide,
        writing=replace(PLAIN, photometric="MONOCHROME2"),
        edit=partial(put, PhotometricInterpretation="PALETTE COLOR"),
        levels=1,
    ),
    "video": partial(slide, writing=replace(JPEG, syntax=_MPEG), levels=1),
    "big-endian": partial(slide, writing=replace(PLAIN, syntax=uid.ExplicitVRBigEndian), levels=1),
    "other-modality": _edited(SOPClassUID=_CT, Modality="CT"),
    "no-preamble": no_preamble,
    "off-grid": partial(sparse, shift=10),
    "mirrored": _edited(ImageOrientationSlide=[0, 1, 0, -1, 0, 0]),
    "not-square": partial(slide, edit=_stretched, levels=1),
    "several-series": several_series,
    "several-areas": several_areas,
    "missing-part": partial(concatenation, missing=(2,)),
    "missing-frames": missing_frames,
    "missing-full-resolution": missing_full_resolution,
    "not-dicom": not_dicom,
}
