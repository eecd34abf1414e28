"""Scanners: whose key proves which one, and what their agents last said of themselves.

A scanner may have several keys, so that they can be exchanged without a slide waiting: the new one holds at once, the
others until their time is over.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit, epoch, policy, text
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import HeartbeatRow, ScannerKeyRow, ScannerRow, SlideRow
from sharing.errors import InvalidError, NotFoundError
from sharing.policy import AtSite
from sharing.subjects import Agent, Subject, System
from sharing.vocabulary import Act, Action, Entity, ScannerId, SiteId, SlideId, new_id

KEPT_US = 8 * 24 * 60 * MINUTE_US
"""How long heartbeats are kept."""
MOST_SENT_BYTES = 1 << 40
"""More than this nobody sends between two heartbeats."""
MOST_OVERLAP_US = 90 * 24 * 60 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner in service. `heard_us`: the last word of its agent, which is `report` (JSON); None for one that was
    never heard. `slide_id`: the slide that it sent last, at `slide_us`. `keys`: how many open the door now."""

    id: ScannerId
    site_id: SiteId
    name: str
    manufacturer: str | None
    model: str | None
    serial: str | None
    created_us: int
    keys: int
    key_us: int | None
    """When its newest key was made."""
    heard_us: int | None
    report: str | None
    slide_id: SlideId | None
    slide_name: str | None
    slide_us: int | None


@dataclass(frozen=True, slots=True)
class Volume:
    """What a scanner sent in the minute that began at `minute_us`."""

    scanner_id: ScannerId
    minute_us: int
    sent_bytes: int


def add_scanner(
    session: Session,
    site_id: SiteId,
    name: str,
    *,
    manufacturer: str | None = None,
    model: str | None = None,
    serial: str | None = None,
    by: Subject | None = None,
) -> tuple[ScannerId, str]:
    """Register a scanner (0008,0070), (0008,1090), (0018,1000); its id, and the key to be shown this once.

    The key is `iain_<id>_<secret of 256 bits>`; only the secret's SHA-256 is kept, which suffices for a random secret.
    """
    scanner_id = ScannerId(new_id())
    row = {
        "id": scanner_id,
        "site_id": site_id,
        "name": text.line(name, "The scanner's name"),
        "manufacturer": text.line_or_none(manufacturer, "The manufacturer"),
        "model": text.line_or_none(model, "The model"),
        "serial": text.line_or_none(serial, "The serial number"),
        "created_us": session.now_us,
    }
    insert_new(session, ScannerRow, row, f"{site_id} already has a scanner named {name}, or there is no such site.")
    key = _new_key(session, scanner_id)
    _record(session, Act.SCANNER_ADDED, site_id, scanner_id, by)
    return scanner_id, key


def rotate(session: Session, scanner_id: ScannerId, *, overlap_us: int = 0, by: Subject | None = None) -> str:
    """A new key for the scanner, to be shown this once. It holds at once; those before it for `overlap_us` more, or
    until the end that they have already.

    Raises NotFoundError if there is no active scanner of that id, InvalidError for an overlap that is no such time.
    """
    if not 0 <= overlap_us <= MOST_OVERLAP_US:
        raise InvalidError("The keys may overlap for 0 to 90 days. Choose again.")
    site_id = _active(session, scanner_id)
    _end_keys(session, site_id, scanner_id, session.now_us + overlap_us, by)
    key = _new_key(session, scanner_id)
    _record(session, Act.SCANNER_KEY_ADDED, site_id, scanner_id, by)
    return key


def disable_scanner(session: Session, scanner_id: ScannerId, *, by: Subject | None = None) -> None:
    """Make every key of a scanner worthless. Raises NotFoundError if there is no active scanner of that id."""
    site_id = _active(session, scanner_id)
    session.execute(update(ScannerRow).where(ScannerRow.id == scanner_id).values(disabled_us=session.now_us))
    epoch.bump(session)
    _record(session, Act.SCANNER_DISABLED, site_id, scanner_id, by)


def authenticate_scanner(session: Session, key: str) -> Agent | None:
    """The agent that the key belongs to; None if the key proves nothing."""
    prefix, _, rest = key.partition("_")
    scanner_id, _, secret = rest.partition("_")
    if prefix != "iain" or not re.fullmatch("[a-z2-7]{26}", scanner_id):
        return None
    rows = session.execute(
        select(ScannerRow.site_id, ScannerRow.name, ScannerKeyRow.key_hash)
        .join(ScannerKeyRow, ScannerKeyRow.scanner_id == ScannerRow.id)
        .where(
            ScannerRow.id == scanner_id,
            ScannerRow.disabled_us.is_(None),
            or_(ScannerKeyRow.ends_us.is_(None), ScannerKeyRow.ends_us > session.now_us),
        )
    )
    digest = _digest(secret)
    for row in rows:
        if hmac.compare_digest(row.key_hash, digest):
            return Agent(scanner_id=ScannerId(scanner_id), site_id=row.site_id, name=row.name)
    return None


def scanner_by_name(session: Session, site_id: SiteId, name: str) -> ScannerId:
    """Raises NotFoundError if the site has no active scanner of that name."""
    named = ScannerRow.site_id == site_id, ScannerRow.name == name, ScannerRow.disabled_us.is_(None)
    scanner_id = session.scalars(select(ScannerRow.id).where(*named)).one_or_none()
    if scanner_id is None:
        raise NotFoundError(f"{site_id} has no active scanner named {name}.")
    return scanner_id


