"""The one place that turns what went wrong into HTTP: exception → status, problem+json for programs, a page for people.

What is not allowed and what is not there look the same from outside (404); the audit log tells them apart.
Sentences are English message ids; both forms speak the language of the request.
"""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from jinja2 import TemplateNotFound
from markupsafe import escape
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sharing import audit, sessions
from sharing.errors import BusyError, ConflictError, GoneError, InvalidError, NotFoundError, RefusedError, SharingError
from sharing.subjects import Member
from slideserver.auth.throttle import source_of
from slideserver.guests import ENDS, LOST
from slideserver.middleware import SAFE_METHODS
from slideserver.rendering import language_of, page_of, reader_of
from slideserver.sentences import said
from slideserver.state import State

log = logging.getLogger(__name__)


class SignInRequired(Exception):
    """Sign in first. Pages redirect to /login, the API answers 401."""


# Status → title and sentence.
WORDS: Mapping[int, tuple[str, str]] = {
    400: ("This request cannot be understood", "Go back and try again; if it happens again, tell your lab manager."),
    401: ("Please sign in", "Your session has ended. Sign in again to go on where you were."),
    403: ("This is not open to your role", "Ask your lab manager if you need it."),
    404: ("Nothing here for you", "This does not exist, or it is not open to you. Check the address."),
    405: ("This cannot be done here", "The address exists, but not for this kind of request."),
    409: ("Somebody was faster", "What you wanted to change has changed meanwhile. Reload the page and look again."),
    410: ("This link is over", "Ask the person who sent it to you for a new one."),
    413: ("This is too much at once", "What was sent is larger than this page accepts."),
    416: ("There is no such part of this file", "Download the whole file again."),
    422: ("Something in the form is not right", "Check what was filled in and send it again."),
    429: ("Too many tries", "Wait a little, then try again."),
    500: ("Something broke on our side", "It is on record and will be looked at. Trying again may help."),
    503: ("Not possible right now", "The server is catching its breath. Try again in a moment."),
    507: ("The server is full", "There is no space left to store this. Tell the person who manages the server."),
}

CROSS_ORIGIN = (
    "This request did not come from a page of this site, so nothing was changed. Open the page anew and try again."
)

# Exception → status. Anything not named here is a 500.
STATUS: Mapping[type[Exception], int] = {
    NotFoundError: 404,
    GoneError: 410,
    RefusedError: 403,
    ConflictError: 409,
    InvalidError: 422,
    BusyError: 503,
}


def _cause(error: Exception) -> str:
    return type(getattr(error, "orig", None) or error).__name__


class Answers:
    """Error answers in words: problem+json (RFC 9457) under /api, a page elsewhere."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(
        self,
        connection: HTTPConnection,
        status: int,
        *,
        sentence: str | None = None,
        reference: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> Response:
        """`sentence` (English) replaces the usual one; `reference` finds it in the log; `extra`: for the API."""
        translate = self._state.catalogues[language_of(connection)].gettext
        title, usual = WORDS.get(status, WORDS[500 if status >= 500 else 400])
        title, sentence = translate(title), said(sentence or usual, translate)
        if connection.url.path.startswith(("/api/", "/tiles/")):
            problem = {"type": "about:blank", "title": title, "status": status, "detail": sentence}
            if reference:
                problem["reference"] = reference
            return JSONResponse({**problem, **extra}, status, headers, "application/problem+json")
        reader = reader_of(connection, connection.scope.get("state", {}).get("visitor"))
        try:
            page: Response = self._state.renderer.page(
                reader,
                "error.html",
                status=status,
                code=status,
                title=title,
                sentence=sentence,
                reference=reference,
                sent=connection.scope.get("method", "GET") not in SAFE_METHODS,
            )
        except (TemplateNotFound, KeyError):
            # The front end is not built: say it plainly rather than fail while failing.
            page = HTMLResponse(
                f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1>{escape(sentence)}", status
            )
        page.headers.update(headers or {})
        return page

    def install(self, app: FastAPI) -> None:
        """Makes `app` answer every exception of the tables above through this object."""
        for error in STATUS:
            app.add_exception_handler(error, self._known)
        app.add_exception_handler(SignInRequired, self._sign_in)
        app.add_exception_handler(HTTPException, self._http)
        app.add_exception_handler(RequestValidationError, self._validation)
        app.add_exception_handler(DataError, self._unstorable)
        app.add_exception_handler(Exception, self._unknown)

    async def _known(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, SharingError)  # noqa: S101 - how Starlette types its handlers
        if error.refusal is not None:
            personal = {"source": source_of(request.client.host if request.client else None)}
            async with self._state.writers:
                await run_in_threadpool(audit.record_refusal, self._state.database, error.refusal, personal=personal)
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        retry = {"Retry-After": "1"} if status == 503 else None
        sentence = str(error) if status in (409, 422) else None
        if isinstance(error, GoneError):
            sentence = ENDS[error.why]
        return self.answer(request, status, sentence=sentence, headers=retry)

    def _sign_in(self, request: Request, _: Exception) -> Response:
        audit.count_stranger(self._state.database, "not signed in")
        if request.url.path.startswith("/api/"):
            return self.answer(request, 401)
        if request.url.path.startswith("/g/"):
            return self.answer(request, 401, sentence=LOST)
        return RedirectResponse(f"/login?next={quote(page_of(request), safe='/')}", 303)

    def _http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - how Starlette types its handlers
        if not request.url.path.startswith("/api/") and not hasattr(request.state, "visitor"):
            # No route was found, so nobody has looked yet who asks; the page should still be theirs.
            request.state.visitor = self._visitor(request)
        sentence = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return self.answer(request, error.status_code, sentence=sentence, headers=error.headers)

    def _visitor(self, request: Request) -> Member | None:
        token = self._state.cookie.find(request.scope["headers"])
        if token is None:
            return None
        with self._state.database.reading() as session:
            login = sessions.resolve(session, token)
        return login.member if login else None

    def _validation(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - how Starlette types its handlers
        fields = [{"field": ".".join(map(str, item["loc"])), "problem": item["msg"]} for item in error.errors()[:20]]
        # An id that cannot exist in the address is an address that does not exist.
        in_path = any(item["loc"][:1] == ("path",) for item in error.errors())
        return self.answer(request, 404) if in_path else self.answer(request, 422, fields=fields)

    def _unstorable(self, request: Request, error: Exception) -> Response:
        # PostgreSQL takes no NUL in a text: an id with one is an address that does not exist. Whatever else it is, it
        # may be our fault; the statement, which may hold names, is not told.
        log.warning("%s %r holds what no database takes: %s", request.method, request.url.path, _cause(error))
        return self.answer(request, 404 if "\0" in request.url.path or "%00" in request.url.path else 422)

    def _unknown(self, request: Request, error: Exception) -> Response:
        reference = secrets.token_hex(4)
        log.error("%s %s failed [%s]", request.method, request.url.path, reference, exc_info=error)
        return self.answer(request, 500, reference=reference)
