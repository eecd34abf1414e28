"""One-time codes, which prove that whoever holds a link's secret reads the mail of its recipient too.

A code has eight digits, opens once, within ten minutes of its mail, and bears five tries; a newer one replaces it.
It is drawn at the moment of sending (`sharing.letters`) and kept as a slow hash, salted with the id of its row: who
reads the database would spend days on what is worth ten minutes, and is worth nothing without the link's secret.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import func, insert, select

from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import LinkCodeRow, LinkRow
from sharing.vocabulary import LinkId, new_id

VALID_US = 10 * MINUTE_US
TRIES = 5
AN_HOUR = 5
"""How many codes are sent for one link within an hour."""
DIGITS = 8

HOUR_US = 60 * MINUTE_US

_SCRYPT_N, _SCRYPT_R = 1 << 12, 8
"""4 MiB and about ten milliseconds for each code that is tried (RFC 7914)."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody typed, hashed as the code of `code_id` is."""

    code_id: str
    hashed: str


def ask(session: Session, link: LinkRow, language: str, *, again: bool = False) -> str | None:
    """A new code for the link's recipient, to be put into the outbox; None where one is on its way or stands already,
    or where AN_HOUR were sent. `again`: also when one stands, which ends with that.
    """
    session.get_one(LinkRow, link.id, with_for_update=True)  # two who ask at once must not count the same codes
    newest = _newest(session, link.id)
    if newest is not None and (_waits(newest, session.now_us) or (_stands(newest, session.now_us) and not again)):
        return None
    recent = (LinkCodeRow.link_id == link.id, LinkCodeRow.created_us > session.now_us - HOUR_US)
    if (session.scalar(select(func.count()).select_from(LinkCodeRow).where(*recent)) or 0) >= AN_HOUR:
        return None
    row = {
        "id": new_id(),
        "link_id": link.id,
        "language": language,
        # The clock may stand or go back; a newer code is newer all the same.
        "created_us": max(session.now_us, newest.created_us + 1 if newest else 0),
        "expires_us": session.now_us + VALID_US,
        "tries": 0,
    }
    session.execute(insert(LinkCodeRow), [row])
    return str(row["id"])


def draw(session: Session, row: LinkCodeRow) -> str | None:
    """A code, to be mailed now and kept by nobody; None if nobody waits for it any more. Drawing again, because the
    mail did not leave, ends the one before.
    """
    newest = _newest(session, row.link_id)
    if newest is None or newest.id != row.id or row.used_us is not None or session.now_us >= row.created_us + VALID_US:
        return None
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    row.code_hash, row.expires_us, row.tries = _hashed(row.id, code), session.now_us + VALID_US, 0
    session.flush()
    return code


def standing(session: Session, link_id: LinkId) -> str | None:
    """The id of the code that would open the link now; None if there is none."""
    newest = _newest(session, link_id)
    return newest.id if newest is not None and _stands(newest, session.now_us) else None


def proof(code_id: str, typed: str) -> Proof:
    """Of what was typed, in groups or not. It takes ten milliseconds, whatever it is: outside of transactions."""
    code = re.sub(r"[\s.-]", "", typed)
    return Proof(code_id, _hashed(code_id, code if re.fullmatch(rf"[0-9]{{{DIGITS}}}", code) else ""))


def spend(session: Session, shown: Proof) -> bool:
    """Count a try at a code, and use the code up if it is the right one: of two at once one is."""
    row = session.get_one(LinkCodeRow, shown.code_id, with_for_update=True, populate_existing=True)
    if row.code_hash is None or not _stands(row, session.now_us):
        return False
    row.tries += 1
    right = hmac.compare_digest(row.code_hash, shown.hashed)
    if right:
        row.used_us = session.now_us
    session.flush()
    return right


def _newest(session: Session, link_id: LinkId) -> LinkCodeRow | None:
    return session.scalars(
        select(LinkCodeRow)
        .where(LinkCodeRow.link_id == link_id)
        .order_by(LinkCodeRow.created_us.desc(), LinkCodeRow.id)
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _waits(row: LinkCodeRow, now_us: int) -> bool:
    """Whether its mail is still to be sent."""
    return row.code_hash is None and row.expires_us > now_us


def _stands(row: LinkCodeRow, now_us: int) -> bool:
    return row.code_hash is not None and row.used_us is None and row.tries < TRIES and row.expires_us > now_us


def _hashed(code_id: str, code: str) -> str:
    return hashlib.scrypt(code.encode(), salt=code_id.encode(), n=_SCRYPT_N, r=_SCRYPT_R, p=1).hex()
