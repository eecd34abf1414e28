"""What a download is made of: ranges, names, archives."""

import io
import zipfile
from datetime import UTC, datetime

import pytest

from slideserver.api.downloads import disposition
from slideserver.archive import Archive, inner_name
from slideserver.byte_ranges import UnsatisfiableError, wanted

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=90-", range(90, 100)),
        ("bytes=90-1000", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-1000", range(100)),
    ],
)
def test_a_part_is_what_was_asked_for(header: str, part: range) -> None:
    assert wanted(header, None, ETAG, 100) == part
    assert wanted(header, ETAG, ETAG, 100) == part
    assert wanted(header, '"another"', ETAG, 100) is None, "of another file the whole is wanted"


@pytest.mark.parametrize("header", [None, "", "bytes=-", "bytes=20-10", "bytes=1-2,4-5", "lines=1-2", "bytes=١-٢"])
def test_what_is_no_range_asks_for_the_whole(header: str | None) -> None:
    assert wanted(header, None, ETAG, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_where_nothing_lies_nothing_is_sent(header: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted(header, None, ETAG, 100)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("CMU-1.svs", "CMU-1.svs"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ('a"; filename="b.exe', "a__ filename__b.exe"),
        ("ligne\r\nX-Injected: 1.svs", "ligneX-Injected_ 1.svs"),
        ("été.svs", "ete.svs"),
        (".hidden", "hidden"),
        ("\u202egnp.svs", "gnp.svs"),
        ("", "file"),
    ],
)
def test_a_name_from_outside_is_safe_in_a_header(name: str, plain: str) -> None:
    header = disposition(name)
    assert f'filename="{plain}"' in header
    assert header.count('"') == 2
    assert all(" " <= character <= "~" for character in header)
    if name == "été.svs":
        assert header.endswith("filename*=UTF-8''%C3%A9t%C3%A9.svs")


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("a/b.dat", "a/b.dat"),
        ("/a/b", "a/b"),
        ("../../a", "a"),
        ("a/../../b", "a/b"),
        ("C:\\x\\y", "C:/x/y"),
        ("..", "file"),
    ],
)
def test_a_name_inside_an_archive_leads_down(name: str, inner: str) -> None:
    assert inner_name(name) == inner


def test_an_archive_that_is_sent_as_it_is_made_can_be_opened() -> None:
    moment = int(datetime(2026, 5, 4, 12, 30, 2, tzinfo=UTC).timestamp() * 1_000_000)
    files = {"slide.mrxs": [b"top"], "slide/Data0000.dat": [bytes(300_000), b"end"], "slide/empty.ini": []}
    archive, sent = Archive(), []
    for name, pieces in files.items():
        sent.extend(archive.add(name, moment, iter(pieces)))
    sent.append(archive.end())
    assert max(map(len, sent)) < 310_000, "each piece leaves when it comes"
    with zipfile.ZipFile(io.BytesIO(b"".join(sent))) as found:
        assert found.testzip() is None
        assert {entry.filename: found.read(entry) for entry in found.infolist()} == {
            name: b"".join(pieces) for name, pieces in files.items()
        }
        assert found.infolist()[0].date_time == (2026, 5, 4, 12, 30, 2)
