"""One server, spoken to with one scanner's key: each method is one request of `ingest.protocol`.

A method either returns, or raises TransientError (try again, ask for the offset first), KeyRefusedError or
RefusedError (trying again would not help). Nobody above this module sees httpx.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import httpx

from ingest.heartbeat import HEARTBEAT_PATH, Heartbeat
from ingest.manifest import Manifest, encode
from ingest.protocol import (
    KNOWN_PATH,
    MANIFEST_CONTENT_TYPE,
    OFFSET_CONTENT_TYPE,
    PROBLEM_HEADER,
    SETS_PATH,
    SLIDE_HEADER,
    SLIDES_PATH,
    TUS_VERSION,
    UPLOADS_PATH,
    Problem,
    ProtocolError,
    SlideStatus,
    UploadRequest,
    checksum_header,
    is_id,
    parse_count,
    parse_status,
)

SLICE_BYTES = 1024 * 1024
HEARTBEAT_WITHIN_S = 10
YEAR_9999_US = 253_370_764_800_000_000
# A server that rebuilds its running digest after a restart reads the whole part file before it answers.
TIMEOUT = httpx.Timeout(connect=10, read=120, write=60, pool=10)

_TRANSIENT_STATUS = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507})
_OUT_OF_STEP = frozenset({Problem.WRONG_OFFSET, Problem.PIECE_DAMAGED, Problem.BODY_STALLED})


class TransientError(Exception):
    """The server is away, busy, full, or out of step with us: ask for the offset and go on from there."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail
        super().__init__(detail or code)


class RefusedError(Exception):
    """The server will not take it, now or later."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(detail)


class KeyRefusedError(RefusedError):
    """The key is unknown or withdrawn."""

    def __init__(self, detail: str) -> None:
        super().__init__(Problem.KEY_REFUSED, detail)


class NotOurServerError(RefusedError):
    """Something answers at this address, but it is no slide server."""

    def __init__(self, detail: str) -> None:
        super().__init__("not-our-server", detail)


class UntrustedError(RefusedError):
    """The server's certificate does not prove who it is."""

    def __init__(self, detail: str) -> None:
        super().__init__("untrusted", detail)


