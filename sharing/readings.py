"""Readings: a subject has a slide open. One reading is one event in the audit log, however many tiles it takes."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit, policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import CaseReadingRow, LabelReadingRow, ReadingRow
from sharing.slides import Slide
from sharing.subjects import Member, Subject, subject_id
from sharing.vocabulary import Act, Entity, SlideId

IDLE_US = 30 * MINUTE_US
TOUCH_US = MINUTE_US
"""That a reading goes on is noted at most this often."""


Reading = tuple[str, str, SlideId]
"""Kind and id of the subject, and the slide."""


class UnrecordedError(Exception):
    """This reading is not on record yet, and a reading transaction cannot put it there: ask again in a writing one."""


def open_reading(session: Session, subject: Subject, slide: Slide) -> bool:
    """Note that the subject, who has been allowed to, reads the slide. True if it is a new reading: the first, or the
    first after 30 idle minutes. It is then on record as *Instances Accessed* in the same transaction: in the chain of
    the site that owns the slide and, when a member of another site reads, in that site's chain too.

    Of any number of simultaneous calls exactly one is told True. In a reading transaction it notes nothing, and raises
    UnrecordedError for a new reading.
    """
    if not begin(session, ReadingRow, subject, {"slide_id": slide.id}):
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


def begin(
    session: Session,
    table: type[ReadingRow | CaseReadingRow | LabelReadingRow],
    subject: Subject,
    thing: dict[str, str],
) -> bool:
    """Note in a table of readings that the subject has the thing open; True if it had not, for 30 minutes.

    In a reading transaction: False if it has, else UnrecordedError.
    """
    reader = subject_id(subject)
    if reader is None:
        raise ValueError(f"{subject.kind} reads nothing")
    key: dict[str, Any] = {"subject_kind": subject.kind, "subject_id": reader, **thing}
    if not session.writable:
        stands = select(table.seen_us).filter_by(**key).where(table.seen_us > session.now_us - IDLE_US)
        if session.scalar(stands) is None:
            raise UnrecordedError
        return False
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    opened = session.execute(
        insert(table)
        .values(**key, opened_us=session.now_us, seen_us=session.now_us)
        .on_conflict_do_update(
            index_elements=list(key),
            set_={"opened_us": session.now_us, "seen_us": session.now_us},
            where=table.seen_us <= session.now_us - IDLE_US,
        )
        .returning(table.seen_us)
    )
    if opened.one_or_none() is not None:
        return True
    touched = update(table).filter_by(**key).where(table.seen_us <= session.now_us - TOUCH_US)
    session.execute(touched.values(seen_us=session.now_us))
    return False


def standing(session: Session, readings: Iterable[Reading]) -> set[Reading]:
    """Those of these readings of slides that are on record and go on."""
    row = ReadingRow
    found = select(row.subject_kind, row.subject_id, row.slide_id).where(
        tuple_(row.subject_kind, row.subject_id, row.slide_id).in_([*readings]),
        row.seen_us > session.now_us - IDLE_US,
    )
    return {(kind, reader, slide_id) for kind, reader, slide_id in session.execute(found)}
