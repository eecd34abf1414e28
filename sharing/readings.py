"""Readings: a subject has a slide open. One reading is one event in the audit log, however many tiles it takes."""

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit, policy
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.db.tables import Base, CaseReadingRow, LabelReadingRow, ReadingRow
from sharing.slides import Slide
from sharing.subjects import Member, Subject, subject_id
from sharing.vocabulary import Act, Entity, SlideId

IDLE_US = 30 * MINUTE_US
TOUCH_US = MINUTE_US
"""That a reading goes on is noted at most this often."""


Readings = ReadingRow | CaseReadingRow | LabelReadingRow
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
    _record(session, subject, slide)
    return True


def open_readings(session: Session, readings: Sequence[tuple[Subject, Slide]]) -> None:
    """`open_reading` of many, in a writing transaction."""
    if not readings:
        return
    new = _begin_all(session, ReadingRow, [_key(subject, {"slide_id": slide.id}) for subject, slide in readings])
    with audit.together(session):
        for subject, slide in readings:
            if (subject.kind, subject_id(subject), slide.id) in new:
                new.discard((subject.kind, subject_id(subject), slide.id))
                _record(session, subject, slide)


def _record(session: Session, subject: Subject, slide: Slide) -> None:
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


def begin(
    session: Session,
    table: type[Readings],
    subject: Subject,
    thing: dict[str, str],
) -> bool:
    """Note in a table of readings that the subject has the thing open; True if it had not, for 30 minutes.

    In a reading transaction: False if it has, else UnrecordedError.
    """
    key = _key(subject, thing)
    if not session.writable:
        stands = select(table.seen_us).filter_by(**key).where(table.seen_us > session.now_us - IDLE_US)
        if session.scalar(stands) is None:
            raise UnrecordedError
        return False
    return bool(_begin_all(session, table, [key]))


def _begin_all(session: Session, table: type[Readings], keys: Sequence[dict[str, str]]) -> set[tuple[str, ...]]:
    """Those of these readings that are new; rows are locked in the order of the keys."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    columns, names = Base.metadata.tables[table.__tablename__].c, [*keys[0]]
    wanted = insert(Base.metadata.tables[table.__tablename__])
    begun = wanted.on_conflict_do_update(
        index_elements=names,
        set_={"opened_us": wanted.excluded.opened_us, "seen_us": wanted.excluded.seen_us},
        where=columns.seen_us <= wanted.excluded.seen_us - IDLE_US,
    ).returning(*(columns[name] for name in names))
    unique = {tuple(key.values()): key for key in keys}
    rows = [key | {"opened_us": session.now_us, "seen_us": session.now_us} for key in unique.values()]
    new = {tuple(row) for row in session.execute(begun, rows)}
    if going_on := [{f"of_{name}": key[name] for name in names} for values, key in unique.items() if values not in new]:
        touched = update(wanted.table).where(
            *(columns[name] == bindparam(f"of_{name}") for name in names), columns.seen_us <= session.now_us - TOUCH_US
        )
        session.execute(touched.values(seen_us=session.now_us), going_on)
    return new


def _key(subject: Subject, thing: dict[str, str]) -> dict[str, str]:
    reader = subject_id(subject)
    if reader is None:
        raise ValueError(f"{subject.kind} reads nothing")
    return {"subject_kind": subject.kind, "subject_id": reader, **thing}


def standing(session: Session, readings: Iterable[Reading]) -> set[Reading]:
    """Those of these readings of slides that are on record and go on."""
    row, wanted = ReadingRow, [*readings]
    if not wanted:
        return set()
    found = select(row.subject_kind, row.subject_id, row.slide_id).where(
        tuple_(row.subject_kind, row.subject_id, row.slide_id).in_(wanted),
        row.seen_us > session.now_us - IDLE_US,
    )
    return {(kind, reader, slide_id) for kind, reader, slide_id in session.execute(found)}