class _FilesMissingError(RefusedError):
    """`names`: of the files of a slide that have not arrived."""

    def __init__(self, detail: str, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(Problem.FILES_MISSING, detail)


@dataclass(frozen=True, slots=True)
class Commitment:
    """The slide that several files have become, `known` when the site had it before; else the names of those that
    have to be sent first."""

    slide: str | None
    known: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What the server holds of an upload: bytes durably kept, and the slide once all of them are proved."""

    offset: int
    slide: str | None


class Client:
    """A server's upload routes. Use as a context manager, or call `close`."""

    def __init__(
        self,
        server: str,
        key: str,
        ca_file: Path | None = None,
        language: str = "en",
        slice_bytes: int = SLICE_BYTES,
        renewed_key: Callable[[], str] | None = None,
    ) -> None:
        """`language`: in which the server is to say why it refused a slide, as in Accept-Language. `slice_bytes`: how
        much of a piece is handed to the network at once. `renewed_key` is asked for the key to use from then on when
        the server refuses one. Raises OSError when `ca_file` holds no certificate."""
        context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
        self._slice_bytes, self._said_at, self._renewed_key = slice_bytes, "", renewed_key
        self._http = httpx.Client(
            base_url=server.rstrip("/"),
            headers={
                "Authorization": f"Bearer {key}",
                "Tus-Resumable": TUS_VERSION,
                "User-Agent": "iain-agent",
                "Accept-Language": language,
            },
            timeout=TIMEOUT,
            verify=context,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def said_at(self) -> datetime | None:
        """What time it was at the server at its last answer, to the second; None when it did not say."""
        try:
            return parsedate_to_datetime(self._said_at)
        except ValueError:
            return None

    def known(self, sha256: str) -> SlideStatus | None:
        """The slide that this scanner's site already has with these bytes, if any."""
        return self._status(KNOWN_PATH + sha256)

    def slide(self, slide_id: str) -> SlideStatus | None:
        return self._status(SLIDES_PATH + slide_id)

    def create(self, request: UploadRequest) -> str:
        """The id of the upload for this file; the same one while an upload of the same bytes is open."""
        response = self._request(
            "POST",
            UPLOADS_PATH,
            headers={"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()},
        )
        # Only the id is taken from Location: the key must never travel to another address than the configured one.
        upload_id: str = response.headers.get("Location", "").rpartition("/")[2]
        if response.status_code != 201 or not is_id(upload_id):
            raise NotOurServerError(f"unexpected answer {response.status_code} to an announcement")
        return upload_id

    def held(self, upload_id: str) -> Held:
        return self._held(self._request("HEAD", f"{UPLOADS_PATH}/{upload_id}"))

    def send(self, upload_id: str, offset: int, piece: bytes, digest: bytes, progress: Callable[[int], None]) -> Held:
        """Appends a piece; `progress` hears the size of every slice handed to the network."""
        response = self._request(
            "PATCH",
            f"{UPLOADS_PATH}/{upload_id}",
            headers={
                "Content-Type": OFFSET_CONTENT_TYPE,
                "Content-Length": str(len(piece)),
                "Upload-Offset": str(offset),
                "Upload-Checksum": checksum_header(digest),
            },
            content=self._slices(piece, progress),
        )
        return self._held(response)

    def commit(self, manifest: Manifest, request: UploadRequest) -> Commitment:
        """Asks that these files become one slide."""
        body = encode(manifest)
        headers = {
            "Content-Type": MANIFEST_CONTENT_TYPE,
            "Content-Length": str(len(body)),
            "Upload-Metadata": request.metadata(),
        }
        try:
            response = self._request("PUT", SETS_PATH + manifest.sha256, headers=headers, content=iter([body]))
        except _FilesMissingError as error:
            return Commitment(None, missing=error.names)
        slide = response.headers.get(SLIDE_HEADER, "")
        if not is_id(slide):
            raise NotOurServerError(f"unexpected answer {response.status_code} to a manifest")
        return Commitment(slide, known=response.status_code == 200)

    def beat(self, heartbeat: Heartbeat) -> int:
        """Tells the server how this workstation is; the server's time, in µs since the epoch. An answer that takes long
        is none: the next heartbeat is due."""
        body = heartbeat.to_json().encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        response = self._request("PUT", HEARTBEAT_PATH, headers, iter([body]), httpx.Timeout(HEARTBEAT_WITHIN_S))
        try:
            now_us = response.json()["now_us"]
        except (ValueError, KeyError, TypeError) as error:
            raise NotOurServerError("unexpected answer to a heartbeat") from error
        if not isinstance(now_us, int) or not 0 < now_us < YEAR_9999_US:
            raise NotOurServerError("unexpected time in the answer to a heartbeat")
        return now_us

    def _slices(self, piece: bytes, progress: Callable[[int], None]) -> Iterator[bytes]:
        view = memoryview(piece)
        for start in range(0, len(piece), self._slice_bytes):
            part = view[start : start + self._slice_bytes]
            yield cast(bytes, part)  # whatever has a buffer is sent, and this one was not copied
            progress(len(part))

    def _held(self, response: httpx.Response) -> Held:
        try:
            offset = parse_count(response.headers.get("Upload-Offset"), "Upload-Offset")
        except ProtocolError as error:
            raise NotOurServerError(str(error)) from error
        return Held(offset, response.headers.get(SLIDE_HEADER))

    def _status(self, path: str) -> SlideStatus | None:
        try:
            response = self._request("GET", path)
            return parse_status(response.json())
        except RefusedError as error:
            if error.code == Problem.UNKNOWN_SLIDE:
                return None
            raise
        except ValueError as error:
            raise NotOurServerError(str(error)) from error

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        content: Iterator[bytes] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, headers=headers, content=content, timeout=timeout)
        except httpx.RequestError as error:
            if isinstance(error.__context__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
                raise UntrustedError(str(error)) from error
            raise TransientError("unreachable", str(error)) from error
        self._said_at = response.headers.get("Date", "")
        if response.is_success:
            return response
        if response.status_code == 401 and self._renewed_key:
            self._http.headers["Authorization"] = f"Bearer {self._renewed_key()}"
        raise _failure(response)


def _failure(response: httpx.Response) -> Exception:
    """What an answer that is no success means for the agent."""
    code, detail = response.headers.get(PROBLEM_HEADER), _detail(response)
    if response.status_code == 401:
        return KeyRefusedError(detail)
    if code in _OUT_OF_STEP or response.status_code in _TRANSIENT_STATUS:
        return TransientError(code or "busy", detail)
    if code is None:
        return NotOurServerError(f"HTTP {response.status_code}")
    if code == Problem.FILES_MISSING and (names := _missing(response)):
        return _FilesMissingError(detail, names)
    return RefusedError(code, detail)


def _missing(response: httpx.Response) -> tuple[str, ...]:
    try:
        names = response.json()["missing"]
        return tuple(name for name in names if isinstance(name, str))
    except (ValueError, KeyError, TypeError):
        return ()


def _detail(response: httpx.Response) -> str:
    """The sentence of a problem+json body (RFC 9457), else the reason phrase."""
    try:
        body = response.json()
    except ValueError:
        return response.reason_phrase
    detail = body.get("detail") if isinstance(body, dict) else None
    return detail if isinstance(detail, str) else response.reason_phrase
