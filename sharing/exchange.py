"""How a consultation reads: to whom it is open, whose turn it is, what was said and answered, and what waits for whom.

Everything starts from `policy.visible_consultations`, or comes through `consultations.visible`.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from sharing import cases, consultations, opinions, policy, readings, sightings, sites, slides, veil
from sharing.cases import Case
from sharing.consultations import ALLOWED, BALL
from sharing.db.engine import Session
from sharing.db.tables import (
    CaseReadingRow,
    CaseRow,
    ConsultationMoveRow,
    ConsultationRow,
    ConsultationSeenRow,
    ConsultationSlideRow,
    MemberRow,
    SiteRow,
)
from sharing.errors import ConflictError
from sharing.opinions import Opinion
from sharing.rights import CONSULTANTS
from sharing.subjects import Member
from sharing.veil import VeiledCase
from sharing.vocabulary import (
    Action,
    CaseId,
    ConsultationId,
    ConsultationState,
    Entity,
    MemberId,
    Move,
    Purpose,
    Role,
    Side,
    SiteId,
    SlideId,
    Urgency,
)


@dataclass(frozen=True, slots=True)
class Person:
    id: MemberId
    name: str
    site_id: SiteId
    site_name: str
    active: bool
    """False when the account is closed."""


@dataclass(frozen=True, slots=True)
class MoveMade:
    number: int
    move: Move
    state: ConsultationState
    """Where it led."""
    by: Person
    note: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Consultation:
    """A consultation as one reader sees it: `case` is there for the site that owns it, `veiled` for both."""

    id: ConsultationId
    reference: str
    site_id: SiteId
    site_name: str
    case_id: CaseId | None
    case: Case | None
    veiled: VeiledCase
    state: ConsultationState
    urgency: Urgency
    purpose: Purpose
    question: str
    requester: Person
    to_site_id: SiteId
    to_site_name: str
    to_member: Person | None
    """None when any pathologist of the site may answer."""
    taken_by: Person | None
    slide_id: SlideId
    view: str
    slides: tuple[SlideId, ...]
    created_us: int
    moved_us: int
    opened_us: int | None
    answered_us: int | None
    ended_us: int | None
    side: Side
    """On which side the reader stands."""
    ball: Side | None
    """Whose turn it is; None when it is over."""
    thread: tuple[MoveMade, ...]
    opinions: tuple[Opinion, ...]
    may: frozenset[Move]
    """What the reader can do now."""
    unread: bool
    objected: bool
    """The patient objects to the purpose: the words stay, and the slides are shown to nobody of the other site."""

    @property
    def standing(self) -> Opinion | None:
        """The opinion in force."""
        return self.opinions[-1] if self.opinions else None

    @property
    def shows_slides(self) -> bool:
        """Whether the site that is asked may see the slides."""
        return self.state in policy.SHOWING and not self.objected

    @property
    def consultant_gone(self) -> bool:
        """Whether the turn is of somebody whose account is closed: only cancelling and asking anew helps."""
        held = self.to_member or self.taken_by
        return self.ball is Side.CONSULTANT and held is not None and not held.active


@dataclass(frozen=True, slots=True)
class Inbox:
    """What concerns a member: what is theirs to do, urgent first; what they wait for; what is over or was answered."""

    to_do: tuple[Consultation, ...]
    waiting: tuple[Consultation, ...]
    recent: tuple[Consultation, ...]


@dataclass(frozen=True, slots=True)
class Colleague:
    id: MemberId
    name: str
    site_id: SiteId
    site_name: str
    asked_us: int | None
    """When the member last asked this colleague by name."""
    role: Role
    """A site can be asked as a whole where it has a pathologist; an expert is asked by name."""


def get(session: Session, subject: Member, consultation_id: ConsultationId) -> Consultation:
    """The consultation. Raises NotFoundError or RefusedError if its words are not the subject's to read."""
    return _read(session, subject, [consultations.visible(session, subject, consultation_id)])[0]


def open_(session: Session, subject: Member, consultation_id: ConsultationId) -> Consultation:
    """As `get`, and the subject has now seen it; the first look of who is asked is a move, every other reading is on
    record as one of the case. It writes.
    """
    row = consultations.visible(session, subject, consultation_id)
    if consultations.side_of(subject, row) is Side.CONSULTANT and row.state == ConsultationState.REQUESTED:
        with suppress(ConflictError):  # a colleague opened it at the same moment: just as well
            consultations.move(session, subject, consultation_id, Move.OPEN)
            readings.begin(session, CaseReadingRow, subject, {"case_id": row.case_id})
        row = consultations.visible(session, subject, consultation_id)
    sightings.open_case(
        session, subject, row.case_id, row, consultation_id=consultation_id, purpose=Purpose(row.purpose)
    )
    found = _read(session, subject, [row])[0]
    _see(session, subject, row)
    return found


