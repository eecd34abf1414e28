"""What lies in a folder, seen as slides: which files belong together, and which are missing or left."""

import filecmp
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.agent.dicom import Instance, instance_in
from ingest.agent.parcels import Parcel, find, together

WSI, CT = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
LONG = (b"SQ", b"UN", b"OB")


def element(tag: int, kind: bytes, value: bytes, *, implicit: bool = False, order: str = "<", length=None) -> bytes:
    length = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if implicit or tag >> 16 == 0xFFFE:
        return head + struct.pack(order + "I", length) + value
    if kind in LONG:
        return head + kind + b"\0\0" + struct.pack(order + "I", length) + value
    return head + kind + struct.pack(order + "H", length) + value


def uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def dicom(
    uid_: str, series: str, *, sop: str = WSI, syntax: str = EXPLICIT, part: tuple[str, int, int] | None = None
) -> bytes:
    """The first elements of a slide's instance, with sequences of every form before those that are looked for."""
    how = {"implicit": syntax == IMPLICIT, "order": ">" if syntax == BIG_ENDIAN else "<"}

    def one(tag: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
        return element(tag, kind, value, length=length, **how)

    undefined = 0xFFFFFFFF
    inner = one(0x00080100, b"SH", b"ab")
    item = one(0xFFFEE000, b"", inner, undefined) + one(0xFFFEE00D, b"", b"")
    nested = one(0x00081140, b"SQ", item + one(0xFFFEE0DD, b"", b""), undefined)
    deep = one(0xFFFEE000, b"", nested) + one(0xFFFEE000, b"", b"")
    body = (
        one(0x00080016, b"UI", uid(sop))
        + one(0x00080018, b"UI", uid(uid_))
        + one(0x00081115, b"SQ", deep + one(0xFFFEE0DD, b"", b""), undefined)
        + one(0x00102203, b"SQ", deep)
        + one(0x00180022, b"UN", b"x" * 300)
        + one(0x0020000E, b"UI", uid(series))
    )
    if part:
        concatenation, number, total = part
        body += one(0x00209161, b"UI", uid(concatenation))
        body += one(0x00209162, b"US", struct.pack(how["order"] + "H", number))
        body += one(0x00209163, b"US", struct.pack(how["order"] + "H", total))
    body += one(0x00280010, b"US", b"\1\0") + one(0x7FE00010, b"OB", b"", undefined)
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    meta = element(0x00020002, b"UI", uid(sop)) + element(0x00020010, b"UI", uid(syntax))
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + body


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, "1.2.840.10008.1.2.4.50"])
def test_the_series_of_an_instance_is_found_in_every_syntax(syntax: str) -> None:
    found = instance_in(dicom("1.2.3", "9.8.7", syntax=syntax, part=("5.5", 2, 3)))
    assert found == Instance(WSI, "1.2.3", "9.8.7", "5.5", 2, 3)


def test_what_is_no_dicom_file_is_none() -> None:
    assert instance_in(b"") is None
    assert instance_in(bytes(200)) is None


