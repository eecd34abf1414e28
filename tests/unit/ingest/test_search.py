"""A watched folder: which slides are taken from it, when, and what is told of the others."""

import os
from pathlib import Path

import pytest

from benchmarks.torture_ingest.scans import dicom, mirax, tiff
from ingest.agent.entries import Stamp, State
from ingest.agent.search import COMPANY_RESTS, Search, Sight

REST, TELL = 10.0, 60.0


class Watched:
    """A folder, a clock, and what the queue knows."""

    def __init__(self, root: Path, *apart: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.now = root, 0.0
        self.known: dict[Stamp, State] = {}
        self.search = Search(root, REST, TELL, lambda: self.now, lambda: int(self.now * 1e6), apart)

    def write(self, **files: bytes) -> None:
        for name, data in files.items():
            self.put(name.replace("__", "/").replace("_", "."), data)

    def put(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def look(self, after: float = 0) -> Sight:
        self.now += after
        return self.search.look(self.known)

    def names(self, after: float = 0) -> list[str]:
        return [slide.name for slide in self.look(after).slides]

    def take(self, after: float = 0, state: State = State.QUEUED) -> list[str]:
        slides = self.look(after).slides
        self.known |= {file.stamp: state for slide in slides for file in slide.files}
        return [slide.name for slide in slides]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "scans")


def test_a_slide_is_taken_once_it_has_rested_and_only_once(watched: Watched) -> None:
    watched.write(a_svs=tiff(b"a"))
    assert watched.take() == []
    assert watched.take(REST - 1) == []
    assert watched.take(1) == ["a.svs"]
    assert watched.take(REST) == []
    watched.write(b_svs=tiff(b"b"), a_svs=tiff(b"other"))
    assert watched.take() == []
    assert watched.take(REST) == ["a.svs", "b.svs"]


def test_a_slide_that_the_queue_forgets_at_once_is_found_again(watched: Watched) -> None:
    watched.write(a_svs=tiff(b"a"))
    watched.look()
    assert watched.names(REST) == ["a.svs"]
    assert watched.names() == ["a.svs"], "it was queued, and its file gone and back, between two looks"


def test_what_is_still_written_is_not_looked_at(watched: Watched) -> None:
    path = watched.put("a.svs", tiff(b"a"))
    for second in range(1, 40):
        os.utime(path, (second, second))
        assert watched.take(1) == []
    assert watched.take(REST) == ["a.svs"]


def test_a_resting_half_is_not_taken_and_told_after_a_while(watched: Watched) -> None:
    whole = tiff(b"a" * 100)
    watched.write(a_svs=whole[:50])
    assert not watched.look(0).slides
    sight = watched.look(REST)
    assert (sight.slides, sight.incomplete) == ((), ())
    [trouble] = watched.look(TELL).incomplete
    assert (trouble.name, trouble.code, trouble.since_us) == ("a.svs", "incomplete-file", int(REST * 1e6))
    watched.write(a_svs=whole)
    watched.look()
    sight = watched.look(REST)
    assert [slide.name for slide in sight.slides] == ["a.svs"]
    assert sight.incomplete == ()


def test_namesakes_are_told_with_their_folders(watched: Watched) -> None:
    for name in ("one/a.svs", "two/a.svs", "b.svs"):
        watched.put(name, tiff(b"a" * 100)[:50])
    watched.look()
    watched.look(REST)
    told = {trouble.name for trouble in watched.look(TELL).incomplete}
    assert told == {str(Path("one", "a.svs")), str(Path("two", "a.svs")), "b.svs"}


def test_a_mirax_slide_waits_for_all_its_files(watched: Watched) -> None:
    files = mirax("lame", {"Data0000.dat": b"0" * 50, "Data0001.dat": b"1" * 60})
    last = files.pop("lame/Data0001.dat")
    for name, data in files.items():
        watched.put(name, data)
    watched.look()
    assert watched.take(REST) == []
    assert watched.look(TELL).incomplete[0].detail == "lame/Data0001.dat"
    watched.put("lame/Data0001.dat", last[:10])
    assert watched.take() == []
    assert watched.take(REST) == []
    watched.put("lame/Data0001.dat", last)
    assert watched.take() == []
    assert watched.take(REST) == ["lame.mrxs"]


def test_a_series_waits_for_instances_that_may_come(watched: Watched) -> None:
    watched.put("1.dcm", dicom("1.2.1", "1.2", b"p"))
    watched.look()
    assert watched.take(REST) == []
    watched.put("2.dcm", dicom("1.2.2", "1.2", b"q")[:100])
    assert watched.take(REST * COMPANY_RESTS) == []
    assert watched.take(REST * COMPANY_RESTS) == [], "an instance that does not say yet which series it is of"
    watched.put("2.dcm", dicom("1.2.2", "1.2", b"q"))
    watched.look()
    assert watched.take(REST) == []
    [slide] = watched.look(REST * COMPANY_RESTS).slides
    assert [file.name for file in slide.files] == ["1.2.1.dcm", "1.2.2.dcm"]


def test_a_series_in_the_making_holds_up_no_other_in_its_folder(watched: Watched) -> None:
    watched.put("1.dcm", dicom("1.2.1", "1.2", b"p"))
    watched.look()
    watched.look(REST * COMPANY_RESTS - 1)
    watched.put("other.dcm", dicom("7.2.1", "7.2", b"p"))
    assert watched.take(1) == ["1.dcm"]


def test_copies_of_a_series_in_folders_apart_are_no_part_of_it(watched: Watched) -> None:
    watched.put("one/1.dcm", dicom("1.2.1", "1.2", b"p"))
    watched.put("two/1.dcm", dicom("1.2.1", "1.2", b"p" * 99)[:-50])
    watched.look()
    assert watched.take(REST * COMPANY_RESTS) == ["1.dcm"]
    watched.look()
    assert [trouble.name for trouble in watched.look(TELL).incomplete] == ["1.dcm"]


def test_a_trestle_scan_waits_a_while_for_the_picture_of_its_glass(watched: Watched) -> None:
    software = b"MedScan 1.0\0"
    data = bytearray(tiff(b"a" * 40))
    at = len(data) - 4 - 12  # the last entry of the directory makes room for Software (305)
    data[at : at + 12] = (305).to_bytes(2, "little") + b"\2\0" + len(software).to_bytes(4, "little") + b"\x08\0\0\0"
    data[8 : 8 + len(software)] = software
    watched.put("a.tif", bytes(data))
    watched.look()
    assert watched.take(REST) == []
    watched.put("a.Full", b"\xff\xd8\xff")
    watched.look()
    [slide] = watched.look(REST * COMPANY_RESTS).slides
    assert [file.name for file in slide.files] == ["slide.tif", "slide.Full"]


def test_what_other_programs_have_not_finished_is_left_alone(watched: Watched) -> None:
    for name in ("a.svs.part", "b.svs.tmp", ".c.svs", ".hidden/d.svs", "e.svs.filepart", "$Recycle.Bin/f.svs"):
        watched.put(name, tiff(b"x"))
    watched.look()
    assert watched.take(REST) == []


def test_the_archive_below_a_watched_folder_is_not_watched(tmp_path: Path) -> None:
    watched = Watched(tmp_path, tmp_path / "sent")
    watched.put("sent/a.svs", tiff(b"x"))
    watched.look()
    assert watched.take(REST) == []


def test_a_file_that_is_on_its_way_out_is_no_news(watched: Watched) -> None:
    files = mirax("lame", {"Data0000.dat": b"0" * 50})
    for name, data in files.items():
        watched.put(name, data)
    watched.look()
    assert watched.take(REST, State.SETTLING) == ["lame.mrxs"]
    (watched.root / "lame.mrxs").unlink()
    assert watched.look(REST) == Sight()
    assert watched.look(TELL) == Sight()


def test_a_folder_that_is_away_is_told_until_it_is_back(watched: Watched) -> None:
    away = watched.root.with_name("away")
    watched.write(a_svs=tiff(b"a"))
    watched.root.rename(away)
    [trouble] = watched.look().folder
    assert (trouble.name, trouble.code) == (str(watched.root), "folder-missing")
    away.rename(watched.root)
    assert watched.look() == Sight()
    assert watched.take(REST) == ["a.svs"]


def test_a_share_that_answers_with_errors_is_a_folder_that_is_away(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows does when the other computer is switched off."""

    def fail(path: Path) -> bool:
        raise OSError(22, "The specified network name is no longer available", str(path))

    watched.root.rmdir()
    monkeypatch.setattr(Path, "is_dir", fail)
    assert [trouble.code for trouble in watched.look().folder] == ["folder-missing"]


def test_what_is_called_a_slide_and_is_none_is_told(watched: Watched) -> None:
    watched.write(empty_svs=b"", picture_ndpi=b"\x89PNG", letter_txt=b"Bonjour", nothing_dcm=b"p" * 200)
    watched.put("begun.dcm", bytes(128) + b"DICM")
    watched.look()
    assert watched.take(REST) == []
    told = {(trouble.name, trouble.code) for trouble in watched.look(TELL).incomplete}
    assert told == {
        ("empty.svs", "not-a-slide"),
        ("picture.ndpi", "not-a-slide"),
        ("nothing.dcm", "not-a-slide"),
        ("begun.dcm", "incomplete-file"),
    }


def test_a_file_that_its_scanner_holds_for_itself_holds_up_no_other(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows; and it is taken once it can be read, though nothing else of it has changed."""
    files = mirax("lame", {"Data0000.dat": b"0" * 50})
    for name, data in files.items():
        watched.put(name, data)
    watched.write(a_svs=tiff(b"a"), held_svs=tiff(b"held"))
    held, opened = {"held.svs", "Data0000.dat"}, Path.open

    def sharing(path: Path, *how: object, **more: object):
        if path.name in held:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", sharing)
    watched.look()
    assert watched.take(REST) == ["a.svs"]
    assert ("held.svs", "unreadable-file") in {(each.name, each.code) for each in watched.look(TELL).incomplete}
    held.clear()
    assert watched.take(1) == ["lame.mrxs", "held.svs"]


def test_letters_in_the_folder_cost_nothing(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.write(letter_txt=b"Bonjour")
    watched.look()
    watched.look(REST)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("nothing changed, and a file was opened"))
    assert watched.look(REST) == Sight()
