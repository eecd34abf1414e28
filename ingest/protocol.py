"""What the agent beside a scanner and the server say to each other: tus 1.0 and the few words we add to it.

Only the standard library is known here, so that the agent starts on a workstation that has no server packages.
tus 1.0.0 core with the extensions creation, checksum, expiration and termination; a scanner's requests carry
`Authorization: Bearer <scanner key>`. Start reading at `UploadRequest`.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = "creation,checksum,expiration,termination"
CHECKSUM_ALGORITHM = "sha256"
# SHA-1 is what tus 1.0 asks of every server: it tells a damaged piece, and a file is proved by SHA-256 anyway.
CHECKSUM_ALGORITHMS = {CHECKSUM_ALGORITHM: 32, "sha1": 20}
OFFSET_CONTENT_TYPE = "application/offset+octet-stream"
MANIFEST_CONTENT_TYPE = "application/json"
PROBLEM_CONTENT_TYPE = "application/problem+json"
CHECKSUM_MISMATCH = 460  # status code of the tus checksum extension

UPLOADS_PATH = "/api/uploads"
KNOWN_PATH = "/api/uploads/known/"
SLIDES_PATH = "/api/uploads/slides/"
SETS_PATH = "/api/uploads/sets/"
SLIDE_HEADER = "IAIN-Slide"
PROBLEM_HEADER = "IAIN-Problem"  # repeats the code of the body, which an answer to HEAD does not have
SIZE_HEADER = "Upload-Length"
EXPIRES_HEADER = "Upload-Expires"

METADATA_MAX_CHARS = 4096
FILE_NAME_MAX_CHARS = 255
LABEL_MAX_CHARS = 64

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[a-z2-7]{26}")
_DECIMAL = re.compile(r"[0-9]{1,18}")


class Problem(StrEnum):
    """Why the server said no; the stable `code` of its problem+json, from which the agent makes its own sentence."""

    KEY_REFUSED = "key-refused"
    SIGNED_OUT = "signed-out"
    BAD_REQUEST = "bad-request"
    TUS_VERSION = "tus-version"
    UNKNOWN_UPLOAD = "unknown-upload"
    UNKNOWN_SLIDE = "unknown-slide"
    WRONG_OFFSET = "wrong-offset"
    UPLOAD_BUSY = "upload-busy"
    PIECE_DAMAGED = "piece-damaged"
    FILE_DAMAGED = "file-damaged"
    TOO_LARGE = "too-large"
    FILES_MISSING = "files-missing"
    TOO_MANY_UPLOADS = "too-many-uploads"
    WRONG_CONTENT_TYPE = "wrong-content-type"
    DISK_FULL = "disk-full"
    QUOTA_EXCEEDED = "quota-exceeded"
    STORE_FAILED = "store-failed"
    BODY_STALLED = "body-stalled"


class ProtocolError(ValueError):
    """A header or a body that does not say what this protocol allows; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A file announced before its first byte: how long it is, its SHA-256, and what the technician knows of the glass.

    `accession` is DICOM Accession Number (0008,0050); `file_name` never has a folder in it. `of_set`: the file is one
    of several of a slide (`ingest.manifest`), and no slide alone. `sha256` is None for a client that cannot say it
    beforehand: what arrives is then named by the digest that the server computes.
    """

    file_name: str
    length: int
    sha256: str | None
    accession: str | None = None
    stain: str | None = None
    block: str | None = None
    of_set: bool = False

    def metadata(self) -> str:
        """The value of the Upload-Metadata header (tus creation extension)."""
        known = {
            "filename": self.file_name,
            "sha256": self.sha256,
            "accession": self.accession,
            "stain": self.stain,
            "block": self.block,
        }
        pairs = [f"{key} {base64.b64encode(value.encode()).decode('ascii')}" for key, value in known.items() if value]
        return ",".join([*pairs, "set"] if self.of_set else pairs)


def parse_request(headers: Mapping[str, str]) -> UploadRequest:
    """The upload announced by the headers of a creation request.

    Raises ProtocolError when the length or a field is missing, malformed or longer than a label can be.
    """
    length = parse_count(headers.get(SIZE_HEADER), SIZE_HEADER)
    if length == 0:
        raise ProtocolError("The file is empty. Scan the glass again, or choose another file.")
    fields = parse_metadata(headers.get("Upload-Metadata", ""))
    return _request(fields, length, fields.get("sha256"), of_set="set" in fields)


def parse_set(headers: Mapping[str, str], sha256: str, length: int) -> UploadRequest:
    """What the headers of a commitment say of the slide whose manifest has this SHA-256, and whose files so many bytes.
    Raises ProtocolError."""
    return _request(parse_metadata(headers.get("Upload-Metadata", "")), length, sha256)


def _request(fields: Mapping[str, str], length: int, sha256: str | None, *, of_set: bool = False) -> UploadRequest:
    if not _SHA256.fullmatch(sha256 or "") and (sha256 is not None or of_set):
        raise ProtocolError("Upload-Metadata needs sha256: 64 hexadecimal digits in lower case.")
    file_name = re.split(r"[/\\]", fields.get("filename", ""))[-1].strip()
    return UploadRequest(
        file_name=_bounded("filename", file_name or "slide", FILE_NAME_MAX_CHARS),
        length=length,
        sha256=sha256,
        accession=_label(fields, "accession"),
        stain=_label(fields, "stain"),
        block=_label(fields, "block"),
        of_set=of_set,
    )


def parse_metadata(value: str) -> dict[str, str]:
    """The pairs of an Upload-Metadata header; a key without a value stands for an empty text."""
    if len(value) > METADATA_MAX_CHARS:
        raise ProtocolError(f"Upload-Metadata is longer than {METADATA_MAX_CHARS} characters. Shorten the file name.")
    fields: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in value.split(","))):
        key, _, encoded = pair.partition(" ")
        if key in fields:
            raise ProtocolError(f"Upload-Metadata names {key!r} twice. Send each key once.")
        try:
            fields[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ProtocolError(f"Upload-Metadata {key!r} is not UTF-8 text in base64.") from error
    return fields


def parse_count(value: str | None, header: str) -> int:
    """A count of bytes from a header: decimal digits alone, at most 18 of them."""
    if value is None or not _DECIMAL.fullmatch(value):
        raise ProtocolError(f"{header} must be a whole number of bytes.")
    return int(value)


def checksum_header(digest: bytes) -> str:
    """The value of Upload-Checksum for a piece whose SHA-256 is `digest` (tus checksum extension)."""
    return f"{CHECKSUM_ALGORITHM} {base64.b64encode(digest).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a piece is declared to have: the digest of this algorithm."""

    algorithm: str
    digest: bytes


