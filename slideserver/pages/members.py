"""The accounts of a centre, for its administrator: who has one, what it may do, and its end. No patient's data here."""

from typing import Annotated
from zoneinfo import ZoneInfo

from anyio import to_thread
from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.members
from sharing.db.engine import Session
from sharing.deeds import just_done
from sharing.errors import ConflictError, InvalidError
from sharing.members import Person
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, Entity, MemberId, Role
from slideserver.auth import passwords
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.pages import moments
from slideserver.pages.journal import Translate, csv_of
from slideserver.pages.words import N_, ROLES
from slideserver.sentences import said
from slideserver.state import State

router = APIRouter(dependencies=[requires(Action.MANAGE_MEMBERS)])

DONE = {
    "role": N_("The role is changed. It holds from now on, on every page."),
    "profile": N_("The account is changed."),
    "sessions": N_("The person is signed out everywhere."),
    "close": N_("The account is closed. Whatever it had shared by a link is shared no more."),
}

BLANK = {"login": "", "name": "", "role": None, "language": "fr", "email": ""}


@router.get("/members")
def members(session: SessionDep, member: MemberDep, page: PageDep, done: str = "", who: str = "") -> HTMLResponse:
    people = sharing.members.list_members(session, member)
    person = next((person for person in people if person.id == who), None)
    return page(
        "members.html",
        open=[person for person in people if person.closed_us is None],
        closed=[person for person in people if person.closed_us is not None],
        done=DONE[done] if person and done in DONE and _is_done(session, member, done, person) else None,
        who=person,
    )


@router.get("/members.csv")
def export(state: StateDep, session: SessionDep, member: MemberDep, language: LanguageDep) -> Response:
    """Every account of the centre as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    people = sharing.members.list_members(session, member)
    name = f"iain-comptes-{member.site_id}-{moments.at(session.now_us, timezone).date()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(_csv(people, timezone, language, translate), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/members/new")
def form(page: PageDep) -> HTMLResponse:
    return page("member_new.html", given=BLANK, failed=None)


@router.post("/members")
async def add(
    state: StateDep,
    member: MemberDep,
    page: PageDep,
    language: LanguageDep,
    login: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    role: Annotated[Role | None, Form()] = None,
    mail_language: Annotated[str, Form()] = "fr",
    email: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """The account's page, with the first password, which is shown this once."""
    password, password_hash = await _first_password(state)
    try:
        if role is None:
            raise InvalidError("The role is empty. Choose one.")
        async with state.writers:
            person = await to_thread.run_sync(
                _add, state, member, login, name, role, password_hash, mail_language, email
            )
    except (ConflictError, InvalidError) as error:
        given = {"login": login, "name": name, "role": role, "language": mail_language, "email": email}
        failed = said(str(error), state.catalogues[language].gettext)
        return page("member_new.html", status=422, given=given, failed=failed)
    return page("member.html", person=person, password=password)


@router.get("/members/{member_id}")
def account(session: SessionDep, member: MemberDep, page: PageDep, member_id: str) -> HTMLResponse:
    return page("member.html", person=sharing.members.get_member(session, member, MemberId(member_id)), password=None)


@router.post("/members/{member_id}/role")
def change_role(session: SessionDep, member: MemberDep, member_id: str, role: Annotated[Role, Form()]) -> Response:
    sharing.members.change_role(session, member, MemberId(member_id), role)
    return _back("role", member_id)


@router.post("/members/{member_id}/profile")
def change_profile(
    session: SessionDep,
    member: MemberDep,
    member_id: str,
    name: Annotated[str, Form()] = "",
    mail_language: Annotated[str, Form()] = "fr",
    email: Annotated[str, Form()] = "",
) -> Response:
    sharing.members.change_profile(session, member, MemberId(member_id), name=name, language=mail_language, email=email)
    return _back("profile", member_id)


@router.post("/members/{member_id}/password")
async def give_password(state: StateDep, member: MemberDep, page: PageDep, member_id: str) -> HTMLResponse:
    """The account's page, with a password in place of a lost one, which is shown this once."""
    password, password_hash = await _first_password(state)
    async with state.writers:
        person = await to_thread.run_sync(_give_password, state, member, MemberId(member_id), password_hash)
    return page("member.html", person=person, password=password)


@router.post("/members/{member_id}/sessions")
def end_sessions(session: SessionDep, member: MemberDep, member_id: str) -> Response:
    sharing.members.end_sessions(session, member, MemberId(member_id))
    return _back("sessions", member_id)


@router.post("/members/{member_id}/close")
def close(session: SessionDep, member: MemberDep, member_id: str) -> Response:
    sharing.members.close(session, member, MemberId(member_id))
    return _back("close", member_id)


async def _first_password(state: State) -> tuple[str, str]:
    """A password and its hash: made before any transaction begins, as hashing is slow."""
    password = passwords.given()
    return password, await to_thread.run_sync(state.passwords.hash, password, limiter=state.logins)


def _add(
    state: State, by: Member, login: str, name: str, role: Role, password_hash: str, language: str, email: str
) -> Person:
    with state.database.writing() as session:
        member_id = sharing.members.add(
            session,
            by,
            login=login,
            name=name,
            role=role,
            password_hash=password_hash,
            language=language,
            email=email,
        )
        return sharing.members.get_member(session, by, member_id)


def _give_password(state: State, by: Member, member_id: MemberId, password_hash: str) -> Person:
    with state.database.writing() as session:
        sharing.members.give_password(session, by, member_id, password_hash)
        return sharing.members.get_member(session, by, member_id)


def _is_done(session: Session, by: Member, done: str, person: Person) -> bool:
    """Whether what the address says was done to the account was: anybody can write an address."""
    match done:
        case "sessions":
            return person.sessions == 0
        case "close":
            return person.closed_us is not None
        case "role":
            particulars = {"role": person.role.value}
        case _:
            particulars = {"changed": "profile"}
    return just_done(session, by, {Act.MEMBER_CHANGED}, Entity("member", person.id), particulars)


def _back(done: str, member_id: str) -> RedirectResponse:
    return RedirectResponse(f"/members?done={done}&who={member_id}", 303)


def _csv(people: list[Person], timezone: ZoneInfo, language: Language, translate: Translate) -> str:
    heads = (
        N_("Login"),
        N_("Name"),
        N_("Role"),
        N_("Mail address"),
        N_("Since"),
        N_("Closed"),
        N_("Last used"),
    )

    def moment(when_us: int | None) -> str:
        return "" if when_us is None else moments.at(when_us, timezone).isoformat(timespec="seconds")

    rows = (
        (
            person.login,
            person.name,
            translate(ROLES[person.role]),
            person.email or "",
            moment(person.created_us),
            moment(person.closed_us),
            moment(person.used_us),
        )
        for person in people
    )
    return "".join(csv_of([translate(head) for head in heads], rows, language))
