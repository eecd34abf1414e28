"""DICOM: what is refused and in which words, and the arithmetic of elements, frames and facts."""

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid

from benchmarks.layouts import dicom as layouts
from tiler import codecs, jpeg
from tiler.errors import DamagedSlideError, NotASlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.jpeg import Colour
from tiler.opening import open_slide
from tiler.readers import dicom, dicom_codecs, dicom_dataset
from tiler.readers.dicom_dataset import DicomFile
from tiler.readers.dicom_frames import frames_of
from tiler.readers.dicom_instances import Instance, form_of
from tiler.readers.dicom_pixels import Coding, Form, form, kind
from tiler.readers.dicom_tags import Tag
from tiler.slide import DecodedLevel, SlideFile, SlideFiles, StoredLevel
from tiler.storage.local import LocalByteSource
from tiler.storage.memory import MemoryByteSource


@pytest.fixture(scope="module", autouse=True)
def _codecs() -> None:
    codecs.load()


def read(folder: Path) -> SlideFile:
    return open_slide(SlideFiles(folder))


def one(folder: Path, edit: Callable[[pydicom.Dataset], None] = lambda data: None, count: int = 1) -> Path:
    """A file of a slide of one small frame, as a worker sees it."""
    pixels = layouts.tissue()[:64, :64]
    data = layouts.instance(pixels, small())
    edit(data)
    return layouts.write(folder / "slide", data, [pixels] * count, small())


def small() -> layouts.Writing:
    return layouts.Writing(tile=(64, 64))


def edited(**facts: object) -> Callable[[pydicom.Dataset], None]:
    return lambda data: layouts.put(data, **facts)


