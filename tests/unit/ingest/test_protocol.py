"""What agent and server say to each other, there and back."""

import base64
import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocol import (
    FILE_NAME_MAX_CHARS,
    Checksum,
    ProtocolError,
    SlideStatus,
    UploadRequest,
    checksum_header,
    is_id,
    is_sha256,
    parse_checksum,
    parse_count,
    parse_metadata,
    parse_request,
    parse_status,
    same_accession,
)
from sharing import text

printable = st.text(st.characters(exclude_categories=["C", "Z", "M"]), min_size=1, max_size=40)


def headers(request: UploadRequest) -> dict[str, str]:
    return {"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()}


@given(
    name=printable.filter(lambda name: not set(name) & set("/\\")),
    length=st.integers(1, 10**15),
    labels=st.tuples(*[st.none() | printable] * 3),
)
def test_an_announcement_survives_its_headers(name, length, labels) -> None:
    import unicodedata

    plain = [unicodedata.normalize("NFC", text) if text else None for text in (name, *labels)]
    request = UploadRequest(plain[0], length, "0f" * 32, *plain[1:])
    assert parse_request(headers(request)) == request


@pytest.mark.parametrize("name", ["../../etc/passwd", r"C:\scans\lame.svs", "/a/b/lame.svs"])
def test_a_file_name_loses_its_folders(name: str) -> None:
    request = UploadRequest(name, 1, "00" * 32)
    assert parse_request(headers(request)).file_name in ("passwd", "lame.svs")


@pytest.mark.parametrize("bad", ["a\nb", "a\x00b", "a\u202eb", "x" * 65])
def test_a_label_is_one_short_printable_line(bad: str) -> None:
    with pytest.raises(ProtocolError):
        parse_request(headers(UploadRequest("lame.svs", 1, "00" * 32, stain=bad)))


@pytest.mark.parametrize("name", ["\ufb2c" * 100, "e\u0301" * 200], ids=["longer", "shorter"])
def test_a_name_is_as_long_as_it_is_once_composed(name: str) -> None:
    """What is announced must be what can be stored, or the upload would fail at its last byte, each time."""
    composed = unicodedata.normalize("NFC", name)
    announced = headers(UploadRequest(name, 1, "00" * 32))
    if len(composed) > FILE_NAME_MAX_CHARS:
        with pytest.raises(ProtocolError):
            parse_request(announced)
    else:
        assert text.line(parse_request(announced).file_name, "The file name", limit=255) == composed


def test_metadata_may_hold_keys_without_value() -> None:
    assert parse_metadata("a YQ==, flag,b Yg==") == {"a": "a", "flag": "", "b": "b"}


@given(st.binary(min_size=32, max_size=32))
def test_a_checksum_survives_its_header(digest: bytes) -> None:
    assert parse_checksum(checksum_header(digest)) == Checksum("sha256", digest)


def test_sha1_tells_a_damaged_piece_too() -> None:
    digest = hashlib.sha1(b"x").digest()
    assert parse_checksum("sha1 " + base64.b64encode(digest).decode()) == Checksum("sha1", digest)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("26h01", " 26H01 ", True),
        ("A  1", "a 1", True),
        (None, "", True),
        ("26H01", "26H02", False),
        (None, "x", False),
    ],
)
def test_numbers_are_compared_as_they_are_stored(one, other, same: bool) -> None:
    assert same_accession(one, other) is same


def test_no_checksum_is_none() -> None:
    assert parse_checksum(None) is None


@pytest.mark.parametrize(
    "bad", ["", "sha1 aaaa", "md5 aaaa", "sha256", "sha256 " + base64.b64encode(b"short").decode()]
)
def test_a_checksum_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(ProtocolError):
        parse_checksum(bad)


@pytest.mark.parametrize("bad", [None, "", " 1", "+1", "-1", "1_000", "1.0", "٣", "9" * 19])
def test_a_count_is_decimal_digits_alone(bad) -> None:
    with pytest.raises(ProtocolError):
        parse_count(bad, "Upload-Offset")


@given(st.builds(SlideStatus, printable, printable, st.booleans(), st.none() | printable, st.none() | printable))
def test_a_status_survives_json(status: SlideStatus) -> None:
    assert parse_status(status.to_json()) == status


@pytest.mark.parametrize("body", [None, [], "ready", {}, {"slide": "x"}, {"slide": 1, "state": "ready"}])
def test_an_answer_that_is_no_status_is_refused(body) -> None:
    with pytest.raises(ProtocolError):
        parse_status(body)


def test_ids_and_digests_are_safe_as_file_names() -> None:
    assert is_id("a2" * 13)
    assert is_sha256("0f" * 32)
    for bad in ("", "a" * 25, "a" * 27, "A" * 26, "a" * 25 + "/", "a" * 25 + "\n", "0" * 26):
        assert not is_id(bad)
    for bad in ("", "0F" * 32, "0" * 63, "0" * 65, "0" * 63 + "\n"):
        assert not is_sha256(bad)
