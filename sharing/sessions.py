"""Log-in sessions: an opaque token of 256 random bits in the browser, its SHA-256 in the database."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Select, bindparam, delete, insert, select, update

from sharing import audit, epoch, sites
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import MemberRow, SessionTokenRow
from sharing.subjects import Member
from sharing.vocabulary import Act, Entity, MemberId

IDLE_US = 30 * MINUTE_US
LIFETIME_US = 12 * 60 * MINUTE_US
_TOUCH_US = MINUTE_US
"""A use is noted at most this often: the idle limit is that much vaguer, and most requests write nothing."""


@dataclass(frozen=True, slots=True)
class Login:
    member: Member
    expires_us: int
    """When it ends unless it is used before, and at the latest 12 hours after it began."""


@dataclass(frozen=True, slots=True)
class Open:
    """A session as its owner sees it."""

    created_us: int
    used_us: int
    this: bool
    """The one that asks."""


def create(session: Session, member: Member, *, personal: Mapping[str, str] | None = None) -> str:
    """Log a member in; the token, which is shown this once. Ended sessions are cleared away on the occasion."""
    token = secrets.token_urlsafe(32)
    session.execute(delete(SessionTokenRow).where(SessionTokenRow.expires_us <= session.now_us))
    session.execute(
        insert(SessionTokenRow).values(
            token_hash=_digest(token),
            member_id=member.id,
            created_us=session.now_us,
            used_us=session.now_us,
            expires_us=session.now_us + LIFETIME_US,
        )
    )
    audit.record(session, site_id=member.site_id, act=Act.SESSION_OPENED, subject=member, personal=personal)
    return token


def resolve(session: Session, token: str) -> Login | None:
    """Whose session it is; None if there is no such one, if it has ended, or if the account is closed.

    In a writing transaction the use is noted, which puts off the idle limit; in a reading one it is not.
    """
    return resolve_all(session, [token]).get(token)


def resolve_all(session: Session, tokens: Sequence[str]) -> dict[str, Login]:
    """`resolve` of many; those that belong to nobody are left out. Rows are locked in the order of the tokens."""
    keys = {_digest(token): token for token in tokens}
    if not keys:
        return {}
    rows = {row.token_hash: row for row in session.execute(_by_tokens(), {"token_hashes": [*keys]})}
    logins = {}
    for key, token in keys.items():
        row = rows.get(key)
        if row is None or session.now_us >= min(row.used_us + IDLE_US, row.expires_us):
            continue
        used_us = row.used_us
        if session.writable and session.now_us - used_us >= _TOUCH_US:
            used_us = session.now_us
            session.execute(update(SessionTokenRow).where(SessionTokenRow.token_hash == key).values(used_us=used_us))
        logins[token] = Login(sites.member_of(row[0], row[1]), expires_us=min(used_us + IDLE_US, row.expires_us))
    return logins


def revoke(session: Session, token: str, *, personal: Mapping[str, str] | None = None) -> bool:
    """End a session everywhere, within a second; False if it had ended before."""
    login = resolve(session, token)
    session.execute(delete(SessionTokenRow).where(SessionTokenRow.token_hash == _digest(token)))
    if login is None:
        return False
    epoch.bump(session)
    member = login.member
    audit.record(session, site_id=member.site_id, act=Act.SESSION_CLOSED, subject=member, personal=personal)
    return True


def list_own(session: Session, member: Member, token: str) -> list[Open]:
    """The member's sessions that have not ended, the newest use first; the one of `token` is marked."""
    rows = session.scalars(
        select(SessionTokenRow)
        .where(
            SessionTokenRow.member_id == member.id,
            SessionTokenRow.expires_us > session.now_us,
            SessionTokenRow.used_us > session.now_us - IDLE_US,
        )
        .order_by(SessionTokenRow.used_us.desc(), SessionTokenRow.created_us.desc())
    )
    return [Open(row.created_us, row.used_us, row.token_hash == _digest(token)) for row in rows]


def end(session: Session, member_id: MemberId, *, by: Member, keep: str | None = None) -> int:
    """End the sessions of an account of the site of `by`, who may, but for that of the token `keep`; how many."""
    ended = end_all(session, member_id, keep=keep)
    if ended:
        audit.record(
            session,
            site_id=by.site_id,
            act=Act.SESSIONS_ENDED,
            subject=by,
            entities=[Entity("member", member_id)],
            detail={"count": str(ended)},
        )
    return ended


def end_all(session: Session, member_id: MemberId, *, keep: str | None = None) -> int:
    """As `end`, as part of an act that is on record itself."""
    statement = delete(SessionTokenRow).where(SessionTokenRow.member_id == member_id)
    if keep is not None:
        statement = statement.where(SessionTokenRow.token_hash != _digest(keep))
    ended = len(session.scalars(statement.returning(SessionTokenRow.token_hash)).all())
    if ended:
        epoch.bump(session)
    return ended


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@cache
def _by_tokens() -> Select[MemberRow, str, str, int, int]:
    """The members whose sessions they are: the statement that is asked most."""
    row = SessionTokenRow
    return (
        sites.members()
        .join(row, row.member_id == MemberRow.id)
        .where(row.token_hash.in_(bindparam("token_hashes", expanding=True)))
        .add_columns(row.token_hash, row.used_us, row.expires_us)
    )
