"""What every request passes before anything else looks at it: security headers, the CSRF check, a limit on bodies.

Plain ASGI, a few microseconds each. They stand outside the framework, so that its own error answers pass them too.
"""

import logging
from typing import Protocol
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slideserver.csp import PICTURE_POLICY, security_headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TILES = "/tiles/"
STATIC = "/static/"
UPLOADS = "/api/uploads"
WITNESSES = "/api/witness"


class Refuse(Protocol):
    """The answer in words for a status; `sentence` (English) replaces the usual one."""

    def __call__(self, scope: Scope, status: int, sentence: str | None = None) -> ASGIApp: ...


log = logging.getLogger(__name__)


class SecurityHeaders:
    """Adds the security headers to every answer, and `no-store` to each that says nothing about caching.

    It is the outermost edge: what escapes everything below ends here as a plain 500, logged, never as a cut connection.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._page = security_headers(secure=secure)
        self._picture = security_headers(secure=secure, policy=PICTURE_POLICY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        extra = self._picture if scope["path"].startswith(TILES) else self._page
        started = ended = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = True
                headers = [*message["headers"], *extra]
                if not any(name == b"cache-control" for name, _ in message["headers"]):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            else:
                ended = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if ended:
                return  # the framework has answered and logged; that it raises too is for test clients
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await PlainTextResponse("Internal server error", 500)(scope, receive, send_with_headers)


class Csrf:
    """Refuses requests that change something unless they come from our own pages (OWASP ASVS 5.0 3.5.1).

    `Sec-Fetch-Site` decides where the browser sends it, else `Origin` against the address of the site. With neither the
    request is refused: every browser of the last years sends one of them with a form or a fetch. An upload that carries
    a scanner's key is let through, as no cookie is read beside a key, and so is one without a cookie to abuse. What a
    witness sends bears a signature of its own, and no cookie is read there.
    """

    def __init__(self, app: ASGIApp, *, base_url: str, refuse: Refuse) -> None:
        self._app = app
        self._origin = _origin(base_url)
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] not in SAFE_METHODS
            and not self._ours(scope)
            and not (_under(scope["path"], UPLOADS) and _without_cookie(scope))
            and not _under(scope["path"], WITNESSES)
        ):
            await self._refuse(scope, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _ours(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return bool(site in (b"same-origin", b"none"))
        origin = headers.get(b"origin")
        own = self._origin or f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}"
        return origin is not None and origin.decode("latin-1") == own


class BodyLimit:
    """Refuses a request body of more than `max_bytes` (413), announced or not. Uploads have limits of their own."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, refuse: Refuse) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _under(scope["path"], UPLOADS):
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._max_bytes:
            await self._refuse(scope, 413)(scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_within_limit, send)


def _without_cookie(scope: Scope) -> bool:
    """Whether who sends an upload is found out without a cookie (see `api.senders`)."""
    names = {name for name, _ in scope["headers"]}
    return b"authorization" in names or b"cookie" not in names


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def _origin(address: str) -> str:
    """Scheme, host and port of an address (RFC 6454), or the empty string."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
