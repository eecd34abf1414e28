"""Cases: one order for diagnosis at one site, with its patient and its slides."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from sharing import audit, policy, slides, text
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import CaseRow, SiteRow
from sharing.errors import InvalidError
from sharing.slides import Slide
from sharing.subjects import Subject
from sharing.vocabulary import Act, Action, CaseId, Entity, SiteId, new_id


@dataclass(frozen=True, slots=True)
class Case:
    """What a reader sees of a case."""

    id: CaseId
    site_id: SiteId
    site_name: str
    accession: str
    """Accession Number (0008,0050), unique at its site."""
    patient_name: str
    """Patient's Name (0010,0010), as people write it."""
    patient_birth_year: int | None
    patient_sex: str | None
    """Patient's Sex (0010,0040): F, M or O."""
    organ: str | None
    registered_us: int
    slides: tuple[Slide, ...]


def register_case(
    session: Session,
    subject: Subject,
    site_id: SiteId,
    *,
    accession: str,
    patient_name: str,
    patient_birth_year: int | None = None,
    patient_sex: str | None = None,
    organ: str | None = None,
) -> CaseId:
    """Raises ConflictError if the site has a case of that accession number, InvalidError for what cannot be."""
    policy.require(session, subject, Action.REGISTER_CASE, policy.AtSite(site_id), Entity("site", site_id))
    if patient_sex not in (None, "F", "M", "O"):
        raise InvalidError("The patient's sex is F, M, O (other) or left out.")
    if patient_birth_year is not None and not 1880 <= patient_birth_year <= 2200:
        raise InvalidError("The year of birth has four digits, such as 1957.")
    case_id = CaseId(new_id())
    number, name = text.accession(accession), text.line(patient_name, "The patient's name")
    organ = text.line_or_none(organ, "The organ")
    row = {
        "id": case_id,
        "site_id": site_id,
        "accession": number,
        "patient_name": name,
        "patient_birth_year": patient_birth_year,
        "patient_sex": patient_sex,
        "organ": organ,
        "search_text": text.folded(number, name, organ),
        "registered_us": session.now_us,
        "patient_key": text.patient_key(site_id, name, patient_birth_year, patient_sex),
    }
    insert_new(session, CaseRow, row, f"There is a case {number} already at this site.")
    audit.record(
        session,
        site_id=site_id,
        act=Act.CASE_REGISTERED,
        subject=subject,
        entities=[Entity("case", case_id)],
        personal={"accession": number},
    )
    return case_id


def list_cases(session: Session, subject: Subject, search: str = "", *, limit: int = 200) -> list[Case]:
    """The cases that the subject may list, newest first. Each word of `search` must occur in the accession number, the
    patient's name or the organ; case and accents do not matter.
    """
    statement = policy.visible_cases(subject)
    for word in text.folded(search).split():
        statement = statement.where(CaseRow.search_text.contains(word, autoescape=True))
    rows = session.scalars(statement.order_by(CaseRow.registered_us.desc(), CaseRow.id).limit(limit)).all()
    return _with_slides(session, rows)


def cases_numbered(session: Session, subject: Subject, beginning: str, *, limit: int = 8) -> list[Case]:
    """The cases to which the subject may bring slides whose accession number begins so, in the order of their numbers.
    None for less than three characters: that names no case.
    """
    if len(beginning.strip()) < 3:
        return []
    number = CaseRow.accession.startswith(text.accession(beginning), autoescape=True)
    found = session.scalars(policy.nameable_cases(subject).where(number).order_by(CaseRow.accession).limit(limit))
    return _with_slides(session, found)


def get_case(session: Session, subject: Subject, case_id: CaseId) -> Case:
    """The case, if the subject may see it. Raises NotFoundError or RefusedError as `policy.require` does."""
    row = session.get(CaseRow, case_id)
    if row is None:
        raise policy.absent("case")
    policy.require(session, subject, Action.VIEW_CASE, row, Entity("case", case_id))
    return _with_slides(session, [row])[0]


def known(session: Session, case_ids: Iterable[CaseId]) -> dict[CaseId, Case]:
    """Cases for a caller that has asked the policy, or that shows no more of them than `veil` lets through."""
    rows = session.scalars(select(CaseRow).where(CaseRow.id.in_(set(case_ids)))).all()
    return {case.id: case for case in _with_slides(session, rows)}


def case_by_accession(session: Session, site_id: SiteId, accession: str) -> CaseId | None:
    """The site's case of an accession number, in whatever letter case it was typed. For the site's own use: it asks no
    policy and tells an id alone.
    """
    return session.scalars(
        select(CaseRow.id).where(CaseRow.site_id == site_id, CaseRow.accession == text.accession(accession))
    ).one_or_none()


def _with_slides(session: Session, rows: Iterable[CaseRow]) -> list[Case]:
    rows = list(rows)
    found = slides.of_cases(session, [row.id for row in rows])
    names = {site.id: site.name for site in session.scalars(select(SiteRow))}
    return [
        Case(
            id=row.id,
            site_id=row.site_id,
            site_name=names[row.site_id],
            accession=row.accession,
            patient_name=row.patient_name,
            patient_birth_year=row.patient_birth_year,
            patient_sex=row.patient_sex,
            organ=row.organ,
            registered_us=row.registered_us,
            slides=found.get(row.id, ()),
        )
        for row in rows
    ]
