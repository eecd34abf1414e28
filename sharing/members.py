"""The accounts of a site, for those who look after them: who has one, what it may do, and its end.

Whoever administers reads no patient's data here, and nobody administers their own account: so the last administrator
of a site cannot be lost, and two who remove each other at the same moment are put in order by the lock on their rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, literal, select, update

from sharing import audit, epoch, policy, sessions, sites, text
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import AuditEventRow, MemberRow, SessionTokenRow
from sharing.errors import ConflictError, Refusal, RefusedError
from sharing.policy import AtSite
from sharing.subjects import Member, System
from sharing.vocabulary import Act, Action, Entity, MemberId, Outcome, Role

GIVEN_US = 7 * 24 * 60 * MINUTE_US
"""How long a password that an administrator gives can be used once, to choose one's own."""
LANGUAGES = ("fr", "en")


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the site, open or closed."""

    id: MemberId
    login: str
    name: str
    role: Role
    language: str
    email: str | None
    created_us: int
    closed_us: int | None
    password_until_us: int | None
    """Until when the password that was given can be replaced by one's own; None once it is."""
    ran_out: bool
    """Whether nobody has used that password in time: it opens nothing any more."""
    sessions: int
    """How many are open now."""
    used_us: int | None
    """When the newest of them was last used."""
    own: bool
    """Of whoever asks."""


def list_members(session: Session, by: Member) -> list[Person]:
    """Everybody of the site of `by`: the open accounts by name, then the closed ones."""
    _require(session, by)
    return _people(session, by)


def get_member(session: Session, by: Member, member_id: MemberId) -> Person:
    """Raises NotFoundError for who is not of the site of `by`."""
    about = Entity("member", member_id)
    row = session.get(MemberRow, member_id)
    if row is None:
        raise policy.absent(about.kind)
    policy.require(session, by, Action.MANAGE_MEMBERS, row, about)
    return _people(session, by, member_id)[0]


def add(
    session: Session,
    by: Member,
    *,
    login: str,
    name: str,
    role: Role,
    password_hash: str,
    language: str = "fr",
    email: str | None = None,
) -> MemberId:
    """An account at the site of `by`, with a first password. Raises ConflictError if the login is taken, InvalidError
    for what cannot be stored."""
    _administering(session, by)
    member_id = sites.add_member(
        session,
        by.site_id,
        login=login,
        name=name,
        role=role,
        password_hash=password_hash,
        language=_language(language),
        email=email,
        by=by,
    )
    _give(session, member_id, password_hash)
    return member_id


def change_role(session: Session, by: Member, member_id: MemberId, role: Role) -> None:
    """From now on, everywhere within a second, the member may do what `role` may. Raises ConflictError for one's own
    account and for a closed one."""
    person = _other(session, by, member_id)
    if person.role is role:
        return
    session.execute(update(MemberRow).where(MemberRow.id == person.id).values(role=role))
    epoch.bump(session)
    _record(session, by, person, {"was": person.role, "role": role})


def change_profile(
    session: Session, by: Member, member_id: MemberId, *, name: str, language: str, email: str | None
) -> None:
    """What the account is called, and where its mail goes, in which language."""
    person = _other(session, by, member_id)
    values = {"name": text.line(name, "The name"), "language": _language(language)}
    sites.set_email(session, person.id, email)
    session.execute(update(MemberRow).where(MemberRow.id == person.id).values(values))
    _record(session, by, person, {"changed": "profile"}, {"name": values["name"]})


def give_password(session: Session, by: Member, member_id: MemberId, password_hash: str) -> None:
    """In place of one that is lost: it admits once, to choose another. The account's sessions end."""
    person = _other(session, by, member_id)
    _give(session, person.id, password_hash)
    sessions.end_all(session, person.id)
    _record(session, by, person, {"changed": "password"})


def end_sessions(session: Session, by: Member, member_id: MemberId) -> int:
    """Sign the member out everywhere, within a second; how many sessions that ended."""
    return sessions.end(session, _other(session, by, member_id).id, by=by)


def close(session: Session, by: Member, member_id: MemberId) -> None:
    """Close the account for ever: its sessions end, and what it shares ends with its right."""
    sites.disable_member(session, _other(session, by, member_id).id, by=by)


def choose_password(
    session: Session, member: Member, password_hash: str, *, instead_of: str, keep: str | None = None
) -> None:
    """A password that the member has chosen, in place of that whose hash is `instead_of`. All sessions of the account
    end, but for the one of the token `keep`. Raises ConflictError if the password has changed meanwhile."""
    changed = (
        update(MemberRow)
        .where(MemberRow.id == member.id, MemberRow.password_hash == instead_of, MemberRow.disabled_us.is_(None))
        .values(password_hash=password_hash, password_until_us=None)
        .returning(MemberRow.id)
    )
    if session.scalars(changed).one_or_none() is None:
        raise ConflictError("The password has just been changed elsewhere. Sign in with the new one.")
    sessions.end_all(session, member.id, keep=keep)
    audit.record(
        session,
        site_id=member.site_id,
        act=Act.MEMBER_CHANGED,
        subject=member,
        entities=[Entity("member", member.id)],
        detail={"changed": "password"},
    )


