"""The chain that seals the audit log: one per site, each entry bound to all before it.

A transaction that acts only inserts its event (see `audit.record`); the sealer chains the new ones, within a second,
and grows the Merkle tree over them, whose root `sharing.checkpoints` signs. `verify` walks the chains and names the
first entry that is not as it was sealed. docs/explanations/audit-proof.md tells what that proves and what it cannot.
"""

import logging
from collections import defaultdict
from collections.abc import Set
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import delete, func, insert, select, text, union

from sharing import audit, audit_search, entries, merkle, strangers
from sharing.alarm import Alarm
from sharing.chain_walk import BadEntry as BadEntry
from sharing.chain_walk import said_of, walks
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditCheckpointRow,
    AuditEventRow,
    AuditPendingRow,
    AuditSealRow,
)
from sharing.entries import GENESIS
from sharing.entries import canonical as canonical
from sharing.entries import leaf_hash as leaf_hash
from sharing.entries import link_hash as link_hash
from sharing.merkle import Edge
from sharing.subjects import Member
from sharing.vocabulary import Act, EventId, Outcome, SiteId

_LOCK = 0x1A1A5EA1  # of PostgreSQL: one sealer at a time
_BATCH = 5000
_HASH_BYTES = 32

log = logging.getLogger(__name__)


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


def seal(database: Database, alarm: Alarm | None = None) -> int:
    """Chain every event that waits; how many there were. To be called at least once a second, by any number of
    processes, with the `alarm` of the one that calls: it says when a chain that was stuck is worth another word.
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
    named = ", ".join(sorted(stuck))
    if (alarm or Alarm()).due(named, database.clock.now_us()):
        if stuck:
            log.error("The chains of %s were tampered with; they cannot go on: iain audit verify", named)
        else:
            log.warning("The chains that could not go on go on again")
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
    audit_search.require_reader(session, subject)
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


def overdue(session: Session, for_us: int) -> int:
    """How many events of all sites have waited to be sealed for longer than that."""
    waiting = (
        select(func.count())
        .select_from(AuditPendingRow)
        .join(AuditEventRow, AuditEventRow.position == AuditPendingRow.position)
        .where(AuditEventRow.recorded_us < session.now_us - for_us)
    )
    return session.scalar(waiting) or 0


def verify_own(session: Session, subject: Member) -> SiteReport:
    """Walk the chain of the subject's own site. It may take long: give it a reading transaction, then put the result on
    record with `record_verification`.
    """
    audit_search.require_reader(session, subject)
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
    said = said_of(session, site_id)
    seq, head, erased, sealed_us, bad = 0, GENESIS, 0, None, None
    edge, agreed = Edge(), 0
    for walked in walks(session, site_id, frozenset(said), pool):
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


def _unsealed(session: Session, site_id: SiteId) -> tuple[int, EventId | None]:
    """How many events wait for the sealer, and the first one that is neither sealed nor waiting."""
    event, sealed = AuditEventRow, AuditSealRow.event_id == AuditEventRow.id
    of_site = select(func.count()).select_from(event).where(event.site_id == site_id)
    seals = select(func.count()).select_from(AuditSealRow).where(AuditSealRow.site_id == site_id)
    of_pending = of_site.join(AuditPendingRow, AuditPendingRow.position == event.position)
    pending = of_pending.outerjoin(AuditSealRow, sealed).where(AuditSealRow.event_id.is_(None))
    # In one statement, so that all are of one moment. That each seal has an event, the walk has seen; that no two have
    # the same, is a rule of their table.
    counts = of_site.scalar_subquery(), seals.scalar_subquery(), pending.scalar_subquery()
    every, chained, waiting = session.execute(select(*counts)).one()
    if every == chained + waiting:
        return waiting, None
    loose = (
        select(event.id)
        .outerjoin(AuditPendingRow, AuditPendingRow.position == event.position)
        .outerjoin(AuditSealRow, sealed)
        .where(event.site_id == site_id, AuditSealRow.event_id.is_(None), AuditPendingRow.position.is_(None))
    )
    return waiting, session.scalar(loose.order_by(event.position).limit(1))