def element(tag: int, kind: bytes, value: bytes) -> bytes:
    """Of an explicit data set."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, kind)
    long = kind in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
META = bytes(128) + b"DICM" + element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")


def data_set(*elements: bytes) -> dicom_dataset.DataSet:
    return dicom_dataset.read(MemoryByteSource(META + b"".join(elements)), {}).facts


def test_elements_are_found_behind_sequences_of_every_form() -> None:
    rows = element(Tag.ROWS, b"US", b"\x40\0")
    inner = element(0x00080100, b"SH", b"T-1 ")
    endless = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    for sequence in (
        element(0x00081140, b"SQ", item(inner)),
        endless + item(inner) + END,
        endless + item(inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0), 0xFFFFFFFF) + END,
        # Unknown, of no length: implicit inside (PS3.5 6.2.2).
        endless.replace(b"SQ", b"UN") + item(struct.pack("<HHI", 0x0008, 0x0100, 4) + b"T-1 ") + END,
    ):
        assert data_set(sequence, rows).integer(Tag.ROWS) == 64


def test_pixels_are_the_same_with_implicit_representations(tmp_path: Path) -> None:
    for name, syntax in (("explicit", uid.ExplicitVRLittleEndian), ("implicit", uid.ImplicitVRLittleEndian)):
        (tmp_path / name).mkdir()
        layouts.slide(tmp_path / name, layouts.replace(layouts.PLAIN, syntax=syntax))
    explicit, implicit = read(tmp_path / "explicit"), read(tmp_path / "implicit")
    area = Region(256, 0, 256, 256)
    assert explicit.decoder is not None
    assert implicit.decoder is not None
    assert np.array_equal(np.asarray(explicit.decoder.tile(0, area)), np.asarray(implicit.decoder.tile(0, area)))
    assert np.array_equal(np.asarray(implicit.decoder.tile(0, area)), layouts.tissue()[:256, 256:512])
    assert explicit.metadata.mpp_x == implicit.metadata.mpp_x == 0.499


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (element(Tag.ROWS, b"US", b"\1\0") + element(Tag.MODALITY, b"CS", b"CT"), "out of order"),
        (element(Tag.ROWS, b"US", b"\1\0") * 2, "out of order"),
        (element(Tag.ROWS, b"LO", b"ab"), "another kind"),
        (element(Tag.ROWS, b"US", b"\1\0\0"), "another kind"),
        (element(Tag.SHARED, b"LO", b"ab"), "another kind"),
        (element(Tag.ROWS, b"12", b"\1\0"), "no known kind"),
        (element(Tag.SERIES, b"UI", b"1.2")[:-1], "cut short"),
        (element(Tag.SHARED, b"SQ", b"\0" * 8), "no item"),
        (struct.pack("<HH2sHI", 0x5200, 0x9229, b"SQ", 0, 0xFFFFFFFF) + item(b""), "cut short"),
        (element(Tag.MANUFACTURER, b"UT", bytes(70_000)), "longer than any"),
        (struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item(b"", 0xFFFFFFFF) * 1, "cut short"),
    ],
)
def test_a_data_set_that_breaks_the_rules_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(TilerError, match=words):
        data_set(content)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(b"IS", b"+-5 "), (b"IS", b"1.5 "), *((b"FD", struct.pack("<d", one)) for one in (math.nan, math.inf, 1.5))],
)
def test_a_number_that_is_not_whole_counts_nothing(kind: bytes, value: bytes) -> None:
    tag = Tag.FRAMES if kind == b"IS" else Tag.ROWS
    with pytest.raises(DamagedSlideError, match=r"where a number should be|another kind"):
        data_set(element(tag, kind, value)).integer(tag)


def test_items_may_be_out_of_order_but_say_nothing_twice() -> None:
    spacing, thickness = element(Tag.PIXEL_SPACING, b"DS", b"0.5\\0.5 "), element(0x00180050, b"DS", b"1 ")

    def measures(*elements: bytes) -> bytes:
        return element(Tag.SHARED, b"SQ", item(element(Tag.PIXEL_MEASURES, b"SQ", item(b"".join(elements)))))

    found = data_set(measures(spacing, thickness)).first(Tag.SHARED).first(Tag.PIXEL_MEASURES)
    assert found.numbers(Tag.PIXEL_SPACING) == [0.5, 0.5]
    with pytest.raises(DamagedSlideError, match="out of order"):
        data_set(measures(spacing, thickness, spacing))


def test_sequences_nested_without_end_are_refused() -> None:
    deeper = struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item(b"", 0xFFFFFFFF)
    with pytest.raises(DamagedSlideError, match="nested deeper"):
        data_set(deeper * 100_000)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = one(tmp_path).read_bytes()
    for end in range(0, len(whole), 97):
        (tmp_path / "slide").write_bytes(whole[:end])
        with pytest.raises(TilerError):
            read(tmp_path)


def fragments(*values: bytes, table: bytes = b"", end: bytes = END, **tables: bytes) -> DicomFile:
    """An instance whose pixels are these fragments; `tables` are the extended ones."""
    data = b"".join(map(item, (table, *values))) + end
    facts = dicom_dataset.DataSet({Tag[name]: value for name, value in tables.items()})
    return DicomFile(MemoryByteSource(b"head" + data), "", "", facts, 4, None)


def lengths(file: DicomFile, count: int) -> list[int]:
    found = frames_of(file, count, 100, file.source)
    return [len(found.read(file.source, number)) for number in range(count)]


def test_frames_are_found_with_a_table_or_without() -> None:
    jpegs = (jpeg.SOI + bytes(8), bytes(4), jpeg.SOI + bytes(4))
    assert lengths(fragments(*jpegs), 3) == [10, 4, 6]
    assert lengths(fragments(*jpegs), 2) == [14, 6]  # by where a JPEG begins
    assert lengths(fragments(*jpegs), 1) == [20]
    assert lengths(fragments(*jpegs, table=struct.pack("<2I", 0, 18 + 12)), 2) == [14, 6]
    assert lengths(fragments(bytes(2), bytes(4), bytes(6), table=struct.pack("<2I", 0, 10)), 2) == [2, 10]


@pytest.mark.parametrize(
    ("file", "count", "words"),
    [
        (fragments(bytes(4), bytes(4)), 3, "says that it has 3 frames, and holds 2"),
        (fragments(bytes(4), bytes(4), table=struct.pack("<2I", 0, 13)), 2, "where none are"),
        (fragments(bytes(4), bytes(4), bytes(4), table=struct.pack("<2I", 0, 13)), 2, "where none are"),
        (fragments(bytes(4), bytes(4), bytes(4), table=struct.pack("<2I", 12, 24)), 2, "where none are"),
        (fragments(bytes(4), table=bytes(8)), 1, "another length"),
        (fragments(bytes(4), EXTENDED_OFFSETS=bytes(7), EXTENDED_LENGTHS=bytes(8)), 1, "another length"),
        (fragments(bytes(4), bytes(4), bytes(4)), 2, "which of its fragments"),
        (fragments(bytes(4), end=b""), 1, "cut short"),
        (fragments(bytes(4), end=item(b"", 1000)), 1, "cut short"),
        (fragments(bytes(4), end=bytes(8)), 1, "something else"),
        (fragments(*[b""] * 4200), 1, "more pieces"),
        (fragments(), 2_147_483_647, "2147483647 frames"),
    ],
)
def test_frames_that_are_not_as_the_file_says_are_refused(file: DicomFile, count: int, words: str) -> None:
    with pytest.raises(TilerError, match=words):
        frames_of(file, count, 100, file.source)


@pytest.mark.parametrize("size", [Size(-64, -64), Size(64, -64), Size(0, 64)])
@pytest.mark.parametrize("of_frame", [True, False])
def test_sides_below_nothing_are_refused(size: Size, of_frame: bool) -> None:
    """Two of them have an area like any other's."""
    matrix, tile = (Size(64, 64), size) if of_frame else (size, Size(64, 64))
    facts = {Tag.BITS_ALLOCATED: 8, Tag.BITS_STORED: 8, Tag.SAMPLES: 3, Tag.PHOTOMETRIC: b"RGB"}
    file = DicomFile(MemoryByteSource(b""), "1.2.840.10008.1.2.1", "", dicom_dataset.DataSet(facts), 0, None)
    with pytest.raises(DamagedSlideError, match="claims"):
        form_of(Instance(0, file, "VOLUME", matrix, tile, 1))


