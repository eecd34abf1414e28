"""The short cut against the ordinary way: the same requests to both, byte by byte the same answers.

Both protocols stand on the same application and read from a transport in memory, so that it is the test that decides
where a request is cut into pieces, when a reader is slow, and how time goes by.
"""

import asyncio
import io
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from fixtures.levels import EMPTY, mixed
from fixtures.server import SCAN
from fixtures.wire import ALLOWED, KEEP_ALIVE_S, Wire, dated, two_ways
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from sharing import consultations, exchange, link_lists, links, sessions
from sharing.vocabulary import Move
from slideserver import fastpath
from slideserver.fastpath import MAX_HEADS, Hits
from tiler import jpeg
from tiler.geometry import Size
from tiler.index import TileIndex
from tiler.storage.base import ByteSource

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class SteppedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


@pytest.fixture
def wire(settings, database, centres, indexed) -> Iterator[Wire]:
    with two_ways(SteppedLoop(), settings, database, centres, indexed) as wire:
        yield wire


def test_a_plain_request_for_a_tile_never_reaches_the_application(wire):
    short, ordinary = wire.open(wire.short), wire.open(wire.ordinary)
    for address in ("0/0_0", "0/3_2", "0/0_0"):
        for cookie, cache in ALLOWED.items():
            short.feed(wire.get(address, cookie=cookie))
            assert wire.calls == []
            ordinary.feed(wire.get(address, cookie=cookie))
            assert wire.calls.pop()
            answer = short.taken()
            assert answer.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert answer == ordinary.taken()
            assert re.findall(rb"cache-control: (.*?)\r\n", answer) == [cache], "own site may keep it, others not"


def test_empty_places_and_tiles_of_other_types_are_the_same_both_ways(settings, database, centres, indexed):
    index = TileIndex(mixed(TileIndex(indexed.index_bytes)))
    body = SCAN.read_bytes()[8 + 17 : 8 + 17 + 1017]
    expected = {
        "0/{}_{}".format(*EMPTY): (b"image/jpeg", jpeg.blank(Size(240, 240))),
        "1/2_3": (b"image/webp", body),
    }
    forged = replace(indexed, index_bytes=mixed(TileIndex(indexed.index_bytes)))
    with two_ways(SteppedLoop(), settings, database, centres, forged) as wire:
        assert index.version in wire.slide
        short, ordinary = wire.open(wire.short), wire.open(wire.ordinary)
        for address, (media_type, tile) in expected.items():
            short.feed(wire.get(address))
            assert wire.calls == []
            ordinary.feed(wire.get(address))
            answer = short.taken()
            assert answer == ordinary.taken()
            head, _, sent = answer.partition(b"\r\n\r\n")
            assert sent == tile
            assert re.findall(rb"content-type: (\S+)", head) == [media_type]
            assert re.findall(rb"content-length: (\d+)", head) == [b"%d" % len(tile)]
            wire.calls.clear()
        assert Image.open(io.BytesIO(jpeg.blank(Size(240, 240)))).convert("RGB").getextrema() == ((255, 255),) * 3


