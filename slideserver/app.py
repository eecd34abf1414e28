"""The whole server as one ASGI application, put together from its parts.

Outermost first: security headers → limit on bodies → CSRF check → tiles → FastAPI (uploads, API, pages, files).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Scope

from slideserver import health, login, pages
from slideserver.api import (
    audit,
    cases,
    consultations,
    deposit,
    downloads,
    fhir,
    heartbeat,
    links,
    proof,
    session,
    slides,
    uploads,
    witnesses,
)
from slideserver.api.senders import by_session
from slideserver.assets import StaticFiles
from slideserver.errors import CROSS_ORIGIN, Answers
from slideserver.middleware import BodyLimit, Csrf, SecurityHeaders
from slideserver.pages import words
from slideserver.settings import Settings
from slideserver.state import State, open_state, running
from slideserver.tiles import TileRoute

# Forms and API requests; slides come by another door.
MAX_BODY_BYTES = 1 << 20

Beside = Callable[[State], AbstractContextManager[None]]


def create_app(settings: Settings) -> ASGIApp:
    """The application for these settings. Its database must exist and be up to date (`iain migrate`)."""
    return assemble(open_state(settings, words.install))


def assemble(state: State, beside: Beside = running) -> ASGIApp:
    """The application over these parts. `beside` is what runs as long as it does: all of the server's threads, where
    no other process has them."""
    settings = state.settings
    answers = Answers(state)

    def refuse(scope: Scope, status: int, sentence: str | None = None) -> ASGIApp:
        headers = {"Allow": "GET, HEAD"} if status == 405 else {"Retry-After": "1"} if status == 503 else None
        return answers.answer(HTTPConnection(scope), status, sentence=sentence, headers=headers)

    def refuse_foreign(scope: Scope, status: int, sentence: str | None = None) -> ASGIApp:
        return answers.answer(HTTPConnection(scope), status, sentence=sentence or CROSS_ORIGIN)

    framework = create_framework(state, answers, beside)
    tiles = TileRoute(
        framework,
        state.access,
        state.sources,
        state.shown,
        refuse,
        cutters=settings.workers,
        base_url=settings.base_url.rstrip("/"),
    )
    csrf = Csrf(tiles, base_url=settings.base_url, refuse=refuse_foreign)
    limited = BodyLimit(csrf, max_bytes=MAX_BODY_BYTES, refuse=refuse)
    return SecurityHeaders(limited, secure=settings.secure_cookies)


def create_framework(state: State, answers: Answers, beside: Beside = running) -> FastAPI:
    """The part of the server that is a FastAPI application: everything but tiles."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with beside(state):
            yield
        state.close()

    app = FastAPI(
        title="IAIN",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.iain = state
    answers.install(app)
    members = by_session(state.database, state.cookie)
    app.router.routes.extend(witnesses.routes(state.database, state.signer))
    app.router.routes.extend(heartbeat.routes(state.database, state.uploads.authenticate))
    app.router.routes.extend(uploads.routes(state.uploads, members=members, languages=state.catalogues))
    for part in (
        health,
        login,
        session,
        cases,
        slides,
        downloads,
        deposit,
        consultations,
        links,
        audit,
        proof,
        fhir,
        pages,
    ):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(state.assets.directory), name="static")
    return app
