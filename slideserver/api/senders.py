"""Who brings a slide: the program beside a scanner by its key, a person by the session of the browser.

A request that shows a key is judged by the key alone, and one that shows none by its cookie. Only cookies can be made
to travel by a page of somebody else, so it is these requests that `middleware.Csrf` lets through from our own pages
alone, before a byte of a body is asked for.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.requests import Request

from ingest.errors import SignedOutError
from sharing import audit, sessions
from sharing.clock import MINUTE_US
from sharing.db.engine import Database
from sharing.subjects import Agent, Member, Sender
from slideserver.auth.cookies import SessionCookie

Headers = Sequence[tuple[bytes, bytes]]
"""As they stand in an ASGI scope."""


class Members(Protocol):
    """Finds out whose browser this is. Blocks."""

    def __call__(self, headers: Headers) -> Member | None:
        """None when it shows no session. Raises SignedOutError when the session that it shows is over."""


def sender_of(request: Request, keys: Callable[[str], Agent], members: Members | None) -> Sender:
    """Raises what `keys` and `members` raise; to who shows nothing at all, what `keys` says to an empty key. Blocks."""
    shown = request.headers.get("Authorization")
    if shown is None and members is not None and (member := members(request.scope["headers"])):
        return member
    scheme, _, key = (shown or "").partition(" ")
    return keys(key if scheme.lower() == "bearer" else "")


def by_session(database: Database, cookie: SessionCookie) -> Members:
    """The members of a platform, by the cookie that signing in gave them; who shows one that is over is counted."""

    def member(headers: Headers) -> Member | None:
        token = cookie.find(headers)
        if token is None:
            return None
        with database.reading() as session:
            login = sessions.resolve(session, token)
            fresh = login is not None and login.expires_us - session.now_us > sessions.IDLE_US - MINUTE_US
        if login is not None and not fresh:
            # Who sends a slide is at work, however long it takes: the session lives on, as with every click.
            with database.writing() as session:
                login = sessions.resolve(session, token)
        if login is None:
            audit.count_stranger(database, "unknown session")
            raise SignedOutError
        return login.member

    return member
