"""What a backup says of itself: `SHA256SUMS` names every file as sha256sum(1) does, `manifest.json` vouches for that
list and for the contents of the database, and has its own digest beside it. That one is written last: a directory
without it is no backup.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

FORMAT = 1
MANIFEST = "manifest.json"
SEAL = "manifest.json.sha256"
SUMS = "SHA256SUMS"
CHUNK_BYTES = 1 << 20
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/-]+)")


class BackupError(Exception):
    """Why a backup cannot be taken or given back, and what to do."""


@dataclass(frozen=True, slots=True)
class TableContents:
    """How many rows, and the sum modulo 2²⁵⁶ of their SHA-256: the same whatever order they come in."""

    rows: int
    sha256_sum: str


@dataclass(frozen=True, slots=True)
class Manifest:
    format: int
    program: str
    taken_us: int
    """When the database was as it is in this backup."""
    engine: str
    schema: str
    database: str
    tables: dict[str, TableContents]
    files: int
    bytes: int
    sums_sha256: str
    flaws: tuple[str, ...]
    """What should have been backed up and was missing or damaged already."""


def write(directory: Path, manifest: Manifest, sums: Mapping[str, str]) -> str:
    """Write both files durably; the SHA-256 of the manifest."""
    _write(directory / SUMS, sums_text(sums))
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    _write(directory / MANIFEST, text)
    sha256 = text_digest(text)
    _write(directory / SEAL, f"{sha256}  {MANIFEST}\n")
    return sha256


def read(directory: Path) -> tuple[Manifest, dict[str, str]]:
    """The manifest and the digest of each file by its path. Raises BackupError if they do not hold together."""
    try:
        told = (directory / MANIFEST).read_bytes()
        text = (directory / SUMS).read_text(errors="replace")
        seal = (directory / SEAL).read_text(errors="replace")
    except FileNotFoundError as error:
        raise BackupError(
            f"{directory} holds no finished backup: {Path(error.filename).name} is missing. Choose another backup."
        ) from error
    if seal.split()[:1] != [hashlib.sha256(told).hexdigest()]:
        raise BackupError(f"The manifest of {directory} is not the one that was written. Choose another backup.")
    raw = json.loads(told)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BackupError(
            f"The backup {directory} is of a format this version does not read. Restore it with the version that took "
            "it, then upgrade."
        )
    tables = {name: TableContents(**contents) for name, contents in raw["tables"].items()}
    manifest = Manifest(**{**raw, "tables": tables, "flaws": tuple(raw["flaws"])})
    if text_digest(text) != manifest.sums_sha256:
        raise BackupError(f"The list of files of {directory} is not the one that was written. Choose another backup.")
    sums = {}
    for line in text.splitlines():
        match = _SUM.fullmatch(line)
        if match is None or PurePosixPath(match[2]).is_absolute() or ".." in PurePosixPath(match[2]).parts:
            raise BackupError(f"The list of files of {directory} has a line that names no file of it.")
        sums[match[2]] = match[1]
    return manifest, sums


def sums_text(sums: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items()))


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def copy(source: Path, target: Path, *, mode: int) -> str:
    """A durable copy that appears whole or not at all; the SHA-256 of what was read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}")
    sha256 = hashlib.sha256()
    with source.open("rb") as reader, unfinished.open("wb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            sha256.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    unfinished.chmod(mode)
    unfinished.replace(target)
    return sha256.hexdigest()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(directory: Path) -> None:
    """Makes the names below a directory outlive a power cut."""
    for folder, _, _ in os.walk(directory):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
