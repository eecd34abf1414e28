"""The chain that seals the audit log: one per site, each entry bound to all before it.

A transaction that acts only inserts its event (see `audit.record`); the sealer chains the new ones, within a second,
and grows the Merkle tree over them, whose root `sharing.checkpoints` signs. `verify` walks the chains and names the
first entry that is not as it was sealed. docs/explanations/audit-proof.md tells what that proves and what it cannot.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import delete, func, insert, select, text, union
from sqlalchemy.exc import OperationalError

from sharing import audit, entries, merkle, strangers
from sharing.db.engine import Database, Session, keep_open, open_database
from sharing.db.tables import (
    AuditCheckpointRow,
    AuditEventRow,
    AuditPendingRow,
    AuditSealRow,
)
from sharing.entries import GENESIS, Entry
from sharing.entries import canonical as canonical
from sharing.entries import leaf_hash as leaf_hash
from sharing.entries import link_hash as link_hash
from sharing.merkle import Edge
from sharing.subjects import Member
from sharing.verifier import NoteError, parse_checkpoint
from sharing.vocabulary import Act, EventId, Outcome, SiteId

_LOCK = 0x1A1A5EA1  # of PostgreSQL: one sealer at a time
_BATCH = 5000
_STRETCH, _NO_END, _HASH_BYTES = 50_000, 2**62, 32
_WORTH_PROCESSES = 6  # stretches: a process takes a second or two to start

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first entry of a chain that is not as it was sealed; `seq` is None for an event outside the chain."""

    seq: int | None
    event_id: EventId | None
    what: str


@dataclass(frozen=True, slots=True)
class SiteReport:
    site_id: SiteId
    entries: int
    """How many entries were found good, from the first on."""
    waiting: int
    """Events of the last moment, which the next sealing will take in."""
    erased: int
    """Entries whose personal part was erased; they are whole without it."""
    head: str
    """The hash of the last good entry: what a witness would keep."""
    sealed_us: int | None
    first_bad: BadEntry | None = None

    @property
    def whole(self) -> bool:
        return self.first_bad is None