def seen(session: Session, subject: Member, found: Consultation) -> bool:
    """Whether `open_` would have nothing to write, for who asks again and again."""
    case_id = session.get_one(ConsultationRow, found.id).case_id
    return not found.unread and sightings.case_is_open(session, subject, case_id)


def inbox(session: Session, subject: Member, *, limit: int = 50) -> Inbox:
    """At most `limit` of what is over, newest first; all of the rest."""
    concerning = policy.visible_consultations(subject).where(_concerns(subject))
    over = [state for state, ball in BALL.items() if ball is None]
    newest = concerning.order_by(ConsultationRow.moved_us.desc(), ConsultationRow.id)
    rows = [
        *session.scalars(newest.where(ConsultationRow.state.not_in(over))),
        *session.scalars(newest.where(ConsultationRow.state.in_(over)).limit(limit)),
    ]
    found = _read(session, subject, rows)
    to_do = [c for c in found if c.ball is c.side]
    waiting = [c for c in found if c.ball not in (c.side, None) and c.state is not ConsultationState.ANSWERED]
    recent = [c for c in found if c not in to_do and c not in waiting]
    return Inbox(
        to_do=tuple(sorted(to_do, key=lambda c: c.urgency is not Urgency.URGENT)),
        waiting=tuple(waiting),
        recent=tuple(sorted(recent, key=lambda c: -c.moved_us)[:limit]),
    )


def unread(session: Session, subject: Member) -> int:
    """How many consultations have moved, by somebody else, since the subject last saw them. One short query, and none
    for who reads no consultations: it is asked with every page."""
    if Action.VIEW_CONSULTATION not in policy.actions_of(subject):
        return 0
    seen = ConsultationSeenRow
    mine = policy.visible_consultations(subject).where(_concerns(subject), ConsultationRow.moved_by != subject.id)
    statement = mine.with_only_columns(func.count(ConsultationRow.id)).outerjoin(
        seen, and_(seen.consultation_id == ConsultationRow.id, seen.member_id == subject.id)
    )
    return session.scalars(statement.where(func.coalesce(seen.moves, 0) < ConsultationRow.moves)).one()


def of_case(session: Session, subject: Member, case_id: CaseId) -> list[Consultation]:
    """What the subject's site has asked about a case of its own, newest first."""
    statement = policy.visible_consultations(subject).where(
        ConsultationRow.case_id == case_id, ConsultationRow.site_id == subject.site_id
    )
    newest = statement.order_by(ConsultationRow.created_us.desc(), ConsultationRow.id)
    return _read(session, subject, session.scalars(newest).all())


def showing(session: Session, subject: Member, slide_id: SlideId) -> Consultation:
    """The consultation under which the subject reads another site's slide (`policy.basis`).

    Raises NotFoundError if none shows it.
    """
    slide = slides.get_slide(session, subject, slide_id)
    basis = policy.basis(session, subject, slide)
    if basis is None:
        raise policy.absent("consultation")
    return get(session, subject, ConsultationId(basis.entity.id))


def colleagues(session: Session, subject: Member) -> list[Colleague]:
    """The pathologists and experts of other sites, those whom the subject asked lately first, then by site and name."""
    policy.require(session, subject, Action.REQUEST_CONSULTATION, subject, Entity("site", subject.site_id))
    asked = (
        select(ConsultationRow.to_member_id, func.max(ConsultationRow.created_us).label("asked_us"))
        .where(ConsultationRow.requester_id == subject.id)
        .group_by(ConsultationRow.to_member_id)
        .subquery()
    )
    rows = session.execute(
        select(
            MemberRow.id,
            MemberRow.name,
            MemberRow.site_id,
            SiteRow.name.label("site_name"),
            asked.c.asked_us,
            MemberRow.role,
        )
        .join(SiteRow, SiteRow.id == MemberRow.site_id)
        .outerjoin(asked, asked.c.to_member_id == MemberRow.id)
        .where(MemberRow.role.in_(CONSULTANTS), MemberRow.disabled_us.is_(None), MemberRow.site_id != subject.site_id)
    )
    found = [Colleague(row.id, row.name, row.site_id, row.site_name, row.asked_us, Role(row.role)) for row in rows]
    return sorted(found, key=lambda c: (-(c.asked_us or 0), c.site_name, c.name))


def _concerns(subject: Member) -> ColumnElement[bool]:
    """What the subject asked, or a colleague who has left; and what it is asked, unless a colleague took it."""
    gone = MemberRow.site_id == subject.site_id, MemberRow.disabled_us.is_not(None)
    orphaned = select(MemberRow.id).where(*gone).correlate(None)
    taken = ConsultationRow.taken_by
    return or_(
        ConsultationRow.requester_id == subject.id,
        and_(ConsultationRow.site_id == subject.site_id, ConsultationRow.requester_id.in_(orphaned)),
        and_(policy.asked(subject), or_(taken.is_(None), taken == subject.id)),
    )


