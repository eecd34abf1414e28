"""Readings: a subject has a slide open. One reading is one event in the audit log, however many tiles it takes."""

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit, policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import ReadingRow
from sharing.slides import Slide
from sharing.subjects import Member, Subject, subject_id
from sharing.vocabulary import Act, Entity

IDLE_US = 30 * MINUTE_US


def open_reading(session: Session, subject: Subject, slide: Slide) -> bool:
    """Note that the subject, who has been allowed to, reads the slide. True if it is a new reading: the first, or the
    first after 30 idle minutes. It is then on record as *Instances Accessed* in the same transaction: in the chain of
    the site that owns the slide and, when a member of another site reads, in that site's chain too.

    Of any number of simultaneous calls exactly one is told True.
    """
    reader = subject_id(subject)
    if reader is None:
        raise ValueError(f"{subject.kind} reads no slides")
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    key = {"subject_kind": subject.kind, "subject_id": reader, "slide_id": slide.id}
    opened = session.execute(
        insert(ReadingRow)
        .values(**key, opened_us=session.now_us, seen_us=session.now_us)
        .on_conflict_do_update(
            index_elements=list(key),
            set_={"opened_us": session.now_us, "seen_us": session.now_us},
            where=ReadingRow.seen_us <= session.now_us - IDLE_US,
        )
        .returning(ReadingRow.slide_id)
    ).one_or_none()
    if opened is None:
        session.execute(update(ReadingRow).filter_by(**key).values(seen_us=session.now_us))
        return False
    basis = policy.basis(session, subject, slide)
    shown = [basis.entity] if basis else []
    purpose = basis.purpose if basis else None
    entities = [Entity("slide", slide.id), *([Entity("case", slide.case_id)] if slide.case_id else []), *shown]
    audit.record(
        session, site_id=slide.site_id, act=Act.SLIDE_OPENED, subject=subject, entities=entities, purpose=purpose
    )
    if isinstance(subject, Member) and subject.site_id != slide.site_id:
        audit.record(
            session,
            site_id=subject.site_id,
            act=Act.SLIDE_OPENED,
            subject=subject,
            entities=[Entity("slide", slide.id), *shown],
            detail={"owner": slide.site_id},
            purpose=purpose,
        )
    return True
