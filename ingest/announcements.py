"""What is announced and on its way: the open uploads, one at most of the same bytes by the same sender.

When bytes that are on their way are announced once more, with another accession number, neither is to be lost. While
the first upload moves, the second waits; one that has rested for a minute was given up or mended, and the newer word
counts. Either way the slide is told apart by whoever sends last: it is known then, and becomes a claim.
"""

from collections.abc import Mapping

from sqlalchemy import delete, func, select, update

from ingest.errors import ContradictionError, TooManyUploadsError, UploadBusyError
from ingest.parts import Parts
from ingest.protocol import UploadRequest, same_accession
from sharing import policy
from sharing.clock import SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import UploadRow
from sharing.subjects import Sender, sender_id
from sharing.vocabulary import Action, UploadId, new_id

RESTING_US = 60 * SECOND_US


def standing(session: Session, sender: Sender, request: UploadRequest) -> UploadRow | None:
    """The sender's open upload of these bytes; None when the request does not say which bytes. Raises
    ContradictionError when it was announced with another length."""
    if request.sha256 is None:
        return None
    row = _open(session, sender_id(sender), request.sha256, of_set=request.of_set)
    if row is not None and row.length != request.length:
        raise ContradictionError(row.length)
    return row


def add(session: Session, sender: Sender, request: UploadRequest, *, most: int, keep_s: int) -> UploadRow:
    """A new upload. Raises TooManyUploadsError when the sender has `most` open ones."""
    policy.require(session, sender, Action.PUSH_SLIDE, sender)
    mine = UploadRow.sender == sender_id(sender), UploadRow.completed_us.is_(None)
    if (session.scalar(select(func.count()).select_from(UploadRow).where(*mine)) or 0) >= most:
        raise TooManyUploadsError(most)
    row = UploadRow(
        id=UploadId(new_id()),
        site_id=sender.site_id,
        sender=sender_id(sender),
        length=request.length,
        sha256=request.sha256,
        file_name=request.file_name,
        accession=request.accession,
        stain=request.stain,
        block=request.block,
        of_set=request.of_set,
        created_us=session.now_us,
        expires_us=session.now_us + keep_s * SECOND_US,
    )
    session.add(row)
    return row


def corrections(row: UploadRow, request: UploadRequest) -> Mapping[str, str]:
    """What a newer announcement says otherwise of the glass; what it does not say stays."""
    said = {"accession": request.accession, "stain": request.stain, "block": request.block}
    return {name: value for name, value in said.items() if value and value != getattr(row, name)}


def correct(session: Session, parts: Parts, row: UploadRow, request: UploadRequest) -> None:
    """The newer word counts. Raises UploadBusyError while the upload moves under another accession number, and when it
    has ended meanwhile: announced once more, the newer word meets what has become of it."""
    current = session.get(UploadRow, row.id, with_for_update=True, populate_existing=True)
    if current is None or current.completed_us is not None:
        raise UploadBusyError
    if current.accession and request.accession and not same_accession(current.accession, request.accession):
        _require_resting(session, parts, current)
    for field, value in corrections(current, request).items():
        setattr(current, field, value)


def name(session: Session, parts: Parts, upload: UploadRow, sha256: str) -> None:
    """Writes down the bytes of an upload that had not said which they are. Another open upload of the same bytes gives
    way to it, complete as it is; raises UploadBusyError while that one moves."""
    rival = _open(session, upload.sender, sha256, of_set=upload.of_set)
    if rival is not None and rival.id != upload.id:
        _require_resting(session, parts, rival)
        session.execute(delete(UploadRow).where(UploadRow.id == rival.id))
    session.execute(update(UploadRow).where(UploadRow.id == upload.id).values(sha256=sha256))


def _open(session: Session, sender: str, sha256: str, *, of_set: bool) -> UploadRow | None:
    same = UploadRow.sender == sender, UploadRow.sha256 == sha256, UploadRow.of_set == of_set
    return session.scalars(select(UploadRow).where(*same, UploadRow.completed_us.is_(None))).one_or_none()


def _require_resting(session: Session, parts: Parts, row: UploadRow) -> None:
    if session.now_us < max(row.created_us, parts.touched_us(row.id)) + RESTING_US:
        raise UploadBusyError
    parts.lock(row.id).close()  # busy, too, while somebody sends so slowly that nothing was written for a minute
