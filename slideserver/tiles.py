"""The way of a tile: who asks, may they, is it in memory, send it. Everything else a request could need is elsewhere.

It stands ahead of the framework (ADR 0007) and does on a hit only what it must: one pattern, one look-up of a decision,
one look-up in the tile index, one read that cannot wait. What can wait runs in threads of its own, so that no page
delays a tile and no cold disk delays the loop; and only as long as somebody waits for it.
"""

import hashlib
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from slideserver import addresses
from slideserver.access import Access
from slideserver.addresses import Headers, Wanted
from slideserver.admissions import Verdict
from slideserver.auth.cookies import Credentials
from slideserver.errands import Errands, GoneError, unless_gone
from slideserver.guests import ENDS
from slideserver.middleware import TILES, Refuse
from slideserver.sources import OpenSlide, Sources
from tiler.errors import NotTellableError, TileNotFoundError, TilerError

# Readers that wait for a disk.
THREADS = 16


# Whether the reader belongs to the slide's own site → what the browser may do with a picture. It may keep its own
# site's, and asks each time whether it still may show it; of another site's it keeps nothing.
CACHE = {True: b"private, no-cache", False: b"no-store"}


@dataclass(frozen=True, slots=True)
class No:
    """A status to refuse with; `sentence` (English) says more than the status does."""

    status: int
    sentence: str | None = None


@dataclass(frozen=True, slots=True)
class Yes:
    """What to send; `body` is None for what the browser has already (304), of any type."""

    etag: bytes
    own: bool
    body: bytes | None
    media_type: bytes
    more: Headers


def picture_headers(etag: bytes, length: int, *, own: bool, media_type: bytes) -> list[tuple[bytes, bytes]]:
    """Of what is sent whole, to a reader of the slide's own site or of another."""
    return [
        (b"etag", etag),
        (b"cache-control", CACHE[own]),
        (b"vary", b"cookie"),
        (b"content-type", media_type),
        (b"content-length", b"%d" % length),
    ]


class TileRoute:
    """Answers GET and HEAD under /tiles/, hands everything else on. `refuse` makes the answer in words for a status.
    `cutters` is how many tiles can be cut at once, `base_url` where the site is, if that was said."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        sources: Sources,
        shown: Credentials,
        refuse: Refuse,
        *,
        cutters: int,
        base_url: str,
    ) -> None:
        self._app = app
        self._access = access
        self._sources = sources
        self._shown = shown
        self._refuse = refuse
        self._base_url = base_url
        self._openers = CapacityLimiter(THREADS)
        self.reading = Errands(THREADS)
        self.cutting = Errands(cutters)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(TILES):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive)
        except GoneError:
            return
        if isinstance(answer, No):
            await self._refuse(scope, answer.status, answer.sentence)(scope, receive, send)
            return
        headers = picture_headers(answer.etag, len(answer.body or b""), own=answer.own, media_type=answer.media_type)
        status = 200 if answer.body is not None else 304
        if status == 304:
            headers = headers[:3]
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *answer.more]})
        body = answer.body if answer.body and scope["method"] == "GET" else b""
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> No | Yes:
        if scope["method"] not in ("GET", "HEAD"):
            return No(405)
        found = addresses.find(scope, self._base_url)
        if found is None:
            return No(404)
        credential = self._shown.find(scope["headers"])
        if credential is None:
            self._access.count_stranger()
            return No(401)
        slide_id, version, wanted = found
        if self._access.stale():
            return No(503)
        decision = self._access.decide(credential, slide_id, wanted.look)
        if decision is None:
            decision = await self._access.ask(credential, slide_id, wanted.look)
        if decision.verdict is Verdict.SIGNED_OUT:
            return No(401)
        if decision.end is not None:
            return No(410, ENDS[decision.end])
        slide = decision.slide
        if slide is None or slide.version != version:
            return No(404)
        known = [value for name, value in scope["headers"] if name == b"if-none-match"]
        try:
            opened = self._sources.find(slide)
            if opened is None:
                opened = await to_thread.run_sync(self._sources.open, slide, limiter=self._openers)
            etag, body = opened.etag, None
            if not (wanted.lasting and _has(known, etag)):
                body = wanted.at_hand(opened)
                if body is None:
                    body = await unless_gone(receive, self._fetched(scope["path"], wanted, opened))
                if not wanted.lasting:
                    etag = b'"%s-%s"' % (etag.strip(b'"'), hashlib.sha256(body).hexdigest()[:8].encode())
                    body = None if _has(known, etag) else body
        except NotTellableError as error:
            return No(404, error.sentence)
        except (TileNotFoundError, FileNotFoundError):
            return No(404)
        except HTTPException as error:  # of the body that came with the request
            return No(error.status_code)
        except TilerError:
            self._sources.forget(slide)
            return No(503)
        # The right may have gone while we waited.
        if not self._access.holds(decision):
            return No(503)
        media_type = b"" if body is None else wanted.media_type(opened)
        return Yes(etag, decision.own, body, media_type, wanted.headers)

    async def _fetched(self, path: str, wanted: Wanted, opened: OpenSlide) -> bytes:
        errands = self.cutting if wanted.cuts(opened) else self.reading
        # Whoever asks for the same address meanwhile has answered the same questions, and gets the same bytes.
        return await errands.run((opened.source, path), lambda: wanted.get(opened))


def _has(known: list[bytes], etag: bytes) -> bool:
    return any(etag in value for value in known)
