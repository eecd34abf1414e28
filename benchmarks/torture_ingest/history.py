"""One history of uploads, written by hypothesis: steps in any order, requests that overlap, repeat, are cut and cross
restarts. After each step the server has to say, and to hold, what `model` says."""

import asyncio
import base64
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.types import ASGIApp

from benchmarks.torture_ingest.model import KEPT_S, Model, Sender, Upload, sha256
from benchmarks.torture_ingest.wire import Answer, Exchange
from ingest.protocol import UploadRequest, checksum_header
from ingest.queues import job_queue
from ingest.receive import Limits, Uploads
from sharing import scanners, sites
from sharing.clock import FrozenClock
from sharing.db.engine import open_database
from sharing.db.migrations import upgrade
from sharing.db.tables import ClaimRow, SlideRow
from sharing.vocabulary import SiteId
from slideserver.api.uploads import routes
from tiler.storage.local import LocalBlobStore

FILES = [b"a lame", bytes(range(40)), b"\xff" * 90]
SENDERS = [Sender("caen-1", "caen"), Sender("caen-2", "caen"), Sender("rouen-1", "rouen")]
ACCESSIONS = [None, "26T1", "26T2"]
Wrap = Callable[[ASGIApp], ASGIApp]


@dataclass(frozen=True, slots=True)
class Start:
    """Where every history begins: an empty platform, in a database that is copied; the senders' keys."""

    database: Path
    keys: dict[str, str]
    at_us: int
    wrap: Wrap = lambda app: app
    """Around the server: a control makes it worse."""


def start_in(folder: Path, at_us: int) -> Start:
    path = folder / "start.db"
    database = open_database(f"sqlite:///{path}", FrozenClock(at_us))
    upgrade(database)
    keys = {}
    with database.writing() as session:
        for site in sorted({sender.site for sender in SENDERS}):
            sites.add_site(session, SiteId(site), site.capitalize())
        for sender in SENDERS:
            _, keys[sender.name] = scanners.add_scanner(session, SiteId(sender.site), sender.name)
    database.close()
    return Start(path, keys, at_us)


