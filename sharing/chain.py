"""The chain that seals the audit log: one per site, each entry bound to all before it.

A transaction that acts only inserts its event (see `audit.record`); the sealer chains the new ones, within a second.
`verify` walks the chains and names the first entry that is not as it was sealed. What that can prove and what it cannot
is told in docs/reference/audit-format.md.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text, union
from sqlalchemy.exc import OperationalError

from sharing import audit, strangers
from sharing.db.engine import Database, Session
from sharing.db.tables import AuditEventRow, AuditPendingRow, AuditPersonalRow, AuditSealRow
from sharing.subjects import Member
from sharing.vocabulary import Act, EventId, Outcome, SiteId

GENESIS = "0" * 64
"""What the first entry of a chain stands on."""

_LEAF, _LINK = b"\x00", b"\x02"  # 0x01 is left to the nodes of a Merkle tree over the leaves (RFC 6962, 2.1)
_LOCK = 0x1A1A5EA1  # of PostgreSQL: one sealer at a time
_BATCH = 5000


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
    total = 0
    while sealed := _seal_batch(database):
        total += sealed
    return total


def _seal_batch(database: Database) -> int:
    with database.writing() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        events = session.execute(
            select(AuditEventRow.__table__)
            .join(AuditPendingRow, AuditPendingRow.position == AuditEventRow.position)
            .order_by(AuditEventRow.position)
            .limit(_BATCH)
        ).all()
        heads: dict[SiteId, tuple[int, str]] = {}
        seals = []
        for event in events:
            seq, prev_hash = heads.get(event.site_id) or _head(session, event.site_id)
            link = link_hash(prev_hash, seq + 1, session.now_us, leaf_hash(event))
            heads[event.site_id] = (seq + 1, link)
            seals.append(
                {
                    "site_id": event.site_id,
                    "seq": seq + 1,
                    "event_id": event.id,
                    "sealed_us": session.now_us,
                    "prev_hash": prev_hash,
                    "hash": link,
                }
            )
        if seals:
            session.execute(insert(AuditSealRow), seals)
            positions = [event.position for event in events]
            session.execute(delete(AuditPendingRow).where(AuditPendingRow.position.in_(positions)))
        return len(seals)


def _head(session: Session, site_id: SiteId) -> tuple[int, str]:
    """The number and hash of the last entry of a chain."""
    row = session.execute(
        select(AuditSealRow.seq, AuditSealRow.hash)
        .where(AuditSealRow.site_id == site_id)
        .order_by(AuditSealRow.seq.desc())
        .limit(1)
    ).one_or_none()
    return (row.seq, row.hash) if row else (0, GENESIS)


def verify(session: Session) -> Report:
    """Walk every chain from its first entry to its last."""
    found = union(select(AuditEventRow.site_id), select(AuditSealRow.site_id)).subquery()
    return Report(
        tuple(_verify_site(session, site_id) for site_id in session.scalars(select(found).order_by("site_id")))
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


def _verify_site(session: Session, site_id: SiteId) -> SiteReport:
    seq, head, erased, sealed_us, bad = 0, GENESIS, 0, None, None
    with closing(_entries(session, site_id)) as entries:
        for row in entries:
            if row is None:
                bad = BadEntry(seq + 1, None, "the entry holds bytes that are no text")
                break
            flaw = _flaw(row, site_id, seq + 1, head)
            if flaw:
                bad = BadEntry(row.seq, row.event_id, flaw)
                break
            seq, head, sealed_us = row.seq, row.hash, row.sealed_us
            erased += row.commitment is not None and row.body is None
    waiting, loose = _unsealed(session, site_id)
    if loose and not bad:
        bad = BadEntry(None, loose, "the event has no seal and does not wait for one")
    return SiteReport(site_id, seq, waiting, erased, head, sealed_us, bad)


def _entries(session: Session, site_id: SiteId) -> Generator[Row[*tuple[Any, ...]] | None]:
    """The entries of a chain with all that they seal; None in the place of one that the driver cannot read as text."""
    event, personal = AuditEventRow.__table__, AuditPersonalRow.__table__
    entries = (
        select(
            AuditSealRow.seq,
            AuditSealRow.event_id,
            AuditSealRow.sealed_us,
            AuditSealRow.prev_hash,
            AuditSealRow.hash,
            *(column for column in event.columns if column.name != "position"),
            personal.c.salt,
            personal.c.body,
        )
        .outerjoin(event, event.c.id == AuditSealRow.event_id)
        .outerjoin(personal, personal.c.event_id == AuditSealRow.event_id)
        .where(AuditSealRow.site_id == site_id)
        .order_by(AuditSealRow.seq)
    )
    after = 0
    for batch in (1000, 1):  # one bad row hides its batch: then go on one by one, to name the very entry
        try:
            query = entries.where(AuditSealRow.seq > after)
            with session.execute(query, execution_options={"yield_per": batch}) as rows:
                for row in rows:
                    yield row
                    after = row.seq
            return
        except OperationalError:
            continue
    yield None


def _flaw(row: Any, site_id: SiteId, seq: int, prev_hash: str) -> str | None:
    """What is wrong with an entry that should be number `seq` and stand on `prev_hash`; None if nothing is."""
    if row.seq != seq:
        return f"entry {seq} is missing"
    if row.id is None:
        return "its event is missing"
    if row.site_id != site_id:
        return "its event belongs to another chain"
    if row.prev_hash != prev_hash:
        return "it does not stand on the entry before it"
    try:
        entities, detail = json.loads(row.entities), json.loads(row.detail)
        whole = link_hash(prev_hash, seq, row.sealed_us, leaf_hash(row)) == row.hash
        shortcuts = (_first(entities, "case"), _first(entities, "slide"))
        personal = row.body is None or audit.commitment(row.salt, row.body) == row.commitment
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return "the event is not in the format it was sealed in"
    if not whole or not isinstance(detail, dict):
        return "the event or its seal is not as it was sealed"
    if shortcuts != (row.case_id, row.slide_id):
        return "the event is filed under another case or slide than it names"
    return None if personal else "the personal part of the event is not the one that was sealed"


def _first(entities: list[dict[str, str]], kind: str) -> str | None:
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


def leaf_hash(event: Any) -> bytes:
    return hashlib.sha256(_LEAF + canonical(event).encode()).digest()


def link_hash(prev_hash: str, seq: int, sealed_us: int, leaf: bytes) -> str:
    numbers = seq.to_bytes(8, "big") + sealed_us.to_bytes(8, "big")
    return hashlib.sha256(_LINK + bytes.fromhex(prev_hash) + numbers + leaf).hexdigest()


def canonical(event: Any) -> str:
    """The canonical JSON of a row of `audit_event`: keys sorted, no spaces.

    It is spelled out, not built by `audit.canonical_json`, because a million are read at a verification; `entities` and
    `detail` are stored in that form. Raises ValueError or TypeError for a value that no event can have.
    """
    q = _quoted
    return (
        f'{{"act":{q(event.act)},"action":{q(event.action)},"agent":{{"id":{q(event.agent_id)},'
        f'"kind":{q(event.agent_kind)},"role":{q(event.agent_role)},"site":{q(event.agent_site_id)}}},'
        f'"commitment":{q(event.commitment)},"detail":{event.detail},"entities":{event.entities},"id":{q(event.id)},'
        f'"outcome":{q(event.outcome)},"purpose":{q(event.purpose)},"recorded_us":{event.recorded_us:d},'
        f'"site":{q(event.site_id)},"type":{q(event.type)},"version":{event.version:d}}}'
    )


def _quoted(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)