# A plain request is as a browser sends it; an odd one differs in one or two of its parts, or has more headers.
METHODS = st.sampled_from(["HEAD", "POST", "OPTIONS", "DELETE", "get", "G E T"])
VERSIONS = st.sampled_from(["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "ICY/1.1", ""])
PLAIN_ADDRESSES = st.sampled_from(["{slide}/0/0_0", "{slide}/0/3_2"])
ADDRESSES = st.sampled_from(
    [
        "{slide}/0/999_0",
        "{slide}/99/0_0",
        "{slide}/0/00_000",
        "{slide}/0/0_0?x=1",
        "{slide}/0/0_0#x",
        "{slide}/0/0_%30",
        "{slide}/0/0_0 ",
        "{slide}/0/0_0\x00",
        "{slide}/0/0_0/",
        "{slide}/00/12345678_0",
        "{slide}/thumbnail",
        "/{slide}/0/0_0",
        "http://iain{slide}/0/0_0",
        "/tiles/aaaaaaaaaaaaaaaaaaaaaaaaaa/0123456789abcdef/0/0_0",
        "/tiles/",
        "/healthz",
        "*",
        "",
    ]
)
HEADERS = st.sampled_from(
    [
        "Cookie: {neighbour}",
        "Cookie: {consultant}",
        "Cookie: {guest}",
        "Cookie: {both}",
        "Cookie: {guest}; {reader}",
        "Cookie: iain_guest=nobody",
        "Cookie: {reader}; iain_guest=nobody",
        "Cookie: {foreigner}",
        "cookie: theme=dark; {reader}",
        "Cookie: {reader}; {foreigner}",
        "Cookie: iain_session=nobody",
        "Cookie:",
        "Host: iain",
        "Host: elsewhere",
        "Accept: image/avif,image/webp,*/*",
        "Sec-Fetch-Site: cross-site",
        "Connection: keep-alive",
        "Connection: close",
        "Connection: Keep-Alive, close",
        "Connection: upgrade",
        "Upgrade: h2c",
        "Upgrade: websocket",
        "If-None-Match: {etag}",
        "if-none-match: *",
        'If-None-Match: "other"',
        "If-Modified-Since: Sat, 21 Nov 2026 22:13:20 GMT",
        "Range: bytes=0-99",
        "Expect: 100-continue",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: x",
        "Transfer-Encoding: chunked",
        "X-Long: " + "x" * 3000,
        "Name without colon",
        " folded",
        "Bad Name: x",
        "Null: \x00",
        "Latin: \xe9",
        ": nameless",
    ]
)
ENDS = st.sampled_from(["\n", "\r\n\r\n", "\r", ""])
BODIES = st.sampled_from([b"hello", b"5\r\nhello\r\n0\r\n\r\n"])


@st.composite
def requests(draw, wire: Wire) -> bytes:
    odd = draw(
        st.sets(st.sampled_from(["method", "address", "version", "usual", "headers", "end", "body"]), max_size=2)
    )
    line = [
        draw(METHODS) if "method" in odd else "GET",
        draw(ADDRESSES if "address" in odd else PLAIN_ADDRESSES),
        draw(VERSIONS) if "version" in odd else "HTTP/1.1",
    ]
    usual = [] if "usual" in odd else ["Host: iain", draw(st.sampled_from([f"Cookie: {{{name}}}" for name in ALLOWED]))]
    more = draw(st.lists(HEADERS, min_size=1, max_size=3)) if "headers" in odd else []
    text = "\r\n".join([" ".join(line), *usual, *more]) + "\r\n" + (draw(ENDS) if "end" in odd else "\r\n")
    names = {"slide": wire.slide, "etag": wire.etag, **wire.cookies}
    return text.format(**names).encode("latin-1") + (draw(BODIES) if "body" in odd else b"")


@st.composite
def conversations(draw, wire: Wire) -> list[tuple[bytes, bool]]:
    """Pieces of some requests, each with whether the application gets time before the next one comes."""
    sent = draw(st.lists(requests(wire), min_size=1, max_size=4))
    if draw(st.booleans()):
        return [(request, True) for request in sent]
    stream = b"".join(sent)
    cuts = sorted({0, len(stream), *draw(st.lists(st.integers(0, len(stream)), max_size=6))})
    return [(stream[start:end], draw(st.booleans())) for start, end in pairwise(cuts)]


def test_both_ways_say_the_same_to_whatever_is_sent(wire):
    taken = 0

    @settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(conversations(wire))
    def compare(conversation):
        nonlocal taken
        short, ordinary = wire.open(wire.short), wire.open(wire.ordinary)
        reached = []
        for connection in (short, ordinary):
            wire.calls.clear()
            for piece, settle in conversation:
                connection.feed(piece, settle=settle)
            connection.settle()
            reached.append(len(wire.calls))
        hits = reached[1] - reached[0]
        event(f"{hits} hits")
        taken += hits
        assert hits >= 0
        assert dated(short.taken()) == dated(ordinary.taken())
        assert short.transport.closed == ordinary.transport.closed

    compare()
    assert taken > 40, "the short cut was hardly taken, so the comparison says nothing"


def test_a_request_in_pieces_goes_the_ordinary_way_and_the_next_one_the_short_one(wire):
    connection = wire.open(wire.short)
    request = wire.get()
    connection.feed(request[:30])
    connection.feed(request[30:])
    assert len(wire.calls) == 1
    first = connection.taken()
    connection.feed(request)
    assert len(wire.calls) == 1
    assert connection.taken() == first


def test_two_requests_at_once_are_answered_in_order(wire):
    connection = wire.open(wire.short)
    connection.feed(wire.get("0/0_0") + wire.get("0/3_2"))
    together = connection.taken()
    connection.feed(wire.get("0/0_0"))
    connection.feed(wire.get("0/3_2"))
    assert connection.taken() == together


def test_a_hit_waits_for_the_answer_before_it(wire):
    connection = wire.open(wire.short)
    connection.feed(b"GET /healthz HTTP/1.1\r\nHost: iain\r\n\r\n", settle=False)
    connection.feed(wire.get())
    first, second = re.findall(rb"content-type: (\S+)\r\n", connection.taken())
    assert (first, second) == (b"application/json", b"image/jpeg")


def test_a_reader_who_does_not_read_gets_no_more_until_he_does(wire):
    connection = wire.open(wire.short)
    connection.protocol.pause_writing()
    connection.feed(wire.get(), settle=False)
    connection.loop.run_until_complete(asyncio.sleep(0))
    assert connection.taken() == b""
    connection.protocol.resume_writing()
    connection.settle()
    assert connection.taken().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_right_taken_away_is_gone_on_the_short_way_too(wire):
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    assert connection.taken().startswith(b"HTTP/1.1 200 OK\r\n")
    with wire.state.database.writing() as session:
        sessions.revoke(session, wire.cookies["reader"].partition("=")[2])
    wire.state.access.read_epoch()
    connection.feed(wire.get())
    assert connection.taken().startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(("cookie", "status"), [("guest", 410), ("consultant", 404)])
def test_a_right_across_the_border_is_gone_on_the_short_way_too(wire, centres, cookie, status):
    connection = wire.open(wire.short)
    connection.feed(wire.get(cookie=cookie))
    assert connection.taken().startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.calls == []
    asker = centres.caen.pathologist
    with wire.state.database.writing() as session:
        if cookie == "guest":
            [link] = link_lists.made(session, asker)
            links.revoke(session, asker, link.id)
        else:
            [asked] = exchange.inbox(session, asker).waiting
            consultations.move(session, asker, asked.id, Move.CANCEL)
    wire.state.access.read_epoch()
    connection.feed(wire.get(cookie=cookie))
    assert connection.taken().startswith(b"HTTP/1.1 %d " % status)


def test_nothing_is_served_from_memory_when_the_epoch_is_unknown(wire):
    wire.state.access._read_at = -math.inf
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    assert connection.taken().startswith(b"HTTP/1.1 503 ")


def test_an_idle_connection_is_closed_after_the_last_hit_not_after_the_first(wire):
    connection = wire.open(wire.short)

    def wait(seconds):
        wire.loop.ahead_s += seconds
        wire.loop.run_until_complete(asyncio.sleep(0))
        return connection.transport.closed

    connection.feed(wire.get())
    assert not wait(KEEP_ALIVE_S - 1)
    connection.feed(wire.get())
    assert not wait(KEEP_ALIVE_S - 1)
    connection.feed(wire.get(more="X: y\r\n"))
    assert not wait(KEEP_ALIVE_S - 1)
    assert wait(2)
    assert wire.calls == []


def test_a_slow_answer_keeps_its_connection_after_a_hit(wire):
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    connection.feed(b"POST /login HTTP/1.1\r\nHost: iain\r\nContent-Length: 5\r\n\r\n", settle=False)
    wire.loop.ahead_s += 2 * KEEP_ALIVE_S
    wire.loop.run_until_complete(asyncio.sleep(0))
    assert not connection.transport.closed
    connection.protocol.connection_lost(None)
    connection.settle()


def test_a_server_that_stops_closes_a_connection_that_had_only_hits(wire):
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    connection.protocol.shutdown()
    assert connection.transport.closed


def test_the_memory_for_header_blocks_is_bounded(wire, monkeypatch):
    monkeypatch.setattr(fastpath, "MAX_ADMISSIONS", 100)
    hits = Hits(wire.state.access, wire.state.sources, wire.state.shown, secure=False)
    assert hits.answer(wire.get(), [])
    for number in range(MAX_HEADS + 10):
        assert hits.answer(wire.get(more=f"X: {number}\r\n"), [])
    assert len(hits._credentials) <= MAX_HEADS
    assert len(hits._admissions) <= 100
    assert hits.answer(wire.get(more=f"X: {'x' * 3000}\r\n"), []) is None


def test_a_slide_that_is_closed_is_not_held_open_by_those_who_read_it(wire):
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    first = connection.taken()
    wire.state.sources.close()
    connection.feed(wire.get())
    assert wire.calls, "the ordinary way opens it again"
    wire.calls.clear()
    connection.feed(wire.get())
    assert connection.taken() == first + first
    assert wire.calls == []


def test_what_is_not_in_memory_goes_the_way_that_can_wait(wire):
    """As after `echo 1 > /proc/sys/vm/drop_caches`: the kernel has nothing, and says so instead of fetching it."""
    connection = wire.open(wire.short)
    connection.feed(wire.get())
    first = connection.taken()
    assert wire.calls == []
    [opened] = wire.state.sources._open.values()
    opened.source._blobs = {number: Cold(blob) for number, blob in opened.source._blobs.items()}
    connection.feed(wire.get())
    assert len(wire.calls) == 1
    assert connection.taken() == first


class Cold:
    """A blob of which nothing is in memory."""

    def __init__(self, blob: ByteSource) -> None:
        self._blob = blob
        self.length = blob.length

    def read_at(self, offset: int, length: int) -> bytes:
        return self._blob.read_at(offset, length)

    def resident_at(self, offset: int, length: int) -> None:
        return None

    def resident_into(self, room: memoryview, offset: int) -> bool:
        return False
