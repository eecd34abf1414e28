"""The register of objections, for the data protection officer: find the patient, see what would end, enter it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.objections
from sharing import audit, patients
from sharing.db.engine import Session
from sharing.errors import ConflictError, InvalidError
from sharing.objections import Look, Objection
from sharing.subjects import Member
from sharing.vocabulary import Action, CaseId, Entity, ObjectionId, Origin, Purpose
from slideserver.deps import (
    LanguageDep,
    MemberDep,
    Page,
    PageDep,
    SessionDep,
    StateDep,
    requires,
)
from slideserver.i18n import Language
from slideserver.pages import moments
from slideserver.pages.journal import Translate, csv_of
from slideserver.pages.words import N_, PURPOSES
from slideserver.recording import Record, RecordDep
from slideserver.sentences import said

ORIGINS: Mapping[Origin, str] = {
    Origin.LETTER: N_("by letter"),
    Origin.MAIL: N_("by mail"),
    Origin.IN_PERSON: N_("in person"),
    Origin.OTHER: N_("another way"),
}
# To what one may object, in the order in which it is asked: a title and what it means.
CHOICES: Mapping[Purpose, tuple[str, str]] = {
    Purpose.RESEARCH: (N_("Research"), N_("no slide is shown to anybody for a study")),
    Purpose.TEACHING: (N_("Teaching"), N_("no slide is shown in a lesson or a collection")),
    Purpose.AI: (N_("Analysis by programs"), N_("no slide is given to a program to learn from or to analyse")),
}


@dataclass(frozen=True, slots=True)
class Typed:
    """What was filled into the form of an objection."""

    purposes: Sequence[Purpose] = ()
    also: Sequence[str] = ()
    origin: Origin | None = None


EMPTY = Typed()

router = APIRouter()


@router.get("/objections", dependencies=[requires(Action.VIEW_OBJECTIONS)])
def objections(
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    page: PageDep,
    q: str = "",
    entered: Annotated[list[str], Query(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    withdrawn: str = "",
) -> Response:
    """The register; with a search, the patients that it finds, and of one alone the page of that one."""
    found = patients.find(session, member, q) if q.strip() else []
    if q.strip():
        record(sharing.objections.note, member, Look.SEARCH, search=q)
    if len(found) == 1:
        return RedirectResponse(f"/objections/patients/{found[0].cases[0].id}", 303)
    listed = sharing.objections.list_objections(session, member)
    record(sharing.objections.note, member, Look.LIST)
    return page(
        "objections.html",
        q=q,
        found=found,
        objections=listed,
        entered=[each for each in listed if each.id in entered and each.withdrawn_us is None],
        withdrawn=next((each for each in listed if each.id == withdrawn and not _stands(each, listed)), None),
        origins=ORIGINS,
    )


@router.get("/objections.csv", dependencies=[requires(Action.VIEW_OBJECTIONS)])
def export(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, language: LanguageDep
) -> Response:
    """The whole register as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    listed = sharing.objections.list_objections(session, member)
    record(sharing.objections.note, member, Look.LIST)
    day = moments.at(session.now_us, timezone).date()
    headers = {
        "Content-Disposition": f'attachment; filename="iain-oppositions-{member.site_id}-{day}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(_csv(listed, timezone, language, translate), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/objections/patients/{case_id}", dependencies=[requires(Action.REGISTER_OBJECTION)])
def patient(session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, case_id: str) -> HTMLResponse:
    """The patient of a case, and what an objection would end: to be read before anything is entered."""
    return _patient(session, record, member, page, CaseId(case_id))


@router.post("/objections/patients/{case_id}", dependencies=[requires(Action.REGISTER_OBJECTION)])
def register(
    state: StateDep,
    record: RecordDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    case_id: str,
    purpose: Annotated[list[Purpose], Form()] = [],  # noqa: B006
    also: Annotated[list[str], Form()] = [],  # noqa: B006
    origin: Annotated[Origin | None, Form()] = None,
) -> Response:
    """Enter what was chosen; or the page again, with what is missing."""
    about, others = CaseId(case_id), [CaseId(each) for each in also]
    try:
        if origin is None:
            raise InvalidError("Say how the objection reached you: by letter, by mail, in person or another way.")
        with state.database.writing() as session:
            entered = sharing.objections.register(session, member, about, set(purpose), origin, also=others)
    except (InvalidError, ConflictError) as error:
        if error.refusal is not None:
            audit.record_refusal(state.database, error.refusal)
        problem = said(str(error), state.catalogues[language].gettext)
        status = 409 if isinstance(error, ConflictError) else 422
        typed = Typed(purpose, also, origin)
        with state.database.reading() as session:
            return _patient(session, record, member, page, about, typed, problem=problem, status=status)
    return RedirectResponse(f"/objections?{urlencode([('entered', each) for each in entered])}", 303)


@router.get("/objections/{objection_id}", dependencies=[requires(Action.VIEW_OBJECTIONS)])
def entry(session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, objection_id: str) -> HTMLResponse:
    """One entry, to be printed for the patient or the file."""
    found, entry = sharing.objections.get(session, member, ObjectionId(objection_id))
    about = Entity("objection", found.id), Entity("case", found.case_id)
    record(sharing.objections.note, member, Look.ENTRY, *about)
    return page("objection.html", objection=found, entry=entry, origins=ORIGINS, choices=CHOICES)


@router.post("/objections/{objection_id}/withdraw", dependencies=[requires(Action.REGISTER_OBJECTION)])
def withdraw(session: SessionDep, member: MemberDep, objection_id: str) -> Response:
    sharing.objections.withdraw(session, member, ObjectionId(objection_id))
    return RedirectResponse(f"/objections?{urlencode({'withdrawn': objection_id})}", 303)


@router.post("/objections/{objection_id}/again", dependencies=[requires(Action.REGISTER_OBJECTION)])
def again(session: SessionDep, member: MemberDep, objection_id: str) -> Response:
    """Put in force again what was withdrawn, as a new entry."""
    (anew,) = sharing.objections.again(session, member, ObjectionId(objection_id))
    return RedirectResponse(f"/objections?{urlencode({'entered': anew})}", 303)


def _stands(objection: Objection, listed: Sequence[Objection]) -> bool:
    """Whether the patient objects to it now, by this entry or by another one."""

    def what(each: Objection) -> tuple[object, ...]:
        return each.patient_name, each.patient_birth_year, each.patient_sex, each.purpose

    return any(each.withdrawn_us is None and what(each) == what(objection) for each in listed)


def _patient(
    session: Session,
    record: Record,
    member: Member,
    page: Page,
    case_id: CaseId,
    typed: Typed = EMPTY,
    *,
    problem: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    found, alike, ends = sharing.objections.effects(session, member, case_id)
    record(sharing.objections.note, member, Look.EFFECTS, Entity("case", case_id))
    own, others = {case.id for case in found.cases}, {other.key: {c.id for c in other.cases} for other in alike}
    return page(
        "objection_patient.html",
        status=status,
        case_id=case_id,
        patient=found,
        alike=[(other, [end for end in ends if end.case_id in others[other.key]]) for other in alike],
        ends={each: [end for end in ends if end.purpose is each and end.case_id in own] for each in CHOICES},
        choices=CHOICES,
        origins=ORIGINS,
        typed=typed,
        problem=problem,
    )


def _csv(listed: Sequence[Objection], timezone: ZoneInfo, language: Language, translate: Translate) -> str:
    heads = (
        N_("Entered"),
        N_("Entered by"),
        N_("Patient"),
        N_("Year of birth"),
        N_("Case number"),
        N_("Objects to"),
        N_("How it came"),
        N_("Cases covered"),
        N_("Withdrawn"),
        N_("Withdrawn by"),
        N_("Number"),
    )

    def moment(when_us: int | None) -> str:
        return "" if when_us is None else moments.at(when_us, timezone).isoformat(timespec="seconds")

    rows = (
        (
            moment(each.registered_us),
            each.registered_by,
            each.patient_name,
            str(each.patient_birth_year or ""),
            each.accession,
            translate(PURPOSES[each.purpose]),
            translate(ORIGINS[each.origin]),
            str(each.cases),
            moment(each.withdrawn_us),
            each.withdrawn_by or "",
            each.id,
        )
        for each in listed
    )
    return "".join(csv_of([translate(head) for head in heads], rows, language))
