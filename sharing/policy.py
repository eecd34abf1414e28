"""Who may do what: the only module that decides. Everything that lists or opens a case or a slide comes through here.

In this version a right ends at the border of the site: a member acts on what the own site owns, according to the role
below; an agent may push slides for its own site; the platform itself may do everything; a stranger nothing.
"""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Select, false, select, true
from sqlalchemy.orm import InstrumentedAttribute

from sharing.db.engine import Session
from sharing.db.tables import CaseRow, SlideRow
from sharing.errors import NotFoundError, Refusal, RefusedError
from sharing.subjects import Agent, Member, Stranger, Subject, System
from sharing.vocabulary import Action, Entity, Role, SiteId

_READER = {Action.VIEW_CASE, Action.VIEW_SLIDE, Action.VIEW_LABEL}
_ASKER = {
    Action.REQUEST_CONSULTATION,
    Action.VIEW_CONSULTATION,
    Action.FOLLOW_CONSULTATION,
    Action.SHARE_BY_LINK,
    Action.REVOKE_LINK,
}
_OVERSEER = {Action.LIST_CASES, Action.READ_AUDIT, Action.VIEW_SHARES, Action.END_SHARE, Action.REVOKE_LINK}
_INTAKE = {Action.VIEW_INTAKE, Action.ASSIGN_SLIDE, Action.REGISTER_CASE}

ROLES: dict[Role, frozenset[Action]] = {
    Role.PATHOLOGIST: frozenset(_READER | _ASKER | {Action.LIST_CASES}),
    Role.TECHNICIAN: frozenset(_READER | _INTAKE),
    Role.LAB_MANAGER: frozenset(_READER | _INTAKE | _OVERSEER),
}
"""What each role may do at its own site."""


class Owned(Protocol):
    """Anything that belongs to a site."""

    @property
    def site_id(self) -> SiteId: ...


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


def may(session: Session, subject: Subject, action: Action, thing: Owned) -> Decision:
    """Whether `subject` may do `action` to `thing`, and why."""
    match subject:
        case System():
            return Decision(True, "the platform itself")
        case Stranger():
            return Decision(False, "not logged in", hidden=True)
        case Agent() | Member() if subject.site_id != thing.site_id:
            return Decision(False, "belongs to another site", hidden=True)
        case Agent():
            allowed = action in actions_of(subject)
            return Decision(
                allowed, "scanner of the site" if allowed else "a scanner may only push slides", not allowed
            )
        case Member():
            allowed = action in actions_of(subject)
            return Decision(
                allowed, f"{subject.role} of the site" if allowed else f"not open to the role {subject.role}"
            )


def actions_of(subject: Subject) -> frozenset[Action]:
    """What the subject may do at the own site: enough to build a menu, not to decide about a thing."""
    match subject:
        case System():
            return frozenset(Action)
        case Agent():
            return frozenset({Action.PUSH_SLIDE})
        case Member():
            return ROLES[subject.role]
        case _:
            return frozenset()


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
