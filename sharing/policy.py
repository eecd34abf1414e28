"""Who may do what: the only module that decides. Everything that lists or opens a case or a slide comes through here.

At home, a member acts on what the own site owns, according to the role (`sharing.rights`). Across the border two things
open a slide, and exactly the slides they name: a consultation, for those who are asked, and a link, for a guest. Both
show the slides of one case; a slide that has left that case has left them too. Neither shows anything for a purpose to
which the patient objects. An agent, and a member with a disk in hand, may push slides for the own site; the platform
itself may do everything; a stranger nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from sharing.clock import SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import (
    CaseRow,
    ConsultationRow,
    ConsultationSlideRow,
    LinkRow,
    LinkSlideRow,
    MemberRow,
    ObjectionRow,
    SiteRow,
    SlideRow,
)
from sharing.errors import NotFoundError, Refusal, RefusedError
from sharing.rights import ABROAD, CONSULTANTS, DEVICE, OBJECTIONABLE, ROLES
from sharing.subjects import Agent, Guest, Member, Stranger, Subject, System
from sharing.vocabulary import (
    Action,
    CaseId,
    ConsultationState,
    Entity,
    LinkId,
    LinkState,
    Purpose,
    Role,
    SiteId,
    SlideId,
)

UNDO_US = 10 * SECOND_US
"""How long a request for an opinion can be undone as if it had never been sent; no mail leaves before."""
SHOWING = frozenset(
    {
        ConsultationState.REQUESTED,
        ConsultationState.OPENED,
        ConsultationState.ACCEPTED,
        ConsultationState.MORE_INFORMATION,
        ConsultationState.ANSWERED,
    }
)
"""The states in which a consultation shows its slides to who is asked."""
AWAITING_OPINION = frozenset({ConsultationState.REQUESTED, ConsultationState.OPENED, ConsultationState.ACCEPTED})
"""The states in which it is the turn of who is asked."""


class Owned(Protocol):
    """Anything that belongs to a site."""

    @property
    def site_id(self) -> SiteId: ...


@runtime_checkable
class Scan(Owned, Protocol):
    """A slide, as far as it matters here."""

    @property
    def id(self) -> SlideId: ...

    @property
    def case_id(self) -> CaseId | None: ...

    @property
    def index_digest(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class AtSite:
    """A site itself, as the thing that is asked for: its worklist, its intake, its audit log."""

    site_id: SiteId


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str
    """In words, for the audit log and for whoever asks why."""
    hidden: bool = False
    """Of a refusal: the subject must not learn that the thing exists."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What opens a slide to somebody of another site."""

    entity: Entity
    purpose: Purpose


def may(session: Session, subject: Subject, action: Action, thing: Owned) -> Decision:
    """Whether `subject` may do `action` to `thing`, and why."""
    match subject:
        case System():
            return Decision(True, "the platform itself")
        case Stranger():
            return Decision(False, "not logged in", hidden=True)
        case Guest():
            return _across(session, subject, action, thing)
        case Member() if subject.site_id != thing.site_id:
            return _across(session, subject, action, thing)
        case Agent() if subject.site_id != thing.site_id:
            return Decision(False, "belongs to another site", hidden=True)
        case Agent():
            allowed = action in actions_of(subject)
            return Decision(
                allowed, "scanner of the site" if allowed else "a scanner may only push slides", not allowed
            )
        case Member():
            return _at_home(subject, action, thing)


def basis(session: Session, subject: Subject, slide: Scan) -> Basis | None:
    """The consultation or the link that opens the slide to the subject; None if nothing does.

    Of several consultations: one that waits for the subject's opinion, then the newest.
    """
    match subject:
        case Member() if subject.role in CONSULTANTS and subject.site_id != slide.site_id:
            consultation = session.execute(
                select(ConsultationRow.id, ConsultationRow.purpose)
                .join(ConsultationSlideRow, ConsultationSlideRow.consultation_id == ConsultationRow.id)
                .join(CaseRow, CaseRow.id == ConsultationRow.case_id)
                .where(
                    ConsultationSlideRow.slide_id == slide.id,
                    ConsultationRow.case_id == slide.case_id,
                    ConsultationRow.state.in_(SHOWING),
                    asked(subject),
                    ~objected(ConsultationRow.purpose),
                )
                .order_by(
                    ConsultationRow.state.in_(AWAITING_OPINION).desc(),
                    ConsultationRow.created_us.desc(),
                    ConsultationRow.id,
                )
                .limit(1)
            ).one_or_none()
            return consultation and Basis(Entity("consultation", consultation.id), Purpose(consultation.purpose))
        case Guest():
            link = session.scalars(
                select(LinkRow)
                .join(LinkSlideRow, LinkSlideRow.link_id == LinkRow.id)
                .join(SlideRow, SlideRow.id == LinkSlideRow.slide_id)
                .where(
                    LinkRow.id == subject.link_id,
                    LinkSlideRow.slide_id == slide.id,
                    LinkRow.case_id == slide.case_id,
                    or_(LinkSlideRow.sha256.is_(None), LinkSlideRow.sha256 == SlideRow.sha256),
                )
            ).one_or_none()
            if link is None or link_state(session, link) not in (LinkState.LIVE, LinkState.USED_UP):
                return None
            return Basis(Entity("link", link.id), Purpose(link.purpose))
        case _:
            return None


