"""MIRAX sets that lack a file, or say of themselves what cannot be."""

import struct
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.layouts import mrxs
from tiler.errors import DamagedSlideError, TilerError, UnsupportedSlideError
from tiler.geometry import Region, Size
from tiler.opening import open_slide
from tiler.readers.mirax_index import check_index
from tiler.readers.slidedat import Slidedat
from tiler.slide import SlideFile, SlideFiles
from tiler.storage.memory import MemoryByteSource

GENERAL, LAYERS, FILES, LEVEL = "GENERAL", "HIERARCHICAL", "DATAFILE", "LAYER_0_LEVEL_0_SECTION"


def opened(folder: Path) -> SlideFile:
    return open_slide(SlideFiles(folder))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mrxs.make(tmp_path_factory.mktemp("mirax"), planes=("ZStackLevel_(0)", "ZStackLevel_(1)"))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    for name in SlideFiles(whole).names:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((whole / name).read_bytes())
    return tmp_path


def test_facts(whole: Path) -> None:
    metadata = opened(whole).metadata
    assert (metadata.format, metadata.vendor, metadata.size) == ("mrxs", "mirax", Size(1024, 768))
    assert (metadata.mpp_x, metadata.objective_power) == (0.499, 20.0)
    assert (metadata.scanner_manufacturer, metadata.scanner_model, metadata.scanner_serial) == (
        "3DHISTECH",
        "P250",
        "0417",
    )
    assert metadata.acquired_at == datetime(2026, 1, 2, 3, 4, 5)
    assert (metadata.focal_planes, metadata.properties["iain.focal-plane"]) == (2, "1 of 2")
    assert metadata.pictures == ("label", "macro", "thumbnail")
    assert metadata.properties["mirax.GENERAL.CAMERA_TYPE"] == "CIS VCC-FC60FR19CL"
    assert "Doe" not in str(metadata)


def test_extended_focus_is_told(tmp_path: Path) -> None:
    metadata = opened(mrxs.make(tmp_path, planes=("ExtFocusLevel", "ZStackLevel_(-1)", "ZStackLevel_(1)"))).metadata
    assert (metadata.focal_planes, metadata.properties["iain.focal-plane"]) == (2, "EDF of 2")


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("slide/Data0001.dat", r"Data0001\.dat is missing"),
        ("slide/Index.dat", r"Index\.dat is missing"),
        ("slide/Slidedat.ini", r"slide/Slidedat\.ini is missing"),
        ("slide.mrxs", r"slide\.mrxs is missing"),
    ],
)
def test_what_is_missing_is_named(copy: Path, gone: str, named: str) -> None:
    (copy / gone).unlink()
    with pytest.raises(DamagedSlideError, match=f"The slide is not complete: {named}"):
        opened(copy)


def test_of_many_missing_files_some_are_named(copy: Path) -> None:
    settings = copy / "slide" / "Slidedat.ini"
    more = "\n".join(f"FILE_{number} = Data{number:04}.dat" for number in range(2, 9))
    settings.write_text(settings.read_text("utf-8-sig").replace("FILE_COUNT = 2", f"FILE_COUNT = 9\n{more}"))
    with pytest.raises(DamagedSlideError, match=r"Data0002\.dat, Data0003\.dat, Data0004\.dat and 4 more are missing"):
        opened(copy)


def test_two_slides_are_not_one(copy: Path) -> None:
    (copy / "other.mrxs").write_bytes(b"")
    with pytest.raises(UnsupportedSlideError, match="several MIRAX slides"):
        opened(copy)


