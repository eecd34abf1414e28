"""Consultations: a site asks another about a case, and the ball goes to and fro until one of the two ends it.

`ALLOWED` is the whole of the rules: who may make which move from which state, and where it leads. `_move` is the one
function that moves; it decides between simultaneous moves, puts each on record in the chains of both sites, and writes
the mail that tells the other side, all in the transaction of the move. How a consultation is read: `sharing.exchange`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, update

from sharing import audit, cases, epoch, objections, opinions, outbox, policy, sites, text, veil
from sharing.cases import Case
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import ConsultationMoveRow, ConsultationRow, ConsultationSlideRow, MemberRow
from sharing.errors import ConflictError, InvalidError, Refusal
from sharing.rights import CONSULTANTS
from sharing.subjects import Member
from sharing.vocabulary import (
    Act,
    Action,
    Agreement,
    CaseId,
    ConsultationId,
    ConsultationState,
    Entity,
    MemberId,
    Move,
    OpinionId,
    Purpose,
    Role,
    Side,
    SiteId,
    SlideId,
    SlideState,
    Urgency,
    new_id,
    new_reference,
)

PROSE_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class Step:
    by: Side
    to: ConsultationState


_S = ConsultationState
_ASKED = {
    Move.ACCEPT: Step(Side.CONSULTANT, _S.ACCEPTED),
    Move.DECLINE: Step(Side.CONSULTANT, _S.DECLINED),
    Move.ASK: Step(Side.CONSULTANT, _S.MORE_INFORMATION),
    Move.ANSWER: Step(Side.CONSULTANT, _S.ANSWERED),
    Move.CANCEL: Step(Side.REQUESTER, _S.CANCELLED),
}

ALLOWED: Mapping[ConsultationState, Mapping[Move, Step]] = {
    _S.REQUESTED: {Move.OPEN: Step(Side.CONSULTANT, _S.OPENED), **_ASKED},
    _S.OPENED: _ASKED,
    _S.ACCEPTED: {move: step for move, step in _ASKED.items() if move is not Move.ACCEPT},
    _S.MORE_INFORMATION: {
        Move.REPLY: Step(Side.REQUESTER, _S.ACCEPTED),
        Move.ANSWER: Step(Side.CONSULTANT, _S.ANSWERED),
        Move.DECLINE: Step(Side.CONSULTANT, _S.DECLINED),
        Move.CANCEL: Step(Side.REQUESTER, _S.CANCELLED),
    },
    _S.ANSWERED: {
        Move.AMEND: Step(Side.CONSULTANT, _S.ANSWERED),
        Move.CLOSE: Step(Side.REQUESTER, _S.CLOSED),
    },
    _S.DECLINED: {},
    _S.CLOSED: {},
    _S.CANCELLED: {},
}
"""From each state: the moves, who may make them, and where they lead. What is not here cannot happen."""

BALL: Mapping[ConsultationState, Side | None] = {
    _S.REQUESTED: Side.CONSULTANT,
    _S.OPENED: Side.CONSULTANT,
    _S.ACCEPTED: Side.CONSULTANT,
    _S.MORE_INFORMATION: Side.REQUESTER,
    _S.ANSWERED: Side.REQUESTER,
    _S.DECLINED: None,
    _S.CLOSED: None,
    _S.CANCELLED: None,
}
"""Whose turn it is; None when it is over."""

SIDES: Mapping[Move, Side] = {move: step.by for steps in ALLOWED.values() for move, step in steps.items()}
_RIGHT = {Side.REQUESTER: Action.FOLLOW_CONSULTATION, Side.CONSULTANT: Action.ANSWER_CONSULTATION}
_SILENT = frozenset({Move.OPEN, Move.ACCEPT, Move.CLOSE})
"""Moves that hand nothing over: no mail."""
_EXPLAINED = frozenset({Move.DECLINE, Move.ASK, Move.REPLY})
"""Moves that say nothing without a note."""
_SIGNED = frozenset({Move.ANSWER, Move.AMEND})

ACTS: Mapping[Move, Act] = {
    Move.REQUEST: Act.CONSULTATION_REQUESTED,
    Move.OPEN: Act.CONSULTATION_OPENED,
    Move.ACCEPT: Act.CONSULTATION_ACCEPTED,
    Move.DECLINE: Act.CONSULTATION_DECLINED,
    Move.ASK: Act.INFORMATION_ASKED,
    Move.REPLY: Act.INFORMATION_GIVEN,
    Move.ANSWER: Act.OPINION_SIGNED,
    Move.AMEND: Act.OPINION_AMENDED,
    Move.CLOSE: Act.CONSULTATION_CLOSED,
    Move.CANCEL: Act.CONSULTATION_CANCELLED,
}

CANNOT: Mapping[ConsultationState, str] = {
    _S.REQUESTED: "This consultation has not got that far. Reload the page to see where it stands.",
    _S.OPENED: "This consultation has not got that far. Reload the page to see where it stands.",
    _S.ACCEPTED: "This consultation has been taken on already. Reload the page to see where it stands.",
    _S.MORE_INFORMATION: "More information was asked for, and the other side has the ball. Reload the page.",
    _S.ANSWERED: "This consultation is answered already. Reload the page to read the opinion.",
    _S.DECLINED: "This consultation was declined, so nothing more can be done in it. Ask somebody else.",
    _S.CLOSED: "This consultation is closed, so nothing more can be done in it. Ask anew if need be.",
    _S.CANCELLED: "This consultation was cancelled, so nothing more can be done in it.",
}
FASTER = "Somebody was faster: this consultation has just moved. Reload the page to see where it stands."


def request(
    session: Session,
    subject: Member,
    case_id: CaseId,
    *,
    question: str,
    slide_id: SlideId,
    to_site: SiteId | None = None,
    to_member: MemberId | None = None,
    urgency: Urgency = Urgency.ROUTINE,
    purpose: Purpose = Purpose.CARE,
    view: str = "",
    slides: Sequence[SlideId] | None = None,
    consultation_id: ConsultationId | None = None,
) -> ConsultationId:
    """Ask a member of another site, or any pathologist there, about a case; `slides` left out means all that are ready.

    Who draws `consultation_id` beforehand may ask again when no answer came: the same id, of the same person about the
    same case, is the same request, and nothing is done a second time.

    Raises NotFoundError or RefusedError if the case is not the subject's to share, InvalidError if nobody could answer,
    if a slide is not of the case, or if the question names the patient, ConflictError if the patient objects to the
    purpose, or if the id is taken.
    """
    case = cases.get_case(session, subject, case_id)
    about = Entity("case", case_id)
    policy.require(session, subject, Action.REQUEST_CONSULTATION, case, about)
    if consultation_id is not None and _asked_already(session, subject, case, consultation_id):
        return consultation_id
    objections.refuse(session, subject, Action.REQUEST_CONSULTATION, case_id, case.site_id, purpose)
    shown = shareable(subject, Action.REQUEST_CONSULTATION, case, slides, slide_id)
    site_id = _addressee(session, subject, case, to_site, to_member)
    question = text.prose(question, "The question", limit=PROSE_LIMIT)
    veil.require_unnamed(question, "The question", case)
    given, consultation_id = consultation_id, consultation_id or ConsultationId(new_id())
    row = {
        "id": consultation_id,
        "reference": new_reference("A"),
        "site_id": case.site_id,
        "case_id": case_id,
        "requester_id": subject.id,
        "to_site_id": site_id,
        "to_member_id": to_member,
        "question": question,
        "urgency": urgency,
        "purpose": purpose,
        "slide_id": slide_id,
        "view": text.fragment(view),
        "state": _S.REQUESTED,
        "moves": 1,
        "moved_by": subject.id,
        "moved_us": session.now_us,
        "created_us": session.now_us,
    }
    try:
        insert_new(session, ConsultationRow, row, "The request could not be stored. Send it once more.")
    except ConflictError:
        # Both tries were under way at once, and the other one was stored first.
        if given is not None and _asked_already(session, subject, case, given):
            return given
        raise
    session.execute(
        insert(ConsultationSlideRow),
        [{"consultation_id": consultation_id, "slide_id": s, "number": n} for n, s in enumerate(shown)],
    )
    found = visible(session, subject, consultation_id)
    _keep(
        session, subject, found, Move.REQUEST, "", {"slides": str(len(shown)), "to": "member" if to_member else "site"}
    )
    outbox.enqueue(session, consultation_id, _addressees(session, found), Move.REQUEST, delay_us=policy.UNDO_US)
    return consultation_id


def _asked_already(session: Session, subject: Member, case: Case, consultation_id: ConsultationId) -> bool:
    row = session.get(ConsultationRow, consultation_id, populate_existing=True)
    return row is not None and (row.requester_id, row.case_id) == (subject.id, case.id)


def undo(session: Session, subject: Member, consultation_id: ConsultationId) -> None:
    """Take a request back before anybody was told of it by mail. Raises ConflictError once the ten seconds are over."""
    row = visible(session, subject, consultation_id)
    if session.now_us - row.created_us > policy.UNDO_US:
        late = "The ten seconds are over, so this was sent. It can still be cancelled from its page."
        raise ConflictError(late, refusal=_refusal(subject, Action.FOLLOW_CONSULTATION, row, "undone too late"))
    _move(session, subject, row, Move.CANCEL)


def move(session: Session, subject: Member, consultation_id: ConsultationId, move: Move, note: str = "") -> None:
    """Make a move of the table, other than a request and what is signed. `note` goes with it to the other side.

    Raises NotFoundError or RefusedError if it is not the subject's to make, ConflictError if the consultation stands
    elsewhere, InvalidError if the note is missing where one is needed, or names the patient.
    """
    if move is Move.REQUEST or move in _SIGNED:
        raise InvalidError("A request and an opinion are written by functions of their own.")
    row = visible(session, subject, consultation_id)
    if note.strip() or move in _EXPLAINED:
        note = text.prose(note, "The message", limit=PROSE_LIMIT)
        veil.require_unnamed(note, "The message", _case(session, row))
    _move(session, subject, row, move, note.strip())


def answer(
    session: Session, subject: Member, consultation_id: ConsultationId, *, agreement: Agreement, text: str
) -> OpinionId:
    """Sign the opinion that was asked for. It is final. Raises as `move` does; of two answers at once the second meets
    a ConflictError.
    """
    return _sign(session, subject, consultation_id, Move.ANSWER, agreement, text)


def amend(
    session: Session, subject: Member, consultation_id: ConsultationId, *, agreement: Agreement, text: str
) -> OpinionId:
    """Sign an opinion that takes the place of the one in force, which stays readable. Raises as `answer` does."""
    return _sign(session, subject, consultation_id, Move.AMEND, agreement, text)


def end(session: Session, subject: Member, consultation_id: ConsultationId) -> None:
    """Take the slides back from the other side in the name of the site: close what is answered, cancel what is not.

    Raises NotFoundError, RefusedError or, if it has ended already, ConflictError.
    """
    row = session.get(ConsultationRow, consultation_id, populate_existing=True)
    if row is None:
        raise policy.absent("consultation")
    policy.require(session, subject, Action.END_SHARE, row, Entity("consultation", row.id))
    _move(session, subject, row, Move.CLOSE if row.state == _S.ANSWERED else Move.CANCEL, right=Action.END_SHARE)


def visible(session: Session, subject: Member, consultation_id: ConsultationId) -> ConsultationRow:
    """The row of a consultation whose words the subject may read. Raises NotFoundError or RefusedError."""
    row = session.get(ConsultationRow, consultation_id, populate_existing=True)
    if row is None:
        raise policy.absent("consultation")
    policy.require(session, subject, Action.VIEW_CONSULTATION, row, Entity("consultation", consultation_id))
    return row


def side_of(subject: Member, row: ConsultationRow) -> Side:
    """On which side of a consultation that it may read the subject stands."""
    return Side.REQUESTER if subject.site_id == row.site_id else Side.CONSULTANT


def shareable(
    subject: Member, action: Action, case: Case, slides: Sequence[SlideId] | None, pinned: SlideId
) -> tuple[SlideId, ...]:
    """Which slides of a case that is the subject's to share are shown: those asked for, or all that are ready.

    Raises InvalidError, with the refusal in it, if one is not of this case, if one is not ready, or if `pinned`, the
    slide of the view, is not among them.
    """
    ready = {slide.id for slide in case.slides if slide.state is SlideState.READY}
    shown = tuple(dict.fromkeys(slides)) if slides is not None else tuple(s.id for s in case.slides if s.id in ready)
    for slide_id in (pinned, *shown):
        if slide_id not in ready or slide_id not in shown:
            asked = (Entity("case", case.id), Entity("slide", slide_id))
            raise InvalidError(
                "Only slides of this case that are ready can be shown, the one of the view among them. Choose again.",
                refusal=Refusal(subject, action, case.site_id, "not a ready slide of the case", asked),
            )
    return shown


def _sign(
    session: Session, subject: Member, consultation_id: ConsultationId, move: Move, agreement: Agreement, prose: str
) -> OpinionId:
    row = visible(session, subject, consultation_id)
    prose = text.prose(prose, "The opinion", limit=opinions.LIMIT)
    veil.require_unnamed(prose, "The opinion", _case(session, row))
    _move(session, subject, row, move, detail={"agreement": agreement})
    return opinions.sign(session, subject, consultation_id, agreement=agreement, text=prose)


def _move(
    session: Session,
    subject: Member,
    row: ConsultationRow,
    move: Move,
    note: str = "",
    *,
    right: Action | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """The one function that moves: right, table, a single winner, record, epoch, mail."""
    right = right or _RIGHT[SIDES[move]]
    policy.require(session, subject, right, row, Entity("consultation", row.id))
    before = _S(row.state)
    step = ALLOWED[before].get(move)
    if step is None:
        raise ConflictError(CANNOT[before], refusal=_refusal(subject, right, row, f"{move} of what is {before}"))
    values: dict[str, object] = {
        "state": step.to,
        "moves": row.moves + 1,
        "moved_by": subject.id,
        "moved_us": session.now_us,
    }
    if step.by is Side.CONSULTANT:
        values["opened_us"] = func.coalesce(ConsultationRow.opened_us, session.now_us)
        if move is not Move.OPEN:
            values["taken_by"] = subject.id
    if move is Move.ANSWER:
        values["answered_us"] = session.now_us
    if BALL[step.to] is None:
        values["ended_us"] = session.now_us
    moved = session.scalars(
        update(ConsultationRow)
        .where(ConsultationRow.id == row.id, ConsultationRow.moves == row.moves)
        .values(values)
        .returning(ConsultationRow.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if moved is None:
        raise ConflictError(FASTER, refusal=_refusal(subject, right, row, f"{move} when it had moved on"))
    session.refresh(row)
    _keep(session, subject, row, move, note, {"from": before, **(detail or {})})
    if step.to not in policy.SHOWING:
        epoch.bump(session)
    if move is Move.CANCEL:
        outbox.withdraw(session, row.id)
    unheard_of = row.opened_us is None and session.now_us - row.created_us <= policy.UNDO_US
    if move not in _SILENT and not (move is Move.CANCEL and unheard_of):
        to = _addressees(session, row) if step.by is Side.REQUESTER else [row.requester_id]
        outbox.enqueue(session, row.id, to, move)


def _keep(
    session: Session, subject: Member, row: ConsultationRow, move: Move, note: str, detail: Mapping[str, str]
) -> None:
    """Put a move into the thread, and on record in the chains of both sites; patient and case stay in the owner's."""
    session.execute(
        insert(ConsultationMoveRow).values(
            consultation_id=row.id,
            number=row.moves,
            move=move,
            state=row.state,
            member_id=subject.id,
            note=note,
            made_us=session.now_us,
        )
    )
    about = Entity("consultation", row.id)
    detail = {"reference": row.reference, "state": row.state, **detail}
    for site_id, entities, more in (
        (row.site_id, [about, Entity("case", row.case_id), Entity("slide", row.slide_id)], {"to_site": row.to_site_id}),
        (row.to_site_id, [about], {"from_site": row.site_id}),
    ):
        audit.record(
            session,
            site_id=site_id,
            act=ACTS[move],
            subject=subject,
            entities=entities,
            detail={**detail, **more},
            purpose=Purpose(row.purpose),
        )


