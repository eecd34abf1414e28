"""The walk along a chain: every entry held against the one before it, and what was said of the chain at its sizes.

A long chain is walked in stretches, each from the hash that the database has for the entry before it.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from sharing import audit, entries, merkle
from sharing.db.engine import Session, keep_open, open_database
from sharing.db.tables import AuditCheckpointRow, AuditSealRow
from sharing.entries import GENESIS, Entry, leaf_hash, link_hash
from sharing.merkle import Edge
from sharing.verifier import NoteError, parse_checkpoint
from sharing.vocabulary import EventId, SiteId

STRETCH = 50_000
WORTH_PROCESSES = 6  # stretches: a process takes a second or two to start
_NO_END = 2**62
_SALT_DIGITS = 64


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first entry of a chain that is not as it was sealed; `seq` is None for an event outside the chain."""

    seq: int | None
    event_id: EventId | None
    what: str


@dataclass(frozen=True, slots=True)
class Walked:
    """A stretch of a chain, verified from the hash that the database has for the entry before it."""

    after: int
    before: str
    seq: int
    """The last good entry."""
    head: str
    sealed_us: int | None
    erased: int
    leaves: bytes
    heads: dict[int, str]
    """The hashes of those entries that were asked for."""
    bad: BadEntry | None


def walks(session: Session, site_id: SiteId, sizes: frozenset[int], pool: Executor | None) -> Iterator[Walked]:
    """The whole chain, stretch by stretch; by the processes of a pool when there is more than one."""
    count = session.scalar(select(func.count()).select_from(AuditSealRow).where(AuditSealRow.site_id == site_id)) or 0
    starts = list(range(0, max(count, 1), STRETCH))
    ends = [*starts[1:], _NO_END]
    if pool is None or len(starts) < WORTH_PROCESSES:
        yield from (_walk(session, site_id, sizes, *each) for each in zip(starts, ends, strict=True))
    else:
        keep_open(session)  # it waits for them longer than a transaction may be idle
        url = session.get_bind().engine.url.render_as_string(hide_password=False)
        yield from pool.map(partial(_walk_apart, url, site_id, sizes), starts, ends)


def _walk_apart(url: str, site_id: SiteId, sizes: frozenset[int], after: int, until: int) -> Walked:
    with closing(open_database(url)) as database, database.reading() as session:
        return _walk(session, site_id, sizes, after, until)


def _walk(session: Session, site_id: SiteId, sizes: frozenset[int], after: int, until: int) -> Walked:
    before = head = _hash_of(session, site_id, after)
    seq, erased, sealed_us, bad = after, 0, None, None
    leaves, heads = bytearray(), {}
    with closing(entries.read(session, site_id, after, until)) as rows:
        for row in rows:
            if row is None:
                bad = BadEntry(seq + 1, None, "the entry holds bytes that are no text")
                break
            flaw, leaf = _examined(row, site_id, seq + 1, head)
            if flaw:
                bad = BadEntry(row.seq, row.event_id, flaw)
                break
            seq, head, sealed_us = row.seq, row.hash, row.sealed_us
            erased += row.commitment is not None and row.body is None
            leaves += leaf
            if seq in sizes:
                heads[seq] = head
    return Walked(after, before, seq, head, sealed_us, erased, bytes(leaves), heads, bad)


def _hash_of(session: Session, site_id: SiteId, seq: int) -> str:
    statement = select(AuditSealRow.hash).where(AuditSealRow.site_id == site_id, AuditSealRow.seq == seq)
    try:
        return GENESIS if seq == 0 else str(session.scalar(statement))
    except OperationalError:  # bytes that are no text: the stretch before this one says so
        return ""


@dataclass(frozen=True, slots=True)
class Said:
    """What the tree, or a checkpoint, says of the chain at a size; None where it says nothing, or nothing sensible."""

    root: bytes | None
    head: str | None = None

    def agrees(self, edge: Edge, head: str) -> bool:
        return self.root == edge.root() and self.head in (None, head)


def said_of(session: Session, site_id: SiteId) -> dict[int, list[Said]]:
    """What the database says of a chain, by the number of entries it is about."""
    said: dict[int, list[Said]] = defaultdict(list)
    try:
        edge = merkle.edge_of(session, site_id)
        if edge.size:
            said[edge.size].append(Said(edge.root()))
    except ValueError:
        said[1].append(Said(None))
    row = AuditCheckpointRow
    statement = select(row.size, row.root, row.note).where(row.site_id == site_id)
    try:
        for size, root, note in session.execute(statement):
            said[size if isinstance(size, int) else 1].append(_checkpoint_said(size, root, note))
    except OperationalError:  # bytes that are no text
        said[1].append(Said(None))
    return said


def _checkpoint_said(size: Any, root: Any, note: Any) -> Said:
    try:
        checkpoint = parse_checkpoint(note)
    except (NoteError, TypeError, AttributeError):
        return Said(None)
    same = checkpoint.size == size and checkpoint.root.hex() == root
    return Said(checkpoint.root if same else None, checkpoint.head.hex())


def _examined(row: Entry, site_id: SiteId, seq: int, prev_hash: str) -> tuple[str | None, bytes]:
    """What is wrong with an entry that should be number `seq` and stand on `prev_hash` (None: nothing); its leaf."""
    if row.seq != seq:
        return f"entry {seq} is missing", b""
    if row.id is None:
        return "its event is missing", b""
    if row.site_id != site_id:
        return "its event belongs to another chain", b""
    if row.prev_hash != prev_hash:
        return "it does not stand on the entry before it", b""
    try:
        leaf = leaf_hash(row)
        whole = link_hash(prev_hash, seq, row.sealed_us, leaf) == row.hash
        entities = () if row.entities == "[]" else json.loads(row.entities)
        first = {entity["kind"]: entity["id"] for entity in reversed(entities)}
        whole = whole and (row.detail == "{}" or isinstance(json.loads(row.detail), dict))
        # A salt of another length could end where the body begins, or in it.
        opened = row.body is not None and len(row.salt) == _SALT_DIGITS
        personal = row.body is None or (opened and audit.commitment(row.salt, row.body) == row.commitment)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return "the event is not in the format it was sealed in", b""
    if not whole:
        return "the event or its seal is not as it was sealed", b""
    if (first.get("case"), first.get("slide")) != (row.case_id, row.slide_id):
        return "the event is filed under another case or slide than it names", b""
    return None if personal else "the personal part of the event is not the one that was sealed", leaf
