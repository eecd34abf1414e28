#!/usr/bin/env python3
"""Whether an exported audit log is what was sealed and witnessed: `python3 verifier.py LOG [--witness FILE …]`

This one file needs Python (3.9 or newer) and nothing else: no network, no package, no server. Copy it where you like.
LOG is what `iain audit export` writes; FILE is the record that a witness keeps (`record.jsonl` in its state folder), or
a text file with the witness's public key alone. Exit code 0: everything is in order. 1: something is not, and is named.
2: a file cannot be read.

What is checked, and what no check can tell, is told in docs/explanations/audit-proof.md; the formats are those of
docs/reference/audit-format.md. The server imports this file for its command line, and the witness for its notes.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import operator
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

LOG_VERSION = 1
LOG, COSIGNER = 1, 4  # types of Ed25519 keys in a signed note: of a log, and of a witness
_ORIGIN = re.compile(r"[!-*,-~]{1,200}")  # no space, no plus
_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_SALT_DIGITS = 64
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_EMPTY = hashlib.sha256(b"").digest()
_LATEST_S = 250_000_000_000  # a time after it (in the year 9892) is none


class NoteError(ValueError):
    """A key, a signed note or a checkpoint is not in its format."""


# ---------------------------------------------------------------------------------------------------------------------
# Ed25519 (RFC 8032, 5.1): verification alone, so that nothing has to be installed
# ---------------------------------------------------------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int, int, int]  # X, Y, Z, T of extended coordinates: x = X/Z, y = Y/Z, x·y = T/Z


@lru_cache(4096)  # the log and the record of a witness hold the same signatures
def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (64 bytes) is that of the key `public` (32 bytes) below `message`."""
    minus_key = _decompressed(public, negative=True)
    scalar = int.from_bytes(signature[32:], "little")
    if minus_key is None or len(signature) != 64 or scalar >= _L:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    both, total = _added(_BASE, minus_key), (0, 1, 1, 0)
    for bit in range(max(scalar.bit_length(), challenge.bit_length()) - 1, -1, -1):
        total = _added(total, total)
        chosen = (scalar >> bit & 1) + 2 * (challenge >> bit & 1)
        if chosen:
            total = _added(total, (_BASE, minus_key, both)[chosen - 1])
    inverse = pow(total[2], -1, _P)
    x, y = total[0] * inverse % _P, total[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def _added(a: _Point, b: _Point) -> _Point:
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    c, d = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, g, h, f = f - e, d + c, f + e, d - c
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decompressed(encoded: bytes, *, negative: bool = False) -> _Point | None:
    if len(encoded) != 32:
        return None
    y = int.from_bytes(encoded, "little")
    odd, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and odd):
        return None
    if (x & 1) != odd:
        x = _P - x
    if negative:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = _decompressed((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")) or (0, 1, 1, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Merkle tree (RFC 6962, 2.1), signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature)
# ---------------------------------------------------------------------------------------------------------------------


class Edge:
    """The right edge of a Merkle tree: the roots of its complete subtrees, largest first. All that growing needs."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size, self.hashes = size, list(hashes)
        if len(self.hashes) != bin(size).count("1") or any(len(each) != 32 for each in self.hashes):
            raise ValueError(f"no edge of a tree of {size} leaves")

    def add(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = hashlib.sha256(b"\x01" + self.hashes.pop() + leaf).digest()
            size >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return _EMPTY
        root = self.hashes[-1]
        for left in self.hashes[-2::-1]:
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def linked(head: bytes, seq: int, sealed_us: int, leaf: bytes) -> bytes:
    """The hash of an entry of the chain, from that of the entry before it."""
    return hashlib.sha256(b"\x02" + head + seq.to_bytes(8, "big") + sealed_us.to_bytes(8, "big") + leaf).digest()


@dataclass(frozen=True)
class Key:
    """A public key with its name; `kind` is LOG or COSIGNER."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def renamed(self, name: str) -> Key:
        return Key(name, self.kind, self.public)


def parse_key(text: str) -> Key:
    """A public key as `name+id+base64`. Raises NoteError."""
    if not isinstance(text, str):  # of a file that may hold anything
        raise NoteError("this is no public key")
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    if not _ORIGIN.fullmatch(name) or len(raw) != 33 or raw[0] not in (LOG, COSIGNER):
        raise NoteError("this is no public key of a log or a witness")
    key = Key(name, raw[0], raw[1:])
    if key.id.hex() != number:
        raise NoteError("the public key and its number do not belong together")
    return key


@dataclass(frozen=True)
class Checkpoint:
    """What a log, and whoever signed below, says of it: so many entries, with this root, and this head of the chain."""

    origin: str
    size: int
    root: bytes
    head: bytes
    body: str
    """What is signed."""
    lines: tuple[str, ...]
    """The lines of the signatures."""

    def text(self) -> str:
        return f"{self.body}\n" + "".join(f"{line}\n" for line in self.lines)

    def signature_of(self, key: Key) -> bytes | None:
        """The first signature that claims to be of this key; it may not be."""
        for line in self.lines:
            _, name, encoded = line.split(" ", 2)
            raw = _decoded(encoded)
            if name == key.name and raw[:4] == key.id:
                return raw[4:]
        return None

    def is_signed_by(self, log: Key) -> bool:
        signature = self.signature_of(log)
        return signature is not None and signed_by(log.public, signature, self.body.encode())

    def cosigned_at(self, witness: Key) -> int | None:
        """When (s since the epoch) the witness signed; None when it did not."""
        signature = self.signature_of(witness)
        if signature is None or len(signature) != 72:
            return None
        when = int.from_bytes(signature[:8], "big")
        if when > _LATEST_S:
            return None
        return when if signed_by(witness.public, signature[8:], cosigned_message(when, self.body)) else None


def checkpoint_body(origin: str, size: int, root: bytes, head: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\nchain {base64.b64encode(head).decode()}\n"


def cosigned_message(when: int, body: str) -> bytes:
    return f"cosignature/v1\ntime {when}\n{body}".encode()


def signature_line(key: Key, signature: bytes) -> str:
    return f"— {key.name} {base64.b64encode(key.id + signature).decode()}"


def parse_checkpoint(text: str) -> Checkpoint:
    """Raises NoteError."""
    if not isinstance(text, str):  # of a file that may hold anything
        raise NoteError("this is no signed checkpoint")
    body, gap, signatures = text.partition("\n\n")
    lines = signatures.split("\n")
    told = body.split("\n")
    if not gap or lines.pop() or not lines or len(told) != 4 or len(text) > 20_000:
        raise NoteError("this is no signed checkpoint")
    origin, size, root, chain = told
    if not _ORIGIN.fullmatch(origin) or not _SIZE.fullmatch(size) or not chain.startswith("chain "):
        raise NoteError("the checkpoint does not say of which log it is, and how long that is")
    hashes = _decoded(root), _decoded(chain[6:])
    if any(len(each) != 32 for each in hashes):
        raise NoteError("the checkpoint has no hash")
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—" or not _ORIGIN.fullmatch(parts[1]) or len(_decoded(parts[2])) < 5:
            raise NoteError("a signature of the checkpoint is not in its format")
    return Checkpoint(origin, int(size), *hashes, body + "\n", tuple(lines))


def _decoded(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise NoteError("this is not base64") from None
    if base64.b64encode(raw).decode() != encoded:  # unused bits of the last character
        raise NoteError("this is not base64 as it is written")
    return raw


# ---------------------------------------------------------------------------------------------------------------------
# What a witness keeps
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One checkpoint in the record of a witness."""

    line: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Record:
    """What a witness keeps: its key, the key of each log as it first saw it, and all that it cosigned, oldest first."""

    key: Key
    logs: Mapping[str, Key] = field(default_factory=dict)
    seen: Mapping[str, Sequence[Seen]] = field(default_factory=dict)
    restarts: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    """By origin: from which line on the witness began anew, and when (s), because a person there said so."""


def parse_record(text: str) -> Record:
    """The record of a witness, or its public key alone. Raises NoteError."""
    lines = text.splitlines()
    if not lines or not lines[0].startswith("{"):
        return Record(_cosigner(text))
    key: Key | None = None
    logs: dict[str, Key] = {}
    seen: dict[str, list[Seen]] = {}
    restarts: dict[str, list[tuple[int, int]]] = {}
    before = hashlib.sha256()
    for number, line in enumerate(lines, 1):
        try:
            told = json.loads(line)
            if "witness" in told:
                key = _cosigner(told["witness"])
            elif "log" in told:
                log = parse_key(told["log"])
                if log.name != told["origin"]:
                    raise NoteError("the log has another name than its key")
                logs[log.name] = log
            elif "restart" in told:
                origin, when = told["restart"], told["when"]
                message = restart_message(origin, when, before.hexdigest())
                if key is None or not signed_by(key.public, _decoded(told["signature"]), message):
                    raise NoteError("the witness did not write this")
                restarts.setdefault(origin, []).append((number, int(when)))
            else:
                checkpoint = parse_checkpoint(told["checkpoint"])
                seen.setdefault(checkpoint.origin, []).append(Seen(number, checkpoint))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if number == len(lines) and not text.endswith("\n"):
                break  # the witness died while it wrote: it has not sent what it had not written
            raise NoteError(f"line {number} is not as a witness writes its record") from error
        before.update(f"{line}\n".encode())
    if key is None:
        raise NoteError("the record does not begin with the witness's key")
    return Record(key, logs, seen, restarts)


def restart_message(origin: str, when: int, before: str) -> bytes:
    """What a witness signs of a new beginning; `before`: the hexadecimal SHA-256 of its record until then. So nobody
    else can have it give up what it saw.
    """
    return f"iain-witness-restart/v1\n{origin}\n{when}\n{before}\n".encode()


def _cosigner(text: str) -> Key:
    key = parse_key(text)
    if key.kind != COSIGNER:
        raise NoteError("this is not the key of a witness")
    return key


# ---------------------------------------------------------------------------------------------------------------------
# The walk along an exported log
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """Something that is not in order: a code of SENTENCES, and which entries it is about (None: none in particular)."""

    code: str
    first: int | None = None
    last: int | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Coverage:
    """How far a witness has signed, and when last (s). `known`: its key came from elsewhere than the log itself."""

    name: str
    size: int
    when: int
    known: bool


@dataclass(frozen=True)
class ChainReport:
    site: str
    origin: str
    entries: int
    """Good ones, from the first on."""
    erased: int
    waiting: int
    """Events that were not sealed yet when the log was exported: they are not in it."""
    head: str
    root: str
    sealed_us: int | None
    coverage: tuple[Coverage, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    """What one should know, and is in order."""

    @property
    def whole(self) -> bool:
        return not self.findings

    @property
    def covered(self) -> int:
        """How many entries, from the first on, some witness whose key is known has signed."""
        return max((each.size for each in self.coverage if each.known), default=0)


class UnreadableLogError(ValueError):
    """The file is no exported audit log."""


def verify(lines: Iterable[str], records: Sequence[Record] = (), platform_key: Key | None = None) -> list[ChainReport]:
    """What each chain of an exported log is worth. Raises UnreadableLogError when it is no such log."""
    numbered = enumerate(lines, 1)
    first = next(numbered, (1, ""))[1]
    if first.rstrip("\n") != canonical({"iain-audit-log": LOG_VERSION}):
        raise UnreadableLogError("This is no audit log exported by `iain audit export`, or of a later version.")
    reports: list[ChainReport] = []
    walk: _Walk | None = None
    for number, line in numbered:
        if line.startswith('{"chain":'):
            if walk:
                reports.append(walk.report())
            walk = _Walk(_object(line), records, platform_key)
        elif walk is None:
            raise UnreadableLogError(f"Line {number} belongs to no chain.")
        else:
            walk.take(line.rstrip("\n"))
    if walk:
        reports.append(walk.report())
    return reports


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the one text of a value."""
    return _ENCODER.encode(value)


def _object(line: str) -> Any:
    """The value of a line in canonical JSON; None of any other line."""
    try:
        value = json.loads(line)
        return value if canonical(value) == line.rstrip("\n") else None
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class _Claim:
    """Somebody's word on how the chain was at a size. `record` and `line`: where it stands, if not in the log."""

    checkpoint: Checkpoint
    record: Record | None = None
    line: int = 0


class _Walk:
    """One chain, from its header to its end."""

    def __init__(self, header: Any, records: Sequence[Record], platform_key: Key | None) -> None:
        self.site = self.origin = "?"
        self.records = records
        self.key: Key | None = None
        self.witnesses: list[tuple[Key, bool]] = [(record.key, True) for record in records]
        self.findings: list[Finding] = []
        self.claims: dict[int, list[_Claim]] = {}
        self.agreed: list[_Claim] = []
        self.denied: list[_Claim] = []
        self.head, self.edge, self.erased, self.sealed_us = bytes(32), Edge(), 0, None
        self.waiting, self.ended, self.broken = 0, False, False
        try:
            told = header["chain"]
            self.key = parse_key(told["key"])
            # What is told comes from the name of the key alone, which has a form: nothing else reaches the screen.
            self.origin, self.site = self.key.name, self.key.name.rpartition("/")[2]
            known = {record.key.public for record in records}
            self.witnesses += [(key, False) for key in map(_cosigner, told["witnesses"]) if key.public not in known]
        except (KeyError, TypeError, ValueError):
            self.find("header")
            return
        if told.get("origin") != self.origin or told.get("site") != self.site:
            self.find("header")
        if platform_key and platform_key.public != self.key.public:
            self.find("key", who="--key")
        for record in records:
            self._hear(record)

    def find(self, code: str, first: int | None = None, last: int | None = None, **values: object) -> None:
        self.findings.append(Finding(code, first, last if last is not None else first, values))

    def _hear(self, record: Record) -> None:
        """What a witness knows of this log."""
        others = [each for each in record.logs if each.rpartition("/")[2] == self.site and each != self.origin]
        if others:
            self.find("origin", who=record.key.name, known=others[0])
        if self.origin in record.logs and record.logs[self.origin].public != (self.key and self.key.public):
            self.find("key", who=record.key.name)
        for seen in record.seen.get(self.origin, ()):
            self.claims.setdefault(seen.checkpoint.size, []).append(_Claim(seen.checkpoint, record, seen.line))

    def take(self, line: str) -> None:
        if self.ended:  # nothing belongs to a chain after its end
            self.find("line", self.edge.size + 1)
        elif line.startswith('{"event":'):
            if not self.broken and (flaw := self._entry(line)):
                self.broken = True
                self.findings.append(flaw)
        elif line.startswith('{"checkpoint":'):
            self._checkpoint(_object(line))
        elif line.startswith('{"end":'):
            self._end(_object(line))
        else:
            self.find("line", self.edge.size + 1)

    def _entry(self, line: str) -> Finding | None:
        """Add an entry; what is wrong with it, if something is."""
        expected = self.edge.size + 1
        try:
            told = json.loads(line)
            event, personal, seq, sealed_us = told["event"], told["personal"], told["seq"], told["sealed_us"]
            sealed = canonical(event)
            if line != (
                f'{{"event":{sealed},"hash":"{told["hash"]}","personal":{canonical(personal)},'
                f'"sealed_us":{sealed_us:d},"seq":{seq:d}}}'
            ):
                return Finding("form", expected, expected)
            if seq != expected:
                return Finding("order", expected, expected, {"found": seq})
            leaf = hashlib.sha256(b"\x00" + sealed.encode()).digest()
            head = linked(self.head, seq, sealed_us, leaf)
            if head.hex() != told["hash"]:
                return Finding("altered", seq, seq)
            if event["site"] != self.site:
                return Finding("foreign", seq, seq)
            if personal is not None and not _opens(event["commitment"], **personal):
                return Finding("personal", seq, seq)
            self.erased += personal is None and event["commitment"] is not None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return Finding("form", expected, expected)
        self.head, self.sealed_us = head, sealed_us
        self.edge.add(leaf)
        if seq in self.claims:
            self._compare(self.claims.pop(seq))
        return None

    def _compare(self, claims: Iterable[_Claim]) -> None:
        root = self.edge.root()
        for claim in claims:
            same = claim.checkpoint.root == root and claim.checkpoint.head == self.head
            (self.agreed if same else self.denied).append(claim)

    def _checkpoint(self, told: Any) -> None:
        try:
            checkpoint = parse_checkpoint(told["checkpoint"])
        except (NoteError, KeyError, TypeError):
            return self.find("checkpoint-form")
        size = checkpoint.size
        if checkpoint.origin != self.origin or self.key is None or not checkpoint.is_signed_by(self.key):
            return self.find("checkpoint-signature", size, size)
        for line in checkpoint.lines:
            name = line.split(" ", 2)[1]
            keys = [key for key, _ in self.witnesses if key.name == name]
            if name != self.key.name and not any(checkpoint.cosigned_at(key) is not None for key in keys):
                return self.find("cosignature", size, size, who=name)
        if size <= self.edge.size:  # they stand before the entries
            return self.find("line", self.edge.size + 1)
        self.claims.setdefault(size, []).append(_Claim(checkpoint))
        return None

    def _end(self, told: Any) -> None:
        try:
            entries, self.waiting = (operator.index(told["end"][name]) for name in ("entries", "waiting"))
        except (KeyError, TypeError):
            return self.find("line", self.edge.size + 1)
        self.ended = True
        if not self.broken and entries != self.edge.size:
            self.find("missing", min(entries, self.edge.size) + 1, max(entries, self.edge.size))
        return None

    def report(self) -> ChainReport:
        if not self.ended:
            self.find("cut", self.edge.size + 1)
        self._judge_contradictions()
        if not self.broken:
            self._judge_later_sizes()
        coverage = tuple(self._coverage())
        return ChainReport(
            self.site,
            self.origin,
            self.edge.size,
            self.erased,
            self.waiting,
            self.head.hex(),
            self.edge.root().hex(),
            self.sealed_us,
            coverage,
            tuple(self.findings),
            tuple(self._notes()),
        )

    def _judge_contradictions(self) -> None:
        """Of the checkpoints that say otherwise, the smallest; between it and the last that agrees lies what was
        changed."""
        for claim in sorted(self.denied, key=lambda each: each.checkpoint.size):
            if not self._is_genuine(claim) or self._is_given_up(claim, self.denied):
                continue
            size = claim.checkpoint.size
            before = self._agreed_before(claim)
            who = claim.record.key.name if claim.record else self._who(claim.checkpoint)
            return self.find("rewritten", before + 1, size, who=who)
        return None

    def _judge_later_sizes(self) -> None:
        """Checkpoints of more entries than the log has."""
        later = [claim for claims in self.claims.values() for claim in claims]
        for claim in sorted(later, key=lambda each: -each.checkpoint.size):
            if not self._is_genuine(claim) or self._is_given_up(claim, later):
                continue
            who = claim.record.key.name if claim.record else self._who(claim.checkpoint)
            before = self._agreed_before(claim)
            return self.find("shorter", before + 1, claim.checkpoint.size, who=who, entries=self.edge.size)
        return None

    def _agreed_before(self, claim: _Claim) -> int:
        """Up to where the log is what it was before this claim. Against a witness, the server's own word counts for
        nothing: who holds the server signs what he likes.
        """
        witnessed = self._is_witnessed(claim)
        sizes = (each.checkpoint.size for each in self.agreed if self._is_witnessed(each) or not witnessed)
        return max((size for size in sizes if size < claim.checkpoint.size), default=0)

    def _is_witnessed(self, claim: _Claim) -> bool:
        names = {key.name for key, known in self.witnesses if known}
        return claim.record is not None or any(line.split(" ", 2)[1] in names for line in claim.checkpoint.lines)

    def _is_genuine(self, claim: _Claim) -> bool:
        """Whether a line of a witness's record bears its signature; the log's own checkpoints were looked at before."""
        if claim.record is None or claim.checkpoint.cosigned_at(claim.record.key) is not None:
            return True
        self.find("record", who=claim.record.key.name, line=claim.line)
        return False

    def _is_given_up(self, claim: _Claim, claims: Iterable[_Claim]) -> bool:
        """Whether the witness began anew after this checkpoint, because a person said that a backup was put back."""
        if claim.record is None:
            return False
        return any(number > claim.line for number, _ in claim.record.restarts.get(self.origin, ()))

    def _who(self, checkpoint: Checkpoint) -> str:
        names = [line.split(" ", 2)[1] for line in checkpoint.lines]
        return ", ".join(name for name in names if name != self.origin) or self.origin

    def _notes(self) -> Iterator[Finding]:
        for record in self.records:
            for number, when in record.restarts.get(self.origin, ()):
                given_up = [each.checkpoint for each in record.seen.get(self.origin, ()) if each.line < number]
                lost = [each.size for each in given_up if not self._has(each)]
                if lost:
                    values = {"who": record.key.name, "when": _moment(when)}
                    yield Finding("restart", min(lost), max(lost), values)

    def _has(self, checkpoint: Checkpoint) -> bool:
        return any(claim.checkpoint == checkpoint for claim in self.agreed)

    def _coverage(self) -> Iterator[Coverage]:
        newest_first = sorted(self.agreed, key=lambda claim: -claim.checkpoint.size)
        for key, known in self.witnesses:
            for claim in newest_first:
                if claim.record and claim.record.key != key:
                    continue
                when = claim.checkpoint.cosigned_at(key)
                if when is not None:
                    yield Coverage(key.name, claim.checkpoint.size, when, known)
                    break


def commitment(salt: str, body: str) -> str:
    """What an event keeps of its personal part."""
    return hashlib.sha256((salt + body).encode()).hexdigest()


def _opens(committed: str, *, salt: str, body: str) -> bool:
    """Whether this is the personal part. A salt of another length could end where the body begins, or in it."""
    return len(salt) == _SALT_DIGITS and commitment(salt, body) == committed


# ---------------------------------------------------------------------------------------------------------------------
# In words
# ---------------------------------------------------------------------------------------------------------------------

SENTENCES: Mapping[str, tuple[str, str]] = {
    "whole": (
        "{site} : {entries} entrées, toutes telles qu'elles ont été scellées.",
        "{site}: {entries} entries, all of them as they were sealed.",
    ),
    "not-whole": (
        "{site} : CE JOURNAL N'EST PAS INTACT. Entrées bonnes depuis le début : {entries}.",
        "{site}: THIS LOG IS NOT INTACT. Good entries from its beginning on: {entries}.",
    ),
    "head": ("tête {head}, racine {root}", "head {head}, root {root}"),
    "erased": (
        "{erased} entrées dont la partie personnelle a été effacée ; la chaîne n'en souffre pas.",
        "{erased} entries whose personal part was erased; the chain is whole without it.",
    ),
    "waiting": (
        "{waiting} événements n'étaient pas encore scellés lors de l'export ; ils n'y sont pas.",
        "{waiting} events were not sealed yet when this was exported; they are not in it.",
    ),
    "covered": (
        "vu par {who} : entrées 1 à {size}, signées le {when}",
        "seen by {who}: entries 1 to {size}, signed on {when}",
    ),
    "covered-unknown": (
        "vu par {who}, selon le journal lui-même : entrées 1 à {size}, signées le {when}. "
        "Demandez sa clé à ce témoin, et donnez-la avec --witness.",
        "seen by {who}, so the log itself says: entries 1 to {size}, signed on {when}. "
        "Ask this witness for its key, and give it with --witness.",
    ),
    "uncovered": (
        "Aucun témoin dont la clé est connue n'a encore vu les entrées {first} à {last} : qui tient le serveur a pu "
        "les changer ou en retirer.",
        "No witness whose key is known has seen the entries {first} to {last} yet: who holds the server may have "
        "changed or removed some.",
    ),
    "restart": (
        "{who} a recommencé le {when} : une personne y a confirmé qu'une sauvegarde avait été remise en place. "
        "Les entrées {first} à {last}, qu'il avait vues, n'existent plus ou sont d'autres.",
        "{who} began anew on {when}: a person there confirmed that a backup was put back. The entries {first} to "
        "{last}, which it had seen, are gone or are others.",
    ),
    "other-chains": (
        "{who} connaît aussi d'autres journaux, qui ne sont pas dans ce fichier : {known}.",
        "{who} also knows other logs, which are not in this file: {known}.",
    ),
    "form": (
        "l'entrée {first} n'est pas dans le format où elle a été scellée",
        "entry {first} is not in the form it was sealed in",
    ),
    "missing": ("les entrées {first} à {last} manquent", "the entries {first} to {last} are missing"),
    "order": (
        "à la place de l'entrée {first} se trouve l'entrée {found} : il en a été retiré, ajouté ou déplacé ici",
        "in the place of entry {first} stands entry {found}: here some were removed, put in or moved",
    ),
    "altered": (
        "l'entrée {first} n'est pas celle qui a été scellée",
        "entry {first} is not the one that was sealed",
    ),
    "foreign": ("l'entrée {first} appartient à un autre journal", "entry {first} belongs to another log"),
    "personal": (
        "la partie personnelle de l'entrée {first} n'est pas celle qui a été scellée",
        "the personal part of entry {first} is not the one that was sealed",
    ),
    "line": (
        "une ligne n'a pas sa place là où l'entrée {first} est attendue",
        "a line does not belong where entry {first} is expected",
    ),
    "cut": (
        "le fichier s'arrête avant sa fin, là où l'entrée {first} est attendue",
        "the file stops before its end, where entry {first} is expected",
    ),
    "header": ("l'en-tête du journal n'est pas dans son format", "the header of the log is not in its format"),
    "key": (
        "la clé du serveur n'est pas celle que connaît {who}",
        "the key of the server is not the one that {who} knows",
    ),
    "origin": (
        "le journal porte un autre nom que celui que connaît {who} ({known})",
        "the log has another name than the one that {who} knows ({known})",
    ),
    "checkpoint-form": ("un point de contrôle n'est pas dans son format", "a checkpoint is not in its format"),
    "checkpoint-signature": (
        "le point de contrôle à {first} entrées n'est pas signé par le serveur",
        "the checkpoint at {first} entries is not signed by the server",
    ),
    "cosignature": (
        "la signature de {who} sous le point de contrôle à {first} entrées n'est pas la sienne, ou d'un témoin inconnu",
        "the signature of {who} below the checkpoint at {first} entries is not its own, or of an unknown witness",
    ),
    "record": (
        "la ligne {line} de l'archive de {who} ne porte pas sa signature : ce fichier a été modifié",
        "line {line} of the record of {who} does not bear its signature: that file was changed",
    ),
    "rewritten": (
        "les entrées {first} à {last} ne sont pas toutes celles que {who} a signées : le journal a été réécrit",
        "the entries {first} to {last} are not all those that {who} signed: the log was rewritten",
    ),
    "shorter": (
        "{who} a signé {last} entrées, et le journal n'en a que {entries} : parmi les entrées {first} à {last}, "
        "certaines ont été retirées, ou une ancienne copie a été remise en place",
        "{who} signed {last} entries, and the log has but {entries}: of the entries {first} to {last} some were "
        "removed, or an old copy was put back",
    ),
    "no-witness": (
        "Sans --witness, une réécriture complète, une fin retirée ou une ancienne copie ne se voient pas.",
        "Without --witness, a full rewrite, a tail that was cut off, or an old copy cannot be seen.",
    ),
    "unreadable": ("{path} : illisible. {detail}", "{path}: cannot be read. {detail}"),
    "empty": ("Le fichier ne contient aucun journal.", "The file holds no log."),
}


def told(report: ChainReport, language: str) -> list[str]:
    """What was found of one chain, line by line."""

    def say(name: str, **values: object) -> str:
        return _say(language, name, **values)

    lines = [say("whole" if report.whole else "not-whole", site=report.site, entries=report.entries)]
    for finding in report.findings:
        lines.append(f"  !!! {say(finding.code, first=finding.first, last=finding.last, **finding.values)}")
    lines.append("  " + say("head", head=report.head, root=report.root))
    if report.erased:
        lines.append("  " + say("erased", erased=report.erased))
    if report.waiting:
        lines.append("  " + say("waiting", waiting=report.waiting))
    for each in report.coverage:
        name = "covered" if each.known else "covered-unknown"
        lines.append("  " + say(name, who=each.name, size=each.size, when=_moment(each.when)))
    for note in report.notes:
        lines.append("  " + say(note.code, first=note.first, last=note.last, **note.values))
    if report.whole and report.covered < report.entries:
        lines.append("  " + say("uncovered", first=report.covered + 1, last=report.entries))
    return lines


def _say(language: str, name: str, **values: object) -> str:
    return SENTENCES[name][language == "en"].format(**values)


def _moment(when: int) -> str:
    try:
        return f"{datetime.fromtimestamp(when, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"  # noqa: UP017 - for Python 3.9
    except (OverflowError, ValueError, OSError):
        return str(when)


def read_record(path: Path) -> Record:
    """Raises OSError and NoteError."""
    try:
        return parse_record(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NoteError("it is not text") from error


def main(arguments: Sequence[str] | None = None) -> int:
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    parser = argparse.ArgumentParser(
        description="Vérifie un journal d'audit exporté, sans réseau. / Checks an exported audit log, offline."
    )
    parser.add_argument("log", metavar="LOG", type=Path)
    parser.add_argument("--witness", metavar="FILE", type=Path, action="append", default=[])
    parser.add_argument("--key", help="la clé du serveur / the key of the server: `iain audit key`")
    parser.add_argument("--language", choices=("fr", "en"), default="en" if spoken.lower().startswith("en") else "fr")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    path = options.log
    try:
        records = []
        for path in options.witness:
            records.append(read_record(path))
        path = "--key"
        key = parse_key(options.key) if options.key else None
        path = options.log
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as log:
            reports = verify(log, records, key)
    except (OSError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(_say(options.language, "unreadable", path=path, detail=detail), file=sys.stderr)
        return 2
    for report in reports:
        print("\n".join(told(report, options.language)))
    if not reports:
        print(_say(options.language, "empty"))
    for record in records:
        others = {each.rpartition("/")[2] for each in record.logs} - {report.site for report in reports}
        if others:
            print(_say(options.language, "other-chains", who=record.key.name, known=", ".join(sorted(others))))
    if not records:
        print(_say(options.language, "no-witness"))
    return 0 if reports and all(report.whole for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