@dataclass(frozen=True, slots=True)
class Report:
    sites: tuple[SiteReport, ...]

    @property
    def whole(self) -> bool:
        return all(site.whole for site in self.sites)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the sealing of a site's chain has come: the last entry's number and time, and how many events wait."""

    entries: int
    sealed_us: int | None
    waiting: int


def seal(database: Database) -> int:
    """Chain every event that waits; how many there were. To be called at least once a second, by any number of
    processes.
    """
    with database.reading() as session:
        idle = session.scalar(select(AuditPendingRow.position).limit(1)) is None and not strangers.due(session)
    if idle and not database.strangers:
        return 0
    counts = database.strangers.take()
    try:
        with database.writing() as session:
            strangers.keep(session, counts)
            strangers.close(session)
    except BaseException:
        for key, count in counts.items():
            database.strangers.add(key, count)
        raise
    total, stuck = 0, set[SiteId]()
    while True:
        sealed, found = _seal_batch(database, stuck)
        if not sealed and not found:
            break
        total, stuck = total + sealed, stuck | found
    if stuck:
        log.error("The chains of %s were tampered with; they cannot go on: iain audit verify", ", ".join(sorted(stuck)))
    return total


def _seal_batch(database: Database, stuck: Set[SiteId]) -> tuple[int, set[SiteId]]:
    """How many events were sealed, and whose chains cannot go on: their events wait, as those of `stuck` do."""
    with database.writing() as session:
        _take_turn(session)
        events = session.execute(
            select(AuditEventRow.__table__)
            .join(AuditPendingRow, AuditPendingRow.position == AuditEventRow.position)
            .where(AuditEventRow.site_id.not_in(stuck))
            .order_by(AuditEventRow.position)
            .limit(_BATCH)
        ).all()
        heads: dict[SiteId, tuple[int, str]] = {}
        leaves: dict[SiteId, list[bytes]] = defaultdict(list)
        seals, positions, found = [], [], set[SiteId]()
        for event in events:
            site_id = event.site_id
            if site_id in found:
                continue
            try:
                seq, prev_hash = heads.get(site_id) or _head(session, site_id)
                leaf = leaf_hash(event)
                link = link_hash(prev_hash, seq + 1, session.now_us, leaf)
            except (TypeError, ValueError, AttributeError, OverflowError):
                found.add(site_id)
                continue
            positions.append(event.position)
            heads[site_id] = (seq + 1, link)
            leaves[site_id].append(leaf)
            seals.append(
                {
                    "site_id": site_id,
                    "seq": seq + 1,
                    "event_id": event.id,
                    "sealed_us": session.now_us,
                    "prev_hash": prev_hash,
                    "hash": link,
                }
            )
        if seals:
            session.execute(insert(AuditSealRow), seals)
            session.execute(delete(AuditPendingRow).where(AuditPendingRow.position.in_(positions)))
            for site_id, new in leaves.items():
                _grow(session, site_id, heads[site_id][0] - len(new), new)
        return len(seals), found


def _take_turn(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _grow(session: Session, site_id: SiteId, size: int, leaves: list[bytes]) -> None:
    """Put leaves on a tree that had `size` before. A tree that is behind (the chain is older than trees are) is left to
    `catch_up`, and one that somebody tampered with to those who verify it.
    """
    try:
        edge = merkle.edge_of(session, site_id)
    except ValueError:
        return
    if edge.size == size:
        edge.extend(leaves)
        merkle.keep(session, site_id, edge)


def catch_up(database: Database) -> None:
    """Let every tree grow to the length of its chain, a batch in each transaction. To be called once at a start."""
    with database.reading() as session:
        site_ids = session.scalars(select(AuditSealRow.site_id).distinct()).all()
    for site_id in site_ids:
        while _grow_behind(database, site_id):
            pass


def _grow_behind(database: Database, site_id: SiteId) -> bool:
    """Whether the tree may still be behind."""
    with database.writing() as session:
        _take_turn(session)
        try:
            edge = merkle.edge_of(session, site_id)
        except ValueError:
            return False
        if edge.size >= _head(session, site_id)[0]:
            return False
        with closing(entries.read(session, site_id, edge.size, edge.size + _BATCH)) as rows:
            try:
                leaves = [leaf_hash(row) for row in rows]
            except (TypeError, ValueError, AttributeError):  # an entry was tampered with: verification names it
                return False
        edge.extend(leaves)
        merkle.keep(session, site_id, edge)
        return bool(leaves)


def _head(session: Session, site_id: SiteId) -> tuple[int, str]:
    """The number and hash of the last entry of a chain."""
    row = session.execute(
        select(AuditSealRow.seq, AuditSealRow.hash)
        .where(AuditSealRow.site_id == site_id)
        .order_by(AuditSealRow.seq.desc())
        .limit(1)
    ).one_or_none()
    return (row.seq, row.hash) if row else (0, GENESIS)


def verify(session: Session, pool: Executor | None = None) -> Report:
    """Walk every chain from its first entry to its last. A long one is walked by the processes of `pool` at once."""
    found = union(
        select(AuditEventRow.site_id), select(AuditSealRow.site_id), select(AuditCheckpointRow.site_id)
    ).subquery()
    return Report(
        tuple(_verify_site(session, site_id, pool) for site_id in session.scalars(select(found).order_by("site_id")))
    )


def standing(session: Session, subject: Member) -> Standing:
    """Of the subject's own site, without a walk along the chain: what the journal's reader sees at once."""
    audit.require_reader(session, subject)
    last = session.execute(
        select(AuditSealRow.seq, AuditSealRow.sealed_us)
        .where(AuditSealRow.site_id == subject.site_id)
        .order_by(AuditSealRow.seq.desc())
        .limit(1)
    ).one_or_none()
    waiting = session.scalar(
        select(func.count())
        .select_from(AuditPendingRow)
        .join(AuditEventRow, AuditEventRow.position == AuditPendingRow.position)
        .where(AuditEventRow.site_id == subject.site_id)
    )
    return Standing(last.seq if last else 0, last.sealed_us if last else None, waiting or 0)


def verify_own(session: Session, subject: Member) -> SiteReport:
    """Walk the chain of the subject's own site. It may take long: give it a reading transaction, then put the result on
    record with `record_verification`.
    """
    audit.require_reader(session, subject)
    return _verify_site(session, subject.site_id)


def record_verification(session: Session, subject: Member, report: SiteReport) -> None:
    """Put on record that the subject verified the chain, and what was found."""
    detail = {"entries": str(report.entries), "head": report.head}
    if report.first_bad:
        detail["first_bad"] = str(report.first_bad.seq or report.first_bad.event_id)
    audit.record(
        session,
        site_id=subject.site_id,
        act=Act.AUDIT_VERIFIED,
        subject=subject,
        outcome=Outcome.SUCCESS if report.whole else Outcome.FAILED,
        detail=detail,
    )


def _verify_site(session: Session, site_id: SiteId, pool: Executor | None = None) -> SiteReport:
    # What was said of the chain is read first: what is sealed meanwhile makes it longer, never shorter.
    said = _said(session, site_id)
    seq, head, erased, sealed_us, bad = 0, GENESIS, 0, None, None
    edge, agreed = Edge(), 0
    for walked in _walks(session, site_id, frozenset(said), pool):
        if walked.after != seq:
            bad = BadEntry(seq + 1, None, f"entry {seq + 1} is missing")
        elif walked.before != head:
            bad = BadEntry(seq + 1, None, "it does not stand on the entry before it")
        else:
            leaves = (walked.leaves[at : at + _HASH_BYTES] for at in range(0, len(walked.leaves), _HASH_BYTES))
            for size in (*sorted(walked.heads), walked.seq):
                edge.extend(islice(leaves, size - edge.size))
                if size in said:
                    if not all(each.agrees(edge, walked.heads[size]) for each in said.pop(size)):
                        what = (
                            f"one of the entries {agreed + 1} to {size} is not what it was when a checkpoint was made"
                        )
                        bad = BadEntry(agreed + 1, None, what)
                        break
                    agreed = size
            seq, head, sealed_us = edge.size, walked.head, walked.sealed_us or sealed_us
            erased, bad = erased + walked.erased, bad or walked.bad
        if bad:
            break
    waiting, loose = _unsealed(session, site_id)
    if loose and not bad:
        bad = BadEntry(None, loose, "the event has no seal and does not wait for one")
    if said and not bad:
        what = f"the chain had {max(said)} entries when a checkpoint was made: some were removed"
        bad = BadEntry(seq + 1, None, what)
    return SiteReport(site_id, seq, waiting, erased, head, sealed_us, bad)


@dataclass(frozen=True, slots=True)
class _Walked:
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


def _walks(session: Session, site_id: SiteId, sizes: frozenset[int], pool: Executor | None) -> Iterator[_Walked]:
    """The whole chain, stretch by stretch; by the processes of a pool when there is more than one."""
    count = session.scalar(select(func.count()).select_from(AuditSealRow).where(AuditSealRow.site_id == site_id)) or 0
    starts = list(range(0, max(count, 1), _STRETCH))
    ends = [*starts[1:], _NO_END]
    if pool is None or len(starts) < _WORTH_PROCESSES:
        yield from (_walk(session, site_id, sizes, *each) for each in zip(starts, ends, strict=True))
    else:
        keep_open(session)  # it waits for them longer than a transaction may be idle
        url = session.get_bind().engine.url.render_as_string(hide_password=False)
        yield from pool.map(partial(_walk_apart, url, site_id, sizes), starts, ends)


def _walk_apart(url: str, site_id: SiteId, sizes: frozenset[int], after: int, until: int) -> _Walked:
    with closing(open_database(url)) as database, database.reading() as session:
        return _walk(session, site_id, sizes, after, until)


def _walk(session: Session, site_id: SiteId, sizes: frozenset[int], after: int, until: int) -> _Walked:
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
    return _Walked(after, before, seq, head, sealed_us, erased, bytes(leaves), heads, bad)


def _hash_of(session: Session, site_id: SiteId, seq: int) -> str:
    statement = select(AuditSealRow.hash).where(AuditSealRow.site_id == site_id, AuditSealRow.seq == seq)
    try:
        return GENESIS if seq == 0 else str(session.scalar(statement))
    except OperationalError:  # bytes that are no text: the stretch before this one says so
        return ""


@dataclass(frozen=True, slots=True)
class _Said:
    """What the tree, or a checkpoint, says of the chain at a size; None where it says nothing, or nothing sensible."""

    root: bytes | None
    head: str | None = None

    def agrees(self, edge: Edge, head: str) -> bool:
        return self.root == edge.root() and self.head in (None, head)


def _said(session: Session, site_id: SiteId) -> dict[int, list[_Said]]:
    said: dict[int, list[_Said]] = defaultdict(list)
    try:
        edge = merkle.edge_of(session, site_id)
        if edge.size:
            said[edge.size].append(_Said(edge.root()))
    except ValueError:
        said[1].append(_Said(None))
    row = AuditCheckpointRow
    statement = select(row.size, row.root, row.note).where(row.site_id == site_id)
    try:
        for size, root, note in session.execute(statement):
            said[size if isinstance(size, int) else 1].append(_checkpoint_said(size, root, note))
    except OperationalError:  # bytes that are no text
        said[1].append(_Said(None))
    return said


def _checkpoint_said(size: Any, root: Any, note: Any) -> _Said:
    try:
        checkpoint = parse_checkpoint(note)
    except (NoteError, TypeError, AttributeError):
        return _Said(None)
    same = checkpoint.size == size and checkpoint.root.hex() == root
    return _Said(checkpoint.root if same else None, checkpoint.head.hex())


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
        shortcuts = (_first(entities, "case"), _first(entities, "slide"))
        whole = whole and (row.detail == "{}" or isinstance(json.loads(row.detail), dict))
        personal = row.body is None or audit.commitment(row.salt, row.body) == row.commitment
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return "the event is not in the format it was sealed in", b""
    if not whole:
        return "the event or its seal is not as it was sealed", b""
    if shortcuts != (row.case_id, row.slide_id):
        return "the event is filed under another case or slide than it names", b""
    return None if personal else "the personal part of the event is not the one that was sealed", leaf


def _first(entities: Sequence[dict[str, str]], kind: str) -> str | None:
    return next((entity["id"] for entity in entities if entity["kind"] == kind), None)


def _unsealed(session: Session, site_id: SiteId) -> tuple[int, EventId | None]:
    """How many events wait for the sealer, and the first one that is neither sealed nor waiting."""
    rows = session.execute(
        select(AuditEventRow.id, AuditPendingRow.position)
        .outerjoin(AuditPendingRow, AuditPendingRow.position == AuditEventRow.position)
        .outerjoin(AuditSealRow, AuditSealRow.event_id == AuditEventRow.id)
        .where(AuditEventRow.site_id == site_id, AuditSealRow.event_id.is_(None))
        .order_by(AuditEventRow.position)
    ).all()
    return sum(row.position is not None for row in rows), next((row.id for row in rows if row.position is None), None)
