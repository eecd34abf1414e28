"""Whether a slide is all there, by its format: what is whole is taken, what is cut short never is."""

import os
import random
import struct
from pathlib import Path

import pytest

from benchmarks.layouts import made
from benchmarks.torture_ingest.scans import dicom, mirax, tiff
from ingest.agent.completeness import Lack, lack_of
from ingest.agent.parcels import find

SCAN = Path(__file__).parents[2] / "data" / "CMU-1-Small-Region.svs"
LACKING = {"dicom-missing-part", "mrxs-file-missing", "mrxs-cut-short"}
# A list of files, whose end nothing tells.
UNBOUNDED = {"ndpi-vms", "ndpi-vmu", "ndpi-ndpis"}
# How pixels are coded is all the same here, and some codecs take their time.
SLOW = ("webp", "jpeg-xl", "jpeg-2000")
MOST = 6
KINDS = [kind for kind in made.kinds() if str(kind) not in UNBOUNDED and not any(slow in str(kind) for slow in SLOW)]


def lacks(folder: Path) -> list[Lack | None]:
    return [lack_of(parcel) for parcel in find(folder).parcels]


@pytest.mark.parametrize("name", sorted({kind.format.name for kind in KINDS}))
def test_slides_of_every_format_are_complete_and_no_longer_when_they_are_cut(name: str, tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if kind.format.name == name]
    for kind in kinds[:MOST] + [kind for kind in kinds[MOST:] if str(kind) in LACKING]:
        path = kind.make(tmp_path)
        folder = tmp_path / str(kind)
        if not (before := lacks(folder)):  # no slide at all, which is not the matter here
            continue
        assert any(before) == (str(kind) in LACKING), (kind, before)
        largest = max((each for each in folder.rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
        for share in (0.9, 0.3):
            os.truncate(largest, int(largest.stat().st_size * share))
            assert any(lacks(folder)) or not lacks(folder), (kind, path, share)


def test_a_real_scan_lacks_something_at_every_length_but_its_own(tmp_path: Path) -> None:
    data, path = SCAN.read_bytes(), tmp_path / "scan.svs"
    chance = random.Random(6)
    for length in [*(chance.randrange(8, len(data)) for _ in range(60)), len(data) - 1]:
        path.write_bytes(data[:length])
        [lack] = lacks(tmp_path)
        assert lack, length
        assert lack.detail.startswith(f"scan.svs: {length:,}".replace(",", " "))
    path.write_bytes(data)
    assert lacks(tmp_path) == [None]


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        {"lame.tif": tiff(b"pixels" * 9)},
        {"serie/1.dcm": dicom("1.2.1", "1.2", b"p" * 99), "serie/2.dcm": dicom("1.2.2", "1.2", b"q" * 77)},
        mirax("lame", {"Data0000.dat": b"0" * 50, "Data0001.dat": b"1" * 60}),
    ],
    ids=["tiff", "dicom", "mirax"],
)
def test_every_cut_of_every_file_that_holds_pixels_is_found(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = written(tmp_path / "whole", files)
    assert lacks(folder) == [None]
    for name, data in files.items():
        if name.endswith((".mrxs", ".ini")):  # a mere picture; and a text, which rests when it is written
            continue
        for length in range(140 if name.endswith(".dcm") else 4, len(data), 2):
            (folder / name).write_bytes(data[:length])
            found = lacks(folder)
            assert any(found) or len(found) != 1, (name, length)
        (folder / name).write_bytes(data)
    assert lacks(folder) == [None]


def test_a_file_that_was_set_aside_whole_and_is_still_being_filled_is_not_complete(tmp_path: Path) -> None:
    whole = tiff(b"pixels" * 9)
    for filled in (8, len(whole) - 60):
        (tmp_path / "lame.tif").write_bytes(whole[:filled] + bytes(len(whole) - filled))
        assert lacks(tmp_path)[0], filled
    empty = struct.pack("<HHII", 324, 4, 1, 0) + struct.pack("<HHII", 325, 4, 1, 0)
    (tmp_path / "lame.tif").write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + empty + bytes(4))
    assert lacks(tmp_path) == [Lack("incomplete-file", "lame.tif: 38")]


