"""Slides as files: what their scanner made, given back byte for byte to who may have it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sharing import audit, slides
from sharing.db.engine import Session
from sharing.errors import ConflictError
from sharing.slides import Slide, StoredFile
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, Entity, SlideId, SlideState


@dataclass(frozen=True, slots=True)
class Parcel:
    """A slide and the files that were received of it, in the order of its index."""

    slide: Slide
    files: tuple[StoredFile, ...]

    @property
    def length(self) -> int:
        return sum(file.length for file in self.files)


def find(session: Session, subject: Member, slide_id: SlideId) -> Parcel:
    """The files of a slide of the subject's own site. Raises NotFoundError or RefusedError to who may not have them,
    ConflictError while there is no slide to have."""
    slide = slides.get_slide(session, subject, slide_id, Action.DOWNLOAD_SLIDE)
    if slide.state is not SlideState.READY:
        raise ConflictError("Only a slide that is ready can be downloaded. Look in Reception how this one stands.")
    return Parcel(slide, slides.files_of(session, slide.id, received_only=True))


def record(
    session: Session, subject: Member, parcel: Parcel, *, length: int, personal: Mapping[str, str] | None = None
) -> None:
    """Put on record that `length` bytes of it are about to be sent: of a download that was cut and taken up again,
    each part is an event."""
    slide = parcel.slide
    audit.record(
        session,
        site_id=slide.site_id,
        act=Act.SLIDE_DOWNLOADED,
        subject=subject,
        entities=[Entity("slide", slide.id), *([Entity("case", slide.case_id)] if slide.case_id else [])],
        detail={"bytes": str(length), "files": str(len(parcel.files)), "sha256": slide.sha256},
        personal=personal,
    )
