"""A short cut for the plain tile request, taken inside uvicorn's HTTP protocol, before there is an ASGI request at all.

What it may answer is only what `tiles.TileRoute` would answer without waiting: one whole GET for a tile, whose decision
holds, whose slide is open, whose bytes are in memory. It asks the same objects and sends the same bytes; a test sends
both the same requests and compares. Everything else, and everything in doubt, goes the ordinary way on the same
connection. Nothing depends on it: without it the answers are the same, at a third of the speed.

Why it is fast: no task, no scope, no header list. A browser repeats what stands before and after the tile's address
word for word, so both are parsed, by uvicorn's own parser, once, and recognised afterwards together with what was
decided (`Hits._admissions`). And the tile is copied twice only, by the kernel: from the file's pages into one place
that every tile passes through, and from there into the socket.
"""

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slideserver.access import Access
from slideserver.admissions import Decision, Look
from slideserver.auth.cookies import Credentials
from slideserver.csp import PICTURE_POLICY, security_headers
from slideserver.sources import OpenSlide, Sources
from slideserver.tiles import picture_headers
from tiler.errors import TilerError

# A plain request is one of these, an address, the version, and a header block.
SLIDE = re.compile(rb"GET /tiles/([a-z2-7]{26})/([0-9a-f]{16})/")
ADDRESS = re.compile(rb"([0-9]{1,2})/([0-9]{1,7})_([0-9]{1,7})")
VERSION = b" HTTP/1.1\r\n"
ADDRESS_AT = len("GET /tiles//") + 26 + len("/") + 16
ADDRESS_BYTES = len("12/1234567_1234567 ")
# Request headers that change the answer, or where the request ends; all others mean nothing to a tile.
MEANINGFUL = frozenset({b"if-none-match", b"expect", b"content-length", b"transfer-encoding", b"upgrade"})
# Browsers send 500 to 1,000 bytes of headers; there will be fewer readers at once than this, each with a few slides.
MAX_HEAD_BYTES = 2048
MAX_HEADS = 4096
MAX_ADMISSIONS = 4 * MAX_HEADS
# Larger than any stored tile a viewer would want; one that is larger still goes the ordinary way.
ROOM_BYTES = 1 << 20

Headers = list[tuple[bytes, bytes]]
Answer = tuple[bytes, bytes, bytes | memoryview]


def tile_protocol(access: Access, sources: Sources, shown: Credentials, *, secure: bool) -> type[HttpToolsProtocol]:
    """The protocol class to give to uvicorn for an application whose tiles come from these objects."""

    class BoundTileProtocol(TileProtocol):
        hits = Hits(access, sources, shown, secure=secure)

    return BoundTileProtocol


@dataclass(frozen=True, slots=True)
class Admission:
    """What was decided about one header block before one slide, and what stands around the length of a tile then:
    `before` on each level."""

    decision: Decision
    opened: OpenSlide
    before: tuple[bytes, ...]
    after: bytes


class Hits:
    """Whole answers to plain tile requests, as long as nothing has to be waited for."""

    def __init__(self, access: Access, sources: Sources, shown: Credentials, *, secure: bool) -> None:
        self._access = access
        self._sources = sources
        self._shown = shown
        self._security = security_headers(secure=secure, policy=PICTURE_POLICY)
        # Header block → credential, "" for a block that must go the ordinary way.
        self._credentials: dict[bytes, str] = {}
        # What stands before the address of a tile, and after it.
        self._admissions: dict[tuple[bytes, bytes], Admission] = {}
        # uvicorn's headers, of which it makes a new list every second, and what an answer so begins with.
        self._default_headers: Headers = []
        self._start = b""
        self._closed = 0
        self._room = memoryview(bytearray(ROOM_BYTES))

    def answer(self, data: bytes, default_headers: Headers) -> Answer | None:
        """Status line and headers, then the tile in two parts, all to be sent before the next call; None when `data`
        is not one plain request or anything is not at hand."""
        end = data.find(b" ", ADDRESS_AT, ADDRESS_AT + ADDRESS_BYTES)
        key = data[:ADDRESS_AT], data[end:]
        if self._closed != self._sources.closed:  # an admission must not keep a slide open
            self._closed = self._sources.closed
            self._admissions.clear()
        admission = self._admissions.get(key)
        if admission is None or not self._access.holds(admission.decision):
            admission = self._admit(key)
            if admission is None:
                return None
        address = ADDRESS.fullmatch(data, ADDRESS_AT, end)
        if address is None:
            return None
        level, col, row = map(int, address.groups())
        try:
            tile = admission.opened.source.resident_in(self._room, level, col, row)
        except TilerError:
            return None
        if tile is None:
            return None
        header, body = tile
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._start = STATUS_LINE[200] + _lines(default_headers)
        length = len(header) + len(body)
        return b"%b%b%d%b" % (self._start, admission.before[level], length, admission.after), header, body

    def _admit(self, key: tuple[bytes, bytes]) -> Admission | None:
        """What may be done for requests like this one, if all there is to know is in memory."""
        match = SLIDE.fullmatch(key[0])
        if match is None or not key[1].startswith(VERSION):
            return None
        credential = self._recognise(key[1].removeprefix(VERSION))
        if not credential:
            return None
        slide_id, version = match.groups()
        decision = self._access.decide(credential, slide_id.decode(), Look.TILE)
        if decision is None or decision.slide is None or decision.slide.version != version.decode():
            return None
        opened = self._sources.find(decision.slide)
        if opened is None:
            return None
        types = [level.media_type.encode() for level in opened.source.index.levels]
        before, after = {}, b""
        for media_type in set(types):
            told = picture_headers(opened.etag, 0, own=decision.own, media_type=media_type)
            first, name, after = _lines([*told, *self._security]).partition(b"content-length: ")
            before[media_type] = first + name
        if len(self._admissions) >= MAX_ADMISSIONS:
            self._admissions.clear()
        after = after.removeprefix(b"0") + b"\r\n"
        admission = self._admissions[key] = Admission(decision, opened, tuple(before[one] for one in types), after)
        return admission

    def _recognise(self, head: bytes) -> str:
        """The credential of a header block, "" if there is none or the block is not plain."""
        credential = self._credentials.get(head)
        if credential is not None:
            return credential
        if len(head) > MAX_HEAD_BYTES:
            return ""
        if len(self._credentials) >= MAX_HEADS:
            self._credentials.clear()
        headers = _plain_headers(head)
        credential = self._shown.find(headers) if headers is not None else None
        return self._credentials.setdefault(head, credential or "")


class TileProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which first looks whether what came is a hit."""

    hits: ClassVar[Hits]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whatever uvicorn itself would do to an answer, or instead of it, it shall do.
        self._usable = not (self.config.access_log or self.root_path or self.limit_concurrency is not None)
        self._between_messages = True
        self._answered_at = 0.0
        self._socket = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and self.scheme == "http":
            self._socket = connection.fileno()

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
                self._send(answer)
                self.server_state.total_requests += 1
                self._answered_at = self.loop.time()
                if self.timeout_keep_alive_task is None:
                    self._wait_for_more(self.timeout_keep_alive)
                return
        super().data_received(data)

    def _send(self, answer: Answer) -> None:
        """Straight into the socket, if nothing waits to be sent before it; what finds no room there is the transport's,
        and so is any error."""
        sent = 0
        if self._socket >= 0 and self.transport.get_write_buffer_size() == 0:
            with suppress(OSError):
                sent = os.writev(self._socket, answer)
        if sent < len(answer[0]) + len(answer[1]) + len(answer[2]):
            self.transport.write(b"".join(answer)[sent:])

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


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


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
