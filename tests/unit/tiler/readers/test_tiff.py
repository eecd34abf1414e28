"""What readers find in TIFF files, made by hand so that every field is known."""

import io
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
from fixtures.slides import LONG, LONG8, SCAN, SHORT, UNDEFINED, InMemory, jpeg_image, level_tags, one_level

from tiler.errors import DamagedSlideError, NotASlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.metadata import SlideMetadata
from tiler.opening import open_slide
from tiler.readers import openslide, tiff
from tiler.readers.ifd import directories
from tiler.slide import SlideFile
from tiler.storage.memory import MemoryByteSource
from tiler.synthetic.pyramid import TiffWriter, description, resolution


def opened(data: bytes) -> SlideFile:
    return open_slide(InMemory(data))


def aperio(text: str) -> SlideFile:
    return opened(one_level(change={tiff.DESCRIPTION: description(f"Aperio Image Library v12\r\n300x200{text}")}))


@pytest.mark.parametrize("big", [False, True])
def test_a_tiled_tiff_is_a_slide(big: bool) -> None:
    slide = opened(one_level(big=big))
    [level] = slide.levels
    assert (level.size, level.tile, level.colour) == (Size(300, 200), Size(128, 128), Colour.YCBCR)
    assert (len(level.offsets), level.tables) == (6, None)
    assert (slide.metadata.format, slide.metadata.vendor) == ("tiff", "generic")
    assert slide.metadata.mpp_x is None


def test_a_big_endian_tiff_is_read_the_same() -> None:
    image = jpeg_image(Size(128, 128))
    tags = level_tags(Size(200, 100), Size(128, 128), [8, 8], [len(image)] * 2)
    at = 8 + len(image) + len(image) % 2
    far = at + 2 + 12 * len(tags) + 4
    entries = extra = b""
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f">{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(data) > 4:
            extra += data
            data = struct.pack(">I", far + len(extra) - len(data))
        entries += struct.pack(">HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    body = image + bytes(len(image) % 2)
    whole = struct.pack(">2sHI", b"MM", 42, at) + body + struct.pack(">H", len(tags)) + entries + bytes(4) + extra
    [level] = opened(whole).levels
    assert level.size == Size(200, 100)
    assert list(level.offsets) == [8, 8]
    assert list(level.lengths) == [len(image)] * 2


def test_reduced_images_are_levels_and_others_are_not() -> None:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    image = jpeg_image(Size(128, 128))
    at = writer.append(image)
    for size, kind in ((Size(512, 512), 0), (Size(128, 128), 1), (Size(384, 512), 0), (Size(256, 256), 1)):
        count = size.area // 128**2
        tags = level_tags(size, Size(128, 128), [at] * count, [len(image)] * count)
        writer.directory({**tags, tiff.SUBFILE_TYPE: (LONG, [kind])})
    sizes = [level.size.width for level in opened(out.getvalue()).levels]
    assert sizes == [512, 256, 128]


@pytest.mark.parametrize(("unit", "um"), [(3, 0.25), (2, 0.635), (1, None), (9, None)])
def test_resolution_becomes_micrometres(unit: int, um: float | None) -> None:
    slide = opened(one_level(change={**resolution(0.25), tiff.RESOLUTION_UNIT: (SHORT, [unit])}))
    assert slide.metadata.mpp_x == slide.metadata.mpp_y == (pytest.approx(um) if um else None)


def test_screen_resolution_is_no_scale() -> None:
    dpi = (5, struct.pack("<II", 72, 1))
    slide = opened(one_level(change={tiff.X_RESOLUTION: dpi, tiff.Y_RESOLUTION: dpi}))
    assert slide.metadata.mpp_x is None


def test_an_aperio_description_gives_the_facts() -> None:
    slide = aperio(
        "|AppMag = 40|MPP = 0.2520|ScanScope ID = SS1302|Date = 12/29/09|Time = 09:59:15|ScannerType = GT450"
    )
    facts = slide.metadata
    assert (facts.format, facts.vendor, facts.objective_power) == ("svs", "aperio", 40.0)
    assert (facts.mpp_x, facts.mpp_y) == (0.252, 0.252)
    assert (facts.scanner_manufacturer, facts.scanner_model, facts.scanner_serial) == ("Aperio", "GT450", "SS1302")
    assert facts.acquired_at == datetime(2009, 12, 29, 9, 59, 15)  # the file names no zone


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("|Date = 03/02/2026|Time = 09:30:00|Time Zone = GMT+01:00", timezone(timedelta(hours=1))),
        ("|Date = 03/02/26|Time = 09:30:00|Time Zone = GMT-0500", timezone(timedelta(hours=-5))),
        ("|Date = 03/02/26|Time = 09:30:00|Time Zone = GMT+00:00", UTC),
    ],
)
def test_a_time_zone_is_kept(text: str, when: timezone) -> None:
    assert aperio(text).metadata.acquired_at == datetime(2026, 3, 2, 9, 30, tzinfo=when)