def test_a_table_that_ran_over_at_four_gigabytes_is_understood(tmp_path: Path) -> None:
    first, beyond = item(b"", (1 << 32) - 2), 4 + 8 + 8 + 8 + (1 << 32) - 2
    with (tmp_path / "huge").open("wb") as file:  # which takes no room on the disk
        file.write(b"head" + item(struct.pack("<2I", 0, 6)) + first)
        file.seek(beyond)
        file.write(item(b"last") + END)
    source = LocalByteSource(tmp_path / "huge")
    instance = DicomFile(source, "", "", dicom_dataset.DataSet({}), 4, None)
    assert list(frames_of(instance, 2, 100, source).offsets) == [28, beyond + 8]
    source.close()


JFIF = b"\xff\xe0\0\x10JFIF\0" + bytes(9)
ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\x80\0\0\0"
SCAN = b"\xff\xda\0\x0c" + bytes(10)


def frame(sampling: int = 0x11, components: bytes = b"\1\2\3") -> bytes:
    parts = b"".join(bytes([name, sampling if not at else 0x11, 0]) for at, name in enumerate(components))
    return b"\xff\xc0\0\x11\x08\0\x40\0\x80" + bytes([len(components)]) + parts


@pytest.mark.parametrize(
    ("stream", "said", "meant"),
    [
        (frame() + SCAN, "RGB", Colour.RGB),
        (frame() + SCAN, "YBR_FULL_422", Colour.YCBCR),
        (frame(0x21) + SCAN, "RGB", Colour.YCBCR),
        (frame(components=b"RGB") + SCAN, "YBR_FULL_422", Colour.RGB),
        (JFIF + frame() + SCAN, "RGB", Colour.YCBCR),
        (frame() + ADOBE + b"\0" + SCAN, "YBR_FULL_422", Colour.RGB),
        (JFIF + ADOBE + b"\1" + frame() + SCAN, "RGB", Colour.YCBCR),
    ],
)
def test_what_a_stream_says_of_its_colours_comes_first(stream: bytes, said: str, meant: Colour) -> None:
    whole = jpeg.SOI + stream
    found = kind(whole + bytes(9), Form(Size(128, 64), Coding.JPEG, 3, said, planar=False))
    assert found == (meant, Size(128, 64), len(whole))


