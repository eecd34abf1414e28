"""The only doors through which a page or an API route gets at the server: state, session, member, language, page.

The order of things in a request is pinned here: the session is committed *before* the answer leaves
(`scope="function"`), so that nobody ever holds a confirmation of something that was not stored.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from starlette.responses import HTMLResponse

from sharing import contradictions, exchange, links, policy, sessions, visits
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.errors import GoneError, Refusal
from sharing.subjects import Guest, Member
from sharing.visits import GuestSession
from sharing.vocabulary import Action, Entity
from slideserver.errors import SignInRequired
from slideserver.i18n import Language
from slideserver.middleware import SAFE_METHODS
from slideserver.rendering import language_of, reader_of
from slideserver.state import State

# Addresses that anybody may ask for. Every other route declares with `requires` what it is for; a test holds it.
PUBLIC = frozenset(
    {"/", "/login", "/logout", "/language", "/theme", "/healthz", "/readyz", "/api/openapi.json", "/static"}
    | {"/l/{link_id}", "/api/guest"}
)

# What an open page asks by itself, again and again: it shows nobody's presence, so it keeps no session alive.
POLLED = re.compile(r"/scanners/now|/api/(bell|guest|consultations/[a-z2-7]{26})")


def get_state(request: Request) -> State:
    state: State = request.app.state.iain
    return state


StateDep = Annotated[State, Depends(get_state)]


async def get_visitor(request: Request, state: StateDep) -> Member | None:
    """Whoever holds the session cookie, or None: for pages that anybody may see."""
    token = state.cookie.find(request.scope["headers"])
    member = None
    if token is not None:
        member, fresh, news = await run_in_threadpool(_resolve, state.database.reading(), token)
        if not fresh and not (request.method in SAFE_METHODS and POLLED.fullmatch(request.url.path)):
            # Being active keeps a session alive; that is written down once a minute at most.
            async with state.writers:
                member, _, news = await run_in_threadpool(_resolve, state.database.writing(), token)
        request.state.news = news
    request.state.visitor = member
    return member


VisitorDep = Annotated[Member | None, Depends(get_visitor)]


@dataclass(frozen=True, slots=True)
class News:
    """What the head of every page tells the signed-in member."""

    unread: int = 0
    """How many consultations have moved."""
    contradicted: bool = False
    """Whether a witness does not countersign a journal that the member answers for."""


def get_news(request: Request, _visitor: VisitorDep) -> News:
    return getattr(request.state, "news", News())


NewsDep = Annotated[News, Depends(get_news)]


async def get_session(request: Request, state: StateDep, visitor: VisitorDep) -> AsyncIterator[Session]:
    """One transaction for the request, committed when the endpoint returns, rolled back when it raises.

    It reads for GET and HEAD, and writes for everything else. (It begins when the visitor is known: finding out may
    need a writing transaction of its own, and there is one at a time.)
    """
    if request.method in SAFE_METHODS:
        async with state.readers, contextmanager_in_threadpool(state.database.reading()) as session:
            yield session
    else:
        async with _writing(state) as session:
            yield session


async def get_recording_session(state: StateDep, _visitor: VisitorDep) -> AsyncIterator[Session]:
    """A writing transaction, whatever the method: for reading what leaves a trace in the audit log."""
    async with _writing(state) as session:
        yield session


@asynccontextmanager
async def _writing(state: State) -> AsyncIterator[Session]:
    async with state.writers, contextmanager_in_threadpool(state.database.writing()) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]
RecordingSessionDep = Annotated[Session, Depends(get_recording_session, scope="function")]


def get_member(visitor: VisitorDep) -> Member:
    """The signed-in member. SignInRequired otherwise: a page then redirects to /login, the API answers 401."""
    if visitor is None:
        raise SignInRequired
    return visitor


MemberDep = Annotated[Member, Depends(get_member)]


async def get_guest_session(request: Request, state: StateDep) -> GuestSession | None:
    """The guest whose cookie the browser holds, also when the link is over; None when there is none."""
    token = state.guest_cookie.find(request.scope["headers"])
    return await run_in_threadpool(_guest, state, token) if token is not None else None


GuestSessionDep = Annotated[GuestSession | None, Depends(get_guest_session)]


def get_guest(found: GuestSessionDep) -> Guest | None:
    """The guest, as long as the link stands."""
    return found.guest if found is not None and found.state in links.ADMITTED else None


GuestDep = Annotated[Guest | None, Depends(get_guest)]


def get_readers(visitor: VisitorDep, found: GuestSessionDep) -> list[Member | Guest]:
    """Everybody the browser proves to be, the member first. SignInRequired if that is nobody; GoneError if it is only
    a guest whose link is over."""
    guest = get_guest(found)
    readers: list[Member | Guest] = [reader for reader in (visitor, guest) if reader is not None]
    if not readers:
        if found is not None:
            raise GoneError(links.ENDED[found.state], found.state, refusal=_over(found))
        raise SignInRequired
    return readers


ReadersDep = Annotated[list[Member | Guest], Depends(get_readers)]


def get_language(request: Request) -> Language:
    return language_of(request)


LanguageDep = Annotated[Language, Depends(get_language)]


class Page(Protocol):
    """`page("cases.html", cases=…)`: a template in the reader's language, with who reads it."""

    def __call__(self, template: str, *, status: int = 200, **context: object) -> HTMLResponse: ...


