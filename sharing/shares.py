"""Shares: what left a site and what came to it, with whom, why, until when, and whether it was opened.

For lab managers. A share is a consultation or a link, seen from outside: no question, no opinion, and nothing of how
long anybody looked.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ScalarSelect, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from sharing import audit, consultations, epoch, links, paging, policy
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    CaseRow,
    ConsultationRow,
    ConsultationSlideRow,
    LinkRefusalRow,
    LinkRow,
    LinkSlideRow,
    MemberRow,
    ObjectionRow,
    SiteRow,
)
from sharing.errors import InvalidError
from sharing.paging import Page
from sharing.share_search import Direction, Filters, Kind, matching, organ_for
from sharing.subjects import Member
from sharing.vocabulary import (
    Act,
    Action,
    CaseId,
    ConsultationId,
    ConsultationState,
    Entity,
    LinkId,
    LinkState,
    MemberId,
    Purpose,
    SiteId,
)


@dataclass(frozen=True, slots=True)
class Share:
    kind: Kind
    id: str
    reference: str
    direction: Direction
    case_id: CaseId | None
    """Of the own site's cases alone; so is the accession number."""
    accession: str | None
    organ: str | None
    by_id: MemberId
    by: str
    with_site_id: SiteId | None
    """The other site; None for a link."""
    with_name: str
    """The member or the site asked; of what came in, the site that asks; empty for a guest."""
    purpose: Purpose
    reason: str
    """Of a link of the own site; else empty."""
    slides: int
    created_us: int
    until_us: int | None
    """When a link ends by itself; a consultation ends by a move."""
    opened_us: int | None
    answered_us: int | None
    ended_us: int | None
    """When it ceased to show slides, for whatever reason."""
    last_tile_us: int | None
    """When a server can have shown something by it for the last time; None while it may, and where nobody knows."""
    refused: int
    """How often a link was tried in vain."""
    state: ConsultationState | LinkState
    objected: bool
    """The patient objects to its purpose."""
    live: bool
    """Whether somebody outside may see slides by it now."""

    @property
    def standing(self) -> str:
        """Its state, or "objected" for a request that would show its slides if the patient did not object."""
        return LinkState.OBJECTED if self.objected and self.state in policy.SHOWING else self.state

    @property
    def may_end(self) -> bool:
        """Whether the lab manager who reads this can take the slides back."""
        return self.live and self.direction is Direction.OUT


def query(
    session: Session, subject: Member, filters: Filters | None = None, cursor: str | None = None, *, limit: int = 100
) -> Page[Share]:
    """What the subject's site shares and what is shared with it, newest first. Who asks puts the question on record by
    `note_reading`, before anybody sees the answer. Raises RefusedError if the role may not.
    """
    return _page(session, require_viewer(session, subject), filters or Filters(), cursor, limit)


def note_reading(session: Session, subject: Member, filters: Filters) -> None:
    require_viewer(session, subject)
    _record(session, subject, Act.SHARES_READ, filters, {})


def export(
    database: Database, subject: Member, filters: Filters, *, form: str, limit: int, step: int = 1000
) -> Iterator[Share]:
    """As `query`, to be taken away in a `form` such as "csv". It is on record, once, before the first one comes; nobody
    waits to write while the rest is read.
    """
    with database.writing() as session:
        site_id = require_viewer(session, subject)
        _record(session, subject, Act.SHARES_EXPORTED, filters, {"form": form})
    return paging.walk(
        database, lambda session, cursor, limit: _page(session, site_id, filters, cursor, limit), limit=limit, step=step
    )


def people(session: Session, subject: Member) -> list[tuple[MemberId, str]]:
    """Who of the subject's site has shared anything, to choose from; by name."""
    site_id = require_viewer(session, subject)
    asked = select(ConsultationRow.id).where(ConsultationRow.requester_id == MemberRow.id)
    linked = select(LinkRow.id).where(LinkRow.maker_id == MemberRow.id)
    shared = or_(asked.exists(), linked.exists())
    found = select(MemberRow.id, MemberRow.name).where(MemberRow.site_id == site_id, shared).order_by(MemberRow.name)
    return [(row.id, row.name) for row in session.execute(found)]