def test_a_body_may_repeat_the_colours_of_its_header_and_say_nothing_else() -> None:
    shared = jpeg.header(None, Colour.RGB)
    tables = b"\xff\xdb\0\x43\0" + bytes(64) + b"\xff\xc4\0\x13\0" + bytes(16)
    body = frame() + tables + ADOBE
    assert jpeg.check_prefix(body + b"\0" + SCAN, Size(128, 64), shared) == len(body) + 1 + len(SCAN)
    for segment in (ADOBE + b"\1", ADOBE.replace(b"\x80\0", b"Hi") + b"\0", JFIF, b"\xff\xfe\0\4Hi"):
        with pytest.raises(DamagedSlideError, match="foreign data"):
            jpeg.check_prefix(frame() + tables + segment + SCAN, Size(128, 64), shared)


def twelve_bit_rle(values: np.ndarray) -> bytes:
    return layouts.run_lengths(
        np.dstack(
            [
                part
                for each in np.atleast_3d(values).transpose(2, 0, 1)
                for part in ((each >> 8).astype(np.uint8), each.astype(np.uint8))
            ]
        )
    )


@pytest.mark.parametrize(
    ("coding", "encode", "exact"),
    [
        (Coding.JPEG_2000, lambda values: imagecodecs.jpeg2k_encode(values, codecformat="J2K", reversible=True), True),
        (Coding.JPEG_LS, imagecodecs.jpegls_encode, True),
        (Coding.JPEG_LOSSLESS, lambda values: imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12), True),
        (Coding.RLE, twelve_bit_rle, True),
        (Coding.PLAIN, lambda values: values.astype("<u2").tobytes(), True),
        (Coding.JPEG, lambda values: imagecodecs.jpeg8_encode(values, level=95, bitspersample=12), False),
    ],
)
@pytest.mark.parametrize("samples", [1, 3])
def test_twelve_bits_are_read_in_every_coding(
    coding: Coding, encode: Callable[[np.ndarray], bytes], exact: bool, samples: int
) -> None:
    values = layouts.tissue()[:40, :64, :samples].astype(np.uint16) * 12 + 300
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    deep = form(Size(64, 40), coding, samples, photometric, planar=False, bits=12)
    found = dicom_codecs.samples(bytes(encode(values[..., 0] if samples == 1 else values)), deep, Size(64, 40))
    assert found.dtype == np.uint16
    assert np.abs(found.astype(int) - values).mean() <= (0 if exact else 40)


@pytest.mark.parametrize(
    ("coding", "frame", "words"),
    [
        (Coding.JPEG_2000, imagecodecs.jpeg2k_encode(np.zeros((40, 65), np.uint8), codecformat="J2K"), "another size"),
        (
            Coding.JPEG_2000,
            imagecodecs.jpeg2k_encode(np.zeros((40, 64), np.uint16), codecformat="J2K"),
            "other samples",
        ),
        (Coding.JPEG_2000, imagecodecs.jpeg2k_encode(np.zeros((40, 64), np.uint8), codecformat="JP2"), "begin as one"),
        (Coding.JPEG_LS, imagecodecs.jpegls_encode(np.zeros((41, 64), np.uint8)), "another size"),
        (Coding.JPEG_LS, b"\xff\xd8\xff\xd9", "cannot be decoded"),
        (Coding.JPEG_LOSSLESS, imagecodecs.jpeg8_encode(np.zeros((39, 64), np.uint8), lossless=True), "another size"),
        (Coding.RLE, layouts.run_lengths(np.zeros((39, 64), np.uint8)), "cannot be decoded"),
        (Coding.RLE, layouts.run_lengths(np.zeros((40, 64, 3), np.uint8)), "number of segments"),
        (Coding.RLE, struct.pack("<16I", 1, *[64] * 15) + bytes(6000), "outside"),
        (Coding.RLE, b"", "cannot be decoded"),
        (Coding.JPEG, jpeg.blank(Size(64, 39)), "another size"),
        (Coding.JPEG, b"", "begin as one"),
    ],
)
def test_a_frame_of_another_kind_than_the_file_says_is_refused(coding: Coding, frame: bytes, words: str) -> None:
    grey = form(Size(64, 40), coding, 1, "MONOCHROME2", planar=False)
    with pytest.raises(TilerError, match=words):
        dicom_codecs.decode(frame, grey, Size(64, 40))


