"""Reception: every slide the scanners sent, what became of it, and those that wait for somebody to name their case."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.slides
from sharing import claims, custody, policy, sightings
from sharing.cases import case_by_accession, register_case
from sharing.claims import ClaimId
from sharing.db.engine import Session
from sharing.policy import AtSite
from sharing.slides import Slide
from sharing.subjects import Member
from sharing.vocabulary import Action, CaseId, Entity, SlideId, SlideState
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.pages.words import N_
from slideserver.pages.worklist import PENDING
from slideserver.pages.works import in_hand
from slideserver.recording import RecordDep

MOST = 200

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Search:
    """What the address asks of the list."""

    q: str
    state: str

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state)

    def keeps(self, slide: Slide) -> bool:
        said = (slide.case_accession, slide.accession, slide.file_name, slide.scanner_name, slide.stain, slide.block)
        return self._stands(slide) and self.q.casefold() in " ".join(filter(None, said)).casefold()

    def _stands(self, slide: Slide) -> bool:
        match self.state:
            case "pending":
                return slide.state in PENDING
            case "unmatched":
                return unmatched(slide)
            case "refused":
                return slide.state is SlideState.REFUSED
            case "ready":
                return slide.state is SlideState.READY and not unmatched(slide)
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Naming:
    """What somebody typed about a slide. `unknown`: its number is no case of the site."""

    accession: str = ""
    stain: str = ""
    block: str = ""
    organ: str = ""
    patient_name: str = ""
    patient_sex: str = ""
    patient_birth_year: str = ""
    unknown: bool = False


def unmatched(slide: Slide) -> bool:
    return slide.state is SlideState.READY and slide.case_id is None


@router.get("/intake", dependencies=[requires(Action.VIEW_INTAKE)])
def intake(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    page: PageDep,
    q: str = "",
    standing: Annotated[str, Query(alias="state")] = "",
    done: str = "",
    decided: str = "",
) -> HTMLResponse:
    policy.require(session, member, Action.VIEW_INTAKE, AtSite(member.site_id), Entity("site", member.site_id))
    search = Search(q.strip(), standing)
    slides = sharing.slides.intake(session, member, limit=MOST)
    kept = [slide for slide in slides if search.keeps(slide)]
    record(sightings.list_intake, member, "intake", len(kept), search=search.q)
    return page(
        "intake.html",
        search=search,
        unmatched=[slide for slide in slides if unmatched(slide)],
        slides=kept,
        claims=claims.waiting(session, member),
        claims_count=claims.count_waiting(session, member),
        decided=claims.get_claim(session, member, ClaimId(decided)) if decided else None,
        damaged=custody.damaged(session, member),
        done=next((slide for slide in slides if slide.id == done and slide.case_id), None),
        server=state.settings.base_url or f"http://{state.settings.host}:{state.settings.port}",
    )


@router.get("/intake/{slide_id}", dependencies=[requires(Action.VIEW_INTAKE)])
def slide(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    page: PageDep,
    slide_id: str,
    accession: str = "",
    stain: str = "",
    block: str = "",
) -> HTMLResponse:
    """How one slide was received; with `accession`, the next step for a number that is no case of the site."""
    found = sharing.slides.get_slide(session, member, SlideId(slide_id), Action.VIEW_INTAKE)
    record(sightings.read_arrival, member, found)
    accession = accession.strip()
    unknown = bool(accession) and case_by_accession(session, member.site_id, accession) is None
    form = Naming(
        accession=accession or found.accession or "",
        stain=stain or found.stain or "",
        block=block or found.block or "",
        unknown=unknown,
    )
    work = in_hand(state.queue.progress(session, [found.id])) if found.state in PENDING else None
    return page("intake_slide.html", slide=found, unmatched=unmatched(found), form=form, problem=None, work=work)


@router.post("/intake/{slide_id}", dependencies=[requires(Action.ASSIGN_SLIDE)])
def attach(
    session: SessionDep,
    member: MemberDep,
    slide_id: str,
    accession: Annotated[str, Form()],
    stain: Annotated[str, Form()] = "",
    block: Annotated[str, Form()] = "",
) -> Response:
    """Attach the slide to the case of that number; when there is none, ask whether to create it."""
    sharing.slides.get_slide(session, member, SlideId(slide_id), Action.ASSIGN_SLIDE)
    accession = accession.strip()
    if not accession:
        return RedirectResponse(f"/intake/{slide_id}", 303)
    case = case_by_accession(session, member.site_id, accession)
    if case is None:
        said = {"accession": accession, "stain": stain.strip(), "block": block.strip()}
        return RedirectResponse(f"/intake/{slide_id}?{urlencode(said)}", 303)
    return _attached(session, member, SlideId(slide_id), case, stain, block)


@router.post("/intake/{slide_id}/case", dependencies=[requires(Action.REGISTER_CASE)])
def create_case(
    state: StateDep,
    session: SessionDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    slide_id: str,
    accession: Annotated[str, Form()],
    patient_name: Annotated[str, Form()],
    patient_sex: Annotated[Literal["", "F", "M", "O"], Form()] = "",
    patient_birth_year: Annotated[str, Form()] = "",
    organ: Annotated[str, Form()] = "",
    stain: Annotated[str, Form()] = "",
    block: Annotated[str, Form()] = "",
) -> Response:
    """Create the case of that number and attach the slide to it; or the form again, with what is not right in it."""
    slide = sharing.slides.get_slide(session, member, SlideId(slide_id), Action.ASSIGN_SLIDE)
    form = Naming(accession, stain, block, organ, patient_name, patient_sex, patient_birth_year, unknown=True)
    problem = _problem(form)
    if problem is None and case_by_accession(session, member.site_id, accession) is not None:
        problem = N_("A case has this number by now. Look for the number to attach the slide to it.")
    if problem is not None:
        problem = state.catalogues[language].gettext(problem)
        return page(
            "intake_slide.html",
            status=422,
            slide=slide,
            unmatched=unmatched(slide),
            form=form,
            problem=problem,
            work=None,
        )
    case = register_case(
        session,
        member,
        member.site_id,
        accession=accession,
        patient_name=patient_name,
        patient_birth_year=int(patient_birth_year) if patient_birth_year.strip() else None,
        patient_sex=patient_sex or None,
        organ=organ,
    )
    return _attached(session, member, slide.id, case, stain, block)


def _problem(form: Naming) -> str | None:
    """What keeps the form from becoming a case, as a message id."""
    if not form.accession.strip():
        return N_("Give the case number.")
    if not form.patient_name.strip():
        return N_("Give the patient's name.")
    if form.patient_birth_year.strip() and not re.fullmatch(r"\s*(19|20)\d\d\s*", form.patient_birth_year, re.ASCII):
        return N_("The year of birth has four digits, such as 1957.")
    return None


def _attached(session: Session, member: Member, slide: SlideId, case: CaseId, stain: str, block: str) -> Response:
    sharing.slides.assign(session, member, slide, case, stain=stain.strip() or None, block=block.strip() or None)
    return RedirectResponse(f"/intake?{urlencode({'done': slide})}", 303)