def link_state(session: Session, link: LinkRow) -> LinkState:
    """Whether the link admits guests now. It dies with its maker's right to the case it shows."""
    return link_states(session, [link])[link.id]


def link_states(session: Session, links: Collection[LinkRow]) -> dict[LinkId, LinkState]:
    """The same of many at once, by one question."""
    over = {
        link.id: LinkState.EXPIRED if link.revoked_us is None else LinkState.REVOKED
        for link in links
        if link.revoked_us is not None or link.expires_us <= session.now_us
    }
    rest = {link.id: link for link in links if link.id not in over}
    if not rest:
        return over
    rights = session.execute(
        select(LinkRow.id, MemberRow, SiteRow.name, CaseRow, objected(LinkRow.purpose))
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .join(SiteRow, SiteRow.id == MemberRow.site_id)
        .join(CaseRow, CaseRow.id == LinkRow.case_id)
        .where(LinkRow.id.in_(rest), MemberRow.disabled_us.is_(None))
    ).all()
    states = dict.fromkeys(rest, LinkState.MAKER_GONE)
    for link_id, row, site_name, case, objects_to_it in rights:
        maker = Member(row.id, row.site_id, site_name, Role(row.role), row.name, row.login)
        if not may(session, maker, Action.SHARE_BY_LINK, case).allowed:
            continue
        link = rest[link_id]
        used_up = link.uses >= link.max_uses
        states[link_id] = LinkState.OBJECTED if objects_to_it else LinkState.USED_UP if used_up else LinkState.LIVE
    return over | states


def asked(subject: Member) -> ColumnElement[bool]:
    """The consultations in which the member is asked: by name, or as any pathologist of the site."""
    if subject.role not in CONSULTANTS:
        return false()
    by_name = ConsultationRow.to_member_id == subject.id
    anybody = ConsultationRow.to_member_id.is_(None) if subject.role is Role.PATHOLOGIST else false()
    return and_(ConsultationRow.to_site_id == subject.site_id, or_(by_name, anybody))