class History(RuleBasedStateMachine):
    start: ClassVar[Start]
    counts: ClassVar[Counter[str]] = Counter()
    uploads = Bundle[Upload]("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.counts["histories"] += 1
        self._folder = Path(tempfile.mkdtemp(prefix="iain-history-", dir=self.start.database.parent))
        shutil.copy(self.start.database, self._folder / "iain.db")
        self._loop = asyncio.new_event_loop()
        self._clock = FrozenClock(self.start.at_us)
        self._database = open_database(f"sqlite:///{self._folder / 'iain.db'}", self._clock)
        self._model = Model()
        self._held: dict[Upload, tuple[Exchange, bytes, str]] = {}
        self._serve()

    def teardown(self) -> None:
        for upload in list(self._held):
            self._loop.run_until_complete(self._held.pop(upload)[0].cut())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._database.close()
        shutil.rmtree(self._folder)
        super().teardown()

    # What senders do

    @rule(
        target=uploads,
        sender=st.sampled_from(SENDERS),
        data=st.sampled_from(FILES),
        accession=st.sampled_from(ACCESSIONS),
        declared=st.booleans(),
    )
    def announce(self, sender: Sender, data: bytes, accession: str | None, declared: bool):  # type: ignore[no-untyped-def]
        status, standing = self._model.announce(sender, data, accession, declared=declared)
        answer = self._announce(sender, data, accession, declared)
        if standing is not None:
            self._touched(standing)
        assert answer.status == status
        if status != 201:
            return multiple()
        path = answer.headers["location"]
        if standing is None:
            assert path not in {upload.path for upload in self._model.uploads}
            standing = Upload(path, sender, data, declared, accession, self._model.now_s)
            self._model.uploads.append(standing)
        assert path == standing.path
        return standing

    @rule(upload=uploads)
    def ask(self, upload: Upload) -> None:
        status = self._model.ask(upload)
        answer = self._call("HEAD", upload)
        if upload in self._held:
            exchange, *_ = self._held.pop(upload)
            assert self._loop.run_until_complete(exchange.end()).status == 408
        self._touched(upload)
        self._agrees(answer, status, upload)

    @rule(
        upload=uploads,
        astray=st.sampled_from([0, 0, 0, 0, -1, 1, 5]),
        length=st.integers(0, 100),
        said=st.booleans(),
        checksum=st.sampled_from(["none", "right", "right", "wrong"]),
        damaged=st.sampled_from([False, False, False, True]),
    )
    def send(self, upload: Upload, astray: int, length: int, said: bool, checksum: str, damaged: bool) -> None:
        offset = max(0, self._offset(upload) + astray)
        body = self._body(upload, offset, length, damaged)
        status = self._model.begin(upload, offset, len(body) if said else None)
        if status == 100:
            status = self._model.take(upload, body, right=checksum != "wrong")
        answer = self._call("PATCH", upload, self._piece(offset, body, checksum, said), body)
        self._touched(upload)
        self._agrees(answer, status, upload)

    @rule(upload=uploads, length=st.integers(1, 100), checksum=st.sampled_from(["none", "right", "wrong"]))
    def begin(self, upload: Upload, length: int, checksum: str) -> None:
        """A piece of which the first half is on its way, and the rest is not there yet."""
        offset = self._offset(upload)
        body = self._body(upload, offset, length, False)
        if not body:
            return
        status = self._model.begin(upload, offset, len(body))
        exchange = self._exchange("PATCH", upload, self._piece(offset, body, checksum, True))
        waits = self._loop.run_until_complete(exchange.give(body[: len(body) // 2]))
        self._touched(upload)
        if waits:
            assert status == 100
            upload.held = True
            self._held[upload] = exchange, body, checksum
        else:
            self._agrees(self._loop.run_until_complete(exchange.end()), status, upload)

    @precondition(lambda self: self._held)
    @rule(which=st.integers(0, 5))
    def finish(self, which: int) -> None:
        upload, (exchange, body, checksum) = self._release(which)
        status = self._model.take(upload, body, right=checksum != "wrong")
        answer = self._loop.run_until_complete(exchange.end(body[len(body) // 2 :]))
        self._touched(upload)
        self._agrees(answer, status, upload)

    @precondition(lambda self: self._held)
    @rule(which=st.integers(0, 5))
    def cut(self, which: int) -> None:
        self._cut(which)

    @rule(upload=uploads, length=st.integers(1, 100))
    def twice_at_once(self, upload: Upload, length: int) -> None:
        """The same piece, delivered twice in the same moment: one of them counts."""
        offset = self._offset(upload)
        body = self._body(upload, offset, length, False)
        status = self._model.begin(upload, offset, len(body))
        if status == 100:
            status = self._model.take(upload, body, right=True)
        headers = self._piece(offset, body, "right", True)

        async def both() -> list[Answer]:
            exchanges = [self._exchange("PATCH", upload, headers) for _ in range(2)]
            return await asyncio.gather(*(exchange.end(body) for exchange in exchanges))

        statuses = [answer.status for answer in self._loop.run_until_complete(both())]
        self._touched(upload)
        assert status in statuses
        assert set(statuses) <= {status, 204, 409, 413, 423, 404}
        if body:
            assert statuses.count(204) <= 1

    @rule(upload=uploads, stranger=st.sampled_from(SENDERS), method=st.sampled_from(["HEAD", "PATCH", "DELETE"]))
    def meddle(self, upload: Upload, stranger: Sender, method: str) -> None:
        if stranger == upload.sender:
            return
        headers = self._piece(0, b"x", "none", True) if method == "PATCH" else {}
        assert self._call(method, upload, headers, b"x", sender=stranger).status == 404

    @rule(upload=uploads)
    def end(self, upload: Upload) -> None:
        assert self._call("DELETE", upload).status == self._model.end(upload)

    # What befalls them

    @rule()
    def restart(self) -> None:
        while self._held:
            self._cut(0)
        self._serve()

    @precondition(lambda self: not self._held)
    @rule()
    def rest(self) -> None:
        self._pass(120)

    @precondition(lambda self: not self._held)
    @rule(days=st.sampled_from([1, 1, 1, 8]))
    def sweep(self, days: int) -> None:
        self._pass(days * 24 * 3600)
        self._receiving.sweep()
        self._model.sweep()

    # What must hold at any time

    @invariant()
    def holds_what_was_acknowledged(self) -> None:
        parts = {path.name: path.stat().st_size for path in (self._folder / "uploads").glob("*")}
        for upload in self._model.uploads:
            name = upload.path.rpartition("/")[2]
            if upload.open and not upload.held:
                assert parts.get(name, 0) == len(upload.arrived)
            elif upload.slide:
                assert name not in parts

    @invariant()
    def has_the_slides_it_should(self) -> None:
        with self._database.reading() as session:
            rows = session.scalars(select(SlideRow)).all()
            claims = session.execute(select(ClaimRow.slide_id, ClaimRow.accession)).all()
        bytes_of = {row.id: (str(row.site_id), self._blob(row.site_id, row.sha256)) for row in rows}
        assert len(rows) == len(self._model.slides)
        assert {bytes_of[row.id]: row.accession for row in rows} == self._model.slides
        assert {(*bytes_of[slide], accession) for slide, accession in claims} == self._model.claims

    # How it is done

    def _serve(self) -> None:
        store = LocalBlobStore(self._folder / "blobs")
        limits = Limits(spare_disk_bytes=0, keep_s=KEPT_S)
        self._receiving = Uploads(self._database, store, job_queue(self._database), self._folder, limits)
        self._app = self.start.wrap(Starlette(routes=list(routes(self._receiving))))

    def _exchange(self, method: str, upload: Upload, headers: dict[str, str], sender: Sender | None = None) -> Exchange:
        self.counts["requests"] += 1
        return Exchange(self._loop, self._app, method, upload.path, self._common(sender or upload.sender) | headers)

    def _call(
        self,
        method: str,
        upload: Upload,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        sender: Sender | None = None,
    ) -> Answer:
        async def call() -> Answer:
            return await self._exchange(method, upload, headers or {}, sender).end(body)

        return self._loop.run_until_complete(call())

    def _announce(self, sender: Sender, data: bytes, accession: str | None, declared: bool) -> Answer:
        request = UploadRequest("lame", len(data), sha256(data) if declared else None, accession)
        headers = {"Upload-Length": str(len(data)), "Upload-Metadata": request.metadata()}

        self.counts["requests"] += 1

        async def call() -> Answer:
            return await Exchange(self._loop, self._app, "POST", "/api/uploads", self._common(sender) | headers).end()

        return self._loop.run_until_complete(call())

    def _common(self, sender: Sender) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.start.keys[sender.name]}", "Tus-Resumable": "1.0.0"}

    def _piece(self, offset: int, body: bytes, checksum: str, said: bool) -> dict[str, str]:
        headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        if said:
            headers["Content-Length"] = str(len(body))
        if checksum == "right":
            headers["Upload-Checksum"] = checksum_header(bytes.fromhex(sha256(body)))
        elif checksum == "wrong":
            headers["Upload-Checksum"] = "sha1 " + base64.b64encode(bytes(20)).decode()
        return headers

    def _offset(self, upload: Upload) -> int:
        return len(upload.data) if upload.slide else len(upload.arrived)

    def _body(self, upload: Upload, offset: int, length: int, damaged: bool) -> bytes:
        rest = upload.data[offset:]
        body = rest[:length] if length <= 60 else rest + b"!" * (length - 90)
        return bytes([body[0] ^ 1]) + body[1:] if damaged and body else body

    def _release(self, which: int) -> tuple[Upload, tuple[Exchange, bytes, str]]:
        upload = list(self._held)[which % len(self._held)]
        upload.held = False
        return upload, self._held.pop(upload)

    def _cut(self, which: int) -> None:
        upload, (exchange, body, _) = self._release(which)
        if upload.open:
            self._model.keep(upload, body[: len(body) // 2])
        self._loop.run_until_complete(exchange.cut())
        self._touched(upload)

    def _pass(self, seconds: int) -> None:
        self._clock.advance(seconds=seconds)
        self._model.now_s += seconds

    def _touched(self, upload: Upload) -> None:
        """The file's time is the world's; here it is that of the history."""
        part = self._folder / "uploads" / upload.path.rpartition("/")[2]
        if part.exists():
            at_s = (self._clock.now_us() / 1e6) - (self._model.now_s - upload.moved_s)
            os.utime(part, (at_s, at_s))

    def _agrees(self, answer: Answer, status: int, upload: Upload) -> None:
        assert answer.status == status
        if status in (200, 204):
            assert answer.count("Upload-Offset") == self._offset(upload)
            assert ("iain-slide" in answer.headers) == upload.slide
            assert ("upload-expires" in answer.headers) == upload.open

    def _blob(self, site: str, digest: str) -> bytes:
        data = (self._folder / "blobs" / site / digest[:2] / digest).read_bytes()
        assert sha256(data) == digest
        return data
