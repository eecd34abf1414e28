"""The manifest of a set: one way to write it, and no name that could lead elsewhere or mean two files."""

import hashlib
import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.manifest import EMPTY_SHA256, MAX_FILES, Manifest, ManifestError, SetFile, decode, encode, manifest_of

SHA256 = "0f" * 32


def files(*names: str) -> list[SetFile]:
    return [SetFile(name, 7, SHA256) for name in names]


def test_it_is_written_in_one_way_whatever_the_order():
    one, other = manifest_of(files("a.mrxs", "a/Data0000.dat")), manifest_of(files("a/Data0000.dat", "a.mrxs"))
    assert encode(one) == encode(other)
    assert one.sha256 == hashlib.sha256(encode(one)).hexdigest()
    assert encode(one).decode() == (
        f'{{"files":[{{"length":7,"name":"a.mrxs","sha256":"{SHA256}"}},'
        f'{{"length":7,"name":"a/Data0000.dat","sha256":"{SHA256}"}}],"form":"iain-set-1"}}'
    )


part = st.text(st.characters(categories=["L", "N", "P"], exclude_characters="/\\"), min_size=1, max_size=20).filter(
    lambda text: not text.startswith(".") and unicodedata.normalize("NFC", text) == text
)


@settings(deadline=None)
@given(st.lists(st.lists(part, min_size=1, max_size=3).map("/".join), min_size=2, max_size=8))
def test_what_is_written_is_read_back(names: list[str]):
    try:
        manifest = manifest_of(files(*names))
    except ManifestError:
        return
    assert decode(encode(manifest)) == manifest
    assert list(manifest.files) == sorted(manifest.files, key=lambda file: file.name.encode())


@pytest.mark.parametrize(
    "name",
    [
        "", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.b/c", "a\\b", "a\nb", "a\0b",
        "a\x7fb", "a\u202eb", "a\u2028b", "a\ud800", "e\u0301.dat", " a", "a /b", "a/b/c/d", "x" * 256, "é" * 128,
    ],
)  # fmt: skip
def test_a_name_that_could_mean_something_else_is_refused(name: str):
    with pytest.raises(ManifestError):
        manifest_of(files("good.dat", name))


@pytest.mark.parametrize(
    "names",
    [
        ("alone",),
        (),
        ("a.dat", "a.dat"),
        ("a.dat", "A.DAT"),
        ("é.dat", "É.dat"),
        ("ﬁ.dat", "fi.dat"),
        ("straße", "STRASSE"),
        ("a", "a/b"),
        ("A", "a/b"),
        ("x/y", "x/Y/z"),
        tuple(f"{number}.dcm" for number in range(MAX_FILES + 1)),
    ],
)
def test_names_that_do_not_go_together_are_refused(names: tuple[str, ...]):
    with pytest.raises(ManifestError):
        manifest_of(files(*names))


@pytest.mark.parametrize(
    "file",
    [SetFile("b", -1, SHA256), SetFile("b", 10**18, SHA256), SetFile("b", 1, "0F" * 32), SetFile("b", 0, SHA256),
     SetFile("b", 1, EMPTY_SHA256)],
)  # fmt: skip
def test_a_length_or_digest_that_makes_no_sense_is_refused(file: SetFile):
    with pytest.raises(ManifestError):
        manifest_of([*files("a"), file])
    assert manifest_of([*files("a"), SetFile("b", 0, EMPTY_SHA256)]).length == 7


def test_what_is_not_canonical_is_refused():
    manifest = manifest_of(files("a", "b"))
    good = encode(manifest)
    body = json.loads(good)
    assert decode(good) == manifest
    bad = [
        b"", b"{}", b"[]", b"null", b"\xff", good + b"\n", good.replace(b":7", b": 7"), good.replace(b":7", b":7.0"),
        good.replace(b":7", b":true"), good.replace(b'"a"', b'"\\u0061"'), good.replace(b"set-1", b"set-2"),
        json.dumps(body | {"more": 1}, sort_keys=True, separators=(",", ":")).encode(),
        encode(Manifest(manifest.files[::-1])), b"[" * 1_000_000, b" " * 1_048_577, good.replace(b'"a"', b"1"),
        b'{"files":[1],"form":"iain-set-1"}', b'{"files":7,"form":"iain-set-1"}',
    ]  # fmt: skip
    for data in bad:
        with pytest.raises(ManifestError):
            decode(data)