@pytest.mark.parametrize(
    ("coding", "samples", "photometric"),
    [
        (Coding.JPEG, 1, "MONOCHROME1"),
        (Coding.PLAIN, 1, "PALETTE COLOR"),
        (Coding.PLAIN, 3, "HSV"),
        (Coding.PLAIN, 3, "YBR_FULL_422"),
        (Coding.JPEG_LS, 4, "RGB"),
    ],
)
def test_colours_that_cannot_be_shown_are_refused(coding: Coding, samples: int, photometric: str) -> None:
    with pytest.raises(UnsupportedSlideError, match="colours are"):
        form(Size(8, 8), coding, samples, photometric, planar=False)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "no whole-slide image"),
        ({"Modality": "CT"}, "another modality"),
        ({"ImageType": ["ORIGINAL", "PRIMARY"]}, "Image Type"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]}, "no scan of the tissue"),
        ({"Rows": 0}, "64 × 0 pixels"),
        ({"Columns": 65535, "Rows": 65535}, "65535 × 65535 pixels"),
        ({"TotalPixelMatrixColumns": 4_294_967_295}, "4294967295 × 64 pixels"),
        ({"TotalPixelMatrixColumns": 1_900_000, "TotalPixelMatrixRows": 1_900_000}, "more than can be served"),
        ({"TotalPixelMatrixColumns": 0}, "0 × 64 pixels"),
        ({"TotalPixelMatrixColumns": 65}, "a file of the slide may be missing"),
        ({"ImageOrientationSlide": [0, -1, 0, -1, 0.5, 0]}, "at an angle"),
        ({"ImageOrientationSlide": [1, 0, 0, 0, 1, 0]}, "mirrored"),
        ({"BitsAllocated": 16}, "not whole numbers of 8 to 16 bits"),
        ({"NumberOfOpticalPaths": 2}, "each of its optical paths"),
        ({"DimensionOrganizationType": "TILED_SPARSE", "TotalPixelMatrixRows": 65}, "where each of its frames lies"),
    ],
)
def test_a_file_that_is_no_slide_we_can_show_is_refused(facts: dict[str, object], words: str, tmp_path: Path) -> None:
    one(tmp_path, edited(**facts))
    with pytest.raises(TilerError, match=words):
        read(tmp_path)


def test_a_bare_data_set_is_no_file_and_a_preamble_alone_neither(tmp_path: Path) -> None:
    whole = one(tmp_path).read_bytes()
    (tmp_path / "slide").write_bytes(whole[132:])
    with pytest.raises(UnsupportedSlideError, match="without the header of a DICOM file"):
        read(tmp_path)
    (tmp_path / "slide").write_bytes(whole[:132])
    with pytest.raises(DamagedSlideError, match="transfer syntax is missing"):
        read(tmp_path)
    with pytest.raises(NotASlideError):
        dicom_dataset.read(MemoryByteSource(b""), {})


def test_a_file_that_is_also_a_tiff_is_read_as_dicom(tmp_path: Path) -> None:
    whole = one(tmp_path).read_bytes()
    (tmp_path / "slide").write_bytes(b"II*\0\x08\0\0\0" + whole[8:])
    assert read(tmp_path).metadata.format == "dicom"


def test_a_directory_of_the_files_is_passed_over(tmp_path: Path) -> None:
    layouts.slide(tmp_path)
    listing = META.replace(
        element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0"),
        element(0x00020002, b"UI", b"1.2.840.10008.1.3.10") + element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0"),
    )
    (tmp_path / "DICOMDIR").write_bytes(listing)
    assert read(tmp_path).metadata.properties["dicom.instances"] == "2"


