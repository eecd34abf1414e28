"""The only doors through which a page or an API route gets at the server: state, session, member, language, page.

The order of things in a request is pinned here: the session is committed *before* the answer leaves
(`scope="function"`), so that nobody ever holds a confirmation of something that was not stored.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Protocol

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse

from sharing.subjects import Member
from sharing.vocabulary import Action
from slideserver import i18n
from slideserver.errors import SignInRequired
from slideserver.i18n import Language
from slideserver.state import State


def get_state(request: Request) -> State:
    state: State = request.app.state.iain
    return state


StateDep = Annotated[State, Depends(get_state)]


def get_session(state: StateDep) -> Iterator[Session]:
    """One transaction for the request: committed when the endpoint returns, rolled back when it raises."""
    with state.database.writing() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


def get_language(request: Request) -> Language:
    return i18n.choose_language(request.cookies.get(i18n.COOKIE), request.headers.get("accept-language"))


LanguageDep = Annotated[Language, Depends(get_language)]


def get_visitor(request: Request, state: StateDep) -> Member | None:
    """Whoever holds the session cookie, or None. For pages that anybody may see."""
    token = state.cookies.token(request.headers.get("cookie", ""))
    return state.members.resolve(token) if token else None


VisitorDep = Annotated[Member | None, Depends(get_visitor)]


def get_member(visitor: VisitorDep) -> Member:
    """The signed-in member. SignInRequired otherwise: a page then redirects to /login, the API answers 401."""
    if visitor is None:
        raise SignInRequired
    return visitor


MemberDep = Annotated[Member, Depends(get_member)]


class Render(Protocol):
    """`page("cases.html", status=200, cases=…)`: a template in the reader's language, with who reads it."""

    def __call__(self, template: str, *, status: int = 200, **context: object) -> HTMLResponse: ...


def get_page(request: Request, state: StateDep, language: LanguageDep, visitor: VisitorDep) -> Render:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")

    def page(template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        return state.renderer.page(template, language, visitor, path=path, status=status, **context)

    return page


PageDep = Annotated[Render, Depends(get_page)]


class Requires:
    """Declares what a route is for: `@router.get("/cases", dependencies=[requires(Action.LIST_CASES)])`.

    It asks for a signed-in member; whether *this* case or slide may be seen is asked by the function of `sharing` that
    fetches it. A test walks the route table and refuses a route that declares nothing and is not in PUBLIC.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, member: MemberDep) -> None:
        return None


def requires(action: Action) -> Callable[..., None]:
    depends: Callable[..., None] = Depends(Requires(action))
    return depends
