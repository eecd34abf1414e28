"""What an agent says of itself every few seconds, so that a silent scanner is noticed before a pathologist misses it.

Only the standard library is known here, as in `ingest.protocol`. The server believes nothing of it beyond its shape: it
is shown to the technicians of the scanner's own site, as text.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from ingest.protocol import ProtocolError

HEARTBEAT_PATH = "/api/uploads/heartbeat"
EVERY_S = 15
SILENT_S = 60
"""After so long without a word a scanner counts as silent."""

TEXT_MAX_CHARS = 255
TROUBLES_MAX = 50
REPORT_MAX_BYTES = 64 * 1024
_COUNT_MAX = 1 << 60
_MOMENT_MAX_US = 253_402_000_000_000_000
"""The last days of the year 9999, behind which no calendar goes."""


class Pause(StrEnum):
    """Why an agent that has something to send does not send."""

    QUIET_HOURS = "quiet-hours"
    UNREACHABLE = "unreachable"
    KEY_REFUSED = "key-refused"
    DISK_FULL = "disk-full"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A slide, or a folder, that needs a person beside the scanner: what it is called, why (a code of the agent's
    messages, with a detail) and since when (µs since the epoch)."""

    name: str
    code: str
    detail: str = ""
    since_us: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """An agent and its queue, now. Counts are of slides; `sent` since midnight of the site; `refused` those that wait
    for a person. `bytes_per_s` over the last minute, `sent_bytes` since the last heartbeat, `free_bytes` of the fullest
    disk that it watches; `skew_ms`: by how much the workstation's clock is ahead of the server's."""

    version: str
    system: str
    queued: int = 0
    sending: int = 0
    sent: int = 0
    refused: int = 0
    queued_bytes: int = 0
    sent_bytes: int = 0
    bytes_per_s: int = 0
    free_bytes: int | None = None
    skew_ms: int | None = None
    last_name: str | None = None
    last_us: int | None = None
    pause: Pause | None = None
    troubles: tuple[Trouble, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))


def parse_heartbeat(text: bytes | str) -> Heartbeat:
    """Raises ProtocolError when it is not what `Heartbeat.to_json` writes, or longer than REPORT_MAX_BYTES."""
    if len(text) > REPORT_MAX_BYTES:
        raise ProtocolError("The heartbeat is too long. Does an older agent send something else?")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("The heartbeat is no JSON.") from error
    if not isinstance(found, dict):
        raise ProtocolError("The heartbeat is no JSON object.")
    troubles = found.get("troubles", [])
    if not isinstance(troubles, list) or not all(isinstance(each, dict) for each in troubles):
        raise ProtocolError("The heartbeat's troubles are no list of objects.")
    pause = _text(found, "pause")
    return Heartbeat(
        version=_text(found, "version") or "?",
        system=_text(found, "system") or "?",
        queued=_count(found, "queued") or 0,
        sending=_count(found, "sending") or 0,
        sent=_count(found, "sent") or 0,
        refused=_count(found, "refused") or 0,
        queued_bytes=_count(found, "queued_bytes") or 0,
        sent_bytes=_count(found, "sent_bytes") or 0,
        bytes_per_s=_count(found, "bytes_per_s") or 0,
        free_bytes=_count(found, "free_bytes"),
        skew_ms=_whole(found, "skew_ms"),
        last_name=_text(found, "last_name"),
        last_us=_moment(found, "last_us"),
        pause=Pause(pause) if pause in list(Pause) else None,
        troubles=tuple(
            Trouble(
                name=_text(each, "name") or "?",
                code=_text(each, "code") or "?",
                detail=_text(each, "detail") or "",
                since_us=_moment(each, "since_us") or 0,
            )
            for each in troubles[:TROUBLES_MAX]
        ),
    )


def _text(found: Mapping[str, object], key: str) -> str | None:
    value = found.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ProtocolError(f"The heartbeat's {key!r} is no text.")
    shown = "".join(each if unicodedata.category(each)[0] != "C" else "�" for each in value[:TEXT_MAX_CHARS])
    return shown or None


def _whole(found: Mapping[str, object], key: str) -> int | None:
    value = found.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _COUNT_MAX:
        raise ProtocolError(f"The heartbeat's {key!r} is no whole number.")
    return value


def _count(found: Mapping[str, object], key: str) -> int | None:
    value = _whole(found, key)
    if value is not None and value < 0:
        raise ProtocolError(f"The heartbeat's {key!r} is less than nothing.")
    return value


def _moment(found: Mapping[str, object], key: str) -> int | None:
    """None, too, for a moment that a workstation's clock gone mad has told."""
    value = _count(found, key)
    return value if value is not None and value <= _MOMENT_MAX_US else None
