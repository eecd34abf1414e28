"""Signing in and out: what is checked, in which order, what is put on record, and the two addresses for it.

The page that asks for the password is one of `slideserver.pages`.
"""

from dataclasses import dataclass
from typing import Annotated

from anyio import current_time, sleep_until, to_thread
from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from sharing import audit, members, sessions, sites
from sharing.errors import ConflictError
from sharing.sites import Account
from sharing.subjects import Member, Stranger
from sharing.vocabulary import Act, Entity, Outcome
from slideserver.auth import passwords
from slideserver.auth.passwords import N_
from slideserver.auth.throttle import source_of
from slideserver.deps import StateDep
from slideserver.rendering import reader_of
from slideserver.state import State

MAX_LOGIN_LENGTH = 100
WRONG = N_("This login and password do not go together. Check both and try again.")
THROTTLED = N_("There were too many tries. Wait %(minutes)s min, then try again; from another place you can try now.")

OVER = N_("This first password has run out. Ask your administrator for a new one.")
WAIT = N_("There were too many tries. Wait a quarter of an hour, then try again.")
NOT_REPEATED = N_("The two new passwords are not the same. Type both again.")
NOT_NEW = N_("The new password is the one you have. Take another.")
WRONG_CURRENT = N_("This is not your present password. Check it and try again.")

# "cookies" is left out: it would take the language and the theme too.
CLEAR_SITE_DATA = '"cache", "storage"'

# A failure is told this long after the try arrived, so that its time says nothing about what was looked up or written.
FAILURE_TAKES_S = 0.4

router = APIRouter(include_in_schema=False)