@settings(deadline=None)
@given(st.data())
def test_no_damage_is_met_with_anything_but_an_answer(data: st.DataObject) -> None:
    whole = dicom("1.2.3", "9.8.7", syntax=data.draw(st.sampled_from([EXPLICIT, IMPLICIT, DEFLATED])))
    cut = bytearray(whole[: data.draw(st.integers(132, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        cut[data.draw(st.integers(0, len(cut) - 1))] = data.draw(st.integers(0, 255))
    found = instance_in(bytes(cut))
    assert found is None or isinstance(found.series, str)


def test_sequences_without_end_are_no_trap() -> None:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence = element(0x00081115, b"SQ", b"", length=0xFFFFFFFF)
    head = dicom("1.2.3", "9.8.7")[:132] + element(0x00020010, b"UI", uid(EXPLICIT)) + (sequence + item) * 10_000
    assert instance_in(head) == Instance("", "", "")


def write(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


INI = "\ufeff[GENERAL]\r\nX = 1\r\n[HIERARCHICAL]\r\nINDEXFILE = Index.dat\r\n[DATAFILE]\r\nFILE_COUNT = 2\r\n".encode()
INI += b"FILE_0 = Data0000.dat\r\nFILE_1 = Data0001.dat\r\n"


@pytest.fixture
def mirax(tmp_path: Path) -> Path:
    write(tmp_path, lame_mrxs=b"\xff\xd8\xff", lame__Slidedat_ini=INI, lame__Index_dat=b"i", lame__Data0000_dat=b"0")
    write(tmp_path, lame__Data0001_dat=b"1", lame__Thumbs_db=b"t")
    return tmp_path


def test_a_mirax_slide_is_found_by_any_of_its_ends(mirax: Path) -> None:
    wanted = ["slide.mrxs", "slide/Slidedat.ini", "slide/Index.dat", "slide/Data0000.dat", "slide/Data0001.dat"]
    for path in (mirax / "lame.mrxs", mirax / "lame", mirax / "lame" / "Slidedat.ini", mirax):
        [parcel] = find(path).parcels
        assert (parcel.name, [name for name, _ in parcel.files], parcel.missing) == ("lame.mrxs", wanted, ())
    assert [path.name for path in find(mirax).left] == ["Thumbs.db"]


def test_what_a_mirax_slide_lacks_is_named(mirax: Path) -> None:
    (mirax / "lame" / "Data0001.dat").unlink()
    (mirax / "lame" / "Index.dat").rename(mirax / "lame" / "INDEX.DAT")
    assert find(mirax).parcels[0].missing == ("lame/Data0001.dat",)
    (mirax / "lame.mrxs").unlink()
    assert find(mirax).parcels[0].missing == ("lame.mrxs", "lame/Data0001.dat")
    (mirax / "seule.mrxs").write_bytes(b"\xff\xd8\xff")
    assert find(mirax / "seule.mrxs").parcels[0].missing == ("seule/Slidedat.ini",)
    assert {parcel.name for parcel in find(mirax).parcels} == {"lame.mrxs", "seule.mrxs"}


def test_a_slidedat_that_names_itself_is_sent_once(mirax: Path) -> None:
    """Where `slidedat.ini` and `Slidedat.ini` are two files; the queue keeps one file for each name."""
    for name in ("Slidedat.ini", "slidedat.ini"):
        (mirax / "lame" / name).write_bytes(INI.replace(b"Data0000.dat", b"Slidedat.ini"))
    [parcel] = find(mirax).parcels
    names = [name for name, _ in parcel.files]
    assert len(names) == len(set(names))


def test_a_slidedat_cannot_name_files_of_other_folders(mirax: Path) -> None:
    ini = INI.replace(b"Data0000.dat", b"../lame.mrxs").replace(b"Data0001.dat", b"/etc/passwd")
    (mirax / "lame" / "Slidedat.ini").write_bytes(ini)
    [parcel] = find(mirax / "lame").parcels
    assert parcel.missing == ("lame/../lame.mrxs", "lame//etc/passwd")
    assert [name for name, _ in parcel.files] == ["slide.mrxs", "slide/Slidedat.ini", "slide/Index.dat"]


def test_instances_are_put_together_by_their_series(tmp_path: Path) -> None:
    one, two = dicom("1.1", "7.1"), dicom("1.2", "7.1", syntax=DEFLATED)
    write(tmp_path, a__1_dcm=one, a__b__IM2=two, a__b__copy=two, a__c__x=dicom("2.1", "7.2"), a__y=dicom("2.2", "7.2"))
    write(tmp_path, lone=dicom("3.1", "7.3"), ct_dcm=dicom("4.1", "7.4", sop=CT), DICOMDIR=bytes(128) + b"DICM")
    write(tmp_path, letter_txt=b"Bonjour", _hidden=one)
    found = find(tmp_path)
    files = {parcel.name: dict(parcel.files) for parcel in found.parcels}
    assert {name: sorted(each) for name, each in files.items()} == {
        "a (1)": ["1.1.dcm", "1.2.dcm"],
        "a (2)": ["2.1.dcm", "2.2.dcm"],
        "lone": ["lone"],
        "DICOMDIR": ["DICOMDIR"],
    }
    assert sorted(path.name for path in found.left) == ["copy", "ct.dcm", "letter.txt"]
    moved = tmp_path / "elsewhere"
    (tmp_path / "a").rename(moved)
    assert [[name for name, _ in parcel.files] for parcel in find(moved).parcels] == [
        ["1.1.dcm", "1.2.dcm"],
        ["2.1.dcm", "2.2.dcm"],
    ]


def test_no_instance_is_left_out_however_many_have_its_name(tmp_path: Path) -> None:
    """Sending such a series is the server's matter to refuse; what is sent is all there is."""
    write(tmp_path, **{f"a{number:02}": dicom("1.1", "7.1") + bytes([number]) for number in range(12)})
    [parcel] = find(tmp_path).parcels
    assert len(parcel.files) == 12


def test_an_instance_that_cannot_be_compared_is_told_when_it_is_sent(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, a=dicom("1.1", "7.1"), b=dicom("1.1", "7.1"))

    def fail(*_: object, **__: object) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(filecmp, "cmp", fail)
    [parcel] = together(find(tmp_path).parcels)
    assert [name for name, _ in parcel.files] == ["1.1-2.dcm", "1.1.dcm"]


def test_an_index_of_a_dicom_folder_is_no_slide(tmp_path: Path) -> None:
    write(tmp_path, DICOMDIR=dicom("1.1", "7.1", sop="1.2.840.10008.1.3.10"), a=dicom("1.1", "7.1"))
    found = find(tmp_path)
    assert [parcel.name for parcel in found.parcels] == ["a"]
    assert [path.name for path in found.left] == ["DICOMDIR"]


def test_parts_of_an_image_that_are_missing_are_named(tmp_path: Path) -> None:
    for number in (1, 3):
        write(tmp_path, **{f"{number}_dcm": dicom(f"1.{number}", "7.1", part=("5.5", number, 4))})
    assert find(tmp_path).parcels[0].missing == ("2/4 (5.5)", "4/4 (5.5)")


def trestle(software: bytes = b"MedScan 1.0\0", order: str = "<") -> bytes:
    entry = struct.pack(order + "HHII", 256, 3, 1, 9) + struct.pack(order + "HHII", 305, 2, len(software), 38)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", 2) + entry + struct.pack(order + "I", 0) + software


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_trestle_scan_goes_with_the_picture_of_its_glass(tmp_path: Path, order: str) -> None:
    write(tmp_path, lame_tif=trestle(order=order), lame_Full=b"\xff\xd8", other_tif=trestle(b"Other 1.0\0"))
    write(tmp_path, other_Full=b"\xff\xd8", lonely_tif=trestle(), cut_tif=trestle()[:30], cut_Full=b"\xff")
    found = {parcel.name: [name for name, _ in parcel.files] for parcel in find(tmp_path).parcels}
    assert found == {
        "lame.tif": ["slide.tif", "slide.Full"],
        "other.tif": ["other.tif"],
        "lonely.tif": ["lonely.tif"],
        "cut.tif": ["cut.tif"],
    }
    assert find(tmp_path / "lame.tif").parcels[0].name == "lame.tif"


def test_a_folder_of_thousands_is_not_listed_for_each_of_its_slides(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path, **{f"{number}_tif": trestle(b"Other 1.0\0") for number in range(5)})
    monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("the folder was listed once more"))
    assert len(find(tmp_path).parcels) == 5


def test_a_folder_of_single_slides_is_pushed_one_by_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_svs=b"II*\0rest",
        b__c_czi=b"ZISRAWFILE...",
        d_jpg=b"\xff\xd8\xff",
        e_vms=b"[Virtual Microscope Specimen]",
    )
    found = find(tmp_path)
    assert [(parcel.name, parcel.alone) for parcel in found.parcels] == [
        ("a.svs", tmp_path / "a.svs"),
        ("e.vms", tmp_path / "e.vms"),
        ("c.czi", tmp_path / "b" / "c.czi"),
    ]
    assert [path.name for path in found.left] == ["d.jpg"]


def test_a_file_that_is_named_is_sent_whatever_it_is(tmp_path: Path) -> None:
    write(tmp_path, letter_txt=b"Bonjour", tiff_mrxs=b"II*\0rest")
    for name in ("letter.txt", "tiff.mrxs"):
        assert find(tmp_path / name).parcels == (Parcel(name, ((name, tmp_path / name),)),)


def test_files_named_one_by_one_are_put_together_and_sent_once(mirax: Path) -> None:
    write(mirax, a_tif=trestle(), a_Full=b"\xff\xd8", b_dcm=dicom("1.1", "7.1"), c_dcm=dicom("1.2", "7.1"))
    write(mirax, d_dcm=dicom("2.1", "7.2"), e_svs=b"II*\0")
    named = sorted(mirax.iterdir())
    found = together(parcel for path in [*named, *named] for parcel in find(path).parcels)
    assert {parcel.name: len(parcel.files) for parcel in found} == {
        "a.tif": 2,
        "d.dcm": 1,
        "e.svs": 1,
        "lame.mrxs": 5,
        mirax.name: 2,
    }
    assert len(found) == 5
