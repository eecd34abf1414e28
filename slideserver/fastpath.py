"""A short cut for the plain tile request, taken inside uvicorn's HTTP protocol, before there is an ASGI request at all.

What it may answer is only what `tiles.TileRoute` would answer without waiting: one whole GET for a tile, whose decision
holds, whose slide is open, whose bytes are in memory. It asks the same objects in the same order and sends the same
bytes; a test sends both the same requests and compares. Everything else, and everything in doubt, goes the ordinary
way on the same connection. Nothing depends on it: without it the answers are the same, at a third of the speed.

Why it is fast: no task, no scope, no header list. A browser repeats its headers word for word from tile to tile, so
they are parsed, by the same parser, once, and recognised afterwards (`Hits._credentials`).
"""

import re
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slideserver.access import Access, Look
from slideserver.auth.cookies import Credentials
from slideserver.csp import PICTURE_POLICY, security_headers
from slideserver.sources import Sources
from slideserver.tiles import picture_headers
from tiler.errors import TilerError

REQUEST = re.compile(rb"GET /tiles/([a-z2-7]{26})/([0-9a-f]{16})/([0-9]{1,2})/([0-9]{1,7})_([0-9]{1,7}) HTTP/1\.1\r\n")
# Request headers that change the answer, or where the request ends; all others mean nothing to a tile.
MEANINGFUL = frozenset({b"if-none-match", b"expect", b"content-length", b"transfer-encoding", b"upgrade"})
# Browsers send 500 to 1,000 bytes of headers; 4,096 readers at once are many more than there will be.
MAX_HEAD_BYTES = 2048
MAX_HEADS = 4096

Headers = list[tuple[bytes, bytes]]


def tile_protocol(access: Access, sources: Sources, shown: Credentials, *, secure: bool) -> type[HttpToolsProtocol]:
    """The protocol class to give to uvicorn for an application whose tiles come from these objects."""

    class BoundTileProtocol(TileProtocol):
        hits = Hits(access, sources, shown, secure=secure)

    return BoundTileProtocol


class Hits:
    """Whole answers to plain tile requests, as long as nothing has to be waited for."""

    def __init__(self, access: Access, sources: Sources, shown: Credentials, *, secure: bool) -> None:
        self._access = access
        self._sources = sources
        self._shown = shown
        self._security = security_headers(secure=secure, policy=PICTURE_POLICY)
        # Header block → credential, "" for a block that must go the ordinary way.
        self._credentials: dict[bytes, str] = {}
        # ETag, and whether the slide is the reader's own site's → what stands before and after the length, under
        # uvicorn's headers of this second.
        self._frames: dict[tuple[bytes, bool], tuple[bytes, bytes]] = {}
        self._default_headers: Headers = []

    def answer(self, data: bytes, default_headers: Headers) -> bytes | None:
        """Status line, headers and tile; None when `data` is not one plain request or anything is not at hand."""
        match = REQUEST.match(data)
        if match is None:
            return None
        head = data[match.end() :]
        credential = self._credentials.get(head)
        if credential is None:
            credential = self._recognise(head)
        if not credential:
            return None
        slide_id, version, level, col, row = match.groups()
        decision = self._access.decide(credential, slide_id.decode(), Look.TILE)
        if decision is None or decision.slide is None or decision.slide.version != version.decode():
            return None
        opened = self._sources.find(decision.slide)
        if opened is None:
            return None
        try:
            tile = opened.source.resident(int(level), int(col), int(row))
        except TilerError:
            return None
        if tile is None:
            return None
        before, after = self._frame(opened.etag, decision.own, default_headers)
        return b"%b%d%b%b" % (before, len(tile), after, tile)

    def _recognise(self, head: bytes) -> str:
        """The credential of a header block seen for the first time, "" if there is none or the block is not plain."""
        if len(head) > MAX_HEAD_BYTES:
            return ""
        if len(self._credentials) >= MAX_HEADS:
            self._credentials.clear()
        headers = _plain_headers(head)
        credential = self._shown.find(headers) if headers is not None else None
        return self._credentials.setdefault(head, credential or "")

    def _frame(self, etag: bytes, own: bool, default_headers: Headers) -> tuple[bytes, bytes]:
        # uvicorn makes a new list every second, with the new date.
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._frames.clear()
        frame = self._frames.get((etag, own))
        if frame is None:
            headers = [*default_headers, *picture_headers(etag, 0, own=own), *self._security]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            before, name, after = lines.partition(b"content-length: ")
            frame = self._frames[etag, own] = (STATUS_LINE[200] + before + name, after.removeprefix(b"0") + b"\r\n")
        return frame


class TileProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which first looks whether what came is a hit."""

    hits: ClassVar[Hits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whatever uvicorn itself would do to an answer, or instead of it, it shall do.
        self._usable = not (self.config.access_log or self.root_path or self.limit_concurrency is not None)
        self._between_messages = True
        self._answered_at = 0.0

    def data_received(self, data: bytes) -> None:
        if (
            self._usable
            and self._between_messages
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        ):
            answer = self.hits.answer(data, self.server_state.default_headers)
            if answer is not None:
                self.transport.write(answer)
                self.server_state.total_requests += 1
                self._answered_at = self.loop.time()
                if self.timeout_keep_alive_task is None:
                    self._wait_for_more(self.timeout_keep_alive)
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._between_messages = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between_messages = True
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Hits do not move the timer, which would cost as much as the index; it looks for them when it rings."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wait_for_more(left)
        else:
            super().timeout_keep_alive_handler()

    def _wait_for_more(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)


class _Message:
    """What uvicorn's own parser tells of a header block."""

    def __init__(self, head: bytes) -> None:
        self.headers: Headers = []
        self.begun = 0
        self.complete = 0
        self.keep_alive = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"GET / HTTP/1.1\r\n" + head)

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        # Only now: when the message is complete the parser has forgotten it.
        self.keep_alive = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self.complete += 1


def _plain_headers(head: bytes) -> Headers | None:
    """The headers of a block; None unless they end one request that has no body, expects nothing special and leaves
    the connection open."""
    try:
        message = _Message(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    whole = message.begun == message.complete == 1 and head.endswith(b"\r\n\r\n")
    if not whole or not message.keep_alive or any(name in MEANINGFUL for name, _ in message.headers):
        return None
    return message.headers