def organs(session: Session, subject: Member) -> list[str]:
    """What the cases of the subject's site are of, to choose from."""
    site_id = require_viewer(session, subject)
    found = session.scalars(select(CaseRow.organ).where(CaseRow.site_id == site_id).distinct())
    return sorted(filter(None, found))


def of_case(session: Session, subject: Member, case_id: CaseId) -> list[Share]:
    """Everything that was ever shared of a case of the subject's site, the oldest first."""
    site_id = require_viewer(session, subject)
    filters = Filters(direction=Direction.OUT, case_id=case_id)
    return list(_page(session, site_id, filters, None, limit=10_000).rows)[::-1]


def end(session: Session, subject: Member, kind: Kind, share_id: str) -> None:
    """Take the slides back. Raises NotFoundError, RefusedError, or ConflictError if it had ended."""
    match kind:
        case Kind.CONSULTATION:
            consultations.end(session, subject, ConsultationId(share_id))
        case Kind.LINK:
            links.revoke(session, subject, LinkId(share_id))


def require_viewer(session: Session, subject: Member) -> SiteId:
    """The site whose shares the subject may see: the own one. Raises RefusedError if the role may not."""
    policy.require(session, subject, Action.VIEW_SHARES, subject, Entity("site", subject.site_id))
    return subject.site_id


def _record(session: Session, subject: Member, act: Act, filters: Filters, more: dict[str, str]) -> None:
    detail, personal = {**filters.told(), **more}, filters.typed()
    audit.record(session, site_id=subject.site_id, act=act, subject=subject, detail=detail, personal=personal)


def _page(session: Session, site_id: SiteId, filters: Filters, cursor: str | None, limit: int) -> Page[Share]:
    found: list[tuple[int, str, str]] = []
    for which in matching(site_id, filters):
        made_us, own_id = which.selected_columns.created_us, which.selected_columns.id
        if cursor:
            last_us, last_id = _place(cursor)
            which = which.where(made_us <= last_us, or_(made_us < last_us, own_id > last_id))
        rows = session.execute(which.order_by(made_us.desc(), own_id).limit(limit + 1))
        found += [(-row.created_us, row.id, row.kind) for row in rows]
    found = sorted(found)[: limit + 1]
    shown = found[:limit]
    told = dict(_consultations(session, site_id, [each for _, each, kind in shown if kind == Kind.CONSULTATION]))
    told.update(_links(session, [each for _, each, kind in shown if kind == Kind.LINK]))
    more = f"{-shown[-1][0]}-{shown[-1][1]}" if len(found) > limit else None
    return Page(tuple(told[each] for _, each, _ in shown), more)


def _place(cursor: str) -> tuple[int, str]:
    match = re.fullmatch(r"(\d{1,18})-([a-z2-7]{26})", cursor, re.ASCII)
    if not match:
        raise InvalidError("This is no place in the list of shares. Start again from its first page.")
    return int(match[1]), match[2]