def hear(session: Session, agent: Agent, *, sent_bytes: int, report: str) -> None:
    """Keeps what an agent says of its scanner: the last word of each minute, and the sum of what was sent in it."""
    minute_us = session.now_us - session.now_us % MINUTE_US
    sent_bytes = min(sent_bytes, MOST_SENT_BYTES)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(
        insert(HeartbeatRow)
        .values(
            scanner_id=agent.scanner_id,
            minute_us=minute_us,
            at_us=session.now_us,
            sent_bytes=sent_bytes,
            report=report,
        )
        .on_conflict_do_update(
            index_elements=["scanner_id", "minute_us"],
            set_={"at_us": session.now_us, "sent_bytes": HeartbeatRow.sent_bytes + sent_bytes, "report": report},
        )
    )
    old = HeartbeatRow.scanner_id == agent.scanner_id, HeartbeatRow.minute_us < minute_us - KEPT_US
    session.execute(delete(HeartbeatRow).where(*old))


def list_scanners(session: Session, subject: Subject, site_id: SiteId) -> list[Scanner]:
    """The scanners in service at a site, by name. Raises RefusedError or NotFoundError if the subject may not know."""
    policy.require(session, subject, Action.VIEW_INTAKE, AtSite(site_id), Entity("site", site_id))
    rows = session.scalars(
        select(ScannerRow)
        .where(ScannerRow.site_id == site_id, ScannerRow.disabled_us.is_(None))
        .order_by(ScannerRow.name)
    )
    return [_scanner(session, row) for row in rows]


def volumes(session: Session, subject: Subject, site_id: SiteId, since_us: int, until_us: int) -> list[Volume]:
    """What the scanners of a site said they sent, minute by minute. Raises as `list_scanners` does."""
    policy.require(session, subject, Action.VIEW_INTAKE, AtSite(site_id), Entity("site", site_id))
    rows = session.execute(
        select(HeartbeatRow.scanner_id, HeartbeatRow.minute_us, HeartbeatRow.sent_bytes)
        .join(ScannerRow, ScannerRow.id == HeartbeatRow.scanner_id)
        .where(
            ScannerRow.site_id == site_id,
            HeartbeatRow.minute_us >= since_us,
            HeartbeatRow.minute_us < until_us,
            HeartbeatRow.sent_bytes > 0,
        )
        .order_by(HeartbeatRow.minute_us)
    )
    return [Volume(row.scanner_id, row.minute_us, row.sent_bytes) for row in rows]


def _scanner(session: Session, row: ScannerRow) -> Scanner:
    heard = session.scalars(
        select(HeartbeatRow).where(HeartbeatRow.scanner_id == row.id).order_by(HeartbeatRow.minute_us.desc()).limit(1)
    ).one_or_none()
    slide = session.scalars(
        select(SlideRow)
        .where(SlideRow.site_id == row.site_id, SlideRow.scanner_id == row.id)
        .order_by(SlideRow.received_us.desc(), SlideRow.id)
        .limit(1)
    ).one_or_none()
    keys, key_us = session.execute(
        select(func.count(), func.max(ScannerKeyRow.created_us)).where(
            ScannerKeyRow.scanner_id == row.id,
            or_(ScannerKeyRow.ends_us.is_(None), ScannerKeyRow.ends_us > session.now_us),
        )
    ).one()
    return Scanner(
        id=row.id,
        site_id=row.site_id,
        name=row.name,
        manufacturer=row.manufacturer,
        model=row.model,
        serial=row.serial,
        created_us=row.created_us,
        keys=keys,
        key_us=key_us,
        heard_us=heard.at_us if heard else None,
        report=heard.report if heard else None,
        slide_id=slide.id if slide else None,
        slide_name=(slide.accession or slide.file_name) if slide else None,
        slide_us=slide.received_us if slide else None,
    )


def _active(session: Session, scanner_id: ScannerId) -> SiteId:
    """Its site; the row is ours until the transaction ends, so that of two exchanges of keys one comes second."""
    row = session.get(ScannerRow, scanner_id, with_for_update=True, populate_existing=True)
    if row is None or row.disabled_us is not None:
        raise NotFoundError(f"There is no active scanner {scanner_id}.")
    return row.site_id


def _new_key(session: Session, scanner_id: ScannerId) -> str:
    secret = secrets.token_urlsafe(32)
    session.add(
        ScannerKeyRow(
            id=new_id(), scanner_id=scanner_id, key_hash=_digest(secret), created_us=session.now_us, ends_us=None
        )
    )
    session.flush()
    return f"iain_{scanner_id}_{secret}"


def _end_keys(session: Session, site_id: SiteId, scanner_id: ScannerId, ends_us: int, by: Subject | None) -> None:
    """Gives the keys that hold an end, none of them a later one than it had."""
    holding = or_(ScannerKeyRow.ends_us.is_(None), ScannerKeyRow.ends_us > ends_us)
    ended = session.scalars(
        update(ScannerKeyRow)
        .where(ScannerKeyRow.scanner_id == scanner_id, holding)
        .values(ends_us=ends_us)
        .returning(ScannerKeyRow.id)
    ).all()
    for _ in ended:
        _record(session, Act.SCANNER_KEY_ENDED, site_id, scanner_id, by, {"ends_us": str(ends_us)})


def _record(
    session: Session,
    act: Act,
    site_id: SiteId,
    scanner_id: ScannerId,
    by: Subject | None,
    detail: Mapping[str, str] | None = None,
) -> None:
    entities = [Entity("scanner", scanner_id)]
    audit.record(session, site_id=site_id, act=act, subject=by or System(), entities=entities, detail=detail)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
