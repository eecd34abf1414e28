"""Who is told why: about oneself, no more than one may know; about others, who may explain what the own site owns.

What is not there and what must look as if it were not are explained alike. Every question is put on record.
"""

from dataclasses import dataclass

from sqlalchemy import Select, or_, select

from sharing import audit, explanation, policy, sites
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, LinkRow, MemberRow, SiteRow, SlideRow
from sharing.explanation import ABSENT, Code, Explanation, Reason
from sharing.policy import AtSite
from sharing.rights import CONSULTANTS, ROLES
from sharing.subjects import Guest, Member, Subject
from sharing.vocabulary import Act, Action, CaseId, Entity, GuestId, LinkId, MemberId, Outcome, Role, SlideId

MOST_LINKS = 20


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
        found = explanation.explain(session, subject, action, thing)
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
        found = explanation.explain(session, sites.member_of(member, site_name), Action.VIEW_SLIDE, slide)
        if member.disabled_us is not None:
            found = Explanation(False, (Reason(Code.ACCOUNT_CLOSED),))
    else:
        link = session.get(LinkRow, LinkId(person_id)) if kind == "link" else None
        if link is None or link.site_id != slide.site_id:
            raise policy.absent("link")
        found = explanation.explain(session, Guest(GuestId(""), link.id, link.site_id), Action.VIEW_SLIDE, slide)
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
        .limit(MOST_LINKS)
    )
    return [
        *(Person(f"member:{row.id}", row.name, Role(row.role), site_name) for row, site_name in rows),
        *(Person(f"link:{link.id}", link.reference, None, "") for link in links),
    ]


def may_explain(session: Session, asker: Subject, slide: SlideRow | None) -> bool:
    return slide is not None and policy.may(session, asker, Action.EXPLAIN_ACCESS, AtSite(slide.site_id)).allowed


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