def test_a_series_without_its_picture_is_not_complete(tmp_path: Path) -> None:
    written(tmp_path, {"1.dcm": dicom("1.2.1", "1.2", b"p", kind="LABEL")})
    assert lacks(tmp_path) == [Lack("incomplete-series", "LABEL")]
    written(tmp_path, {"2.dcm": dicom("1.2.2", "1.2", b"p")})
    assert lacks(tmp_path) == [None]


def test_an_image_without_pixels_is_not_complete(tmp_path: Path) -> None:
    data = dicom("1.2.1", "1.2", b"p" * 8)
    written(tmp_path, {"1.dcm": data[: data.index(b"\xe0\x7f\x10\x00")]})
    assert lacks(tmp_path)[0]


def test_room_that_a_copy_has_set_aside_is_not_taken_for_the_file(tmp_path: Path) -> None:
    """A copy may make the file as long as it will be, and fill it from the front."""
    fragments = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI1000s", 0xFFFE, 0xE000, 1000, b"j" * 1000) * 9
    data = dicom("1.2.1", "1.2", b"")
    at = data.index(b"\xe0\x7f\x10\x00")
    data = data[:at] + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + fragments + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    written(tmp_path, {"1.dcm": data})
    assert lacks(tmp_path) == [None]
    written(tmp_path, {"1.dcm": data + bytes(512)})
    assert lacks(tmp_path) == [None], "what fills the last sector"
    for there in range(132, len(data) - 512, 61):
        written(tmp_path, {"1.dcm": data[:there] + bytes(len(data) - there)})
        assert all(lacks(tmp_path)), there


def test_what_a_list_of_dicom_files_names_has_to_be_there(tmp_path: Path) -> None:
    def element(tag: int, kind: bytes, value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        length = struct.pack("<2xI" if kind == b"SQ" else "<H", len(value))
        return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind + length + value

    def item(name: str) -> bytes:
        record = element(0x00041500, b"CS", name.encode())
        return struct.pack("<HHI", 0xFFFE, 0xE000, len(record)) + record

    listing = element(0x00041220, b"SQ", item("IMAGES\\IM1") + item("IMAGES\\IM2"))
    meta = element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
    written(tmp_path, {"DICOMDIR": bytes(128) + b"DICM" + meta + listing})
    written(tmp_path, {"IMAGES/IM1": dicom("1.2.1", "1.2", b"p")})
    assert Lack("incomplete-set", "IMAGES/IM2") in lacks(tmp_path)
    written(tmp_path, {"IMAGES/IM2": dicom("1.2.2", "1.2", b"p")})
    assert lacks(tmp_path / "IMAGES") == [None]


@pytest.mark.parametrize("order", ["<", ">"])
def test_damage_is_no_lack_and_no_trap(order: str, tmp_path: Path) -> None:
    """The server says what is wrong with a file that is all there and makes no sense."""
    loop = struct.pack(order + "H", 1) + struct.pack(order + "HHII", 256, 3, 1, 9) + struct.pack(order + "I", 8)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    (tmp_path / "loop.tif").write_bytes(head + loop)
    assert lacks(tmp_path) == [None]
    whole, chance = SCAN.read_bytes()[:4] + os.urandom(4) + SCAN.read_bytes()[8:], random.Random(3)
    for _ in range(40):
        noise = bytearray(whole)
        for _ in range(20):
            noise[chance.randrange(8, len(noise))] = chance.randrange(256)
        (tmp_path / "loop.tif").write_bytes(noise)
        lacks(tmp_path)


@pytest.mark.parametrize("name", ["jpeg", "none"])
def test_a_tiff_whose_directory_comes_first_and_whose_last_tile_does_not_is_not_complete(
    name: str, tmp_path: Path
) -> None:
    """As a copy leaves it that sets room aside; where nothing is packed zeros may be pixels."""
    tags = [(259, 3, 1, 7 if name == "jpeg" else 1), (324, 4, 1, 100), (325, 4, 1, 200)]
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    whole = head.ljust(100, b"\0") + b"\xff\xd8" + b"p" * 196 + b"\xff\xd9"
    written(tmp_path, {"a.tif": whole})
    assert lacks(tmp_path) == [None]
    written(tmp_path, {"a.tif": whole[:150] + bytes(150)})
    assert lacks(tmp_path) == [Lack("incomplete-file", "a.tif: 300") if name == "jpeg" else None]
