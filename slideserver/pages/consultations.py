"""Opinions asked from centre to centre: the inbox, and the page of one request."""

import json
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sharing import audit, consultations, drafts, exchange, sightings
from sharing.db.engine import Session
from sharing.errors import ConflictError, InvalidError, NotFoundError
from sharing.exchange import Consultation
from sharing.subjects import Member
from sharing.vocabulary import Action, Agreement, ConsultationId, Move
from slideserver.deps import (
    LanguageDep,
    MemberDep,
    Page,
    PageDep,
    RecordingSessionDep,
    SessionDep,
    StateDep,
    requires,
)
from slideserver.description import describe_slide
from slideserver.i18n import Language
from slideserver.pages import consulting, pinned
from slideserver.pages.pinned import Picture
from slideserver.recording import RecordDep
from slideserver.sentences import said
from slideserver.state import State

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Typed:
    """What the reader has typed into a form of the page, and whether it is a draft that was kept."""

    agreement: str = ""
    text: str = ""
    move: str = ""
    note: str = ""
    kept: bool = False


@router.get("/consultations", dependencies=[requires(Action.VIEW_CONSULTATION)])
def inbox(session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep) -> HTMLResponse:
    found = exchange.inbox(session, member)
    count = len(found.to_do) + len(found.waiting) + len(found.recent)
    record(sightings.list_cases, member, "consultations", count)
    return page("consultations.html", inbox=found, consulting=consulting)


@router.get("/consultations/{consultation_id}", dependencies=[requires(Action.VIEW_CONSULTATION)])
def consultation(
    state: StateDep, session: RecordingSessionDep, member: MemberDep, page: PageDep, consultation_id: str
) -> HTMLResponse:
    """The request with all that was said. The first look of the one who is asked is itself a move."""
    found = exchange.open_(session, member, ConsultationId(consultation_id))
    return _page(state, session, member, page, found, _draft(session, member, found))


@router.post("/consultations/{consultation_id}/moves", dependencies=[requires(Action.VIEW_CONSULTATION)])
def move(
    state: StateDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    consultation_id: str,
    move: Annotated[Move, Form()],
    note: Annotated[str, Form()] = "",
) -> Response:
    """Make a move; or the page again, with why it cannot be made."""
    about = ConsultationId(consultation_id)
    try:
        with state.database.writing() as session:
            consultations.move(session, member, about, move, note)
    except (InvalidError, ConflictError) as error:
        return _again(state, member, language, page, about, Typed(move=move, note=note), error)
    return RedirectResponse(f"/consultations/{consultation_id}", 303)


@router.post("/consultations/{consultation_id}/answer", dependencies=[requires(Action.ANSWER_CONSULTATION)])
def answer(
    state: StateDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    consultation_id: str,
    agreement: Annotated[Agreement, Form()],
    text: Annotated[str, Form()] = "",
    amends: Annotated[str, Form()] = "",
) -> Response:
    """Sign an opinion, or one that amends it; or the page again with what was typed and why it cannot be signed."""
    about = ConsultationId(consultation_id)
    sign = consultations.amend if amends else consultations.answer
    try:
        with state.database.writing() as session:
            sign(session, member, about, agreement=agreement, text=text)
            drafts.clear(session, member, _draft_key(about))
    except (InvalidError, ConflictError) as error:
        return _again(state, member, language, page, about, Typed(agreement=agreement, text=text), error)
    return RedirectResponse(f"/consultations/{consultation_id}", 303)


def _again(
    state: State,
    member: Member,
    language: Language,
    page: Page,
    about: ConsultationId,
    typed: Typed,
    error: InvalidError | ConflictError,
) -> HTMLResponse:
    """The page as it stands now, with what was typed and why nothing came of it."""
    if error.refusal is not None:
        audit.record_refusal(state.database, error.refusal)
    problem = said(str(error), state.catalogues[language].gettext)
    status = 409 if isinstance(error, ConflictError) else 422
    with state.database.reading() as session:
        found = exchange.get(session, member, about)
        return _page(state, session, member, page, found, typed, problem=problem, status=status)


def _page(
    state: State,
    session: Session,
    member: Member,
    page: Page,
    found: Consultation,
    typed: Typed,
    *,
    problem: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    return page(
        "consultation.html",
        status=status,
        c=found,
        slide=consulting.pinned_slide(found),
        picture=_picture(state, session, member, found),
        view_url=consulting.view_address(found),
        other_site=consulting.other_site(found),
        turn=consulting.TURNS[found.side][found.state][1],
        steps=consulting.steps(found),
        answering=Move.ANSWER in found.may,
        form=typed,
        problem=problem,
        consulting=consulting,
        unread=exchange.unread(session, member),  # this one no longer is
    )


def _picture(state: State, session: Session, member: Member, found: Consultation) -> Picture | None:
    """The pinned view; None when the reader may not see it any more, or cannot see it yet."""
    if consulting.pinned_slide(found) is None:
        return None
    try:
        return pinned.picture(found.view, describe_slide(session, state.sources, member, found.slide_id))
    except (ConflictError, NotFoundError):
        return None


def _draft(session: Session, member: Member, found: Consultation) -> Typed:
    """The answer that the reader has begun, here or beside the slide."""
    try:
        kept = json.loads(drafts.get(session, member, _draft_key(found.id)) or "{}")
    except ValueError:
        return Typed()
    if not isinstance(kept, dict) or not (kept.get("text") or kept.get("agreement")):
        return Typed()
    return Typed(agreement=str(kept.get("agreement") or ""), text=str(kept.get("text") or ""), kept=True)


def _draft_key(about: ConsultationId) -> str:
    return f"answer.{about}"
