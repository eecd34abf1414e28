"""Documents that no scanner writes are refused before they cost anything."""

import pytest

from tiler.errors import DamagedSlideError
from tiler.readers import xml


def test_the_elements_of_a_document_are_read() -> None:
    root = xml.document(b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<a unit="\xc2\xb5m"><b>1</b></a>\0behind')
    assert (root.tag, root.get("unit"), root.findtext("b")) == ("a", "µm", "1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no document",
        b"<a><b></a>",
        b"<a>&unknown;</a>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><a/>'.encode("utf-16"),
        b"<a>" * (xml.MAX_DEPTH + 1) + b"</a>" * (xml.MAX_DEPTH + 1),
        b"<a>" + b"<b/>" * xml.MAX_ELEMENTS + b"</a>",
        b"<a>" + b" " * xml.MAX_BYTES + b"</a>",
    ],
    ids=["empty", "text", "not closed", "entity", "own entities", "foreign", "hidden", "deep", "many", "long"],
)
def test_what_is_dangerous_or_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedSlideError, match="The slide's XML description"):
        xml.document(data)


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16", "ISO-8859-1", "windows-1252", "gb2312"])
def test_usual_encodings_are_read_as_utf_8(encoding: str) -> None:
    assert xml.document(f"<?xml version='1.0' encoding='{encoding}'?><a b='µ'/>".encode()).get("b") == "µ"


@pytest.mark.parametrize("encoding", ["UTF-7", "cp037", "ISO-2022-JP", "HZ", "JAVA", ""])
def test_an_encoding_in_which_elements_could_hide_is_refused(encoding: str) -> None:
    """OpenSlide, which places the tiles of Ventana slides, would see other elements than were looked at here."""
    with pytest.raises(DamagedSlideError, match="damaged"):
        xml.document(f"<?xml version='1.0' encoding='{encoding}'?><a>+ADw-b/+AD4-</a>".encode())
