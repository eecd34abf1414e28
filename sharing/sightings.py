"""What is seen of patients beside the slides themselves, put on record: cases, labels, small pictures, lists.

A case that is open is one event as long as somebody goes on with it, as a slide is (`sharing.readings`); a list is one
event each time it is asked for. What was typed to find something is a person's name as often as not: it stands in the
part of the event that can be erased.
"""

from sqlalchemy import exists, or_, select

from sharing import audit, readings, slides
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import AuditEventRow, CaseReadingRow, LabelReadingRow, ReadingRow, SlideRow
from sharing.policy import Owned
from sharing.slides import Slide
from sharing.subjects import Member, Subject, subject_id
from sharing.vocabulary import Act, CaseId, ConsultationId, Entity, Outcome, Purpose, SlideId

LASTS_US = 12 * 60 * MINUTE_US
"""How long the small pictures of a page may be asked for after it: as long as the session in which it was shown."""
_SHOWS_PICTURES = (
    Act.CASES_LISTED,
    Act.CASE_OPENED,
    Act.INTAKE_READ,
    Act.SLIDE_OPENED,
    Act.CONSULTATION_REQUESTED,
    Act.CONSULTATION_OPENED,
)


def open_case(
    session: Session,
    subject: Member,
    case_id: CaseId,
    owner: Owned,
    *,
    consultation_id: ConsultationId | None = None,
    purpose: Purpose | None = None,
) -> bool:
    """Note that the subject, who has been allowed to, reads a case of the owner's site: at home, or what a consultation
    shows and says of it. True if it is a new reading, which is then on record in the chain of the owner and, when a
    member of another site reads, in that site's chain too.
    """
    if not readings.begin(session, CaseReadingRow, subject, {"case_id": case_id}):
        return False
    asked = [Entity("consultation", consultation_id)] if consultation_id else []
    entities = [Entity("case", case_id), *asked]
    audit.record(
        session, site_id=owner.site_id, act=Act.CASE_OPENED, subject=subject, entities=entities, purpose=purpose
    )
    if subject.site_id != owner.site_id:
        detail = {"owner": owner.site_id}
        audit.record(
            session,
            site_id=subject.site_id,
            act=Act.CASE_OPENED,
            subject=subject,
            entities=asked,
            detail=detail,
            purpose=purpose,
        )
    return True


def case_is_open(session: Session, subject: Member, case_id: CaseId) -> bool:
    """Whether the subject's reading of the case was noted within the last minute, so that nothing need be written."""
    row = session.get(CaseReadingRow, (subject.kind, subject.id, case_id))
    return row is not None and row.seen_us > session.now_us - readings.TOUCH_US


def open_slide(session: Session, subject: Subject, slide_id: SlideId) -> bool:
    """As `readings.open_reading`, for who is told about a slide before having seen any of it. Who reads another slide
    of the same case has its words before the eyes already: the viewer asks beforehand for what may come next.
    """
    slide = slides.get_slide(session, subject, slide_id)
    reading, other = ReadingRow, SlideRow
    beside = (
        select(reading.slide_id)
        .join(other, other.id == reading.slide_id)
        .where(
            reading.subject_kind == subject.kind,
            reading.subject_id == subject_id(subject),
            reading.seen_us > session.now_us - readings.IDLE_US,
            other.case_id == slide.case_id,
            other.id != slide.id,
        )
    )
    if session.scalar(beside.limit(1)) is not None:
        return False
    return readings.open_reading(session, subject, slide)


def open_label(session: Session, subject: Subject, slide: Slide) -> bool:
    """Note that the subject, who has been allowed to, looks at the label or the macro picture; as `open_reading`."""
    if not readings.begin(session, LabelReadingRow, subject, {"slide_id": slide.id}):
        return False
    audit.record(session, site_id=slide.site_id, act=Act.LABEL_READ, subject=subject, entities=_entities(slide))
    return True


def glance(session: Session, subject: Subject, slide: Slide) -> None:
    """Note that the subject, who has been allowed to, looks at the thumbnail of a slide or at its measures.

    These are part of a page that is on record. Asked for without one, they are a reading of the slide.
    """
    reader, event, case = subject_id(subject), AuditEventRow, CaseReadingRow
    page = exists().where(
        event.agent_id == reader,
        event.recorded_us > session.now_us - LASTS_US,
        event.act.in_(_SHOWS_PICTURES),
        event.outcome == Outcome.SUCCESS,
    )
    going_on = exists().where(
        case.subject_kind == subject.kind,
        case.subject_id == reader,
        case.case_id == slide.case_id,
        case.seen_us > session.now_us - LASTS_US,
    )
    if not session.scalar(select(or_(going_on, page))):
        readings.open_reading(session, subject, slide)


def list_cases(session: Session, subject: Member, what: str, count: int, *, search: str = "") -> None:
    """Put on record that the subject was shown `count` cases of a list, such as "worklist", and what was typed."""
    _list(session, subject, Act.CASES_LISTED, what, count, search)


def list_intake(session: Session, subject: Member, what: str, count: int, *, search: str = "") -> None:
    """The same of slides as they arrived."""
    _list(session, subject, Act.INTAKE_READ, what, count, search)


def watch_intake(session: Session, subject: Member, what: str, count: int) -> None:
    """The same of a page that asks again by itself: once for half an hour of it."""
    if not watched(session, subject, what):
        list_intake(session, subject, what, count)


def watched(session: Session, subject: Member, what: str) -> bool:
    """Whether that list is on record within the last half hour."""
    event = AuditEventRow
    noted = exists().where(
        event.agent_id == subject.id,
        event.recorded_us > session.now_us - readings.IDLE_US,
        event.act == Act.INTAKE_READ,
        event.detail.contains(f'"list":"{what}"'),
    )
    return bool(session.scalar(select(noted)))


def read_arrival(session: Session, subject: Member, slide: Slide) -> None:
    """Put on record that the subject was shown how one slide arrived."""
    audit.record(session, site_id=slide.site_id, act=Act.INTAKE_READ, subject=subject, entities=_entities(slide))


def _list(session: Session, subject: Member, act: Act, what: str, count: int, search: str) -> None:
    audit.record(
        session,
        site_id=subject.site_id,
        act=act,
        subject=subject,
        entities=[Entity("site", subject.site_id)],
        detail={"list": what, "count": str(count)},
        personal={"search": search} if search else None,
    )


def _entities(slide: Slide) -> list[Entity]:
    return [Entity("slide", slide.id), *([Entity("case", slide.case_id)] if slide.case_id else [])]
