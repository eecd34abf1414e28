"""What should happen to uploads, as simply as it can be said: no files, no threads, no transactions."""

import hashlib
from dataclasses import dataclass, field

RESTING_S = 60
KEPT_S = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Sender:
    name: str
    site: str


@dataclass(eq=False, slots=True)
class Upload:
    """`data` is what it was announced to be, `arrived` what has come and stays."""

    path: str
    sender: Sender
    data: bytes
    declared: bool
    accession: str | None
    moved_s: float
    arrived: bytes = b""
    slide: bool = False
    gone: bool = False
    held: bool = False
    """Whether a request is under way."""

    @property
    def open(self) -> bool:
        return not self.slide and not self.gone

    @property
    def whole(self) -> bool:
        return len(self.arrived) == len(self.data)


@dataclass
class Model:
    """Every method answers with the status that the server should answer with."""

    uploads: list[Upload] = field(default_factory=list)
    slides: dict[tuple[str, bytes], str | None] = field(default_factory=dict)
    """Accession numbers by site and bytes."""
    claims: set[tuple[str, bytes, str]] = field(default_factory=set)
    now_s: float = 0

    def announce(
        self, sender: Sender, data: bytes, accession: str | None, *, declared: bool
    ) -> tuple[int, Upload | None]:
        """With the upload that stands already, None when there is to be a new one."""
        standing = self._standing(sender, data) if declared else None
        if standing is None:
            return 201, None
        if accession and standing.accession and accession != standing.accession and self._moves(standing):
            return 423, standing
        standing.accession = accession or standing.accession
        return 201, standing

    def ask(self, upload: Upload) -> int:
        """HEAD: who asks has given up what is under way, and it is as if it had been cut."""
        upload.held = False
        return self._look(upload)

    def _look(self, upload: Upload) -> int:
        """What every request begins with: what a cut left unfinished is finished."""
        if upload.gone:
            return 404
        if upload.slide:
            return 200
        if upload.held:
            return 423
        if not upload.arrived and upload.declared and (upload.sender.site, upload.data) in self.slides:
            return self._become(upload, upload.data)
        return self._finish(upload)

    def begin(self, upload: Upload, offset: int, length: int | None) -> int:
        """Before the body of a piece; 100: let it come."""
        status = self._look(upload)
        if status != 200:
            return status
        held = len(upload.data) if upload.slide else len(upload.arrived)
        if offset != held:
            return 409
        return 413 if length is not None and offset + length > len(upload.data) else 100

    def take(self, upload: Upload, body: bytes, *, right: bool) -> int:
        """The whole body came, with a checksum that is `right`."""
        if not upload.open:
            return 404 if upload.gone else 413 if body else 204 if right else 460
        if len(upload.arrived) + len(body) > len(upload.data):
            return 413
        if not right:
            return 460
        self.keep(upload, body)
        status = self._finish(upload)
        return 204 if status == 200 else status

    def keep(self, upload: Upload, body: bytes) -> None:
        upload.arrived += body
        if body:
            upload.moved_s = self.now_s

    def end(self, upload: Upload) -> int:
        if upload.gone or upload.held:
            return 404 if upload.gone else 423
        upload.gone = not upload.slide
        return 204

    def sweep(self) -> None:
        for upload in self.uploads:
            if upload.open and self.now_s >= upload.moved_s + KEPT_S:
                upload.gone = True

    def _finish(self, upload: Upload) -> int:
        if not upload.whole:
            return 200
        if upload.declared:
            if upload.arrived != upload.data:
                upload.gone = True
                return 460
            return self._become(upload, upload.data)
        rival = self._standing(upload.sender, upload.arrived)
        if rival is not None:
            if self._moves(rival):
                return 423
            rival.gone = True
        return self._become(upload, upload.arrived)

    def _become(self, upload: Upload, data: bytes) -> int:
        upload.slide = True
        upload.arrived = data
        key = upload.sender.site, data
        if key not in self.slides:
            self.slides[key] = upload.accession
        elif upload.accession and upload.accession != self.slides[key]:
            self.claims.add((*key, upload.accession))
        return 200

    def _standing(self, sender: Sender, data: bytes) -> Upload | None:
        for upload in self.uploads:
            if upload.open and upload.declared and upload.sender == sender and upload.data == data:
                return upload
        return None

    def _moves(self, upload: Upload) -> bool:
        return upload.held or self.now_s < upload.moved_s + RESTING_S


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
