"""The certificate of sharing of a case: everything that was ever shown of it outside its site, and how to check that.

It is made from the shares, the audit log and the last checkpoint that witnesses have countersigned. It names no
patient: the case stands under its accession number, and a reason that holds the patient's name is left out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from sharing import audit, audit_search, cases, checkpoints, policy, shares, veil
from sharing.audit_search import AuditRow
from sharing.cases import Case
from sharing.checkpoints import Covered
from sharing.db.engine import Session
from sharing.db.tables import CaseRow, ConsultationRow, ConsultationSlideRow, LinkRow, LinkSlideRow, SlideRow
from sharing.shares import Share
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, CaseId, Entity, Outcome, Role, SiteId, SlideId, new_reference

MOST_ENTRIES = 20_000
"""A case of which more is on record is certified by its newest entries."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Who opened slides by a share: how often a reading began, first and last."""

    name: str | None
    """None for guests, who have none, and for a name that was erased."""
    readings: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Certified:
    """One share, with what the log says of it."""

    share: Share
    slides: tuple[int, ...]
    """The numbers under which the certificate lists them."""
    openings: tuple[Opening, ...]
    entry: int | None
    """The number of the entry that tells of its making; None while that waits for its seal."""


@dataclass(frozen=True, slots=True)
class SharedSlide:
    number: int
    id: SlideId
    stain: str | None
    block: str | None
    sha256: str
    """Of the bytes as they are today."""
    length: int
    shown: tuple[str, ...]
    """Digests to which links were bound, where they are others than today's."""


