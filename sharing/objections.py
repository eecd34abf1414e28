"""The register of objections: patient x purpose, entered and withdrawn by the data protection officer of the site.

An objection is kept for the patient's key, so it covers the cases and slides that come later. It is part of every
decision (`policy.objected`): in the transaction in which it is entered the access epoch moves, and within a second no
link and no consultation of that purpose shows a slide. What was written stays readable; care is left alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from sharing import audit, endings, epoch, patients, policy
from sharing.db.engine import Session
from sharing.db.tables import AuditEventRow, AuditSealRow, CaseRow, MemberRow, ObjectionRow, SiteRow, SlideRow
from sharing.errors import ConflictError, InvalidError, Refusal
from sharing.rights import OBJECTIONABLE
from sharing.subjects import Member
from sharing.vocabulary import (
    Act,
    Action,
    CaseId,
    Entity,
    EventId,
    ObjectionId,
    Origin,
    Purpose,
    SiteId,
    new_id,
)

OBJECTED: Mapping[Purpose, str] = {
    Purpose.TEACHING: "The patient objects to teaching, so nothing of this case can be shown for it. Choose care or a "
    "tumour board if that is what it is for; your data protection officer knows more.",
    Purpose.RESEARCH: "The patient objects to research, so nothing of this case can be shown for it. Choose care or a "
    "tumour board if that is what it is for; your data protection officer knows more.",
    Purpose.AI: "The patient objects to analysis by programs, so nothing of this case can be shown for it. Choose care "
    "or a tumour board if that is what it is for; your data protection officer knows more.",
}
"""Why nothing is shared for a purpose, for who wanted to."""


class Look(StrEnum):
    """What of the register somebody was shown."""

    LIST = "list"
    SEARCH = "search"
    EFFECTS = "effects"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True)
class Objection:
    """An entry of the register."""

    id: ObjectionId
    site_name: str
    purpose: Purpose
    origin: Origin
    case_id: CaseId
    """The case by which the patient was found."""
    accession: str
    patient_name: str
    patient_birth_year: int | None
    patient_sex: str | None
    cases: int
    """How many cases of the patient the site has now; all are covered."""
    slides: int
    registered_us: int
    registered_by: str
    withdrawn_us: int | None
    withdrawn_by: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the audit log has the entry of an objection; `seq` and `hash` are None until it is sealed."""

    event_id: EventId
    recorded_us: int
    seq: int | None
    hash: str | None


def register(
    session: Session,
    subject: Member,
    case_id: CaseId,
    purposes: Collection[Purpose],
    origin: Origin,
    *,
    also: Collection[CaseId] = (),
) -> list[ObjectionId]:
    """Enter that the patient of a case objects to some purposes; `also` are cases under which the same patient has
    another spelling. Each purpose and spelling is an entry with an event of its own.

    Raises NotFoundError or RefusedError if it is not the subject's to enter, InvalidError for a purpose to which nobody
    can object, ConflictError if all of it is in the register already.
    """
    meant = {patient.key: patient for patient in (patients.of_case(session, subject, c) for c in (case_id, *also))}
    if not purposes or not OBJECTIONABLE.issuperset(purposes):
        raise InvalidError("Choose at least one purpose to which the patient objects: teaching, research or programs.")
    ended = [e for e in endings.of(session, meant.values()) if e.purpose in purposes]
    entered: list[ObjectionId] = []
    for patient in meant.values():
        numbers = {case.id for case in patient.cases}
        found_by = next(c for c in (case_id, *also) if c in numbers)
        for purpose in sorted(purposes):
            objection_id = _insert(session, subject, patient.key, purpose, origin, found_by)
            if objection_id is None:
                continue
            entered.append(objection_id)
            its = [e.entity.kind for e in ended if e.purpose is purpose and e.case_id in numbers]
            audit.record(
                session,
                site_id=subject.site_id,
                act=Act.OBJECTION_REGISTERED,
                subject=subject,
                entities=[Entity("objection", objection_id), Entity("case", found_by)],
                detail={
                    "origin": origin,
                    "cases": str(len(patient.cases)),
                    "slides": str(patient.slides),
                    "links": str(its.count("link")),
                    "consultations": str(its.count("consultation")),
                },
                purpose=purpose,
            )
    if not entered:
        raise ConflictError("This objection is in the register already. Reload the page to see it.")
    epoch.bump(session)
    return entered