def _addressee(
    session: Session, subject: Member, case: Case, to_site: SiteId | None, to_member: MemberId | None
) -> SiteId:
    """The site that is asked. Raises InvalidError if nobody there could answer."""
    if to_site is None and to_member is None:
        raise InvalidError("Choose whom you ask.")
    # Experts are asked by name; a site is asked where it has a pathologist.
    named = CONSULTANTS if to_member is not None else {Role.PATHOLOGIST}
    consultant = sites.members().where(MemberRow.role.in_(named), MemberRow.site_id != subject.site_id)
    if to_member is not None:
        consultant = consultant.where(MemberRow.id == to_member)
    if to_site is not None:
        consultant = consultant.where(MemberRow.site_id == to_site)
    found = session.execute(consultant.limit(1)).first()
    if found is None:
        asked = (Entity("case", case.id), Entity("member", to_member) if to_member else Entity("site", to_site or ""))
        raise InvalidError(
            "Nobody can answer there: the account is closed, or there is no pathologist. Choose another colleague.",
            refusal=Refusal(subject, Action.REQUEST_CONSULTATION, case.site_id, "nobody there could answer", asked),
        )
    member: MemberRow = found[0]
    return member.site_id


def _addressees(session: Session, row: ConsultationRow) -> list[MemberId]:
    """Whom a move of the requester concerns: who has taken it on, who was named, or every pathologist there."""
    if named := row.taken_by or row.to_member_id:
        return [named]
    there = sites.members().where(MemberRow.site_id == row.to_site_id, MemberRow.role == Role.PATHOLOGIST)
    return [member.id for member, _ in session.execute(there)]


def _case(session: Session, row: ConsultationRow) -> Case:
    return cases.known(session, [row.case_id])[row.case_id]


def _refusal(subject: Member, action: Action, row: ConsultationRow, reason: str) -> Refusal:
    about = (Entity("consultation", row.id), Entity("case", row.case_id))
    return Refusal(subject, action, row.site_id, reason, about)