def test_the_same_place_twice_is_refused(tmp_path: Path) -> None:
    layouts.slide(tmp_path, levels=1)
    whole = tmp_path / "level-0.dcm"
    (tmp_path / "again.dcm").write_bytes(whole.read_bytes())
    with pytest.raises(DamagedSlideError, match="same instance twice"):
        read(tmp_path)
    data = pydicom.dcmread(whole)
    data.SOPInstanceUID += ".9"
    data.save_as(tmp_path / "again.dcm")
    with pytest.raises(DamagedSlideError, match="two images of the same place"):
        read(tmp_path)


def test_levels_of_several_areas_are_refused_by_where_they_lie(tmp_path: Path) -> None:
    layouts.slide(tmp_path)
    data = pydicom.dcmread(tmp_path / "level-1.dcm")
    data.TotalPixelMatrixOriginSequence[0].XOffsetInSlideCoordinateSystem = 19.0
    data.save_as(tmp_path / "level-1.dcm")
    with pytest.raises(UnsupportedSlideError, match="several areas"):
        read(tmp_path)


def test_frames_of_each_size_are_stored_or_decoded(tmp_path: Path) -> None:
    kinds: list[type] = []
    for across, down in ((256, 256), (500, 350), (64, 48), (12, 120)):
        folder = tmp_path / f"{across}"
        folder.mkdir()
        layouts.slide(folder, layouts.Writing(tile=(across, down)), levels=1)
        kinds.append(type(read(folder).levels[0]))
    assert kinds == [StoredLevel, StoredLevel, StoredLevel, DecodedLevel]


def test_whole_frames_in_pieces_are_joined_and_not_decoded(tmp_path: Path) -> None:
    layouts.slide(tmp_path, layouts.replace(layouts.JPEG, fragments=3))
    slide = read(tmp_path)
    assert slide.decoder is not None
    joined = slide.decoder.tile(0, Region(256, 256, 256, 256))
    assert isinstance(joined, bytes)
    assert joined.startswith(jpeg.header(None, Colour.YCBCR))
    assert isinstance(slide.decoder.tile(0, Region(768, 512, 232, 188)), Image.Image)


def test_the_middle_of_the_focal_planes_is_shown_and_said(tmp_path: Path) -> None:
    layouts.focal_planes(tmp_path, 5)
    facts = read(tmp_path).metadata
    assert facts.focal_planes == 5
    assert facts.properties["iain.focal-plane"] == "3 of 5"


@pytest.mark.parametrize(
    ("said", "zone", "when"),
    [
        ("20260413101522", None, datetime(2026, 4, 13, 10, 15, 22)),
        ("20260413101522.25", "+0200", datetime(2026, 4, 13, 10, 15, 22, 250000, timezone(timedelta(hours=2)))),
        ("20260413101522+0000", "+0200", datetime(2026, 4, 13, 10, 15, 22, tzinfo=UTC)),
        ("20260413", None, None),
        ("20260230101522", None, None),
        ("", None, None),
    ],
)
def test_a_time_of_day_is_told_when_the_file_has_one(
    said: str, zone: str | None, when: datetime | None, tmp_path: Path
) -> None:
    one(tmp_path, edited(AcquisitionDateTime=said, **({"TimezoneOffsetFromUTC": zone} if zone else {})))
    assert read(tmp_path).metadata.acquired_at == when


def test_the_imaged_volume_stands_in_for_a_missing_pixel_spacing(tmp_path: Path) -> None:
    def drop(data: pydicom.Dataset) -> None:
        del data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence

    one(tmp_path, drop)
    assert read(tmp_path).metadata.mpp_x == pytest.approx(0.499)
    one(tmp_path, lambda data: (drop(data), layouts.put(data, ImagedVolumeWidth=0.0))[0])
    assert read(tmp_path).metadata.mpp_x is None


def test_nothing_that_names_a_patient_is_told(tmp_path: Path) -> None:
    slide = read(layouts.pictures(tmp_path))
    told = slide.metadata.to_json().decode()
    assert "DÉMO" not in told
    assert 'H26-00731"' not in told
    assert slide.metadata.barcode == layouts.BARCODE
    assert dicom.recognises(SlideFiles(tmp_path))
