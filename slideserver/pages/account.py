"""One's own account: where one is signed in, and a password of one's own choice."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sharing import sessions
from sharing.db.engine import Session
from sharing.deeds import just_done
from sharing.subjects import Member
from sharing.vocabulary import Act, Entity
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, signed_in
from slideserver.login import Attempt, change_password
from slideserver.pages.words import N_
from slideserver.state import State

router = APIRouter(dependencies=[signed_in])

DONE = {
    "password": N_("Your password is changed, and you are signed out everywhere else."),
    "sessions": N_("You are signed out everywhere else."),
}


@router.get("/account")
def account(
    request: Request, state: StateDep, session: SessionDep, member: MemberDep, page: PageDep, done: str = ""
) -> HTMLResponse:
    found = _sessions(request, state, session, member)
    is_done = {
        "sessions": len(found) == 1,
        "password": done == "password"
        and just_done(session, member, {Act.MEMBER_CHANGED}, Entity("member", member.id), {"changed": "password"}),
    }
    return page("account.html", sessions=found, done=DONE[done] if is_done.get(done) else None, failed=None)


@router.post("/account/password")
async def password(
    request: Request,
    state: StateDep,
    member: MemberDep,
    page: PageDep,
    language: LanguageDep,
    password: Annotated[str, Form()] = "",
    new_password: Annotated[str, Form()] = "",
    again: Annotated[str, Form()] = "",
) -> Response:
    attempt = Attempt(
        login=member.login,
        password=password,
        address=request.client.host if request.client else None,
        old_token=state.cookie.find(request.scope["headers"]),
        chosen=(new_password, again),
    )
    problem = await to_thread.run_sync(change_password, state, member, attempt, limiter=state.logins)
    if problem is None:
        return RedirectResponse("/account?done=password", 303)
    with state.database.reading() as session:
        found = _sessions(request, state, session, member)
    failed = state.catalogues[language].gettext(problem)
    return page("account.html", status=422, sessions=found, done=None, failed=failed)


@router.post("/account/sessions")
def end_others(request: Request, state: StateDep, session: SessionDep, member: MemberDep) -> Response:
    """End every session of the account but this one."""
    sessions.end(session, member.id, by=member, keep=state.cookie.find(request.scope["headers"]) or "")
    return RedirectResponse("/account?done=sessions", 303)


def _sessions(request: Request, state: State, session: Session, member: Member) -> list[sessions.Open]:
    return sessions.list_own(session, member, state.cookie.find(request.scope["headers"]) or "")
