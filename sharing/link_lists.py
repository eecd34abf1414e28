"""Lists of links, as the members of their site see them: one's own, those of a case, all that are open."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, literal, select, tuple_

from sharing import cases, link_refusals, policy
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, LinkRow, LinkSlideRow, MemberRow
from sharing.link_refusals import InVain
from sharing.policy import AtSite
from sharing.subjects import Member
from sharing.vocabulary import Action, CaseId, Entity, LinkId, LinkState, Purpose, SlideId

OPEN = frozenset({LinkState.LIVE, LinkState.USED_UP})
"""A used-up link still shows its slides to whoever came in by it."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as its maker sees it."""

    id: LinkId
    reference: str
    case_id: CaseId
    accession: str
    slides: tuple[SlideId, ...]
    slide_id: SlideId
    view: str
    purpose: Purpose
    reason: str
    max_uses: int
    uses: int
    created_us: int
    expires_us: int
    opened_us: int | None
    """When the first guest came in."""
    revoked_us: int | None
    maker_name: str
    state: LinkState
    recipient: str | None
    """The mail address that a guest must read to come in."""
    in_vain: tuple[InVain, ...]
    """Tries that did not get in, the latest reason first."""

    @property
    def tries_in_vain(self) -> int:
        return sum(each.count for each in self.in_vain)


def made(session: Session, subject: Member, *, limit: int = 200) -> list[Link]:
    """The links that the subject has made, newest first."""
    return _links(session, _all().where(LinkRow.maker_id == subject.id).order_by(*_NEWEST).limit(limit))


def of_case(session: Session, subject: Member, case_id: CaseId) -> list[Link]:
    """The links that anybody has made to a case which the subject may see, newest first."""
    cases.get_case(session, subject, case_id)
    return _links(session, _all().where(LinkRow.case_id == case_id).order_by(*_NEWEST))


def open_of_site(session: Session, subject: Member, *, limit: int | None = None) -> list[Link]:
    """The links of the subject's site that show something to somebody, or still may; the oldest first, at most `limit`.

    Raises RefusedError if the shares of the site are not the subject's to see.
    """
    site = AtSite(subject.site_id)
    policy.require(session, subject, Action.VIEW_SHARES, site, Entity("site", subject.site_id))
    standing = _all().where(
        LinkRow.site_id == subject.site_id, LinkRow.revoked_us.is_(None), LinkRow.expires_us > session.now_us
    )
    found: list[Link] = []
    after = (0, "")
    while limit is None or len(found) < limit:
        rest = standing.where(tuple_(LinkRow.created_us, LinkRow.id) > tuple_(*map(literal, after)))
        some = _links(session, rest.order_by(LinkRow.created_us, LinkRow.id).limit(_SOME))
        if not some:
            break
        found += [link for link in some if link.state in OPEN]
        after = some[-1].created_us, some[-1].id
    return found[:limit]


_SOME = 500
_NEWEST = (LinkRow.created_us.desc(), LinkRow.id)


def _all() -> Select[LinkRow, str, str]:
    return (
        select(LinkRow, MemberRow.name, CaseRow.accession)
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .join(CaseRow, CaseRow.id == LinkRow.case_id)
    )


def _links(session: Session, statement: Select[LinkRow, str, str]) -> list[Link]:
    rows = session.execute(statement).all()
    ids = [row.id for row, _, _ in rows]
    shown, in_vain = _slides(session, ids), link_refusals.of(session, ids)
    states = policy.link_states(session, [row for row, _, _ in rows])
    return [
        Link(
            id=row.id,
            reference=row.reference,
            case_id=row.case_id,
            accession=accession,
            slides=shown.get(row.id, ()),
            slide_id=row.slide_id,
            view=row.view,
            purpose=Purpose(row.purpose),
            reason=row.reason,
            max_uses=row.max_uses,
            uses=row.uses,
            created_us=row.created_us,
            expires_us=row.expires_us,
            opened_us=row.opened_us,
            revoked_us=row.revoked_us,
            maker_name=maker_name,
            state=states[row.id],
            recipient=row.recipient,
            in_vain=in_vain.get(row.id, ()),
        )
        for row, maker_name, accession in rows
    ]


def _slides(session: Session, link_ids: Sequence[LinkId]) -> dict[LinkId, tuple[SlideId, ...]]:
    rows = session.execute(
        select(LinkSlideRow.link_id, LinkSlideRow.slide_id)
        .where(LinkSlideRow.link_id.in_(link_ids))
        .order_by(LinkSlideRow.number)
    )
    found: dict[LinkId, tuple[SlideId, ...]] = {}
    for row in rows:
        found[row.link_id] = (*found.get(row.link_id, ()), row.slide_id)
    return found