def _see(session: Session, subject: Member, row: ConsultationRow) -> None:
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(ConsultationSeenRow).values(member_id=subject.id, consultation_id=row.id, moves=row.moves)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["member_id", "consultation_id"],
            set_={"moves": row.moves},
            where=ConsultationSeenRow.moves < row.moves,
        )
    )


def _read(session: Session, subject: Member, rows: Sequence[ConsultationRow]) -> list[Consultation]:
    """Rows that the subject may read, with all that stands about them: a handful of queries, however many rows."""
    ids = [row.id for row in rows]
    if not ids:
        return []
    moves = session.scalars(
        select(ConsultationMoveRow)
        .where(ConsultationMoveRow.consultation_id.in_(ids))
        .order_by(ConsultationMoveRow.number)
    ).all()
    shown = session.execute(
        select(ConsultationSlideRow.consultation_id, ConsultationSlideRow.slide_id)
        .where(ConsultationSlideRow.consultation_id.in_(ids))
        .order_by(ConsultationSlideRow.number)
    ).all()
    marks = session.execute(
        select(ConsultationSeenRow.consultation_id, ConsultationSeenRow.moves).where(
            ConsultationSeenRow.member_id == subject.id, ConsultationSeenRow.consultation_id.in_(ids)
        )
    )
    seen = {mark.consultation_id: mark.moves for mark in marks}
    people = _people(
        session,
        [*(m.member_id for m in moves), *(i for r in rows for i in (r.requester_id, r.to_member_id, r.taken_by))],
    )
    site_names = {site.id: site.name for site in sites.list_sites(session)}
    signed = opinions.of_consultations(session, ids)
    objected = _objected(session, ids)
    about = cases.known(session, [row.case_id for row in rows])
    found = []
    for row in rows:
        side, state, case = consultations.side_of(subject, row), ConsultationState(row.state), about[row.case_id]
        slide_ids = tuple(s.slide_id for s in shown if s.consultation_id == row.id)
        own = side is Side.REQUESTER
        shown_ids = slide_ids if own or row.id not in objected else ()
        found.append(
            Consultation(
                id=row.id,
                reference=row.reference,
                site_id=row.site_id,
                site_name=site_names[row.site_id],
                case_id=row.case_id if own else None,
                case=case if own else None,
                veiled=veil.veiled(case, row.reference, shown_ids, purpose=Purpose(row.purpose), now_us=session.now_us),
                state=state,
                urgency=Urgency(row.urgency),
                purpose=Purpose(row.purpose),
                question=row.question,
                requester=people[row.requester_id],
                to_site_id=row.to_site_id,
                to_site_name=site_names[row.to_site_id],
                to_member=people[row.to_member_id] if row.to_member_id else None,
                taken_by=people[row.taken_by] if row.taken_by else None,
                slide_id=row.slide_id,
                view=row.view,
                slides=slide_ids,
                created_us=row.created_us,
                moved_us=row.moved_us,
                opened_us=row.opened_us,
                answered_us=row.answered_us,
                ended_us=row.ended_us,
                side=side,
                ball=BALL[state],
                thread=tuple(_made(m, people) for m in moves if m.consultation_id == row.id),
                opinions=signed.get(row.id, ()),
                may=frozenset(move for move, step in ALLOWED[state].items() if step.by is side),
                unread=row.moved_by != subject.id and seen.get(row.id, 0) < row.moves,
                objected=row.id in objected,
            )
        )
    return found


def _objected(session: Session, ids: Sequence[ConsultationId]) -> set[ConsultationId]:
    """Those for whose purpose the patient objects."""
    statement = (
        select(ConsultationRow.id)
        .join(CaseRow, CaseRow.id == ConsultationRow.case_id)
        .where(ConsultationRow.id.in_(ids), policy.objected(ConsultationRow.purpose))
    )
    return set(session.scalars(statement))


def _made(row: ConsultationMoveRow, people: dict[MemberId, Person]) -> MoveMade:
    return MoveMade(
        number=row.number,
        move=Move(row.move),
        state=ConsultationState(row.state),
        by=people[row.member_id],
        note=row.note,
        at_us=row.made_us,
    )


def _people(session: Session, member_ids: Iterable[MemberId | None]) -> dict[MemberId, Person]:
    rows = session.execute(
        select(MemberRow.id, MemberRow.name, MemberRow.site_id, SiteRow.name.label("site_name"), MemberRow.disabled_us)
        .join(SiteRow, SiteRow.id == MemberRow.site_id)
        .where(MemberRow.id.in_({member_id for member_id in member_ids if member_id}))
    )
    return {
        row.id: Person(row.id, row.name, row.site_id, row.site_name, active=row.disabled_us is None) for row in rows
    }
