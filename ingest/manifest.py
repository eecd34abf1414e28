"""The manifest of a slide that has several files: which they are, byte for byte.

Written in one way only, so that the same files have the same manifest; its SHA-256 stands for the slide as the SHA-256
of a file does for a slide of one. Only the standard library is known here: the agent writes it, the server reads it.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FORM = "iain-set-1"
MAX_FILES = 1000
MAX_PARTS = 3
NAME_MAX_CHARS = 255
MANIFEST_MAX_BYTES = 1024 * 1024
EMPTY_SHA256 = hashlib.sha256().hexdigest()

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_LENGTH = 10**18
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class ManifestError(ValueError):
    """What is no manifest of a set; the message says why."""


@dataclass(frozen=True, slots=True)
class SetFile:
    """One file: its name beside the others, with `/` between folders, its bytes' number and their SHA-256."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Two files or more, in the order of their names."""

    files: tuple[SetFile, ...]

    @property
    def sha256(self) -> str:
        """Of the slide."""
        return hashlib.sha256(encode(self)).hexdigest()

    @property
    def length(self) -> int:
        return sum(file.length for file in self.files)


def manifest_of(files: Iterable[SetFile]) -> Manifest:
    """The manifest of these files in whatever order. Raises ManifestError when they cannot be one slide."""
    ordered = tuple(sorted(files, key=lambda file: file.name))
    if not 2 <= len(ordered) <= MAX_FILES:
        raise ManifestError(f"A slide of several files has 2 to {MAX_FILES} of them, not {len(ordered)}.")
    _check_together([check_name(file.name) for file in ordered])
    for file in ordered:
        if not 0 <= file.length < _MAX_LENGTH or not _SHA256.fullmatch(file.sha256):
            raise ManifestError(f"The length or the SHA-256 of {file.name} makes no sense.")
        if (file.length == 0) != (file.sha256 == EMPTY_SHA256):
            raise ManifestError(f"The length and the SHA-256 of {file.name} contradict each other.")
    return Manifest(ordered)


def encode(manifest: Manifest) -> bytes:
    """Canonical JSON: keys and names sorted, no white space, UTF-8."""
    files = [{"length": file.length, "name": file.name, "sha256": file.sha256} for file in manifest.files]
    body = {"files": files, "form": FORM}
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def decode(data: bytes) -> Manifest:
    """Raises ManifestError unless `encode` would have written exactly this."""
    if len(data) > MANIFEST_MAX_BYTES:
        raise ManifestError(f"The manifest is longer than {MANIFEST_MAX_BYTES:,} bytes.")
    try:
        body = json.loads(data)
        found = manifest_of(_file(each) for each in body["files"])
    except ManifestError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManifestError("The manifest is not what this protocol says it is.") from error
    if encode(found) != data:
        raise ManifestError("The manifest is not written in canonical JSON with sorted names.")
    return found


def check_name(name: str) -> str:
    """The name, which can neither leave its folder nor mean two files. Raises ManifestError."""
    shown = ascii(name[:80])
    parts = name.split("/")
    if len(name) > NAME_MAX_CHARS or len(parts) > MAX_PARTS:
        raise ManifestError(f"{shown} is longer than {NAME_MAX_CHARS} characters or {MAX_PARTS} folders deep.")
    if "\\" in name or any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        raise ManifestError(f"{shown} has characters that no file of a slide has in its name.")
    if unicodedata.normalize("NFC", name) != name:
        raise ManifestError(f"{shown} is not in Unicode's composed form (NFC).")
    if any(not part or part.startswith(".") or part != part.strip() or len(part.encode()) > 255 for part in parts):
        raise ManifestError(f"{shown} has a part that is empty, hidden, padded or too long.")
    return name


def _file(each: Mapping[str, object]) -> SetFile:
    name, length, sha256 = each["name"], each["length"], each["sha256"]
    if not isinstance(name, str) or type(length) is not int or not isinstance(sha256, str):
        raise ManifestError("The manifest names a file without saying what it is.")
    return SetFile(name, length, sha256)


def _check_together(names: Iterable[str]) -> None:
    """No two that a file system may take for one, and no file that is a folder of another."""
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        if folded in files:
            raise ManifestError(f"{name!a} cannot be told from another file of the set.")
        files.add(folded)
        parts = folded.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if both := sorted(files & folders):
        raise ManifestError(f"{both[0]!a} is a file and a folder at once.")