def objected(purpose: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether the patient of the CaseRow in the statement objects to the purpose in a column of it."""
    return (
        select(ObjectionRow.id)
        .where(
            ObjectionRow.site_id == CaseRow.site_id,
            ObjectionRow.patient_key == CaseRow.patient_key,
            ObjectionRow.purpose == purpose,
            ObjectionRow.withdrawn_us.is_(None),
        )
        .exists()
    )


def objects(session: Session, case: CaseRow, purpose: Purpose) -> bool:
    """Whether the patient of the case objects to the purpose now."""
    if purpose not in OBJECTIONABLE:
        return False
    standing = select(ObjectionRow.id).where(
        ObjectionRow.site_id == case.site_id,
        ObjectionRow.patient_key == case.patient_key,
        ObjectionRow.purpose == purpose,
        ObjectionRow.withdrawn_us.is_(None),
    )
    return session.scalar(standing) is not None


def visible_consultations(subject: Subject) -> Select[ConsultationRow]:
    """The consultations whose words the subject may read: those of the own site, and those in which it is asked, but
    for requests that were undone before anybody had opened them.
    """
    statement = select(ConsultationRow)
    if not isinstance(subject, Member) or Action.VIEW_CONSULTATION not in actions_of(subject):
        return statement.where(false())
    to_us = and_(asked(subject), ~undone())
    if Action.FOLLOW_CONSULTATION not in actions_of(subject):  # who answers alone, and asks nothing
        return statement.where(to_us)
    return statement.where(or_(ConsultationRow.site_id == subject.site_id, to_us))


def undone() -> ColumnElement[bool]:
    """Requests that were taken back in the first seconds, unread: for the other site they never were."""
    return and_(
        ConsultationRow.state == ConsultationState.CANCELLED,
        ConsultationRow.opened_us.is_(None),
        ConsultationRow.ended_us <= ConsultationRow.created_us + UNDO_US,
    )


def actions_of(subject: Subject) -> frozenset[Action]:
    """What the subject may do at the own site: enough to build a menu, not to decide about a thing."""
    match subject:
        case System():
            return frozenset(Action)
        case Agent():
            return DEVICE
        case Member():
            return ROLES[subject.role]
        case _:
            return frozenset()


def require_of_role(subject: Member, action: Action) -> None:
    """Return if members of this role may do such a thing at all, at home or across the border; else raise RefusedError,
    before anything is looked for: what exists and what does not are refused alike.
    """
    if action in actions_of(subject) or (action in ABROAD and subject.role in CONSULTANTS):
        return
    reason = f"not open to the role {subject.role}"
    refusal = Refusal(subject, action, subject.site_id, reason)
    raise RefusedError(f"This is {reason}. Ask your lab manager if you need it.", refusal=refusal)


def require(session: Session, subject: Subject, action: Action, thing: Owned, *entities: Entity) -> None:
    """Return if the subject may; else raise NotFoundError (worded by `absent`) or RefusedError, with the refusal in it.

    `entities` say what was asked for; the first one is what the visitor is told cannot be found.
    """
    decision = may(session, subject, action, thing)
    if decision.allowed:
        return
    refusal = Refusal(subject, action, thing.site_id, decision.reason, entities)
    if decision.hidden:
        raise absent(entities[0].kind if entities else "page", refusal)
    raise RefusedError(f"This is {decision.reason}. Ask your lab manager if you need it.", refusal=refusal)


def absent(kind: str, refusal: Refusal | None = None) -> NotFoundError:
    """The one error for what does not exist and for what must look as if it did not."""
    return NotFoundError(
        f"There is no such {kind} here. Check the address, or look for it in your list.", refusal=refusal
    )


def visible_cases(subject: Subject) -> Select[CaseRow]:
    """The cases that `subject` may list. Every listing starts from this statement."""
    return select(CaseRow).where(_at_own_site(subject, Action.LIST_CASES, CaseRow.site_id))


def nameable_cases(subject: Subject) -> Select[CaseRow]:
    """The cases to which `subject` may bring a slide, and so may find by their number."""
    return select(CaseRow).where(_at_own_site(subject, Action.PUSH_SLIDE, CaseRow.site_id))


def objectionable_cases(subject: Subject) -> Select[CaseRow]:
    """The cases by which `subject` may find a patient in order to enter an objection."""
    return select(CaseRow).where(_at_own_site(subject, Action.REGISTER_OBJECTION, CaseRow.site_id))


def visible_objections(subject: Subject) -> Select[ObjectionRow]:
    """The entries of the register of objections that `subject` may read."""
    return select(ObjectionRow).where(_at_own_site(subject, Action.VIEW_OBJECTIONS, ObjectionRow.site_id))


def visible_intake(subject: Subject) -> Select[SlideRow]:
    """The slides, matched with a case or not, that `subject` may see arrive."""
    return select(SlideRow).where(_at_own_site(subject, Action.VIEW_INTAKE, SlideRow.site_id))


def _at_own_site(subject: Subject, action: Action, owner: InstrumentedAttribute[SiteId]) -> ColumnElement[bool]:
    match subject:
        case System():
            return true()
        case Member() if action in actions_of(subject):
            return owner == subject.site_id
        case _:
            return false()


def _at_home(subject: Member, action: Action, thing: Owned) -> Decision:
    if subject.role is Role.EXTERNAL_EXPERT:
        return Decision(False, "nothing of the own site is open to experts", hidden=True)
    if action is Action.ANSWER_CONSULTATION:
        return Decision(False, "asked of another site")
    if action not in actions_of(subject):
        return Decision(False, f"not open to the role {subject.role}")
    if isinstance(thing, LinkRow) and subject.role is Role.PATHOLOGIST and thing.maker_id != subject.id:
        return Decision(False, "a link that somebody else made")
    return Decision(True, f"{subject.role} of the site")


def _across(session: Session, subject: Member | Guest, action: Action, thing: Owned) -> Decision:
    match thing:
        case ConsultationRow() if isinstance(subject, Member):
            known = session.scalar(visible_consultations(subject).where(ConsultationRow.id == thing.id).limit(1))
            if known is not None and action in (Action.VIEW_CONSULTATION, Action.ANSWER_CONSULTATION):
                return Decision(True, "asked in this consultation")
            if known is not None:
                return Decision(False, "for the side that asked")
        case Scan() if action is Action.VIEW_SLIDE:
            found = basis(session, subject, thing)
            if found is not None:
                return Decision(True, f"shown by a {found.entity.kind}")
    if isinstance(subject, Guest):
        return Decision(False, "not shown by the guest's link", hidden=True)
    return Decision(False, "belongs to another site", hidden=True)