def withdraw(session: Session, subject: Member, objection_id: ObjectionId) -> None:
    """Take an objection out of force; it stays in the register. What it had ended is open again where it is not over.

    Raises NotFoundError or RefusedError if it is not the subject's to withdraw, ConflictError if it was before.
    """
    row = _row(session, subject, Action.REGISTER_OBJECTION, objection_id)
    withdrawn = session.scalars(
        update(ObjectionRow)
        .where(ObjectionRow.id == objection_id, ObjectionRow.withdrawn_us.is_(None))
        .values(withdrawn_us=session.now_us, withdrawn_by=subject.id)
        .returning(ObjectionRow.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if withdrawn is None:
        raise ConflictError("This objection was withdrawn already. Reload the page to see it.")
    audit.record(
        session,
        site_id=row.site_id,
        act=Act.OBJECTION_WITHDRAWN,
        subject=subject,
        entities=[Entity("objection", objection_id), Entity("case", row.case_id)],
        purpose=Purpose(row.purpose),
    )


def again(session: Session, subject: Member, objection_id: ObjectionId) -> list[ObjectionId]:
    """Enter anew what was withdrawn, as a new entry. Raises as `register`."""
    row = _row(session, subject, Action.REGISTER_OBJECTION, objection_id)
    return register(session, subject, row.case_id, {Purpose(row.purpose)}, Origin(row.origin))


def list_objections(session: Session, subject: Member) -> list[Objection]:
    """The register of the subject's site, what is in force first, then the newest first. To be noted (`note`).

    Raises RefusedError if the role may not.
    """
    policy.require(session, subject, Action.VIEW_OBJECTIONS, subject, Entity("site", subject.site_id))
    return _objections(session, subject)


def get(session: Session, subject: Member, objection_id: ObjectionId) -> tuple[Objection, Entry]:
    """One entry of the register, and where the audit log has it. To be noted.

    Raises NotFoundError or RefusedError if it is not the subject's to read.
    """
    row = _row(session, subject, Action.VIEW_OBJECTIONS, objection_id)
    event, seal = AuditEventRow, AuditSealRow
    entry = session.execute(
        select(event.id, event.recorded_us, seal.seq, seal.hash)
        .outerjoin(seal, seal.event_id == event.id)
        .where(
            event.site_id == row.site_id,
            event.case_id == row.case_id,
            event.act == Act.OBJECTION_REGISTERED,
            event.entities.contains(objection_id, autoescape=True),
        )
    ).one()
    objection = next(o for o in _objections(session, subject, objection_id))
    return objection, Entry(entry.id, entry.recorded_us, entry.seq, entry.hash)


def effects(
    session: Session, subject: Member, case_id: CaseId
) -> tuple[patients.Patient, list[patients.Patient], list[endings.Ending]]:
    """The patient of a case, others who may be the same person, and what an objection of any of them would end. To be
    noted. Raises as `patients.of_case`.
    """
    patient = patients.of_case(session, subject, case_id)
    alike = patients.alike(session, subject, patient)
    return patient, alike, endings.of(session, [patient, *alike])


def note(session: Session, subject: Member, what: Look, *about: Entity, search: str = "") -> None:
    """Put on record that the subject was shown something of the register, and what was typed to find it. Reading takes
    longer than noting it, so it is a transaction of its own, before the answer leaves.
    """
    audit.record(
        session,
        site_id=subject.site_id,
        act=Act.OBJECTIONS_READ,
        subject=subject,
        entities=about,
        detail={"what": what},
        personal={"search": search} if search else None,
    )


def of_case(session: Session, case_id: CaseId) -> tuple[Purpose, ...]:
    """To what the patient of a case objects now, for whoever may see the case."""
    standing = (
        select(ObjectionRow.purpose)
        .join(CaseRow, (CaseRow.site_id == ObjectionRow.site_id) & (CaseRow.patient_key == ObjectionRow.patient_key))
        .where(CaseRow.id == case_id, ObjectionRow.withdrawn_us.is_(None))
        .order_by(ObjectionRow.purpose)
    )
    return tuple(Purpose(purpose) for purpose in session.scalars(standing))


def refuse(
    session: Session, subject: Member, action: Action, case_id: CaseId, site_id: SiteId, purpose: Purpose
) -> None:
    """Return if a case can be shown for a purpose; raise ConflictError, the refusal in it, if its patient objects."""
    if purpose in of_case(session, case_id):
        refusal = Refusal(subject, action, site_id, f"the patient objects to {purpose}", (Entity("case", case_id),))
        raise ConflictError(OBJECTED[purpose], refusal=refusal)


def _insert(
    session: Session, subject: Member, patient_key: str, purpose: Purpose, origin: Origin, case_id: CaseId
) -> ObjectionId | None:
    """The id of a new entry; None if one stands already."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    return session.scalars(
        insert(ObjectionRow)
        .values(
            id=ObjectionId(new_id()),
            site_id=subject.site_id,
            patient_key=patient_key,
            purpose=purpose,
            case_id=case_id,
            origin=origin,
            registered_us=session.now_us,
            registered_by=subject.id,
        )
        .on_conflict_do_nothing()
        .returning(ObjectionRow.id)
    ).one_or_none()


def _row(session: Session, subject: Member, action: Action, objection_id: ObjectionId) -> ObjectionRow:
    row = session.get(ObjectionRow, objection_id, populate_existing=True)
    if row is None:
        raise policy.absent("objection")
    policy.require(session, subject, action, row, Entity("objection", objection_id))
    return row


def _objections(session: Session, subject: Member, objection_id: ObjectionId | None = None) -> list[Objection]:
    by, ended_by, covered = aliased(MemberRow), aliased(MemberRow), aliased(CaseRow)
    same = (covered.site_id == ObjectionRow.site_id) & (covered.patient_key == ObjectionRow.patient_key)
    count = select(func.count()).select_from(covered).where(same).scalar_subquery()
    slides = (
        select(func.count()).select_from(SlideRow).join(covered, covered.id == SlideRow.case_id).where(same)
    ).scalar_subquery()
    statement = (
        policy.visible_objections(subject)
        .join(CaseRow, CaseRow.id == ObjectionRow.case_id)
        .join(SiteRow, SiteRow.id == ObjectionRow.site_id)
        .join(by, by.id == ObjectionRow.registered_by)
        .outerjoin(ended_by, ended_by.id == ObjectionRow.withdrawn_by)
        .with_only_columns(ObjectionRow, CaseRow, SiteRow.name, by.name, ended_by.name, count, slides)
        .order_by(ObjectionRow.withdrawn_us.is_not(None), ObjectionRow.registered_us.desc(), ObjectionRow.id)
    )
    if objection_id is not None:
        statement = statement.where(ObjectionRow.id == objection_id)
    return [
        Objection(
            id=row.id,
            site_name=site_name,
            purpose=Purpose(row.purpose),
            origin=Origin(row.origin),
            case_id=row.case_id,
            accession=case.accession,
            patient_name=case.patient_name,
            patient_birth_year=case.patient_birth_year,
            patient_sex=case.patient_sex,
            cases=cases,
            slides=number,
            registered_us=row.registered_us,
            registered_by=registered_by,
            withdrawn_us=row.withdrawn_us,
            withdrawn_by=withdrawn_by,
        )
        for row, case, site_name, registered_by, withdrawn_by, cases, number in session.execute(statement)
    ]
