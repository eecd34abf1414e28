"""Which files of a folder are one slide."""

from pathlib import Path

from benchmarks.collection import slides_below


def instance(series: bytes) -> bytes:
    return bytes(128) + b"DICM" + b"\x20\x00\x0e\x00UI" + len(series).to_bytes(2, "little") + series


def test_sets_are_found_and_everything_else_is_a_slide_of_its_own(tmp_path: Path) -> None:
    files = {
        "a.svs": b"II*\0",
        "b.mrxs": b"",
        "b/Slidedat.ini": b"",
        "b/Data0000.dat": b"",
        "c/1.dcm": instance(b"1.2"),
        "c/2.dcm": instance(b"1.2"),
        "c/3.dcm": instance(b"1.3"),
        "d.tif": b"II*\0",
        "d.Full": b"",
        "e.mrxs": b"",
        "README.md": b"",
        ".hidden": b"",
    }
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    found = {each.name: sorted(each.files) for each in slides_below(tmp_path)}
    assert found == {
        "a.svs": ["slide"],
        "b.mrxs": ["b.mrxs", "b/Data0000.dat", "b/Slidedat.ini"],
        "c/c (1.dcm, …)": ["1.dcm", "2.dcm"],
        "c/3.dcm": ["slide"],
        "d.tif": ["d.Full", "d.tif"],
        "e.mrxs": ["slide"],
    }