def note_run_out(session: Session) -> int:
    """Put on record which passwords that were given nobody has used in time, each once; how many. To be called now and
    then: that the journal has it not yet is how it is known to be new."""
    event = AuditEventRow
    told = (
        select(event.id)
        .where(
            event.site_id == MemberRow.site_id,
            event.act == Act.PASSWORD_RAN_OUT,
            event.recorded_us >= MemberRow.password_until_us,
            event.entities == literal('[{"id":"') + MemberRow.id + literal('","kind":"member"}]'),
        )
        .exists()
    )
    over = select(MemberRow.id, MemberRow.site_id).where(
        MemberRow.password_until_us <= session.now_us, MemberRow.disabled_us.is_(None), ~told
    )
    found = session.execute(over.order_by(MemberRow.id)).all()
    for member_id, site_id in found:
        about = [Entity("member", member_id)]
        audit.record(session, site_id=site_id, act=Act.PASSWORD_RAN_OUT, subject=System(), entities=about)
    return len(found)


def note_wrong_password(session: Session, member: Member, *, personal: Mapping[str, str]) -> None:
    """Put on record that somebody in a session of the member does not know the password that is to be replaced."""
    audit.record(
        session,
        site_id=member.site_id,
        act=Act.MEMBER_CHANGED,
        outcome=Outcome.FAILED,
        subject=member,
        entities=[Entity("member", member.id)],
        detail={"changed": "password", "reason": "wrong-password"},
        personal=personal,
    )


def _give(session: Session, member_id: MemberId, password_hash: str) -> None:
    session.execute(
        update(MemberRow)
        .where(MemberRow.id == member_id)
        .values(password_hash=password_hash, password_until_us=session.now_us + GIVEN_US)
    )


def _people(session: Session, by: Member, member_id: MemberId | None = None) -> list[Person]:
    now = session.now_us
    live = (
        select(
            SessionTokenRow.member_id,
            func.count().label("sessions"),
            func.max(SessionTokenRow.used_us).label("used_us"),
        )
        .where(SessionTokenRow.expires_us > now, SessionTokenRow.used_us > now - sessions.IDLE_US)
        .group_by(SessionTokenRow.member_id)
        .subquery()
    )
    statement = (
        select(MemberRow, func.coalesce(live.c.sessions, 0), live.c.used_us)
        .outerjoin(live, live.c.member_id == MemberRow.id)
        .where(MemberRow.site_id == by.site_id)
        .order_by(MemberRow.disabled_us.is_not(None), func.lower(MemberRow.name), MemberRow.id)
    )
    if member_id is not None:
        statement = statement.where(MemberRow.id == member_id)
    return [
        Person(
            id=row.id,
            login=row.login,
            name=row.name,
            role=Role(row.role),
            language=row.language,
            email=row.email,
            created_us=row.created_us,
            closed_us=row.disabled_us,
            password_until_us=row.password_until_us,
            ran_out=row.password_until_us is not None and row.password_until_us <= now,
            sessions=0 if row.disabled_us else count,
            used_us=used_us,
            own=row.id == by.id,
        )
        for row, count, used_us in session.execute(statement)
    ]


def _other(session: Session, by: Member, member_id: MemberId) -> Person:
    """An open account of the site that is not one's own, in a transaction in which `by` administers still."""
    person = get_member(session, by, member_id)
    _administering(session, by)
    if person.own:
        raise ConflictError("This is your own account. Another administrator of the site can change it.")
    if person.closed_us is not None:
        raise ConflictError("This account is closed, and stays so. Open a new one if the person is back.")
    return person


def _administering(session: Session, by: Member) -> None:
    """The administrators of the site, locked until the transaction ends; RefusedError if `by` is none any more."""
    _require(session, by)
    rows = session.scalars(
        select(MemberRow.id)
        .where(
            MemberRow.site_id == by.site_id,
            MemberRow.role == Role.SITE_ADMINISTRATOR,
            MemberRow.disabled_us.is_(None),
        )
        .order_by(MemberRow.id)
        .with_for_update()
    ).all()
    if by.id not in rows:
        refusal = Refusal(by, Action.MANAGE_MEMBERS, by.site_id, "no longer an administrator")
        raise RefusedError("You no longer administer this site.", refusal=refusal)


def _require(session: Session, by: Member) -> None:
    policy.require(session, by, Action.MANAGE_MEMBERS, AtSite(by.site_id), Entity("site", by.site_id))


def _record(
    session: Session, by: Member, person: Person, detail: dict[str, str], personal: dict[str, str] | None = None
) -> None:
    audit.record(
        session,
        site_id=by.site_id,
        act=Act.MEMBER_CHANGED,
        subject=by,
        entities=[Entity("member", person.id)],
        detail=detail,
        personal=personal,
    )


def _language(value: str) -> str:
    return value if value in LANGUAGES else LANGUAGES[0]
