"""What an agent says of itself, as the server reads it."""

import json
from contextlib import suppress
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.heartbeat import REPORT_MAX_BYTES, TROUBLES_MAX, Heartbeat, Pause, Trouble, parse_heartbeat
from ingest.protocol import ProtocolError

FULL = Heartbeat(
    version="1.2",
    system="Windows 10",
    queued=3,
    sending=1,
    sent=40,
    refused=2,
    queued_bytes=9_000_000_000,
    sent_bytes=12_000_000,
    bytes_per_s=800_000,
    free_bytes=5_000_000_000,
    skew_ms=-1500,
    last_name="Lame é.svs",
    last_us=1_790_000_000_000_000,
    pause=Pause.QUIET_HOURS,
    troubles=(Trouble("a.mrxs", "incomplete", "Data0003.dat", 1_790_000_000_000_000),),
)


@pytest.mark.parametrize("beat", [FULL, Heartbeat("1", "Linux")], ids=["full", "bare"])
def test_what_is_written_is_read(beat: Heartbeat) -> None:
    assert parse_heartbeat(beat.to_json()) == beat


@pytest.mark.parametrize(
    "change",
    [
        {"queued": -1},
        {"queued": "3"},
        {"queued": True},
        {"queued": 1.5},
        {"free_bytes": 1 << 61},
        {"version": 3},
        {"troubles": {}},
        {"troubles": ["a"]},
        {"troubles": [{"name": 1}]},
    ],
    ids=str,
)
def test_what_it_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        parse_heartbeat(json.dumps(asdict(FULL) | change))


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b"[" * 60_000, b" " * (REPORT_MAX_BYTES + 1)], ids=len)
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_heartbeat(text)


def test_what_cannot_be_shown_is_not_kept() -> None:
    beat = parse_heartbeat(json.dumps({"version": "1\x1b[2J\u202e", "system": "x" * 9000, "pause": "coffee"}))
    assert beat.version == "1�[2J�"
    assert len(beat.system) == 255
    assert beat.pause is None


def test_troubles_are_counted() -> None:
    many = [{"name": str(number), "code": "incomplete"} for number in range(TROUBLES_MAX + 9)]
    assert len(parse_heartbeat(json.dumps({"troubles": many})).troubles) == TROUBLES_MAX


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_comes_is_read_or_refused(text: bytes | str) -> None:
    with suppress(ProtocolError):
        parse_heartbeat(text)


def test_a_moment_behind_every_calendar_is_none():
    told = Heartbeat("1", "x", last_us=1 << 60, troubles=(Trouble("a", "b", since_us=253_402_300_800_000_000),))
    heard = parse_heartbeat(told.to_json())
    assert (heard.last_us, heard.troubles[0].since_us) == (None, 0)
