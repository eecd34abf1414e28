"""Scanners: who exists, and whose key proves which one.

A scanner may have several keys, so that they can be exchanged without a slide waiting: the new one holds at once, the
others until their time is over.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from sqlalchemy import or_, select, update

from sharing import audit, epoch, text
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import ScannerKeyRow, ScannerRow
from sharing.errors import InvalidError, NotFoundError
from sharing.subjects import Agent, Subject, System
from sharing.vocabulary import Act, Entity, ScannerId, SiteId, new_id

MOST_OVERLAP_US = 90 * 24 * 60 * MINUTE_US


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