@dataclass(frozen=True, slots=True)
class Certificate:
    reference: str
    case_id: CaseId
    accession: str
    organ: str | None
    site_id: SiteId
    site_name: str
    issued_us: int
    issued_by: str
    issued_role: Role
    shares: tuple[Certified, ...]
    """The oldest first."""
    slides: tuple[SharedSlide, ...]
    refused: int
    """How often somebody who may not see the case, or no longer, was turned away."""
    downloads: int
    """How often somebody of the own site took a file away."""
    entries: int
    """How many entries of the log are about the case, but for those of certificates."""
    last_entry: int | None
    """The number of the newest of them that is sealed."""
    altered: int
    """How many of them can no longer be read."""
    covered: Covered | None
    """The first countersigned checkpoint over all these entries; else the last one that there is."""

    @property
    def witnessed(self) -> bool:
        """Whether a witness has countersigned all entries about the case."""
        return self.covered is not None and self.covered.checkpoint.size >= (self.last_entry or 0)

    def to_json(self) -> str:
        """The certificate as a file; of these bytes the log keeps the SHA-256."""
        return json.dumps(_plain(asdict(self)), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def certify(session: Session, subject: Member, case_id: CaseId) -> Certificate:
    """What is so now. Who hands it out puts it on record with `note_issue` before. Raises NotFoundError or RefusedError
    as `policy.require` does.
    """
    case = session.get(CaseRow, case_id)
    if case is None:
        raise policy.absent("case")
    policy.require(session, subject, Action.CERTIFY_SHARES, case, Entity("case", case_id))
    found = audit_search.read(session, subject, audit_search.Filters(case_id=case_id), limit=MOST_ENTRIES).rows
    # Else each certificate would be an entry that no witness has seen for the next.
    rows = [row for row in found if row.act is not Act.CERTIFICATE_ISSUED]
    shown = _shown(session, case_id)
    slides = _slides(session, shown)
    numbers = {slide.id: slide.number for slide in slides}
    last_entry = max((row.seq for row in rows if row.seq is not None), default=None)
    return Certificate(
        reference=new_reference("C"),
        case_id=case_id,
        accession=case.accession,
        organ=case.organ,
        site_id=case.site_id,
        site_name=subject.site_name,
        issued_us=session.now_us,
        issued_by=subject.name,
        issued_role=subject.role,
        shares=tuple(_certified(_unnamed(session, subject, case_id), rows, shown, numbers)),
        slides=slides,
        refused=sum(row.act in (Act.ACCESS_REFUSED, Act.LINK_REFUSED) for row in rows),
        downloads=sum(row.act is Act.SLIDE_DOWNLOADED for row in rows),
        entries=len(rows),
        last_entry=last_entry,
        altered=sum(row.act is None for row in rows),
        covered=_covered(session, case.site_id, last_entry),
    )


def note_issue(session: Session, subject: Member, certificate: Certificate, form: str) -> None:
    """Put on record that the certificate is handed out, with the digest of its file."""
    audit.record(
        session,
        site_id=certificate.site_id,
        act=Act.CERTIFICATE_ISSUED,
        subject=subject,
        entities=[Entity("case", certificate.case_id)],
        detail={
            "reference": certificate.reference,
            "form": form,
            "shares": str(len(certificate.shares)),
            "sha256": sha256(certificate.to_json().encode()).hexdigest(),
        },
    )


def _unnamed(session: Session, subject: Member, case_id: CaseId) -> Iterator[Share]:
    """Everything that was shared of the case. A maker writes a link's reason for the own site; this paper leaves it."""
    case = cases.known(session, [case_id])[case_id]
    for share in shares.of_case(session, subject, case_id):
        yield replace(share, reason="") if _names_patient(share.reason, case) else share


def _names_patient(prose: str, case: Case) -> bool:
    return any(word != case.accession for word in veil.naming(prose, case))


def _certified(
    found: Iterable[Share],
    rows: Sequence[AuditRow],
    shown: Sequence[tuple[str, SlideId, str | None]],
    numbers: Mapping[SlideId, int],
) -> Iterator[Certified]:
    about: dict[str, list[AuditRow]] = {}
    for row in rows:
        for entity in row.entities:
            about.setdefault(entity.id, []).append(row)
    for share in found:
        its = about.get(share.id, [])
        made = (row.seq for row in its if row.act in (Act.CONSULTATION_REQUESTED, Act.LINK_MADE))
        yield Certified(
            share=share,
            slides=tuple(sorted(numbers[slide_id] for share_id, slide_id, _ in shown if share_id == share.id)),
            openings=tuple(_openings(its)),
            entry=next(made, None),
        )


def _openings(rows: Iterable[AuditRow]) -> Iterator[Opening]:
    times: dict[tuple[str | None, str | None], list[int]] = {}
    for row in rows:
        if row.act is Act.SLIDE_OPENED and row.outcome is Outcome.SUCCESS:
            who = (None, None) if row.agent_kind == "guest" else (row.agent_id, row.agent_name)
            times.setdefault(who, []).append(row.recorded_us)
    for (_, name), moments in times.items():
        yield Opening(name, len(moments), min(moments), max(moments))


def _shown(session: Session, case_id: CaseId) -> list[tuple[str, SlideId, str | None]]:
    """Share, slide and the digest to which it was bound."""
    by_link = (
        select(LinkSlideRow.link_id, LinkSlideRow.slide_id, LinkSlideRow.sha256)
        .join(LinkRow, LinkRow.id == LinkSlideRow.link_id)
        .where(LinkRow.case_id == case_id)
    )
    by_request = (
        select(ConsultationSlideRow.consultation_id, ConsultationSlideRow.slide_id)
        .join(ConsultationRow, ConsultationRow.id == ConsultationSlideRow.consultation_id)
        .where(ConsultationRow.case_id == case_id)
    )
    return [
        *((row.link_id, row.slide_id, row.sha256) for row in session.execute(by_link)),
        *((row.consultation_id, row.slide_id, None) for row in session.execute(by_request)),
    ]


def _slides(session: Session, shown: Sequence[tuple[str, SlideId, str | None]]) -> tuple[SharedSlide, ...]:
    wanted = select(SlideRow).where(SlideRow.id.in_({slide_id for _, slide_id, _ in shown}))
    found = session.scalars(wanted.order_by(SlideRow.received_us, SlideRow.id)) if shown else ()
    return tuple(
        SharedSlide(
            number=number,
            id=row.id,
            stain=row.stain,
            block=row.block,
            sha256=row.sha256,
            length=row.length,
            shown=tuple(sorted({pin for _, each, pin in shown if each == row.id and pin and pin != row.sha256})),
        )
        for number, row in enumerate(found, 1)
    )


def _covered(session: Session, site_id: SiteId, last_entry: int | None) -> Covered | None:
    if last_entry is not None and (found := checkpoints.covering(session, site_id, last_entry)):
        return found
    if found := checkpoints.covering(session, site_id):
        return found
    last = checkpoints.latest(session, site_id)
    return Covered(last, ()) if last else None


def _plain(value: Any) -> Any:
    """Tuples as lists, closed sets as their values."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
        case str():
            return str(value)
        case _:
            return value
