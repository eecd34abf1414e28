"""Consultations, as the viewer asks and answers them; drafts, colleagues and the bell. Pages: `slideserver.pages`."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from sharing import consultations, drafts, exchange, policy, sites
from sharing.exchange import Colleague, Consultation
from sharing.subjects import Member
from sharing.vocabulary import (
    Action,
    Agreement,
    CaseId,
    ConsultationId,
    ConsultationState,
    MemberId,
    Move,
    OpinionId,
    Purpose,
    Role,
    Side,
    SiteId,
    SlideId,
    Urgency,
)
from slideserver.api.schemas import Asked
from slideserver.deps import MemberDep, NewsDep, SessionDep, StateDep, requires, signed_in
from slideserver.description import SiblingDescription, veiled_sibling
from slideserver.state import State

router = APIRouter(prefix="/api")

DraftKey = Annotated[str, Path(pattern=r"^[a-z0-9.-]{1,80}$")]
MAX_DRAFT = 20_000


class PersonOut(BaseModel):
    """`name` is null where a whole site is meant."""

    name: str | None
    site: str


class MoveOut(BaseModel):
    when_us: int
    who: str
    site: str
    move: Move
    note: str


class OpinionOut(BaseModel):
    id: OpinionId
    author: str
    site: str
    agreement: Agreement
    text: str
    signed_us: int
    amends: OpinionId | None


class CaseRef(BaseModel):
    id: CaseId
    accession: str


class ConsultationOut(BaseModel):
    """As the one who reads it may see it: `case` is null at the site that was asked. Times in µs since 1970.

    `ball` says whose turn it is, null when it is over; `moves` is what the reader may do now; until `undo_until_us` the
    requester may take it back as if it had never been sent.
    """

    id: ConsultationId
    reference: str
    state: ConsultationState
    ball: Side | None
    role: Side
    urgency: Urgency
    purpose: Purpose
    question: str
    organ: str | None
    case: CaseRef | None
    requester: PersonOut
    consultant: PersonOut
    asked_us: int
    changed_us: int
    undo_until_us: int | None
    slide_id: SlideId
    view: str
    slides: list[SiblingDescription]
    moves: list[Move]
    may_answer: bool
    may_amend: bool
    unread: bool
    thread: list[MoveOut]
    opinions: list[OpinionOut]

    @classmethod
    def of(cls, found: Consultation, now_us: int) -> "ConsultationOut":
        asked = found.taken_by or found.to_member
        undo_until_us = found.created_us + policy.UNDO_US
        undoable = found.side is Side.REQUESTER and now_us < undo_until_us and Move.CANCEL in found.may
        return cls(
            id=found.id,
            reference=found.reference,
            state=found.state,
            ball=found.ball,
            role=found.side,
            urgency=found.urgency,
            purpose=found.purpose,
            question=found.question,
            organ=found.veiled.organ,
            case=CaseRef(id=found.case.id, accession=found.case.accession) if found.case else None,
            requester=PersonOut(name=found.requester.name, site=found.site_name),
            consultant=PersonOut(name=asked.name if asked else None, site=found.to_site_name),
            asked_us=found.created_us,
            changed_us=found.moved_us,
            undo_until_us=undo_until_us if undoable else None,
            slide_id=found.slide_id,
            view=found.view,
            slides=[veiled_sibling(slide) for slide in found.veiled.slides],
            moves=sorted(found.may),
            may_answer=Move.ANSWER in found.may,
            may_amend=Move.AMEND in found.may,
            unread=found.unread,
            thread=[
                MoveOut(when_us=made.at_us, who=made.by.name, site=made.by.site_name, move=made.move, note=made.note)
                for made in found.thread
            ],
            opinions=[
                OpinionOut(
                    id=opinion.id,
                    author=opinion.author_name,
                    site=found.to_site_name,
                    agreement=opinion.agreement,
                    text=opinion.text,
                    signed_us=opinion.signed_us,
                    amends=opinion.amends,
                )
                for opinion in found.opinions
            ],
        )


class ConsultationIn(Asked):
    """One of `to_site` and `to_member`; `slides` null: all of the case that are ready.

    `id`: 128 random bits in base32, drawn by who asks; when no answer comes, the same document may be sent again.
    """

    id: Annotated[ConsultationId, Field(pattern=r"^[a-z2-7]{26}$")] | None = None
    case_id: CaseId
    to_site: SiteId | None = None
    to_member: MemberId | None = None
    question: str = Field(max_length=20_000)
    urgency: Urgency = Urgency.ROUTINE
    purpose: Purpose = Purpose.CARE
    slide_id: SlideId
    view: str = Field(default="", max_length=500)
    slides: list[SlideId] | None = Field(default=None, max_length=500)


class MoveIn(Asked):
    move: Move
    note: str = Field(default="", max_length=20_000)


class AnswerIn(Asked):
    agreement: Agreement
    text: str = Field(max_length=100_000)
    amends: OpinionId | None = None


class ColleagueOut(BaseModel):
    """Somebody to ask; `to_member` is null for "any pathologist of the site"."""

    to_site: SiteId
    to_member: MemberId | None
    name: str | None
    site: str
    asked_us: int | None


class ColleaguesOut(BaseModel):
    colleagues: list[ColleagueOut]


class DraftIn(Asked):
    body: str = Field(max_length=MAX_DRAFT)


@router.post("/consultations", status_code=201, dependencies=[requires(Action.REQUEST_CONSULTATION)])
def request(session: SessionDep, member: MemberDep, asked: ConsultationIn) -> ConsultationOut:
    """Ask another site, or one of its pathologists, about a case."""
    consultation_id = consultations.request(
        session,
        member,
        asked.case_id,
        to_site=asked.to_site,
        to_member=asked.to_member,
        question=asked.question,
        urgency=asked.urgency,
        purpose=asked.purpose,
        slide_id=asked.slide_id,
        view=asked.view,
        slides=asked.slides,
        consultation_id=asked.id,
    )
    drafts.clear(session, member, f"ask.{asked.case_id}")
    return ConsultationOut.of(exchange.get(session, member, consultation_id), session.now_us)


@router.get("/consultations/{consultation_id}", dependencies=[requires(Action.VIEW_CONSULTATION)])
async def get(request: Request, state: StateDep, member: MemberDep, consultation_id: ConsultationId) -> Response:
    """Reading what is new marks it as seen; the first look of the site that was asked opens it."""
    found, seen = await run_in_threadpool(_read, state, member, consultation_id)
    if not seen:
        async with state.writers:
            found = await run_in_threadpool(_open, state, member, consultation_id)
    return tagged(request, ConsultationOut.of(found, state.database.clock.now_us()))


@router.post("/consultations/{consultation_id}/moves", dependencies=[requires(Action.VIEW_CONSULTATION)])
def move(session: SessionDep, member: MemberDep, consultation_id: ConsultationId, made: MoveIn) -> ConsultationOut:
    """A cancellation within ten seconds undoes the request: nobody is told of it."""
    found = exchange.get(session, member, consultation_id)
    if made.move is Move.CANCEL and ConsultationOut.of(found, session.now_us).undo_until_us is not None:
        consultations.undo(session, member, consultation_id)
    else:
        consultations.move(session, member, consultation_id, made.move, made.note)
    return ConsultationOut.of(exchange.get(session, member, consultation_id), session.now_us)


@router.post(
    "/consultations/{consultation_id}/answer", status_code=201, dependencies=[requires(Action.VIEW_CONSULTATION)]
)
def answer(session: SessionDep, member: MemberDep, consultation_id: ConsultationId, given: AnswerIn) -> ConsultationOut:
    """Sign an opinion; with `amends`, one that takes the place of the former. 409 if somebody was faster."""
    sign = consultations.amend if given.amends else consultations.answer
    sign(session, member, consultation_id, agreement=given.agreement, text=given.text)
    drafts.clear(session, member, f"answer.{consultation_id}")
    return ConsultationOut.of(exchange.get(session, member, consultation_id), session.now_us)


@router.get("/colleagues", dependencies=[requires(Action.REQUEST_CONSULTATION)])
def colleagues(session: SessionDep, member: MemberDep) -> ColleaguesOut:
    """Whom the member may ask: those asked lately first, then each other site as a whole and its pathologists."""
    people = exchange.colleagues(session, member)
    lately = [person for person in people if person.asked_us is not None]
    rows = [_colleague(person) for person in lately]
    for site in sites.list_sites(session):
        others = [person for person in people if person.site_id == site.id]
        if any(person.role is Role.PATHOLOGIST for person in others):
            rows.append(ColleagueOut(to_site=site.id, to_member=None, name=None, site=site.name, asked_us=None))
        rows += [_colleague(person) for person in others if person not in lately]
    return ColleaguesOut(colleagues=rows)


@router.get("/bell", dependencies=[signed_in])
def bell(request: Request, news: NewsDep) -> Response:
    """How much waits for the member. Pages ask every second or two, which keeps no session alive."""
    return tagged(request, Bell(unread=news.unread))


class Bell(BaseModel):
    unread: int


@router.get("/drafts/{key}", dependencies=[signed_in])
def get_draft(session: SessionDep, member: MemberDep, key: DraftKey) -> Response:
    body = drafts.get(session, member, key)
    return JSONResponse({"body": body}) if body else Response(status_code=204)


@router.put("/drafts/{key}", dependencies=[signed_in])
def put_draft(session: SessionDep, member: MemberDep, key: DraftKey, draft: DraftIn) -> dict[str, int]:
    """Keeps what the member has written so far; an empty body forgets it."""
    drafts.save(session, member, key, draft.body)
    return {"saved_us": session.now_us}


def tagged(request: Request, content: BaseModel) -> Response:
    """The document, or 304 for who has the same already: for what a page asks again and again."""
    body = content.model_dump_json().encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


def _colleague(person: Colleague) -> ColleagueOut:
    return ColleagueOut(
        to_site=person.site_id,
        to_member=person.id,
        name=person.name,
        site=person.site_name,
        asked_us=person.asked_us,
    )


def _read(state: State, member: Member, consultation_id: ConsultationId) -> tuple[Consultation, bool]:
    with state.database.reading() as session:
        found = exchange.get(session, member, consultation_id)
        return found, exchange.seen(session, member, found)


def _open(state: State, member: Member, consultation_id: ConsultationId) -> Consultation:
    with state.database.writing() as session:
        return exchange.open_(session, member, consultation_id)