@pytest.mark.parametrize(
    "text",
    ["", "|", "|MPP = NaN|AppMag = twenty", "|MPP = -1|AppMag = 1e9", "|Date = 99/99/99|Time = x", "|MPP", "|=|=="],
)
def test_nonsense_is_absent_not_wrong(text: str) -> None:
    facts = aperio(text).metadata
    assert (facts.mpp_x, facts.objective_power, facts.acquired_at) == (None, None, None)


def test_free_text_that_may_name_a_patient_stays_behind() -> None:
    facts = aperio("|User = Dr DUPONT|Title = MARTIN Paul|Filename = MARTIN|MPP = 0.5|Parmset = <script>")
    assert facts.metadata.properties == {"aperio.MPP": "0.5", "aperio.Parmset": "<script>"}
    assert b"MARTIN" not in facts.metadata.to_json()
    assert b"DUPONT" not in facts.metadata.to_json()


CHANGES = {
    "old jpeg": ({tiff.COMPRESSION: (SHORT, [6])}, UnsupportedSlideError, "old JPEG scheme"),
    "jpeg xl": ({tiff.COMPRESSION: (SHORT, [50002])}, UnsupportedSlideError, "JPEG XL"),
    "grey in colour": ({tiff.SAMPLES: (SHORT, [1])}, DamagedSlideError, "fewer samples"),
    "deep": ({tiff.BITS: (SHORT, [16, 16, 16])}, UnsupportedSlideError, "other colours"),
    "uneven": ({tiff.BITS: (SHORT, [8, 8, 16])}, UnsupportedSlideError, "8 and 16 bits"),
    "one bit": ({tiff.BITS: None}, UnsupportedSlideError, "1 bits"),
    "float": ({tiff.SAMPLE_FORMAT: (SHORT, [3, 3, 3])}, UnsupportedSlideError, "floating-point"),
    "signed": ({tiff.SAMPLE_FORMAT: (SHORT, [2, 2, 2])}, UnsupportedSlideError, "bits a sample"),
    "channels": ({tiff.SAMPLES: (SHORT, [5])}, UnsupportedSlideError, "several channels"),
    "nameless fourth": ({tiff.SAMPLES: (SHORT, [4])}, UnsupportedSlideError, "several channels"),
    "jpeg with alpha": ({tiff.SAMPLES: (SHORT, [4]), tiff.PHOTOMETRIC: (SHORT, [2]), tiff.EXTRA_SAMPLES: (SHORT, [1])},
                        UnsupportedSlideError, "other colours"),
    "ycbcr": ({tiff.COMPRESSION: (SHORT, [8])}, UnsupportedSlideError, "YCbCr without JPEG"),
    "jpeg palette": ({tiff.SAMPLES: (SHORT, [1]), tiff.PHOTOMETRIC: (SHORT, [3])}, UnsupportedSlideError, "palette"),
    "no palette": ({tiff.SAMPLES: (SHORT, [1]), tiff.PHOTOMETRIC: (SHORT, [3]), tiff.COMPRESSION: (SHORT, [5])},
                   DamagedSlideError, "palette"),
    "turned": ({tiff.ORIENTATION: (SHORT, [6])}, UnsupportedSlideError, "orientation 6"),
    "reversed bits": ({tiff.COMPRESSION: (SHORT, [5]), tiff.PHOTOMETRIC: (SHORT, [2]), tiff.FILL_ORDER: (SHORT, [2])},
                      UnsupportedSlideError, "reverse order"),
    "predictor of numbers": ({tiff.COMPRESSION: (SHORT, [8]), tiff.PHOTOMETRIC: (SHORT, [2]),
                              tiff.PREDICTOR: (SHORT, [3])}, UnsupportedSlideError, "predictor"),
    "no strips": ({tiff.TILE_OFFSETS: None, tiff.TILE_WIDTH: None}, DamagedSlideError, "lists 0 tiles"),
    "strips of no rows": ({tiff.TILE_OFFSETS: None, tiff.TILE_WIDTH: None, tiff.ROWS_PER_STRIP: (SHORT, [0])},
                          DamagedSlideError, "no rows"),
    "planes that are missing": ({tiff.PLANAR: (SHORT, [2])}, DamagedSlideError, "lists 6 tiles"),
    "plain tiles that are short": ({tiff.COMPRESSION: (SHORT, [1]), tiff.PHOTOMETRIC: (SHORT, [2])},
                                   DamagedSlideError, "shorter"),
    "huge pieces": ({tiff.TILE_WIDTH: (LONG, [16384]), tiff.TILE_HEIGHT: (LONG, [16384])},
                    UnsupportedSlideError, "too large to be decoded"),
    "unknown": ({tiff.COMPRESSION: (SHORT, [4711])}, UnsupportedSlideError, "4711"),
    "cmyk": ({tiff.PHOTOMETRIC: (SHORT, [5])}, UnsupportedSlideError, "RGB"),
    "no width": ({tiff.WIDTH: None}, DamagedSlideError, "256"),
    "zero width": ({tiff.WIDTH: (LONG, [0])}, DamagedSlideError, "0 × 200"),
    "huge": ({tiff.WIDTH: (LONG, [2**32 - 1])}, DamagedSlideError, "4294967295"),
    "zero tile": ({tiff.TILE_WIDTH: (LONG, [0])}, DamagedSlideError, "0 × 128"),
    "one pixel tile": ({tiff.TILE_WIDTH: (LONG, [1])}, DamagedSlideError, "1 × 128"),
    "huge tile": ({tiff.TILE_WIDTH: (LONG, [65536])}, DamagedSlideError, "65536"),
    "too few tiles": ({tiff.TILE_OFFSETS: (LONG, [8])}, DamagedSlideError, "lists 1 tiles"),
    "no lengths": ({tiff.TILE_LENGTHS: None}, DamagedSlideError, "tiles"),
    "absent tiles": ({tiff.TILE_LENGTHS: (LONG, [0] * 6)}, UnsupportedSlideError, "missing tiles"),
    "tiles behind the end": ({tiff.TILE_OFFSETS: (LONG, [2**31] * 6)}, DamagedSlideError, "cut short"),
    "tiles far behind the end": ({tiff.TILE_OFFSETS: (LONG8, [2**63] * 6)}, DamagedSlideError, "cut short"),
    "tiles in the header": ({tiff.TILE_OFFSETS: (LONG, [0] * 6)}, DamagedSlideError, "impossible"),
    "giant tiles": ({tiff.TILE_LENGTHS: (LONG, [2**31] * 6)}, DamagedSlideError, "impossible"),
    "width as text": ({tiff.WIDTH: (2, b"300\0")}, DamagedSlideError, "wrong type"),
    "width as rational": ({tiff.WIDTH: (5, bytes(8))}, DamagedSlideError, "wrong type"),
    "giant tables": ({tiff.JPEG_TABLES: (UNDEFINED, bytes(100_000))}, DamagedSlideError, "too many"),
    "philips": ({tiff.SOFTWARE: description("Philips DP v1.0")}, UnsupportedSlideError, "Philips"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_cannot_be_shown_is_refused_in_words(name: str) -> None:
    change, error, words = CHANGES[name]
    with pytest.raises(error, match=words):
        opened(one_level(change=change))


@pytest.mark.parametrize(
    ("head", "error", "words"),
    [
        (b"", NotASlideError, "empty"),
        (b"II", NotASlideError, "not a TIFF"),
        (b"II*\0", NotASlideError, "not a TIFF"),
        (b"MM\0*\0\0\0\0", DamagedSlideError, "no image"),
        (b"II*\0\xff\xff\xff\xff", DamagedSlideError, "cut short"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, DamagedSlideError, "cut short"),
        (b"II+\0\x04\0\0\0" + bytes(8), NotASlideError, "not a TIFF"),
        (b"\x7fELF" + bytes(300), NotASlideError, "no known kind"),
        (b"\x89PNG\r\n", UnsupportedSlideError, "PNG"),
        (b"PK\x03\x04", UnsupportedSlideError, "ZIP"),
    ],
)
def test_what_is_no_tiff_is_refused_in_words(head: bytes, error: type[TilerError], words: str) -> None:
    with pytest.raises(error, match=words):
        opened(head)


def test_a_loop_of_directories_ends() -> None:
    data = bytearray(one_level())
    [at] = struct.unpack_from("<I", data, 4)
    [count] = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    with pytest.raises(DamagedSlideError, match="loop"):
        opened(bytes(data))


@pytest.mark.parametrize(
    ("places", "error", "words"),
    [
        ([10**9], DamagedSlideError, "cut short"),
        ([8, 8], DamagedSlideError, "loop"),
        ([8] * 65, DamagedSlideError, "too many"),
        ([0], DamagedSlideError, "damaged"),
    ],
)
def test_directories_within_directories_are_read_with_care(
    places: list[int], error: type[TilerError], words: str
) -> None:
    with pytest.raises(error, match=words):
        opened(one_level(change={330: (LONG, places)}))


def test_what_another_reader_takes_for_another_vendors_slide_is_understood_by_half() -> None:
    aperios = SlideFile(SlideMetadata("svs", "aperio", Size(2220, 2967)), ())
    assert openslide.with_pictures(aperios, SCAN).metadata.pictures == ("label", "macro", "thumbnail")
    nobodys = SlideFile(SlideMetadata("tiff", "generic", Size(2220, 2967)), ())
    with pytest.raises(UnsupportedSlideError, match="looks like another"):
        openslide.with_pictures(nobodys, SCAN)


@pytest.mark.parametrize("kind", [0, 2])
def test_a_second_image_of_full_size_leaves_open_which_is_the_slide(kind: int) -> None:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    image = jpeg_image(Size(128, 128))
    at = writer.append(image)
    for subfile in (0, kind):
        tags = level_tags(Size(256, 256), Size(128, 128), [at] * 4, [len(image)] * 4)
        writer.directory({**tags, tiff.SUBFILE_TYPE: (LONG, [subfile])})
    with pytest.raises(UnsupportedSlideError, match="several images"):
        opened(out.getvalue())


def test_a_mask_is_no_image() -> None:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    image = jpeg_image(Size(128, 128))
    at = writer.append(image)
    for subfile in (0, 4):
        tags = level_tags(Size(256, 256), Size(128, 128), [at] * 4, [len(image)] * 4)
        writer.directory({**tags, tiff.SUBFILE_TYPE: (LONG, [subfile])})
    assert len(opened(out.getvalue()).levels) == 1


def test_a_file_with_too_many_images_is_no_slide() -> None:
    out = io.BytesIO()
    writer = TiffWriter(out, big=False)
    for _ in range(600):
        writer.directory({tiff.WIDTH: (LONG, [1])})
    with pytest.raises(UnsupportedSlideError, match="512 images"):
        opened(out.getvalue())


def test_every_truncation_is_an_error_of_ours() -> None:
    data = one_level()
    for length in [*range(200), *range(200, len(data), 97), *range(len(data) - 300, len(data))]:
        with pytest.raises(TilerError):
            opened(data[:length])


def test_a_value_that_is_claimed_too_long_is_never_read() -> None:
    data = bytearray(one_level())
    [at] = struct.unpack_from("<I", data, 4)
    struct.pack_into("<I", data, at + 2 + 4, 2**32 - 1)  # the count of the first tag
    with pytest.raises(DamagedSlideError, match="behind the end"):
        directories(MemoryByteSource(bytes(data)))
