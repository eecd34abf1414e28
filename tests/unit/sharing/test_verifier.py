"""The single file: its signatures, trees, keys and notes against other programs and against the documents."""

import ast
import hashlib
import string
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sharing import merkle, verifier
from sharing.checkpoints import Signer
from sharing.verifier import NoteError, Record, parse_checkpoint, parse_key, parse_record, signed_by

# RFC 8032, 7.1: TEST 1 to 3
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
        "655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
        "c027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032(public: str, message: str, signature: str) -> None:
    assert signed_by(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message))
    assert not signed_by(bytes.fromhex(public), bytes.fromhex(signature), bytes.fromhex(message) + b"x")


@settings(max_examples=40, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=80), bit=st.integers(0, 96 * 8 - 1))
def test_signatures_are_judged_as_another_program_judges_them(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert signed_by(public, signature, message)
    flipped = bytearray(public + signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not signed_by(bytes(flipped[:32]), bytes(flipped[32:]), message)


def test_a_signature_whose_number_is_too_large_is_none() -> None:
    """Adding the group's order to it gives another one that holds by the equation alone (RFC 8032, 5.1.7)."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = private.public_key().public_bytes_raw(), private.sign(b"x")
    order = 2**252 + 27742317777372353535851937790883648493
    other = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert signed_by(public, signature, b"x")
    assert not signed_by(public, other, b"x")


def root_of(leaves: list[bytes]) -> bytes:
    """As RFC 6962, 2.1 defines it: by halves."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def test_both_trees_grow_as_rfc_6962_defines_them() -> None:
    leaves = [hashlib.sha256(b"\x00" + bytes([number])).digest() for number in range(70)]
    theirs, ours = verifier.Edge(), merkle.Edge()
    for size, leaf in enumerate(leaves):
        assert theirs.root() == ours.root() == root_of(leaves[:size])
        theirs.add(leaf)
        ours.extend((leaf,))
        assert verifier.Edge(theirs.size, theirs.hashes).root() == theirs.root()
    with pytest.raises(ValueError, match="no edge"):
        verifier.Edge(3, theirs.hashes[:1])


def test_a_root_of_the_documents() -> None:
    """Of the tree of eight in the tests of Certificate Transparency's first program."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    edge = merkle.Edge()
    edge.extend(hashlib.sha256(b"\x00" + bytes.fromhex(each)).digest() for each in inputs)
    assert edge.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_the_key_of_a_known_log_has_its_known_number() -> None:
    known = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = parse_key(known)
    assert (key.name, key.kind, str(key)) == ("sum.golang.org", verifier.LOG, known)
    with pytest.raises(NoteError):
        parse_key(known.replace("033de0ae", "033de0af"))
    with pytest.raises(NoteError):
        parse_key("sum.golang.org")


def test_a_checkpoint_says_what_was_signed_and_nothing_else() -> None:
    signer = Signer.new()
    note = signer.signed("caen", 7, b"r" * 32, b"h" * 32)
    checkpoint = parse_checkpoint(note)
    assert (checkpoint.size, checkpoint.root, checkpoint.head) == (7, b"r" * 32, b"h" * 32)
    assert checkpoint.text() == note
    assert checkpoint.is_signed_by(signer.key("caen"))
    assert not checkpoint.is_signed_by(signer.key("rouen"))
    assert not checkpoint.is_signed_by(Signer.new().key("caen"))
    for number in range(len(note)):
        try:
            changed = parse_checkpoint(note[:number] + chr(ord(note[number]) ^ 1) + note[number + 1 :])
        except NoteError:
            continue
        assert not changed.is_signed_by(signer.key("caen")), number


def test_the_secret_key_is_kept_and_read_again() -> None:
    signer = Signer.new()
    again = Signer.from_text(signer.to_text() + "\n")
    assert again.key("caen") == signer.key("caen")
    damaged = signer.to_text()[:-6] + "AAAAAA"
    for text in ("", "PRIVATE+KEY", damaged):
        with pytest.raises(ValueError, match="key for checkpoints"):
            Signer.from_text(text)


def test_what_is_no_record_is_said() -> None:
    renamed = f'{{"log":"{Signer.new().key("caen")}","origin":"caen\\u001b[8m"}}\n'
    deep = '{"witness":' + "[" * 100_000
    for text in (
        "",
        "{}",
        '{"witness":3}\n',
        '{"checkpoint":"x"}\n',
        str(Signer.new().key("caen")),
        renamed,
        deep + "\n",
    ):
        with pytest.raises(NoteError):
            parse_record(text)
    key = verifier.Key("w", verifier.COSIGNER, bytes(32))
    assert parse_record(f"{key}\n") == Record(key)


def test_it_needs_python_alone_and_nothing_newer_than_it_says(tmp_path: Path) -> None:
    source = Path(verifier.__file__).read_text()
    ast.parse(source, feature_version=(3, 9))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= sys.stdlib_module_names
    (tmp_path / "verifier.py").write_text(source)
    (tmp_path / "log").write_text("hello\n")
    command = [sys.executable, "-I", "-S", "verifier.py"]
    for arguments, words in ((["log"], "no audit log"), (["none"], "No such file"), (["log", "--key", "k"], "--key")):
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr


def test_every_sentence_is_in_both_languages_with_the_same_values() -> None:
    for name, (french, english) in verifier.SENTENCES.items():
        fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in (french, english)]
        assert fields[0] == fields[1], name
        assert french != english


HEADER = {"key": str(verifier.Key("iain-x/caen", verifier.LOG, bytes(range(32)))), "origin": "iain-x/caen"}
CHAIN, END = {"site": "caen", "witnesses": [], **HEADER}, {"entries": 0, "waiting": 0}


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([{"chain": CHAIN}, {"end": END}], []),
        ([{"chain": CHAIN | {"witnesses": [5]}}, {"end": END}], ["header"]),
        ([{"chain": CHAIN | {"key": 5}}, {"end": END}], ["header"]),
        ([{"chain": CHAIN | {"site": "caen: 9 entries, as they were sealed\x1b[8m"}}, {"end": END}], ["header"]),
        ([{"chain": CHAIN | {"origin": "iain-x/caen\r\x1b[2K"}}, {"end": END}], ["header"]),
        ([{"chain": CHAIN}, {"checkpoint": None}, {"end": END}], ["checkpoint-form"]),
        ([{"chain": CHAIN}, {"checkpoint": "\udfff"}, {"end": END}], ["checkpoint-form"]),
        ([{"chain": CHAIN}, {"event": 5}, {"end": END}], ["form"]),
        ([{"chain": CHAIN}, {"end": {"entries": "0", "waiting": 0}}], ["line", "cut"]),
        ([{"chain": CHAIN}, {"end": {"entries": 0, "waiting": None}}], ["line", "cut"]),
        ([{"chain": CHAIN}, {"end": END}, {"end": END}], ["line"]),
        ([{"chain": CHAIN}, {"end": END}, {"event": 5}], ["line"]),
    ],
)
def test_whatever_a_line_holds_is_judged_and_stops_nothing(lines: list[object], codes: list[str]) -> None:
    told = [{"iain-audit-log": verifier.LOG_VERSION}, *lines, {"chain": CHAIN | {"site": "?"}}, {"end": END}]
    first, second = verifier.verify([f"{verifier.canonical(line)}\n" for line in told])
    assert [each.code for each in first.findings] == codes
    assert "".join(verifier.told(first, "en")).isprintable(), "no line can hide another on the screen"
    assert [each.code for each in second.findings] == ["header"], "the next chain is judged, too"


def one_entry(personal: object) -> list[str]:
    """A whole log of one entry, its personal part as it may have been changed since."""
    body = '{"agent_name":"EXEMPLE Zoé"}'
    event = {"commitment": verifier.commitment("0" * 64, body), "site": "caen"}
    leaf = hashlib.sha256(b"\x00" + verifier.canonical(event).encode()).digest()
    sealed = {"hash": verifier.linked(bytes(32), 1, 5, leaf).hex(), "sealed_us": 5, "seq": 1}
    told = [{"iain-audit-log": 1}, {"chain": CHAIN}, {"event": event, "personal": personal} | sealed]
    return [f"{verifier.canonical(line)}\n" for line in [*told, {"end": END | {"entries": 1}}]]


@pytest.mark.parametrize(
    ("personal", "codes"),
    [
        ({"salt": "0" * 64, "body": '{"agent_name":"EXEMPLE Zoé"}'}, []),
        (None, []),
        ({"salt": "0" * 64, "body": '{"agent_name":"EXEMPLE Eva"}'}, ["personal"]),
        ({"salt": "0" * 64 + '{"agent_name":', "body": '"EXEMPLE Zoé"}'}, ["personal"]),
        ({"salt": "0" * 63, "body": '0{"agent_name":"EXEMPLE Zoé"}'}, ["personal"]),
        ({"salt": "0" * 64, "body": '{"agent_name":"EXEMPLE Zoé"}', "more": "of it"}, ["form"]),
    ],
)
def test_a_personal_part_is_the_one_that_was_sealed_and_nothing_beside_it(personal: object, codes: list[str]) -> None:
    (report,) = verifier.verify(one_entry(personal))
    assert [each.code for each in report.findings] == codes