@router.post("/login")
async def login(
    request: Request,
    state: StateDep,
    login: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
    new_password: Annotated[str | None, Form()] = None,
    again: Annotated[str, Form()] = "",
) -> Response:
    """303 to where the visitor wanted to go, with a new session; or the form again, with what is wrong. Whoever comes
    with a password that an administrator gave chooses one first: until then there is no session."""
    arrived_at = current_time()
    attempt = Attempt(
        login=login,
        password=password,
        address=request.client.host if request.client else None,
        old_token=state.cookie.find(request.scope["headers"]),
        chosen=None if new_password is None else (new_password, again),
    )
    outcome = await to_thread.run_sync(sign_in, state, attempt, limiter=state.logins)
    target = local_path(next)
    if isinstance(outcome, SignedIn):
        response: Response = RedirectResponse(target, 303)
        state.cookie.write(response, outcome.token)
        return response
    reader = reader_of(request)
    gettext = state.catalogues[reader.language].gettext
    if isinstance(outcome, ToChoose):
        problem = gettext(outcome.problem) if outcome.problem else None
        status = 422 if problem else 200
        return state.renderer.page(
            reader, "first_password.html", status=status, failed=problem, login=login, next=target
        )
    await sleep_until(arrived_at + FAILURE_TAKES_S)
    minutes = -(-outcome.wait_s // 60)
    failed = gettext(THROTTLED) % {"minutes": minutes} if minutes else gettext(outcome.why)
    page = state.renderer.page(
        reader, "login.html", status=429 if minutes else 401, failed=failed, login=login, next=target
    )
    if minutes:
        page.headers["Retry-After"] = str(outcome.wait_s)
    return page


@router.post("/logout")
async def logout(request: Request, state: StateDep) -> Response:
    """Ends the session, here and on the server, and has the browser forget what it kept of it."""
    token = state.cookie.find(request.scope["headers"])
    if token is not None:
        address = request.client.host if request.client else None
        async with state.writers:
            await to_thread.run_sync(sign_out, state, token, address)
    response = RedirectResponse("/login", 303, {"Clear-Site-Data": CLEAR_SITE_DATA})
    state.cookie.clear(response)
    return response


def local_path(address: str) -> str:
    """`address` if it is a path of this site, else "/": signing in sends nobody elsewhere (OWASP ASVS 5.0 3.7.2)."""
    local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if local and len(address) <= 2000 else "/"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody shows to be let in. `chosen`: a new password, twice, from whoever was given the old one."""

    login: str
    password: str
    address: str | None
    old_token: str | None
    """Of the session that the browser held before."""
    chosen: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    token: str


@dataclass(frozen=True, slots=True)
class ToChoose:
    """The password is right, and it is for its owner to replace it first; `problem` (a message id): of the choice."""

    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """`wait_s`: seconds until the next try is worth making; 0: at once. `why` is a message id."""

    wait_s: int = 0
    why: str = WRONG


def sign_in(state: State, attempt: Attempt) -> SignedIn | ToChoose | Refused:
    """A new session for the right password. The one the browser held before, if any, ends.

    Takes tens of milliseconds of a core, as long for a login nobody has as for a wrong password: call it in a thread
    under `state.logins`.
    """
    login = attempt.login.strip().lower()[:MAX_LOGIN_LENGTH]
    source = source_of(attempt.address)
    wait_s = state.throttle.admit(login, source)
    if wait_s:
        audit.count_stranger(state.database, "sign-in throttled")
        return Refused(wait_s)
    with state.database.reading() as session:
        account = sites.member_by_login(session, login)
        now_us = session.now_us
    right = state.passwords.verify(account.password_hash if account else None, attempt.password)
    if account is None:
        audit.count_stranger(state.database, "unknown login")
        return Refused()
    personal = {"login": login, "source": source}
    if not right:
        with state.database.writing() as session:
            audit.record(
                session,
                site_id=account.member.site_id,
                act=Act.SESSION_OPENED,
                outcome=Outcome.FAILED,
                subject=Stranger(),
                entities=[Entity("member", account.member.id)],
                detail={"reason": "wrong-password"},
                personal=personal,
            )
        return Refused()
    chosen_hash = None
    if account.password_until_us is not None:
        if account.password_until_us <= now_us:
            return Refused(why=OVER)
        if attempt.chosen is None:
            return ToChoose()
        problem = problem_of(account.member, attempt.password, *attempt.chosen)
        if problem:
            return ToChoose(problem)
        chosen_hash = state.passwords.hash(attempt.chosen[0])
    try:
        token = _admit(state, account, attempt.old_token, chosen_hash, personal)
    except ConflictError:
        return Refused()
    state.throttle.succeeded(login, source)
    return SignedIn(token)


def _admit(
    state: State, account: Account, old_token: str | None, chosen_hash: str | None, personal: dict[str, str]
) -> str:
    with state.database.writing() as session:
        if chosen_hash is not None:
            members.choose_password(session, account.member, chosen_hash, instead_of=account.password_hash)
        else:
            sites.hold(session, account)
        if old_token is not None:
            sessions.revoke(session, old_token, personal=personal)
        return sessions.create(session, account.member, personal=personal)


def change_password(state: State, member: Member, attempt: Attempt) -> str | None:
    """Replace a member's password by the chosen one and end the other sessions; what is wrong, as a message id, or None
    when it is done.

    As slow and as limited as `sign_in`, since it too tells whether a password is right.
    """
    login, source = member.login, source_of(attempt.address)
    if state.throttle.admit(login, source):
        return WAIT
    with state.database.reading() as session:
        account = sites.member_by_login(session, login)
    if not state.passwords.verify(account.password_hash if account else None, attempt.password) or account is None:
        with state.database.writing() as session:
            members.note_wrong_password(session, member, personal={"source": source})
        return WRONG_CURRENT
    new, again = attempt.chosen or ("", "")
    problem = problem_of(member, attempt.password, new, again)
    if problem:
        return problem
    chosen_hash = state.passwords.hash(new)
    with state.database.writing() as session:
        members.choose_password(session, member, chosen_hash, instead_of=account.password_hash, keep=attempt.old_token)
    state.throttle.succeeded(login, source)
    return None


def problem_of(member: Member, old: str, new: str, again: str) -> str | None:
    """What is wrong with a new password, as a message id."""
    if new != again:
        return NOT_REPEATED
    if new == old:
        return NOT_NEW
    return passwords.weakness(new, (member.login, member.name, member.site_name))


def sign_out(state: State, token: str, address: str | None) -> None:
    """Ends the session everywhere: it bumps the access epoch, so within a second no server process gives it a tile."""
    with state.database.writing() as session:
        sessions.revoke(session, token, personal={"source": source_of(address)})
