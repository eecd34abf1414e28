"""What a sender has begun and not finished: the slides of which only some bytes have arrived."""

from dataclasses import dataclass

from sqlalchemy import exists, select

from ingest.parts import Parts
from sharing.db.engine import Session
from sharing.db.tables import SlideFileRow, SlideRow, UploadRow
from sharing.subjects import Sender, sender_id
from sharing.vocabulary import UploadId


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`held` of `length` bytes are here. Of a slide of several files nobody knows yet how many there are: its `length`
    is None, and it has no single `upload` that could be ended."""

    upload: UploadId | None
    file_name: str
    held: int
    length: int | None
    accession: str | None
    stain: str | None
    block: str | None
    begun_us: int
    expires_us: int


def unfinished(session: Session, parts: Parts, sender: Sender) -> list[Unfinished]:
    """The newest first. Files of one slide are one: they were announced under its name."""
    mine = UploadRow.sender == sender_id(sender), UploadRow.slide_id.is_(None)
    of_slide = (
        exists()
        .where(SlideFileRow.slide_id == SlideRow.id, SlideFileRow.sha256 == UploadRow.sha256)
        .where(SlideRow.site_id == UploadRow.site_id)
    )
    open_or_aside = UploadRow.completed_us.is_(None) | (UploadRow.of_set & ~of_slide)
    alone: list[Unfinished] = []
    together: dict[tuple[str, str | None], Unfinished] = {}
    for row in session.scalars(select(UploadRow).where(*mine, open_or_aside)):
        held = row.length if row.completed_us else parts.length(row.id)
        labels = row.accession, row.stain, row.block
        if row.of_set:
            before = together.get((row.file_name, row.accession))
            together[row.file_name, row.accession] = Unfinished(
                None,
                row.file_name,
                held + (before.held if before else 0),
                None,
                *labels,
                min(row.created_us, before.begun_us) if before else row.created_us,
                max(row.expires_us, before.expires_us) if before else row.expires_us,
            )
        else:
            alone.append(Unfinished(row.id, row.file_name, held, row.length, *labels, row.created_us, row.expires_us))
    return sorted([*alone, *together.values()], key=lambda each: -each.begun_us)