@pytest.mark.parametrize(
    ("section", "key", "value", "match"),
    [
        (GENERAL, "IMAGENUMBER_X", "2147483647", "impossible of IMAGENUMBER_X"),
        (GENERAL, "IMAGENUMBER_X", "999999", None),
        (GENERAL, "IMAGENUMBER_Y", "-1", "impossible of IMAGENUMBER_Y"),
        (GENERAL, "IMAGENUMBER_Y", None, "does not say IMAGENUMBER_Y"),
        (GENERAL, "CameraImageDivisionsPerSide", "0", "impossible of CameraImageDivisionsPerSide"),
        (GENERAL, "SLIDE_ID", "another", "belongs to another slide"),
        (GENERAL, "VIMSLIDE_SLIDE_BITDEPTH", "12", "more than 8 bits"),
        (LAYERS, "HIER_0_COUNT", "9999", "impossible of HIER_0_COUNT"),
        (LAYERS, "HIER_0_COUNT", "0x3", "impossible of HIER_0_COUNT"),
        (LAYERS, "HIER_0_NAME", "Slide filter level", "first layer"),
        (LAYERS, "HIER_COUNT", "99999999999999999999", "impossible of HIER_COUNT"),
        (LAYERS, "NONHIER_0_COUNT", "-3", "impossible of NONHIER_0_COUNT"),
        (LAYERS, "INDEXFILE", "../../../etc/passwd", "etc/passwd is missing"),
        (FILES, "FILE_0", "/etc/passwd", "etc/passwd is missing"),
        (FILES, "FILE_COUNT", "1000000", "impossible of FILE_COUNT"),
        (LEVEL, "DIGITIZER_WIDTH", "1000000", "impossible of DIGITIZER_WIDTH"),
        (LEVEL, "OVERLAP_X", "nan", "impossible of OVERLAP_X"),
        (LEVEL, "OVERLAP_Y", "1e300", "impossible of OVERLAP_Y"),
        (LEVEL, "IMAGE_CONCAT_FACTOR", "30", "impossible of IMAGE_CONCAT_FACTOR"),
        (LEVEL, "IMAGE_FORMAT", "JPEGXR", "stored as JPEGXR; only JPEG"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, section: str, key: str, value: str | None, match: str | None
) -> None:
    mrxs.make(tmp_path, planes=("ZStackLevel_(0)",), change={(section, key): value})
    with pytest.raises((DamagedSlideError, UnsupportedSlideError), match=match):
        opened(tmp_path)


def test_settings_that_are_none() -> None:
    for data in (b"\xff\xfe[\0G\0", b"\n" * 60_000, bytes(2_000_000)):
        with pytest.raises(DamagedSlideError, match=r"Slidedat\.ini is"):
            Slidedat(data)
    assert Slidedat(b"# a = b\n[A]\r\nb = c = d\nz\n[A]\ne=\n").get("A", "b") == "c = d"
    assert Slidedat(b"[A]\ne=\n").get("A", "e") is None
    with pytest.raises(DamagedSlideError, match="something impossible of n"):
        Slidedat(b"[A]\nn=+-5\n").integer("A", "n", -9, 9)


@pytest.mark.parametrize("hidden", ["x=\x0bn=5", "x=\u2028n=5", "x=\x85n=5", "x=\rn=5", "n\u00a0=5", "\u3000n=5"])
def test_settings_are_seen_as_openslide_sees_them(hidden: str) -> None:
    """Or a number that we find sound would hide another one, which OpenSlide takes."""
    assert Slidedat(f"[A]\nn=900\n{hidden}\n".encode()).get("A", "n") == "900"
    with pytest.raises(DamagedSlideError, match=r"Slidedat\.ini is"):
        Slidedat(b"[A]\0]\nn=5\n")


def index(*pages: tuple[int, int, bytes], identity: bytes = b"ID", version: bytes = b"01.02") -> bytes:
    """One level whose record points at pages of (count, next page or -1 for the end, images)."""
    start = len(version) + len(identity) + 8
    out = version + identity + struct.pack("<ii", start, 0) + struct.pack("<i", start + 4)
    places = [start + 12]
    for _, _, images in pages:
        places.append(places[-1] + 8 + len(images))
    out += struct.pack("<ii", 0, places[0])
    for count, following, images in pages:
        out += struct.pack("<ii", count, 0 if following < 0 else places[following]) + images
    return out


IMAGE = struct.pack("<4i", 0, 100, 50, 0)


def test_pages_are_followed_and_images_have_their_files() -> None:
    sound = index((1, 1, IMAGE), (2, -1, IMAGE + struct.pack("<4i", 1, 200, 50, 1)))
    check_index(MemoryByteSource(sound), "ID", 1, ["a", "b"], [150, 250])
    with pytest.raises(DamagedSlideError, match="file b is cut short"):
        check_index(MemoryByteSource(sound), "ID", 1, ["a", "b"], [150, 249])


def test_pages_do_not_lie_one_over_the_other() -> None:
    """Or a small index would keep its reader busy for hours."""
    pages = [((40 - number) * 24 // 16 - 1, number + 1, bytes(16)) for number in range(40)]
    data = index(*pages[:-1], (1, -1, bytes(16)))
    with pytest.raises(DamagedSlideError, match="damaged"):
        check_index(MemoryByteSource(data), "ID", 1, ["a"] * 2000, [1 << 30] * 2000)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (index((1, 0, IMAGE)), "form a loop"),
        (index((2, -1, IMAGE)), "damaged"),
        (index((-1, -1, b"")), "damaged"),
        (index((1 << 30, -1, IMAGE)), "damaged"),
        (index((0, -1, b"")), "holds no image data"),
        (index((1, -1, struct.pack("<4i", 0, 100, 50, 1))), "damaged"),
        (index((1, -1, struct.pack("<4i", 0, -1, 50, 0))), "damaged"),
        (index((1, -1, IMAGE), version=b"02.00"), "another version"),
        (index((1, -1, IMAGE), identity=b"IX"), "another slide"),
        (index((1, -1, IMAGE))[:12], "damaged"),
        (b"", "damaged"),
    ],
)
def test_an_index_that_is_none_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(TilerError, match=match):
        check_index(MemoryByteSource(data), "ID", 1, ["a"], [1000])


def test_a_tile_that_cannot_be_decoded_leaves_the_others(copy: Path) -> None:
    path = copy / "slide" / "Data0000.dat"
    data = bytearray(path.read_bytes())
    first = data.index(b"\xff\xd8")
    data[first : first + 2] = b"no"
    path.write_bytes(data)
    slide = opened(copy)
    assert slide.decoder
    sound, damaged = 0, 0
    for row in range(3):
        for col in range(4):
            try:
                assert slide.decoder.tile(0, Region(256 * col, 256 * row, 256, 256))
                sound += 1
            except DamagedSlideError:
                damaged += 1
    assert (sound, damaged) == (11, 1)


def test_a_picture_that_cannot_be_decoded_leaves_the_others(copy: Path) -> None:
    path = copy / "slide" / "Data0001.dat"
    data = path.read_bytes()
    second = data.index(b"\xff\xd8", data.index(b"\xff\xd8") + 2)
    scan = data.index(b"\xff\xda", second) + 100
    path.write_bytes(data[:scan] + b"\xff\xd9" + data[scan + 2 :])
    pictures = opened(copy).pictures
    assert pictures["label"]() is None
    macro = pictures["macro"]()
    assert macro
    assert macro.size[0] > 100
