"""Why somebody may or may not see a slide or a case: by which right, until when, what is hidden, what is against it.

This is the truth about anybody; how much of it somebody may be told is `sharing.why`'s to know. `policy.may` has
decided before; here it is only told why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import aliased

from sharing import objections, policy
from sharing.db.engine import Session
from sharing.db.tables import (
    CaseRow,
    ConsultationRow,
    ConsultationSlideRow,
    LinkRow,
    LinkSlideRow,
    MemberRow,
    SiteRow,
    SlideRow,
)
from sharing.rights import CONSULTANTS, GRANTS, ROLES
from sharing.subjects import Guest, Member, Subject
from sharing.vocabulary import (
    Action,
    CaseId,
    LinkState,
    Purpose,
    SlideState,
)

MOST_SHARES = 20


class Code(StrEnum):
    """A reason, to be put into words with the values beside it."""

    ROLE_OPENS = "role_opens"
    """`role`, `site`"""
    ASKED = "asked"
    """`reference`, `site`, `purpose`, `since_us`"""
    LINKED = "linked"
    """`reference`, `purpose`"""
    IDENTITY_HIDDEN = "identity_hidden"
    PERSON_HIDDEN = "person_hidden"
    """Sex and age: `purpose`"""
    LABEL_HIDDEN = "label_hidden"
    FILE_HIDDEN = "file_hidden"
    OTHERS_HIDDEN = "others_hidden"
    """The slides of the case that were not named."""
    OBJECTION_STANDS = "objection_stands"
    """At home nothing is hidden by it: `purpose`"""
    NOT_READY = "not_ready"
    """There is no picture: `state`"""
    ROLE_CLOSED = "role_closed"
    """`role`"""
    ROLE_NOT_ASKED = "role_not_asked"
    """Nobody of this `role` can be asked from elsewhere."""
    ACCOUNT_CLOSED = "account_closed"
    NEVER_ASKED = "never_asked"
    """`site`"""
    CASE_STAYS = "case_stays"
    """A case itself is open at its own site alone."""
    SHARE_OVER = "share_over"
    """`reference`, `state`, `ended_us` where it is known"""
    OBJECTED = "objected"
    """`reference`, `purpose`"""
    NOT_NAMED = "not_named"
    """`reference`"""
    SOMEBODY_ELSE = "somebody_else"
    """`reference`, `name`"""
    CASE_CHANGED = "case_changed"
    """`reference`: the slide was put into another case since"""
    BYTES_CHANGED = "bytes_changed"
    """`reference`: the link shows what the slide was when it was made"""
    ABSENT = "absent"
    """No such thing, or nothing that this reader may know of."""


@dataclass(frozen=True, slots=True)
class Reason:
    code: Code
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    allowed: bool
    reasons: tuple[Reason, ...]
    """Of what is allowed, by which right; of what is not, everything that stands against it."""
    limits: tuple[Reason, ...] = ()
    """What is not shown although it is allowed, or worth knowing beside."""
    until_us: int | None = None
    """When the right ends by itself; a consultation ends by a move, a role with the account."""


ABSENT = Explanation(False, (Reason(Code.ABSENT),))


def explain(session: Session, subject: Subject, action: Action, thing: SlideRow | CaseRow) -> Explanation:
    """The truth about the subject, for who may know it; `allowed` is what `policy.may` says."""
    allowed = policy.may(session, subject, action, thing).allowed
    if isinstance(subject, Member) and subject.site_id == thing.site_id:
        if not allowed:
            return Explanation(False, (Reason(Code.ROLE_CLOSED, {"role": subject.role}),))
        opens = Reason(Code.ROLE_OPENS, {"role": subject.role, "site": subject.site_name})
        return Explanation(True, (opens,), tuple(_limits_at_home(session, subject, thing)))
    if isinstance(thing, CaseRow):
        return Explanation(allowed, () if allowed else (Reason(Code.CASE_STAYS),))
    if action is Action.VIEW_SLIDE and isinstance(subject, Member):
        return _abroad(session, subject, thing, allowed=allowed)
    if action is Action.VIEW_SLIDE and isinstance(subject, Guest):
        return _by_link(session, subject, thing, allowed=allowed)
    return Explanation(allowed, ())


def _limits_at_home(session: Session, subject: Member, thing: SlideRow | CaseRow) -> Iterator[Reason]:
    case_id = thing.id if isinstance(thing, CaseRow) else thing.case_id
    if isinstance(thing, SlideRow):
        if thing.state != SlideState.READY:
            yield Reason(Code.NOT_READY, {"state": thing.state})
        allowed = ROLES[subject.role]
        if Action.VIEW_LABEL not in allowed:
            yield Reason(Code.LABEL_HIDDEN)
        if Action.DOWNLOAD_SLIDE not in allowed:
            yield Reason(Code.FILE_HIDDEN)
    for purpose in objections.of_case(session, CaseId(case_id)) if case_id else ():
        yield Reason(Code.OBJECTION_STANDS, {"purpose": purpose})


def _limits_abroad(purpose: Purpose) -> Iterator[Reason]:
    grant = GRANTS[purpose]
    if not grant.identity:
        yield Reason(Code.IDENTITY_HIDDEN)
    if not grant.person:
        yield Reason(Code.PERSON_HIDDEN, {"purpose": purpose})
    if not grant.label:
        yield Reason(Code.LABEL_HIDDEN)
    if not grant.download:
        yield Reason(Code.FILE_HIDDEN)
    yield Reason(Code.OTHERS_HIDDEN)


def _abroad(session: Session, subject: Member, slide: SlideRow, *, allowed: bool) -> Explanation:
    if not allowed:
        if subject.role not in CONSULTANTS:
            return Explanation(False, (Reason(Code.ROLE_NOT_ASKED, {"role": subject.role}),))
        against = tuple(_against(session, subject, slide))
        return Explanation(False, against or (Reason(Code.NEVER_ASKED, {"site": subject.site_name}),))
    basis = policy.basis(session, subject, slide)
    row = session.get(ConsultationRow, basis.entity.id) if basis else None
    if basis is None or row is None:
        return Explanation(allowed, ())
    site = session.scalars(select(SiteRow.name).where(SiteRow.id == row.site_id)).one()
    values: dict[str, str | int] = {"reference": row.reference, "site": site, "purpose": row.purpose}
    values["since_us"] = row.created_us
    return Explanation(True, (Reason(Code.ASKED, values),), tuple(_limits_abroad(basis.purpose)))


def _against(session: Session, subject: Member, slide: SlideRow) -> Iterator[Reason]:
    """Why each consultation with the subject's site that ever touched the slide or its case does not show the slide."""
    named = select(ConsultationSlideRow.consultation_id).where(ConsultationSlideRow.slide_id == slide.id)
    other = aliased(MemberRow)
    rows = session.execute(
        select(ConsultationRow, other.name, CaseRow)
        .join(CaseRow, CaseRow.id == ConsultationRow.case_id)
        .outerjoin(other, other.id == ConsultationRow.to_member_id)
        .where(
            ConsultationRow.to_site_id == subject.site_id,
            or_(ConsultationRow.id.in_(named), ConsultationRow.case_id == slide.case_id),
            ~policy.undone(),
        )
        .order_by(ConsultationRow.created_us.desc(), ConsultationRow.id)
        .limit(MOST_SHARES)
    ).all()
    naming = set(session.scalars(named))
    for row, name, case in rows:
        about: dict[str, str | int] = {"reference": row.reference}
        if row.id not in naming:
            yield Reason(Code.NOT_NAMED, about)
        elif row.case_id != slide.case_id:
            yield Reason(Code.CASE_CHANGED, about)
        elif row.state not in policy.SHOWING:
            yield Reason(Code.SHARE_OVER, {**about, "state": row.state, "ended_us": row.ended_us or row.moved_us})
        elif policy.objects(session, case, Purpose(row.purpose)):
            yield Reason(Code.OBJECTED, {**about, "purpose": row.purpose})
        else:
            yield Reason(Code.SOMEBODY_ELSE, {**about, "name": name or ""})


def _by_link(session: Session, subject: Guest, slide: SlideRow, *, allowed: bool) -> Explanation:
    row = session.get(LinkRow, subject.link_id)
    if row is None:
        return ABSENT
    about: dict[str, str | int] = {"reference": row.reference}
    if allowed:
        by = Reason(Code.LINKED, {**about, "purpose": row.purpose})
        return Explanation(True, (by,), tuple(_limits_abroad(Purpose(row.purpose))), row.expires_us)
    state = policy.link_state(session, row)
    if state is LinkState.OBJECTED:
        why = Reason(Code.OBJECTED, {**about, "purpose": row.purpose})
    elif state not in (LinkState.LIVE, LinkState.USED_UP):
        ended = row.revoked_us or (row.expires_us if state is LinkState.EXPIRED else None)
        why = Reason(Code.SHARE_OVER, {**about, "state": state, **({"ended_us": ended} if ended else {})})
    elif session.get(LinkSlideRow, (row.id, slide.id)) is None:
        why = Reason(Code.NOT_NAMED, about)
    elif row.case_id != slide.case_id:
        why = Reason(Code.CASE_CHANGED, about)
    else:
        why = Reason(Code.BYTES_CHANGED, about)
    return Explanation(False, (why,))
