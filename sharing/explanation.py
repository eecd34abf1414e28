"""Why somebody may or may not see a slide or a case: by which right, until when, what is hidden, what is against it.

`explain` knows the truth about anybody; the two functions that answer people tell no more of it than the asker may
know. About oneself: what is not there and what must look as if it were not are explained alike. About others: to who
may explain the access to the things of the own site. `policy.may` has decided before; here it is only told why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import aliased

from sharing import audit, objections, policy, sites
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
from sharing.policy import AtSite
from sharing.rights import CONSULTANTS, GRANTS, ROLES
from sharing.subjects import Guest, Member, Subject
from sharing.vocabulary import (
    Act,
    Action,
    CaseId,
    Entity,
    GuestId,
    LinkId,
    LinkState,
    MemberId,
    Outcome,
    Purpose,
    Role,
    SlideId,
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


@dataclass(frozen=True, slots=True)
class Told:
    """An explanation for one reader. `slide` and `case` are there for who may see, or explain, them at home."""

    explanation: Explanation
    slide: SlideRow | None = None
    case: CaseRow | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody about whom one can ask; `key` names them in `told_about`."""

    key: str
    name: str
    role: Role | None
    """None for the guests of a link."""
    site_name: str


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


def told(session: Session, subject: Member | Guest, thing_id: SlideId | CaseId, kind: str = "slide") -> Told:
    """Why the subject may or may not see a slide (or, with `kind` "case", a case). The question goes on record: the
    transaction must be a writing one.
    """
    action = Action.VIEW_CASE if kind == "case" else Action.VIEW_SLIDE
    thing = session.get(CaseRow, CaseId(thing_id)) if kind == "case" else session.get(SlideRow, SlideId(thing_id))
    # Of a role that opens nothing of this kind no more is to be said, whatever there is.
    closed = (
        isinstance(subject, Member)
        and action not in ROLES[subject.role]
        and not (action is Action.VIEW_SLIDE and subject.role in CONSULTANTS)
    )
    if isinstance(subject, Member) and closed:
        found = Explanation(False, (Reason(Code.ROLE_CLOSED, {"role": subject.role}),))
    elif thing is None:
        found = ABSENT
    else:
        found = explain(session, subject, action, thing)
        if not found.allowed and policy.may(session, subject, action, thing).hidden:
            found = ABSENT
    _record(session, subject, thing, found)
    return _with_names(session, subject, thing, found)


def told_about(session: Session, asker: Member, slide_id: SlideId, key: str) -> Told:
    """The truth about one of `people`, for who may explain the access to the slide. The question goes on record.

    Raises NotFoundError or RefusedError as `policy.require` does, and NotFoundError for a key that names nobody.
    """
    slide = session.get(SlideRow, slide_id)
    if slide is None:
        raise policy.absent("slide")
    policy.require(session, asker, Action.EXPLAIN_ACCESS, slide, Entity("slide", slide_id))
    kind, _, person_id = key.partition(":")
    found: Explanation
    if kind == "member":
        row = session.execute(_members().where(MemberRow.id == MemberId(person_id))).one_or_none()
        if row is None:
            raise policy.absent("member")
        member, site_name = row
        found = explain(session, sites.member_of(member, site_name), Action.VIEW_SLIDE, slide)
        if member.disabled_us is not None:
            found = Explanation(False, (Reason(Code.ACCOUNT_CLOSED),))
    else:
        link = session.get(LinkRow, LinkId(person_id)) if kind == "link" else None
        if link is None or link.site_id != slide.site_id:
            raise policy.absent("link")
        found = explain(session, Guest(GuestId(""), link.id, link.site_id), Action.VIEW_SLIDE, slide)
    _record(session, asker, slide, found, about=Entity(kind, person_id))
    return _with_names(session, asker, slide, found)


def people(session: Session, asker: Member, slide: SlideRow) -> list[Person]:
    """Those about whom the asker may ask: everybody of the own site, who can be asked for an opinion elsewhere, and the
    guests of each link to the slide's case. Raises RefusedError or NotFoundError if the asker may not ask at all.
    """
    policy.require(session, asker, Action.EXPLAIN_ACCESS, slide, Entity("slide", slide.id))
    elsewhere = MemberRow.role.in_(CONSULTANTS) & MemberRow.disabled_us.is_(None)
    rows = session.execute(
        _members()
        .where(or_(MemberRow.site_id == asker.site_id, elsewhere))
        .order_by(MemberRow.site_id != asker.site_id, SiteRow.name, MemberRow.name)
    )
    links = session.execute(
        select(LinkRow.id, LinkRow.reference)
        .where(LinkRow.case_id == slide.case_id, LinkRow.site_id == asker.site_id)
        .order_by(LinkRow.created_us.desc(), LinkRow.id)
        .limit(MOST_SHARES)
    )
    return [
        *(Person(f"member:{row.id}", row.name, Role(row.role), site_name) for row, site_name in rows),
        *(Person(f"link:{link.id}", link.reference, None, "") for link in links),
    ]


def may_explain(session: Session, asker: Subject, slide: SlideRow | None) -> bool:
    return slide is not None and policy.may(session, asker, Action.EXPLAIN_ACCESS, AtSite(slide.site_id)).allowed


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


def _with_names(session: Session, reader: Subject, thing: SlideRow | CaseRow | None, found: Explanation) -> Told:
    """With the thing itself, for who may see it at home, or may explain it."""
    if thing is None or not isinstance(reader, Member) or reader.site_id != thing.site_id:
        return Told(found)
    if isinstance(thing, CaseRow):
        return Told(found, case=thing if found.allowed else None)
    sees = policy.may(session, reader, Action.VIEW_SLIDE, thing).allowed
    if not sees and not may_explain(session, reader, thing):
        return Told(found)
    return Told(found, thing, session.get(CaseRow, thing.case_id) if thing.case_id else None)


def _record(
    session: Session,
    subject: Member | Guest,
    thing: SlideRow | CaseRow | None,
    found: Explanation,
    *,
    about: Entity | None = None,
) -> None:
    """In the chain of the asker's site, whether there is such a thing or not; and in the owner's if that is another."""
    entities: list[Entity] = []
    if isinstance(thing, SlideRow):
        entities = [Entity("slide", thing.id), *([Entity("case", thing.case_id)] if thing.case_id else [])]
    elif thing is not None:
        entities = [Entity("case", thing.id)]
    chains = [(subject.site_id, [*entities, about] if about is not None else entities)]
    if thing is None or thing.site_id != subject.site_id:
        # The own site learns of another's slide only what its member was allowed to see.
        chains = [(subject.site_id, entities[:1] if found.allowed else [])]
        if thing is not None:
            chains.append((thing.site_id, entities))
    for site_id, shown in chains:
        audit.record(
            session,
            site_id=site_id,
            act=Act.ACCESS_EXPLAINED,
            subject=subject,
            # To ask about somebody else is done by being answered, whatever the answer is.
            outcome=Outcome.SUCCESS if found.allowed or about is not None else Outcome.REFUSED,
            entities=shown,
        )


def _members() -> Select[MemberRow, str]:
    return select(MemberRow, SiteRow.name).join(SiteRow, SiteRow.id == MemberRow.site_id)
