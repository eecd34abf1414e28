"""The way of a tile: who asks, may they, is it in memory, send it. Everything else a request could need is elsewhere.

It stands ahead of the framework (ADR 0007) and does on a hit only what it must: one pattern, one look-up of a decision,
one look-up in the tile index, one read that cannot wait. What can wait runs in threads of its own, so that no page
delays a tile and no cold disk delays the loop.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from slideserver.access import Access, Look, Verdict
from slideserver.auth.cookies import Credentials
from slideserver.guests import ENDS
from slideserver.middleware import TILES, Refuse
from slideserver.sources import Sources
from tiler.errors import TileNotFoundError, TilerError

PATH = re.compile(
    r"/tiles/([a-z2-7]{26})/([0-9a-f]{16})/(?:([0-9]{1,2})/([0-9]{1,7})_([0-9]{1,7})|(thumbnail|label|macro))"
)
# The macro shows the label too, on most scanners.
LOOKS = {None: Look.TILE, "thumbnail": Look.THUMBNAIL, "label": Look.LABEL, "macro": Look.LABEL}
# Readers wait for a disk, or for a cutter that has a process of its own.
THREADS = 16
P = TypeVarTuple("P")
R = TypeVar("R")


# Whether the reader belongs to the slide's own site → what the browser may do with a picture. It may keep its own
# site's, and asks each time whether it still may show it; of another site's it keeps nothing.
CACHE = {True: b"private, no-cache", False: b"no-store"}


@dataclass(frozen=True, slots=True)
class No:
    """A status to refuse with; `sentence` (English) says more than the status does."""

    status: int
    sentence: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What to send; `body` is None for a picture the browser has already (304)."""

    etag: bytes
    own: bool
    body: bytes | None


def picture_headers(etag: bytes, length: int, *, own: bool) -> list[tuple[bytes, bytes]]:
    """Of a picture that is sent whole, to a reader of the slide's own site or of another."""
    return [
        (b"etag", etag),
        (b"cache-control", CACHE[own]),
        (b"vary", b"cookie"),
        (b"content-type", b"image/jpeg"),
        (b"content-length", b"%d" % length),
    ]


class TileRoute:
    """Answers GET and HEAD under /tiles/, hands everything else on. `refuse` makes the answer in words for a status."""

    def __init__(self, app: ASGIApp, access: Access, sources: Sources, shown: Credentials, refuse: Refuse) -> None:
        self._app = app
        self._access = access
        self._sources = sources
        self._shown = shown
        self._refuse = refuse
        self._limiter = CapacityLimiter(THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(TILES):
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope)
        if isinstance(answer, No):
            await self._refuse(scope, answer.status, answer.sentence)(scope, receive, send)
            return
        headers = picture_headers(answer.etag, len(answer.body or b""), own=answer.own)
        status = 200 if answer.body is not None else 304
        if status == 304:
            headers = headers[:3]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = answer.body if answer.body and scope["method"] == "GET" else b""
        await send({"type": "http.response.body", "body": body})

    async def _in_thread(self, call: Callable[[*P], R], *arguments: *P) -> R:
        return await to_thread.run_sync(call, *arguments, limiter=self._limiter)

    async def _answer(self, scope: Scope) -> No | Picture:
        match = PATH.fullmatch(scope["path"])
        if scope["method"] not in ("GET", "HEAD"):
            return No(405)
        if match is None:
            return No(404)
        credential = self._shown.find(scope["headers"])
        if credential is None:
            return No(401)
        slide_id, version, level, col, row, picture = match.groups()
        look = LOOKS[picture]
        if self._access.stale():
            return No(503)
        decision = self._access.decide(credential, slide_id, look) or await self._access.ask(credential, slide_id, look)
        if decision.verdict is Verdict.SIGNED_OUT:
            return No(401)
        if decision.end is not None:
            return No(410, ENDS[decision.end])
        slide = decision.slide
        if slide is None or slide.version != version:
            return No(404)
        try:
            opened = self._sources.find(slide)
            if opened is None:
                opened = await self._in_thread(self._sources.open, slide)
            known = (value for name, value in scope["headers"] if name == b"if-none-match")
            body: bytes | None
            if any(opened.etag in value for value in known):
                body = None
            elif picture is not None:
                body = await self._in_thread((opened.directory / f"{picture}.jpg").read_bytes)
            else:
                address = int(level), int(col), int(row)
                body = opened.source.resident(*address) or await self._in_thread(opened.source.get, *address)
        except (TileNotFoundError, FileNotFoundError):
            return No(404)
        except TilerError:
            self._sources.forget(slide)
            return No(503)
        # The right may have gone while we waited.
        return Picture(opened.etag, decision.own, body) if self._access.holds(decision) else No(503)
