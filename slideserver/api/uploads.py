"""tus 1.0 over HTTP for whoever brings slides: creation, checksum, termination (https://tus.io, 1.0.0); and the
commitment of a slide that has several files.

Plain Starlette routes: who sends, the headers and the offset are judged before the first byte of a body is asked for,
and a body goes to the disk in pieces of bounded size, from threads of its own. What an upload is, is in
`ingest.receive`.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from types import MappingProxyType
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from sqlalchemy.exc import DatabaseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.arrival import Arrival, Held, Received, disk_error
from ingest.errors import (
    BadManifestError,
    FilesMissingError,
    IngestError,
    StoreFailedError,
    TooLargeError,
    UnknownSlideError,
    UnknownUploadError,
    UploadBusyError,
)
from ingest.manifest import MANIFEST_MAX_BYTES, Manifest, ManifestError, decode
from ingest.protocol import (
    CHECKSUM_ALGORITHMS,
    CHECKSUM_MISMATCH,
    EXPIRES_HEADER,
    KNOWN_PATH,
    MANIFEST_CONTENT_TYPE,
    OFFSET_CONTENT_TYPE,
    PROBLEM_CONTENT_TYPE,
    PROBLEM_HEADER,
    SETS_PATH,
    SIZE_HEADER,
    SLIDE_HEADER,
    SLIDES_PATH,
    TUS_EXTENSIONS,
    TUS_VERSION,
    UPLOADS_PATH,
    Problem,
    ProtocolError,
    SlideStatus,
    is_id,
    is_sha256,
    parse_checksum,
    parse_count,
    parse_request,
    parse_set,
)
from ingest.receive import Uploads
from sharing import policy
from sharing.clock import SECOND_US
from sharing.subjects import Member, Sender
from sharing.vocabulary import Action, SlideId, UploadId
from slideserver import refusals
from slideserver.api.bodies import in_turn, take
from slideserver.api.senders import Members, sender_of
from slideserver.i18n import Catalogue, Language, choose_language

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Act = Callable[[Request, Sender], Awaitable[Response]]

THREADS = 8
# Of the threads that write and hash (nice(2)). With 15, a tile that falls due while three scanners send waits
# 7 ms at worst (p99) where it waited 10.
NICENESS = 15
STALL_S = 30.0
# How long, and how often, who asks for the offset waits for a request of before to give way.
GIVE_WAY_S = 0.05
GIVE_WAY_TRIES = 60

STATUS: dict[Problem, int] = {
    Problem.BAD_REQUEST: 400,
    Problem.KEY_REFUSED: 401,
    Problem.SIGNED_OUT: 401,
    Problem.UNKNOWN_UPLOAD: 404,
    Problem.UNKNOWN_SLIDE: 404,
    Problem.BODY_STALLED: 408,
    Problem.WRONG_OFFSET: 409,
    Problem.TUS_VERSION: 412,
    Problem.FILES_MISSING: 409,
    Problem.TOO_LARGE: 413,
    Problem.TOO_MANY_UPLOADS: 413,
    Problem.WRONG_CONTENT_TYPE: 415,
    Problem.UPLOAD_BUSY: 423,
    Problem.PIECE_DAMAGED: CHECKSUM_MISMATCH,
    Problem.FILE_DAMAGED: CHECKSUM_MISMATCH,
    Problem.STORE_FAILED: 503,
    Problem.DISK_FULL: 507,
    Problem.QUOTA_EXCEEDED: 507,
}


def routes(
    uploads: Uploads,
    *,
    members: Members | None = None,
    languages: Mapping[Language, Catalogue] = MappingProxyType({}),
    stall_s: float = STALL_S,
) -> list[Route]:
    """The routes under /api/uploads. A body that sends nothing for `stall_s` seconds counts as cut.

    They are open to scanners, and to the people that `members` finds. Who names a language of `languages` is told in it
    why a slide was refused, and others in English.
    """
    door = _Door(uploads, members, languages, stall_s)
    upload = UPLOADS_PATH + "/{upload}"
    return [
        Route(UPLOADS_PATH, door.options, methods=["OPTIONS"]),
        Route(UPLOADS_PATH, door.guarded(door.create), methods=["POST"]),
        Route(KNOWN_PATH + "{sha256}", door.guarded(door.known, tus=False), methods=["GET"]),
        Route(SLIDES_PATH + "{slide}", door.guarded(door.slide, tus=False), methods=["GET"]),
        Route(SETS_PATH + "{sha256}", door.guarded(door.commit, tus=False), methods=["PUT"]),
        Route(upload, door.guarded(door.status), methods=["HEAD"]),
        Route(upload, door.guarded(door.append), methods=["PATCH"]),
        Route(upload, door.guarded(door.end), methods=["DELETE"]),
    ]


class _Door:
    def __init__(
        self, uploads: Uploads, members: Members | None, languages: Mapping[Language, Catalogue], stall_s: float
    ) -> None:
        self._uploads, self._members, self._languages, self._stall_s = uploads, members, languages, stall_s
        # Threads of their own: a slow disk under an upload must not make anybody wait for a page.
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._taking: dict[UploadId, anyio.CancelScope] = {}
        # Moving and proving bytes takes computing time, and can wait until no reader wants the core.
        self._movers = ThreadPoolExecutor(THREADS, "upload", _yield_to_readers)

    def guarded(self, act: Act, *, tus: bool = True) -> Callable[[Request], Awaitable[Response]]:
        """`act` for whoever may bring slides; every refusal as problem+json. Members of a role that brings none get a
        RefusedError, which the application answers and puts on record."""

        async def endpoint(request: Request) -> Response:
            try:
                sender = await self._blocking(sender_of, request, self._uploads.authenticate, self._members)
                if isinstance(sender, Member):
                    policy.require_of_role(sender, Action.PUSH_SLIDE)
                if tus and request.headers.get("Tus-Resumable") != TUS_VERSION:
                    return problem(Problem.TUS_VERSION, f"Tus-Resumable must be {TUS_VERSION}.")
                return await act(request, sender)
            except ProtocolError as error:
                return problem(Problem.BAD_REQUEST, str(error))
            except FilesMissingError as error:
                return problem(error.code, str(error), missing=error.names)
            except (IngestError, OSError, DatabaseError) as error:
                refusal = _refusal(error)
                return problem(refusal.code, str(refusal))

        return endpoint

    async def options(self, _: Request) -> Response:
        """To anybody."""
        headers = {
            "Tus-Version": TUS_VERSION,
            "Tus-Extension": TUS_EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
            "Tus-Max-Size": str(self._uploads.limits.max_upload_bytes),
        }
        return _tus(204, headers)

    async def create(self, request: Request, sender: Sender) -> Response:
        announced = parse_request(request.headers)
        upload = await self._blocking(self._uploads.create, sender, announced)
        # A path alone: whoever forges a Host header does not choose where the key is sent next.
        return _tus(201, {"Location": f"{UPLOADS_PATH}/{upload.id}", EXPIRES_HEADER: _date(upload.expires_us)})

    async def status(self, request: Request, sender: Sender) -> Response:
        """A sender who asks has given up whatever is under way: on a network that dies in silence, the server would
        believe in it for much longer."""
        upload_id = _upload_id(request)

        def ask() -> Held:
            with self._uploads.open(sender, upload_id) as arrival:
                return arrival.held()

        for _ in range(GIVE_WAY_TRIES):
            try:
                return _held(200, await self._blocking(ask))
            except UploadBusyError:  # only to the sender whose upload it is
                if (taking := self._taking.get(upload_id)) is not None:
                    taking.cancel()
                await anyio.sleep(GIVE_WAY_S)
        return _held(200, await self._blocking(ask))

    async def end(self, request: Request, sender: Sender) -> Response:
        def end() -> None:
            with self._uploads.open(sender, _upload_id(request)) as arrival:
                arrival.end()

        await self._blocking(end)
        return _tus(204, {})

    async def append(self, request: Request, sender: Sender) -> Response:
        if request.headers.get("Content-Type") != OFFSET_CONTENT_TYPE:
            return problem(Problem.WRONG_CONTENT_TYPE, f"Content-Type must be {OFFSET_CONTENT_TYPE}.")
        offset = parse_count(request.headers.get("Upload-Offset"), "Upload-Offset")
        checksum = parse_checksum(request.headers.get("Upload-Checksum"))
        declared = request.headers.get("Content-Length")
        length = parse_count(declared, "Content-Length") if declared is not None else None
        upload_id = _upload_id(request)
        arrival = await self._blocking(self._uploads.open, sender, upload_id)
        try:
            await self._blocking(arrival.expect, offset, length, checksum)
            whole = False
            with anyio.CancelScope() as self._taking[upload_id]:
                whole = await take(request.receive, arrival.write, self._movers, stall_s=self._stall_s)
            if not whole:
                return problem(Problem.BODY_STALLED, "The body was cut. What arrived is kept: ask for the offset.")
            return _held(204, await in_turn(self._movers, arrival.finish))
        finally:
            self._taking.pop(upload_id, None)
            with anyio.CancelScope(shield=True):  # a server that stops still keeps what arrived
                await self._blocking(_close, arrival)

    async def commit(self, request: Request, sender: Sender) -> Response:
        """201 with the slide that the files of a manifest have become, 200 when it was there before."""
        if request.headers.get("Content-Type") != MANIFEST_CONTENT_TYPE:
            return problem(Problem.WRONG_CONTENT_TYPE, f"Content-Type must be {MANIFEST_CONTENT_TYPE}.")
        if parse_count(request.headers.get("Content-Length"), "Content-Length") > MANIFEST_MAX_BYTES:
            raise TooLargeError(MANIFEST_MAX_BYTES)
        body = await self._body(request, MANIFEST_MAX_BYTES)
        if body is None:
            return problem(Problem.BODY_STALLED, "The body was cut. Send the manifest again.")

        def commit() -> Received:
            manifest = _manifest(body, request.path_params["sha256"])
            glass = parse_set(request.headers, manifest.sha256, manifest.length)
            return self._uploads.commit(sender, manifest, glass)

        committed = await self._blocking(commit)
        return _tus(201 if committed.new else 200, {SLIDE_HEADER: committed.slide})

    async def known(self, request: Request, sender: Sender) -> Response:
        sha256 = request.path_params["sha256"]
        if not is_sha256(sha256):
            raise UnknownSlideError
        return self._status(request, await self._blocking(self._uploads.known, sender, sha256))

    async def slide(self, request: Request, sender: Sender) -> Response:
        slide_id = SlideId(request.path_params["slide"])
        if not is_id(slide_id):  # no database need be asked, nor could every one be
            raise UnknownSlideError
        return self._status(request, await self._blocking(self._uploads.slide, sender, slide_id))

    def _status(self, request: Request, status: SlideStatus) -> Response:
        wanted = request.headers.get("Accept-Language")
        words = self._languages.get(choose_language(None, wanted)) if wanted else None
        if words is not None:
            status = replace(status, refusal_reason=refusals.told(status.refusal_reason, words))
        return JSONResponse(status.to_json(), headers={**_UNCACHED, "Vary": "Accept-Language"})

    async def _body(self, request: Request, most: int) -> bytes | None:
        """A short body; None when it was cut or stalled. Raises TooLargeError."""
        buffer = bytearray()
        while True:
            message = None
            with anyio.move_on_after(self._stall_s):
                message = await request.receive()
            if message is None or message["type"] == "http.disconnect":
                return None
            buffer += message.get("body", b"")
            if len(buffer) > most:
                raise TooLargeError(most)
            if not message.get("more_body", False):
                return bytes(buffer)

    async def _blocking(self, work: Callable[..., Answer], *args: object) -> Answer:
        return await run_sync(work, *args, limiter=self._limiter)


_UNCACHED = {"Cache-Control": "no-store"}


def _yield_to_readers() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _refusal(error: IngestError | OSError | DatabaseError) -> IngestError:
    """A disk that is full or broken may be met anywhere, also in the middle of saying something else."""
    if isinstance(error, IngestError):
        return error
    log.warning("An upload could not go on", exc_info=error)
    return disk_error(error) if isinstance(error, OSError) else StoreFailedError()


def _upload_id(request: Request) -> UploadId:
    upload_id: str = request.path_params["upload"]
    if not is_id(upload_id):  # it becomes a file name
        raise UnknownUploadError
    return UploadId(upload_id)


def _manifest(body: bytes, sha256: str) -> Manifest:
    if hashlib.sha256(body).hexdigest() != sha256:
        raise BadManifestError("The manifest's SHA-256 is not the one in the address.")
    try:
        return decode(body)
    except ManifestError as error:
        raise BadManifestError(str(error)) from error


def _close(arrival: Arrival) -> None:
    try:
        arrival.close()
    except IngestError as error:  # the sender is gone; the next request for the offset meets the same disk
        log.warning("What arrived before a cut could not be kept: %s", error)


def _held(status: int, held: Held) -> Response:
    headers = {"Upload-Offset": str(held.offset), SIZE_HEADER: str(held.length)}
    if held.slide:
        headers[SLIDE_HEADER] = held.slide
    if held.expires_us is not None:
        headers[EXPIRES_HEADER] = _date(held.expires_us)
    return _tus(status, headers)


def _date(time_us: int) -> str:
    """As RFC 9110 5.6.7 wants it."""
    return formatdate(time_us // SECOND_US, usegmt=True)


def _tus(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": TUS_VERSION, **_UNCACHED, **headers})


def problem(code: Problem, detail: str, **more: Sequence[str]) -> Response:
    """An RFC 9457 body, and its code once more as a header for answers to HEAD."""
    status = STATUS[code]
    headers = {"Tus-Resumable": TUS_VERSION, PROBLEM_HEADER: code, **_UNCACHED}
    if code == Problem.KEY_REFUSED:
        headers["WWW-Authenticate"] = "Bearer"
    if code == Problem.TUS_VERSION:
        headers["Tus-Version"] = TUS_VERSION
    body = {"type": f"urn:iain:problem:{code}", "title": code.replace("-", " ").capitalize(), "status": status}
    return JSONResponse(
        {**body, "code": code, "detail": detail, **more}, status, headers=headers, media_type=PROBLEM_CONTENT_TYPE
    )
