"""Signing in and out: what is checked, in which order, what is put on record, and the two addresses for it.

The page that asks for the password is one of `slideserver.pages`.
"""

from dataclasses import dataclass
from typing import Annotated

from anyio import current_time, sleep_until, to_thread
from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from sharing import audit, sessions, sites
from sharing.subjects import Stranger
from sharing.vocabulary import Act, Entity, Outcome
from slideserver.auth.throttle import source_of
from slideserver.deps import StateDep
from slideserver.rendering import reader_of
from slideserver.state import State

MAX_LOGIN_LENGTH = 100
WRONG = "This login and password do not go together. Check both and try again."
THROTTLED = "There were too many tries. Wait %(minutes)s min, then try again; from another place you can try now."

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
) -> Response:
    """303 to where the visitor wanted to go, with a new session; or the form again, with what is wrong."""
    arrived_at = current_time()
    address = request.client.host if request.client else None
    old_token = state.cookie.find(request.scope["headers"])
    outcome = await to_thread.run_sync(sign_in, state, login, password, address, old_token, limiter=state.logins)
    target = local_path(next)
    if isinstance(outcome, SignedIn):
        response: Response = RedirectResponse(target, 303)
        state.cookie.write(response, outcome.token)
        return response
    await sleep_until(arrived_at + FAILURE_TAKES_S)
    reader = reader_of(request)
    gettext = state.catalogues[reader.language].gettext
    minutes = -(-outcome.wait_s // 60)
    failed = gettext(THROTTLED) % {"minutes": minutes} if minutes else gettext(WRONG)
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
class SignedIn:
    token: str


@dataclass(frozen=True, slots=True)
class Refused:
    """`wait_s`: seconds until the next try is worth making; 0: at once."""

    wait_s: int = 0


def sign_in(state: State, login: str, password: str, address: str | None, old_token: str | None) -> SignedIn | Refused:
    """A new session for the right password. The one the browser held before, if any, ends.

    Takes tens of milliseconds of a core, as long for a login nobody has as for a wrong password: call it in a thread
    under `state.logins`.
    """
    login = login.strip().lower()[:MAX_LOGIN_LENGTH]
    source = source_of(address)
    wait_s = state.throttle.admit(login, source)
    if wait_s:
        audit.count_stranger(state.database, "sign-in throttled")
        return Refused(wait_s)
    with state.database.reading() as session:
        account = sites.member_by_login(session, login)
    right = state.passwords.verify(account.password_hash if account else None, password)
    if account is None:
        audit.count_stranger(state.database, "unknown login")
        return Refused()
    personal = {"login": login, "source": source}
    with state.database.writing() as session:
        if not right:
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
        if old_token is not None:
            sessions.revoke(session, old_token, personal=personal)
        token = sessions.create(session, account.member, personal=personal)
    state.throttle.succeeded(login, source)
    return SignedIn(token)


def sign_out(state: State, token: str, address: str | None) -> None:
    """Ends the session everywhere: it bumps the access epoch, so within a second no server process gives it a tile."""
    with state.database.writing() as session:
        sessions.revoke(session, token, personal={"source": source_of(address)})