def parse_checksum(value: str | None) -> Checksum | None:
    """None when nothing is declared."""
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    length = CHECKSUM_ALGORITHMS.get(algorithm)
    if length is None:
        raise ProtocolError(f"Upload-Checksum {algorithm!r} is not known here. Use {CHECKSUM_ALGORITHM}.")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ProtocolError("Upload-Checksum is not base64.") from error
    if len(digest) != length:
        raise ProtocolError(f"Upload-Checksum is no {algorithm}: {length} bytes are expected.")
    return Checksum(algorithm, digest)


def same_accession(one: str | None, other: str | None) -> bool:
    """Whether both are the same number, as the server compares them."""
    return _plain(one) == _plain(other)


def is_sha256(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether this has the form of our ids, and so is safe as a file name."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class SlideStatus:
    """How far a slide is: state received, indexing, ready or refused; matched when a case was found for it.
    `accession` is the number of that case, or else the one it was sent with. `claimed`: it was also sent with another
    one, and a person has still to say which is right."""

    slide: str
    state: str
    matched: bool = False
    accession: str | None = None
    refusal_code: str | None = None
    refusal_reason: str | None = None
    claimed: bool = False

    @property
    def settled(self) -> bool:
        return self.state in ("ready", "refused")

    def to_json(self) -> dict[str, str | bool | None]:
        return {
            "slide": self.slide,
            "state": self.state,
            "matched": self.matched,
            "accession": self.accession,
            "refusal_code": self.refusal_code,
            "refusal_reason": self.refusal_reason,
            "claimed": self.claimed,
        }


def parse_status(body: object) -> SlideStatus:
    """The status in a JSON answer of the server; raises ProtocolError when the answer is something else."""
    if not isinstance(body, dict) or not isinstance(body.get("slide"), str) or not isinstance(body.get("state"), str):
        raise ProtocolError("The answer does not describe a slide. Is this address really a slide server?")
    code, reason, accession = body.get("refusal_code"), body.get("refusal_reason"), body.get("accession")
    return SlideStatus(
        slide=body["slide"],
        state=body["state"],
        matched=body.get("matched") is True,
        accession=accession if isinstance(accession, str) else None,
        refusal_code=code if isinstance(code, str) else None,
        refusal_reason=reason if isinstance(reason, str) else None,
        claimed=body.get("claimed") is True,
    )


def _plain(accession: str | None) -> str:
    return unicodedata.normalize("NFC", " ".join((accession or "").split())).upper()


def _label(fields: Mapping[str, str], key: str) -> str | None:
    text = fields.get(key, "").strip()
    return _bounded(key, text, LABEL_MAX_CHARS) if text else None


def _bounded(key: str, text: str, longest: int) -> str:
    composed = unicodedata.normalize("NFC", text)  # some characters become several by it
    if len(composed) > longest:
        raise ProtocolError(f"Upload-Metadata {key!r} is longer than {longest} characters.")
    if any(unicodedata.category(character).startswith("C") for character in composed):
        raise ProtocolError(f"Upload-Metadata {key!r} has characters that cannot be printed.")
    return composed