def _consultations(session: Session, site_id: SiteId, ids: Sequence[str]) -> Iterator[tuple[str, Share]]:
    row, requester, member = ConsultationRow, aliased(MemberRow), aliased(MemberRow)
    asking, asked = aliased(SiteRow), aliased(SiteRow)
    statement = (
        select(
            row,
            requester.name.label("by"),
            member.name.label("member"),
            asking.name.label("asking"),
            asked.name.label("asked"),
            CaseRow.accession,
            organ_for(site_id).label("organ"),
            _count(ConsultationSlideRow.consultation_id, row.id).label("slides"),
            _objected_us(row.purpose).label("objected_us"),
        )
        .join(requester, requester.id == row.requester_id)
        .outerjoin(member, member.id == row.to_member_id)
        .join(asking, asking.id == row.site_id)
        .join(asked, asked.id == row.to_site_id)
        .join(CaseRow, CaseRow.id == row.case_id)
        .where(row.id.in_(ids))
    )
    for each in session.execute(statement) if ids else ():
        found: ConsultationRow = each.ConsultationRow
        out, state = found.site_id == site_id, ConsultationState(found.state)
        ended_us = min(filter(None, (found.ended_us, each.objected_us)), default=None)
        with_name = (f"{each.member}, {each.asked}" if each.member else each.asked) if out else each.asking
        yield (
            found.id,
            Share(
                kind=Kind.CONSULTATION,
                id=found.id,
                reference=found.reference,
                direction=Direction.OUT if out else Direction.IN,
                case_id=found.case_id if out else None,
                accession=each.accession if out else None,
                organ=each.organ,
                by_id=found.requester_id,
                by=each.by,
                with_site_id=found.to_site_id if out else found.site_id,
                with_name=with_name,
                purpose=Purpose(found.purpose),
                reason="",
                slides=each.slides,
                created_us=found.created_us,
                until_us=None,
                opened_us=found.opened_us,
                answered_us=found.answered_us,
                ended_us=ended_us,
                last_tile_us=None if ended_us is None else epoch.last_tile(session, ended_us),
                refused=0,
                state=state,
                objected=each.objected_us is not None,
                live=state in policy.SHOWING and each.objected_us is None,
            ),
        )


def _links(session: Session, ids: Sequence[str]) -> Iterator[tuple[str, Share]]:
    refused = select(func.coalesce(func.sum(LinkRefusalRow.count), 0)).where(LinkRefusalRow.link_id == LinkRow.id)
    statement = (
        select(
            LinkRow,
            MemberRow.name.label("by"),
            MemberRow.disabled_us,
            CaseRow.accession,
            CaseRow.organ,
            _count(LinkSlideRow.link_id, LinkRow.id).label("slides"),
            _objected_us(LinkRow.purpose).label("objected_us"),
            refused.scalar_subquery().label("refused"),
        )
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .join(CaseRow, CaseRow.id == LinkRow.case_id)
        .where(LinkRow.id.in_(ids))
    )
    found = session.execute(statement).all() if ids else []
    states = policy.link_states(session, [each.LinkRow for each in found])
    for each in found:
        row: LinkRow = each.LinkRow
        state = states[row.id]
        expired_us = row.expires_us if row.expires_us <= session.now_us else None
        ends = (row.revoked_us, expired_us, each.objected_us, each.disabled_us)
        ended_us = min((end_us for end_us in ends if end_us is not None), default=None)
        yield (
            row.id,
            Share(
                kind=Kind.LINK,
                id=row.id,
                reference=row.reference,
                direction=Direction.OUT,
                case_id=row.case_id,
                accession=each.accession,
                organ=each.organ,
                by_id=row.maker_id,
                by=each.by,
                with_site_id=None,
                with_name=row.recipient or "",
                purpose=Purpose(row.purpose),
                reason=row.reason,
                slides=each.slides,
                created_us=row.created_us,
                until_us=row.expires_us,
                opened_us=row.opened_us,
                answered_us=None,
                ended_us=ended_us,
                last_tile_us=None if ended_us is None else epoch.last_tile(session, ended_us),
                refused=int(each.refused),
                state=state,
                objected=each.objected_us is not None,
                live=state in links.ADMITTED,
            ),
        )


def _count(column: InstrumentedAttribute[Any], value: InstrumentedAttribute[Any]) -> ScalarSelect[int]:
    return select(func.count()).where(column == value).scalar_subquery()


def _objected_us(purpose: InstrumentedAttribute[str]) -> ScalarSelect[int | None]:
    """Since when the patient of the CaseRow in the statement has objected to the purpose in a column of it."""
    return (
        select(ObjectionRow.registered_us)
        .where(
            and_(ObjectionRow.site_id == CaseRow.site_id, ObjectionRow.patient_key == CaseRow.patient_key),
            ObjectionRow.purpose == purpose,
            ObjectionRow.withdrawn_us.is_(None),
        )
        .scalar_subquery()
    )
