"""What a witness keeps on its own disk: its key, and every checkpoint that it ever signed.

`record.jsonl` only grows, and has a line before what it tells has left this machine; `sharing.verifier` reads it.
`edges.json` is what the next leaves are joined to. It can be lost: the witness then reads the logs from their start.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sharing.verifier import (
    COSIGNER,
    Checkpoint,
    Edge,
    Key,
    NoteError,
    Record,
    canonical,
    cosigned_message,
    parse_checkpoint,
    parse_key,
    parse_record,
    restart_message,
    signature_line,
)

RECORD, SECRET, EDGES, EVIDENCE = "record.jsonl", "key", "edges.json", "evidence"
EVIDENCE_MOST = 100


class RecordError(Exception):
    """The witness's folder does not hold what a witness keeps; `sentence` is one of `ingest.agent.messages`."""

    def __init__(self, sentence: str, /, **values: object) -> None:
        self.sentence, self.values = sentence, values
        super().__init__(f"{sentence} {values}")


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the witness has come with a log; `checkpoint` is the last that it signed, None before the first."""

    edge: Edge
    head: bytes
    checkpoint: Checkpoint | None


class Cosigner:
    """A witness, as it stands in its folder."""

    def __init__(self, folder: Path, key: Key, private: Ed25519PrivateKey, record: Record) -> None:
        self.key, self._folder, self._private = key, folder, private
        self._logs = dict(record.logs)
        self._last: dict[str, Checkpoint] = {}
        for origin, seen in record.seen.items():
            since = max((line for line, _ in record.restarts.get(origin, ())), default=0)
            if seen[-1].line > since:
                self._last[origin] = seen[-1].checkpoint
        self._edges = self._read_edges()

    @property
    def logs(self) -> Mapping[str, Key]:
        """The logs that the witness has met, by their origins, each with the key it had then."""
        return self._logs

    def meet(self, log: Key) -> None:
        """Remember a log's key from now on."""
        self._append({"log": str(log), "origin": log.name})
        self._logs[log.name] = log

    def reached(self, origin: str) -> Reached:
        last, edge = self._last.get(origin), self._edges.get(origin)
        if last is None:
            return Reached(Edge(), bytes(32), None)
        if edge is None or edge.size != last.size or edge.root() != last.root:
            return Reached(Edge(), bytes(32), last)
        return Reached(Edge(edge.size, edge.hashes), last.head, last)

    def sign(self, checkpoint: Checkpoint, edge: Edge, when_s: int) -> str:
        """The line of the signature. The checkpoint is in the record, on the disk, when this returns."""
        signature = self._private.sign(cosigned_message(when_s, checkpoint.body))
        line = signature_line(self.key, when_s.to_bytes(8, "big") + signature)
        signed = parse_checkpoint(f"{checkpoint.text()}{line}\n")
        self._append({"checkpoint": signed.text()})
        self._last[checkpoint.origin], self._edges[checkpoint.origin] = signed, edge
        self._write_edges()
        return line

    def signature_of(self, message: bytes) -> str:
        """In base64."""
        return base64.b64encode(self._private.sign(message)).decode()

    def begin_anew(self, origin: str, when_s: int) -> None:
        """Forget how far a log had come, on a person's word; what was signed stays in the record."""
        before = hashlib.sha256((self._folder / RECORD).read_bytes()).hexdigest()
        signature = self.signature_of(restart_message(origin, when_s, before))
        self._append({"restart": origin, "signature": signature, "when": when_s})
        self._last.pop(origin, None)
        self._edges.pop(origin, None)
        self._write_edges()

    def keep_evidence(self, name: str, told: Mapping[str, object]) -> Path:
        """What speaks against a log, in a file of its own; the same evidence once, and no more than so many files: the
        first say enough, and a server cannot fill the disk.
        """
        folder = self._folder / EVIDENCE
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.json"
        if not path.exists() and sum(1 for _ in folder.iterdir()) < EVIDENCE_MOST:
            _write(path, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return path

    def _append(self, told: Mapping[str, object]) -> None:
        with (self._folder / RECORD).open("ab") as file:
            file.write(f"{canonical(told)}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def _read_edges(self) -> dict[str, Edge]:
        try:
            told = json.loads((self._folder / EDGES).read_text(encoding="utf-8"))
            return {origin: Edge(size, map(bytes.fromhex, hashes)) for origin, (size, hashes) in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write_edges(self) -> None:
        told = {origin: (edge.size, [each.hex() for each in edge.hashes]) for origin, edge in self._edges.items()}
        _write(self._folder / EDGES, canonical(told))


def open_cosigner(folder: Path, name: str) -> Cosigner:
    """The witness in a folder, or a new one called `name`. Raises RecordError and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SECRET
    if not path.exists():
        if (folder / RECORD).exists():
            raise RecordError("witness-key-lost", path=path)
        private = Ed25519PrivateKey.generate()
        key = Key(name, COSIGNER, private.public_key().public_bytes_raw())
        secret = base64.b64encode(private.private_bytes_raw()).decode()
        _write(path, f"{key.name} {secret}\n", secret=True)
    try:
        name, _, secret = path.read_text(encoding="ascii").strip().partition(" ")
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret, validate=True))
        key = parse_key(str(Key(name, COSIGNER, private.public_key().public_bytes_raw())))
    except ValueError as error:
        raise RecordError("witness-key-bad", path=path) from error
    record = _read_record(folder / RECORD, key)
    return Cosigner(folder, key, private, record)


def _read_record(path: Path, key: Key) -> Record:
    """A line that the witness died while writing is taken away: nothing of it had left this machine."""
    if not path.exists() or not path.stat().st_size:
        with path.open("ab") as file:
            file.write(f"{canonical({'witness': str(key)})}\n".encode())
            os.fsync(file.fileno())
    told = path.read_bytes()
    whole = told[: told.rfind(b"\n") + 1]
    if whole != told:
        os.truncate(path, len(whole))
    try:
        record = parse_record(whole.decode())
    except (NoteError, UnicodeDecodeError) as error:
        raise RecordError("witness-record-bad", path=path, detail=error) from error
    if record.key != key:
        raise RecordError("witness-record-other", path=path)
    return record


def _write(path: Path, text: str, *, secret: bool = False) -> None:
    """A whole file in the place of the one before it."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
