"""What an objection ends: the links and consultations that show a patient's slides for a purpose one may object to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from sharing import policy, sites
from sharing.db.engine import Session
from sharing.db.tables import (
    CaseRow,
    ConsultationRow,
    GuestRow,
    LinkRow,
    MemberRow,
    ReadingRow,
    SiteRow,
    SlideRow,
)
from sharing.patients import Patient
from sharing.readings import IDLE_US
from sharing.rights import OBJECTIONABLE
from sharing.vocabulary import CaseId, Entity, LinkState, Purpose


@dataclass(frozen=True, slots=True)
class Ending:
    """A link or a consultation that is open, and shows nothing any more once its purpose is objected to."""

    entity: Entity
    reference: str
    purpose: Purpose
    case_id: CaseId
    accession: str
    by: str
    """Who of the site shared it."""
    to: str
    """The member and site asked; of a link the recipient's address, or nothing."""
    since_us: int
    until_us: int | None
    """When a link ends by itself."""
    readers: tuple[str, ...] = ()
    """Who of another site has a slide open by it now: read within the last half hour."""
    guests: int = 0
    """How many guests have."""


def of(session: Session, patients: Iterable[Patient]) -> list[Ending]:
    """Everything open of these patients for a purpose to which one may object, newest first. For who may find them."""
    numbers = {case.id: case.accession for patient in patients for case in patient.cases}
    found = [*_links(session, numbers), *_consultations(session, numbers)]
    return sorted(found, key=lambda ending: (-ending.since_us, ending.entity.id))


def _links(session: Session, numbers: dict[CaseId, str]) -> Iterator[Ending]:
    counted = session.execute(
        select(GuestRow.link_id, func.count(func.distinct(GuestRow.id)).label("guests"))
        .join(ReadingRow, (ReadingRow.subject_id == GuestRow.id) & (ReadingRow.subject_kind == "guest"))
        .join(SlideRow, SlideRow.id == ReadingRow.slide_id)
        .where(SlideRow.case_id.in_(numbers), ReadingRow.seen_us > session.now_us - IDLE_US)
        .group_by(GuestRow.link_id)
    )
    reading = {row.link_id: row.guests for row in counted}
    rows = session.execute(
        select(LinkRow, MemberRow.name)
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .where(
            LinkRow.case_id.in_(numbers),
            LinkRow.purpose.in_(OBJECTIONABLE),
            LinkRow.revoked_us.is_(None),
            LinkRow.expires_us > session.now_us,
        )
    ).all()
    states = policy.link_states(session, [row for row, _ in rows])
    for row, maker in rows:
        if states[row.id] not in (LinkState.LIVE, LinkState.USED_UP):
            continue
        yield Ending(
            entity=Entity("link", row.id),
            reference=row.reference,
            purpose=Purpose(row.purpose),
            case_id=row.case_id,
            accession=numbers[row.case_id],
            by=maker,
            to=row.recipient or "",
            since_us=row.created_us,
            until_us=row.expires_us,
            guests=reading.get(row.id, 0),
        )


def _consultations(session: Session, numbers: dict[CaseId, str]) -> Iterator[Ending]:
    asker, named = aliased(MemberRow), aliased(MemberRow)
    rows = session.execute(
        select(ConsultationRow, asker.name, named.name, SiteRow.name)
        .join(asker, asker.id == ConsultationRow.requester_id)
        .outerjoin(named, named.id == func.coalesce(ConsultationRow.taken_by, ConsultationRow.to_member_id))
        .join(SiteRow, SiteRow.id == ConsultationRow.to_site_id)
        .join(CaseRow, CaseRow.id == ConsultationRow.case_id)
        .where(
            ConsultationRow.case_id.in_(numbers),
            ConsultationRow.purpose.in_(OBJECTIONABLE),
            ConsultationRow.state.in_(policy.SHOWING),
            ~policy.objected(ConsultationRow.purpose),
        )
    )
    found: dict[str, Ending] = {
        row.id: Ending(
            entity=Entity("consultation", row.id),
            reference=row.reference,
            purpose=Purpose(row.purpose),
            case_id=row.case_id,
            accession=numbers[row.case_id],
            by=by,
            to=f"{member}, {site}" if member else site,
            since_us=row.created_us,
            until_us=None,
        )
        for row, by, member, site in rows
    }
    for consultation_id, name in _consultants(session, list(numbers)) if found else ():
        if consultation_id in found and name not in found[consultation_id].readers:
            ending = found[consultation_id]
            found[consultation_id] = replace(ending, readers=(*ending.readers, name))
    yield from found.values()


def _consultants(session: Session, case_ids: Sequence[CaseId]) -> Iterator[tuple[str, str]]:
    """Who of another site has a slide open now, by which consultation."""
    rows = session.execute(
        select(MemberRow, SiteRow.name, SlideRow)
        .join(ReadingRow, (ReadingRow.subject_id == MemberRow.id) & (ReadingRow.subject_kind == "member"))
        .join(SlideRow, SlideRow.id == ReadingRow.slide_id)
        .join(SiteRow, SiteRow.id == MemberRow.site_id)
        .where(
            SlideRow.case_id.in_(case_ids),
            MemberRow.site_id != SlideRow.site_id,
            ReadingRow.seen_us > session.now_us - IDLE_US,
        )
        .order_by(MemberRow.name)
    ).all()
    for member, site_name, slide in rows:
        basis = policy.basis(session, sites.member_of(member, site_name), slide)
        if basis is not None:
            yield basis.entity.id, f"{member.name}, {site_name}"