def get_page(request: Request, state: StateDep, visitor: VisitorDep, news: NewsDep) -> Page:
    reader = reader_of(request, visitor)

    def page(template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        return state.renderer.page(reader, template, status=status, **{"news": news, **context})

    return page


PageDep = Annotated[Page, Depends(get_page)]


class Requires:
    """Asks for a signed-in member of a role that may do such a thing at all, and says in the route table what the route
    is for. None: for every member."""

    def __init__(self, action: Action | None) -> None:
        self.action = action

    async def __call__(self, member: MemberDep) -> None:
        if self.action is not None:
            policy.require_of_role(member, self.action)


def requires(action: Action) -> Any:
    """Declares what a route is for: `@router.get("/cases", dependencies=[requires(Action.LIST_CASES)])`.

    Whether *this* case or slide may be seen is decided by the function of `sharing` that fetches it.
    """
    return Depends(Requires(action))


class RequiresReader(Requires):
    """Asks for such a member, or for a guest."""

    async def __call__(self, readers: ReadersDep) -> None:  # type: ignore[override]
        members = [reader for reader in readers if isinstance(reader, Member)]
        if self.action is not None and members == readers:
            policy.require_of_role(members[0], self.action)


# For what a guest may see as well as a member: the slides that a link shows.
by_link = Depends(RequiresReader(Action.VIEW_SLIDE))

# For what every member and every guest may ask about themselves.
any_reader = Depends(RequiresReader(None))

# For what every member may ask, such as who they are.
signed_in = Depends(Requires(None))


def _over(found: GuestSession) -> Refusal:
    guest = found.guest
    why, link = f"the link is over: {found.state}", Entity("link", guest.link_id)
    return Refusal(guest, Action.VIEW_SLIDE, guest.site_id, why, (link,))


def _guest(state: State, token: str) -> GuestSession | None:
    with state.database.reading() as session:
        return visits.guest(session, token)


def _resolve(transaction: AbstractContextManager[Session], token: str) -> tuple[Member | None, bool, News]:
    """Who it is; whether the session was used within the last minute (or is none); what waits for them."""
    with transaction as session:
        login = sessions.resolve(session, token)
        if login is None:
            return None, True, News()
        fresh = login.expires_us - session.now_us > sessions.IDLE_US - MINUTE_US
        reads_journal = Action.READ_AUDIT in policy.actions_of(login.member)
        contradicted = reads_journal and bool(contradictions.concerning(session, login.member.site_id))
        return login.member, fresh, News(exchange.unread(session, login.member), contradicted)
