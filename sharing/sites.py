"""Sites and their members: who exists, and whose credential proves it."""

import re
from dataclasses import dataclass

from sqlalchemy import Select, delete, func, select, update

from sharing import audit, epoch, text
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import MemberRow, SessionTokenRow, SiteRow, SlideFileRow, SlideRow
from sharing.errors import ConflictError, InvalidError, NotFoundError
from sharing.subjects import Member, Subject, System
from sharing.vocabulary import PLATFORM, Act, Entity, MemberId, Role, SiteId, new_id


@dataclass(frozen=True, slots=True)
class Site:
    id: SiteId
    name: str


@dataclass(frozen=True, slots=True)
class Quota:
    """What the slides of a site may take on the disk (None: what there is), and what they take."""

    limit_bytes: int | None
    used_bytes: int


@dataclass(frozen=True, slots=True)
class Account:
    """A member together with what proves a password; it goes no further than the log-in."""

    member: Member
    password_hash: str
    password_until_us: int | None = None
    """Until when a password that somebody else gave can be replaced; None for the member's own."""


def add_site(session: Session, site_id: SiteId, name: str, *, by: Subject | None = None) -> None:
    """Raises ConflictError if the id or the name is taken, InvalidError if the id is not short and plain."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", site_id) or site_id == PLATFORM:
        raise InvalidError(f"{site_id!r} cannot be a site's id: use 2 to 31 of a-z, 0-9 and the hyphen.")
    row = {"id": site_id, "name": text.line(name, "The site's name"), "created_us": session.now_us}
    insert_new(session, SiteRow, row, f"There is already a site {site_id} or one named {name}.")
    audit.record(
        session, site_id=site_id, act=Act.SITE_ADDED, subject=by or System(), entities=[Entity("site", site_id)]
    )


def list_sites(session: Session) -> list[Site]:
    rows = session.execute(select(SiteRow.id, SiteRow.name).order_by(SiteRow.name))
    return [Site(id=row.id, name=row.name) for row in rows]


def quota(session: Session, site_id: SiteId) -> Quota:
    """Raises NotFoundError if there is no such site."""
    row = session.get(SiteRow, site_id)
    if row is None:
        raise NotFoundError(f"There is no site {site_id}.")
    used = (
        select(func.coalesce(func.sum(SlideFileRow.length), 0))
        .join(SlideRow, SlideRow.id == SlideFileRow.slide_id)
        .where(SlideRow.site_id == site_id)
    )
    return Quota(row.quota_bytes, int(session.scalar(used) or 0))


def set_quota(session: Session, site_id: SiteId, limit_bytes: int | None, *, by: Subject | None = None) -> None:
    """Raises NotFoundError if there is no such site."""
    statement = update(SiteRow).where(SiteRow.id == site_id).values(quota_bytes=limit_bytes).returning(SiteRow.id)
    if session.execute(statement).one_or_none() is None:
        raise NotFoundError(f"There is no site {site_id}.")
    audit.record(
        session,
        site_id=site_id,
        act=Act.SITE_QUOTA_SET,
        subject=by or System(),
        entities=[Entity("site", site_id)],
        detail={"bytes": "none" if limit_bytes is None else str(limit_bytes)},
    )


def add_member(
    session: Session,
    site_id: SiteId,
    *,
    login: str,
    name: str,
    role: Role,
    password_hash: str,
    language: str = "fr",
    email: str | None = None,
    by: Subject | None = None,
) -> MemberId:
    """Raises ConflictError if the login is taken, at whatever site, or if there is no such site."""
    member_id = MemberId(new_id())
    login, name = text.line(login, "The login", limit=64).lower(), text.line(name, "The name")
    row = {
        "id": member_id,
        "site_id": site_id,
        "login": login,
        "name": name,
        "role": role,
        "password_hash": password_hash,
        "language": language,
        "created_us": session.now_us,
        "email": _email(email),
    }
    insert_new(session, MemberRow, row, f"The login {login} is taken, or there is no site {site_id}.")
    audit.record(
        session,
        site_id=site_id,
        act=Act.MEMBER_ADDED,
        subject=by or System(),
        entities=[Entity("member", member_id)],
        detail={"role": role},
        personal={"login": login, "name": name},
    )
    return member_id


def member_by_login(session: Session, login: str) -> Account | None:
    """The account behind a login, in whatever letter case it was typed; None also for a disabled one."""
    row = session.execute(members().where(MemberRow.login == login.strip().lower())).one_or_none()
    return Account(member_of(row[0], row[1]), row[0].password_hash, row[0].password_until_us) if row else None


def hold(session: Session, account: Account) -> None:
    """Nobody closes the account or replaces its password before this transaction ends. Raises ConflictError if somebody
    has since it was read: what was right then admits nobody any more.
    """
    row = MemberRow
    unchanged = (row.id == account.member.id, row.password_hash == account.password_hash, row.disabled_us.is_(None))
    if session.scalar(select(row.id).where(*unchanged).with_for_update()) is None:
        raise ConflictError("The password has just been changed elsewhere. Sign in with the new one.")


def set_email(session: Session, member_id: MemberId, email: str | None) -> None:
    """Where mail to the member goes; None for nowhere. Raises InvalidError for what is no address."""
    session.execute(update(MemberRow).where(MemberRow.id == member_id).values(email=_email(email)))


def disable_member(session: Session, member_id: MemberId, *, by: Subject | None = None) -> None:
    """Close an account and end its sessions everywhere. Raises NotFoundError if there is no open one of that id."""
    statement = (
        update(MemberRow)
        .where(MemberRow.id == member_id, MemberRow.disabled_us.is_(None))
        .values(disabled_us=session.now_us)
    )
    site_id = session.scalars(statement.returning(MemberRow.site_id)).one_or_none()
    if site_id is None:
        raise NotFoundError(f"There is no open account {member_id}.")
    session.execute(delete(SessionTokenRow).where(SessionTokenRow.member_id == member_id))
    epoch.bump(session)
    audit.record(
        session,
        site_id=site_id,
        act=Act.MEMBER_DISABLED,
        subject=by or System(),
        entities=[Entity("member", member_id)],
    )


def members() -> Select[MemberRow, str]:
    """Every member whose account is open, with the name of the site."""
    return (
        select(MemberRow, SiteRow.name)
        .join(SiteRow, SiteRow.id == MemberRow.site_id)
        .where(MemberRow.disabled_us.is_(None))
    )


def member_of(row: MemberRow, site_name: str) -> Member:
    return Member(
        id=row.id,
        site_id=row.site_id,
        site_name=site_name,
        role=Role(row.role),
        name=row.name,
        login=row.login,
        language=row.language,
    )


def _email(value: str | None) -> str | None:
    return text.mail_address(value, "The mail address") if value and value.strip() else None
