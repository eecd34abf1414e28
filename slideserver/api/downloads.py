"""GET /api/slides/{id}/file: a slide as its scanner made it, for readers of its own site.

One file is sent as it is, or a part of it (Range, RFC 9110); several as one ZIP that compresses nothing. Either
way no more than a piece is in memory, and before each piece the right to it is asked about again: when it goes, the
connection is cut, so that nobody takes what came for the whole.
"""

import asyncio
import base64
import logging
import re
import unicodedata
from collections.abc import Awaitable, Callable, Generator
from pathlib import PurePosixPath
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sharing import downloads
from sharing.downloads import Parcel
from sharing.errors import ConflictError
from sharing.slides import StoredFile
from sharing.vocabulary import Action, SlideId
from slideserver.access import Access
from slideserver.admissions import Look, Verdict
from slideserver.archive import Archive, inner_name
from slideserver.auth.throttle import source_of
from slideserver.byte_ranges import UnsatisfiableError, wanted
from slideserver.deps import MemberDep, RecordingSessionDep, StateDep, requires
from tiler.errors import TilerError
from tiler.storage.base import BlobStore

PIECE_BYTES = 256 * 1024
BINARY = {"schema": {"type": "string", "format": "binary"}}

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/slides")

Pieces = Generator[bytes, None, None]


@router.get(
    "/{slide_id}/file",
    dependencies=[requires(Action.DOWNLOAD_SLIDE)],
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": BINARY, "application/zip": BINARY}},
        206: {"content": {"application/octet-stream": BINARY}},
        416: {"description": "Nothing of the file lies in the range."},
    },
)
def get_file(
    session: RecordingSessionDep, state: StateDep, member: MemberDep, request: Request, slide_id: SlideId
) -> Response:
    """The slide as it was received: the file itself, of which a range may be asked for, or all files in a ZIP. 409 when
    it is not ready. `ETag` and `Repr-Digest` (RFC 9530) hold the SHA-256 of a single file."""
    parcel = downloads.find(session, member, slide_id)
    if not all(state.store.holds(parcel.slide.site_id, file.sha256) for file in parcel.files):
        raise ConflictError(
            "The file of this slide is not where it was stored. Tell the person who manages the server."
        )
    single = parcel.files[0] if len(parcel.files) == 1 else None
    part = _part(request, single) if single else None
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": disposition(parcel.slide.file_name if single else f"{_stem(parcel)}.zip"),
        "Content-Type": "application/octet-stream" if single else "application/zip",
        "Accept-Ranges": "bytes" if single else "none",
    }
    sent = range(parcel.length) if part is None else part
    if single:
        digest = base64.b64encode(bytes.fromhex(single.sha256)).decode()
        headers |= {"ETag": _etag(single), "Repr-Digest": f"sha-256=:{digest}:", "Content-Length": str(len(sent))}
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{parcel.length}"
    source = source_of(request.client.host if request.client else None)
    downloads.record(session, member, parcel, length=len(sent), personal={"source": source})
    pieces = _file(state.store, parcel, single, sent) if single else _archive(state.store, parcel)
    credential = state.shown.find(request.scope["headers"]) or ""
    status = 200 if part is None else 206
    return Stream(pieces, lambda: _may(state.access, credential, slide_id), state.downloads, status, headers)


class Stream(Response):
    """Sends pieces as long as `may` says so; they are made in threads of `threads`."""

    def __init__(
        self,
        pieces: Pieces,
        may: Callable[[], Awaitable[bool]],
        threads: CapacityLimiter,
        status: int,
        headers: dict[str, str],
    ) -> None:
        super().__init__(status_code=status)
        del self.headers["content-length"]  # of the empty body that this is not
        self.headers.update(headers)
        self._pieces = pieces
        self._may = may
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while not leaving.done():
                piece = await run_sync(next, self._pieces, None, limiter=self._threads)
                if piece is None:
                    await send({"type": "http.response.body", "body": b""})
                    return
                # Waits until the reader has taken what came before: the right may be gone by then.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                if not await self._may():
                    log.info("A download was cut: the right to it has ended")
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TilerError as error:
            log.error("A download was cut: %s", error)
        finally:
            leaving.cancel()
            await run_sync(self._pieces.close, limiter=self._threads)


async def _may(access: Access, credential: str, slide_id: SlideId) -> bool:
    decision = access.decide(credential, slide_id, Look.FILE)
    if decision is None:
        decision = await access.ask(credential, slide_id, Look.FILE)
    return decision.verdict is Verdict.ALLOWED


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part(request: Request, file: StoredFile) -> range | None:
    header, condition = request.headers.get("range"), request.headers.get("if-range")
    try:
        return wanted(header, condition, _etag(file), file.length)
    except UnsatisfiableError:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{file.length}"}) from None


def _file(store: BlobStore, parcel: Parcel, file: StoredFile, part: range) -> Pieces:
    source = store.open(parcel.slide.site_id, file.sha256)
    try:
        for start in range(part.start, part.stop, PIECE_BYTES):
            yield source.read_at(start, min(PIECE_BYTES, part.stop - start))
    finally:
        source.close()


def _archive(store: BlobStore, parcel: Parcel) -> Pieces:
    archive = Archive()
    for file in parcel.files:
        pieces = _file(store, parcel, file, range(file.length))
        yield from archive.add(file.name, parcel.slide.received_us, pieces)
    yield archive.end()


def _etag(file: StoredFile) -> str:
    return f'"{file.sha256}"'


def _stem(parcel: Parcel) -> str:
    return PurePosixPath(inner_name(parcel.slide.file_name)).stem


def disposition(name: str) -> str:
    """Content-Disposition (RFC 6266) of a file to be kept under this name, which comes from outside."""
    last = "".join(one for one in PurePosixPath(inner_name(name)).name if one.isprintable()).lstrip(". ") or "slide"
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._ ()+-]", "_", plain) or "slide"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}"
