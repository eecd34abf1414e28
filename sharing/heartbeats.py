"""What the agents of scanners say of themselves, minute by minute: which scanner is silent, and what was sent when."""

from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sharing import policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import HeartbeatRow, ScannerKeyRow, ScannerRow, SlideRow
from sharing.policy import AtSite
from sharing.subjects import Agent, Subject
from sharing.vocabulary import Action, Entity, ScannerId, SiteId, SlideId

KEPT_US = 8 * 24 * 60 * MINUTE_US
"""How long heartbeats are kept."""
MOST_SENT_BYTES = 1 << 40
"""More than this nobody sends between two heartbeats."""


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


def hear(session: Session, agent: Agent, *, sent_bytes: int, report: str) -> None:
    """Keeps what an agent says of its scanner: its last word, and how much was sent in each minute."""
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
    # Only the last word is ever shown, and a word with its troubles has many thousand characters.
    former = HeartbeatRow.scanner_id == agent.scanner_id, HeartbeatRow.minute_us < minute_us, HeartbeatRow.report != ""
    session.execute(update(HeartbeatRow).where(*former).values(report=""))
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
