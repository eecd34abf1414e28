"""The same picture sent under two case numbers: a person says which one is right, and may take it back.

A claim holds the number that its slide does not have. Deciding for that number exchanges the two, so that the claim
then holds the former one: taking it back is exchanging them again, and whoever sends either of them once more is told
that it has been decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from sqlalchemy import Select, delete, func, select, update

from sharing import audit, epoch, policy, slides, text
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import CaseRow, ClaimRow, SlideRow
from sharing.errors import ConflictError
from sharing.policy import AtSite
from sharing.slides import Slide
from sharing.subjects import Member, Sender, Subject, System, sender_id
from sharing.vocabulary import Act, Action, CaseId, Entity, SiteId, new_id

ClaimId = NewType("ClaimId", str)

MOST = 50
_FASTER = "Somebody was faster: this has been decided. Reload the page to see how."


class Verdict(StrEnum):
    KEPT = "kept"
    """The slide stays under the number that it had."""
    MOVED = "moved"
    """It was put under the other one."""


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two numbers, empty for none, and the case that has it."""

    accession: str
    case_id: CaseId | None
    patient_name: str | None
    organ: str | None
    stain: str | None
    block: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A slide between two numbers: it stands under `held`, and was also sent under `other`."""

    id: ClaimId
    slide: Slide
    held: Party
    other: Party
    file_name: str
    """The name under which it was sent for `other`."""
    created_us: int
    verdict: Verdict | None


def lodge(
    session: Session,
    sender: Sender,
    slide: Slide,
    *,
    accession: str | None,
    stain: str | None = None,
    block: str | None = None,
    file_name: str,
) -> bool:
    """Writes down that a slide of the sender's site was sent again, under a number of a case.

    True when a person is to decide. False when there is nothing to decide: no number, the slide's own one, or one that
    has been decided about.
    """
    if not accession or not accession.strip():
        return False
    number = text.accession(accession)
    if number in (_number(slide), slide.accession):
        return False
    known = select(ClaimRow).where(ClaimRow.slide_id == slide.id, ClaimRow.accession == number)
    claim_id = new_id()
    row = {
        "id": claim_id,
        "site_id": slide.site_id,
        "slide_id": slide.id,
        "accession": number,
        # The glass is the same: what nobody says anew is as it was.
        "stain": text.line_or_none(stain, "The stain", limit=64) or slide.stain,
        "block": text.line_or_none(block, "The block", limit=64) or slide.block,
        "file_name": text.line(file_name, "The file name", limit=255),
        "sender": sender_id(sender),
        "created_us": session.now_us,
    }
    if session.scalar(known) is None:
        try:
            insert_new(session, ClaimRow, row, "The slide was sent under this number before.")
        except ConflictError:  # by another scanner, at this very moment
            pass
        else:
            audit.record(
                session,
                site_id=slide.site_id,
                act=Act.SLIDE_CLAIMED,
                subject=sender,
                entities=_entities(slide),
                personal={"file_name": file_name, "accession": number},
            )
    return session.scalars(known).one().resolved_us is None


def undecided(session: Session, slide: Slide) -> bool:
    """Whether a person has still to say which number the slide belongs to."""
    of_slide = ClaimRow.slide_id == slide.id, ClaimRow.resolved_us.is_(None), ClaimRow.accession != _number(slide)
    return session.scalars(select(ClaimRow.id).where(*of_slide).limit(1)).one_or_none() is not None


def waiting(session: Session, subject: Subject, *, limit: int = MOST) -> list[Claim]:
    """What waits for a decision at the subject's site, the oldest `limit`. Empty for who may not decide."""
    rows = session.scalars(_waiting(subject).order_by(ClaimRow.created_us, ClaimRow.id).limit(limit))
    return [_claim(session, row) for row in rows]


def count_waiting(session: Session, subject: Subject) -> int:
    return session.scalar(select(func.count()).select_from(_waiting(subject).subquery())) or 0


def _waiting(subject: Subject) -> Select[ClaimRow]:
    visible = policy.visible_intake(subject).subquery()
    # Attaching the slide at reception may have answered the question meanwhile.
    number = func.coalesce(CaseRow.accession, visible.c.accession, "")
    return (
        select(ClaimRow)
        .join(visible, visible.c.id == ClaimRow.slide_id)
        .outerjoin(CaseRow, CaseRow.id == visible.c.case_id)
        .where(ClaimRow.resolved_us.is_(None), ClaimRow.accession != number)
    )


def get_claim(session: Session, subject: Subject, claim_id: ClaimId) -> Claim:
    """Raises NotFoundError or RefusedError, see `policy.require`."""
    return _claim(session, _known(session, subject, claim_id))


def resolve(session: Session, subject: Member, claim_id: ClaimId, verdict: Verdict) -> None:
    """Decides for one of the numbers. Of a slide that moves, nothing is shown by what its former case had shared.

    Raises NotFoundError, RefusedError, ConflictError if it has been decided.
    """
    claim = _held(session, subject, claim_id)
    decided = {"resolved_us": session.now_us, "resolved_by": subject.id, "verdict": verdict}
    _decide(session, claim, decided, resolved=False)
    if verdict is Verdict.MOVED:
        _exchange(session, claim)
    _record(session, subject, claim, {"verdict": verdict})


def reopen(session: Session, subject: Member, claim_id: ClaimId) -> None:
    """Takes a decision back: everything is as it was before it.

    Raises NotFoundError, RefusedError, ConflictError if it was taken back before.
    """
    claim = _held(session, subject, claim_id)
    _decide(session, claim, {"resolved_us": None, "resolved_by": None, "verdict": None}, resolved=True)
    if claim.verdict is Verdict.MOVED:
        _exchange(session, claim)
    _record(session, subject, claim, {"verdict": "taken back"})


def _decide(session: Session, claim: Claim, values: Mapping[str, object], *, resolved: bool) -> None:
    as_it_was = ClaimRow.resolved_us.is_not(None) if resolved else ClaimRow.resolved_us.is_(None)
    statement = update(ClaimRow).where(ClaimRow.id == claim.id, as_it_was).values(**values).returning(ClaimRow.id)
    if session.execute(statement).one_or_none() is None:
        raise ConflictError(_FASTER)


def _exchange(session: Session, claim: Claim) -> None:
    """Puts the slide under the other number, and the claim under the one it had."""
    held, other = claim.held, claim.other
    answered = ClaimRow.slide_id == claim.slide.id, ClaimRow.accession == held.accession  # by attaching it at reception
    session.execute(delete(ClaimRow).where(*answered))
    session.execute(
        update(ClaimRow)
        .where(ClaimRow.id == claim.id)
        .values(accession=held.accession, stain=held.stain, block=held.block)
    )
    values = {
        "case_id": other.case_id,
        "accession": other.accession or None,
        "stain": other.stain,
        "block": other.block,
    }
    session.execute(update(SlideRow).where(SlideRow.id == claim.slide.id).values(values))
    epoch.bump(session)  # who could see it by its former case may not see it by this one


def _known(session: Session, subject: Subject, claim_id: ClaimId) -> ClaimRow:
    row = session.get(ClaimRow, claim_id, populate_existing=True)
    if row is None:
        raise policy.absent("slide")
    entities = Entity("slide", row.slide_id), Entity("site", row.site_id)
    policy.require(session, subject, Action.ASSIGN_SLIDE, AtSite(row.site_id), *entities)
    return row


def _held(session: Session, subject: Subject, claim_id: ClaimId) -> Claim:
    """As it stands, and stays until this transaction ends."""
    slides.hold(session, _known(session, subject, claim_id).slide_id)
    return _claim(session, _known(session, subject, claim_id))


def _claim(session: Session, row: ClaimRow) -> Claim:
    slide = slides.get_slide(session, System(), row.slide_id)
    return Claim(
        id=ClaimId(row.id),
        slide=slide,
        held=_party(session, slide.site_id, _number(slide), slide.stain, slide.block),
        other=_party(session, slide.site_id, row.accession, row.stain, row.block),
        file_name=row.file_name,
        created_us=row.created_us,
        verdict=Verdict(row.verdict) if row.verdict else None,
    )


def _party(session: Session, site_id: SiteId, accession: str, stain: str | None, block: str | None) -> Party:
    case = session.scalars(
        select(CaseRow).where(CaseRow.site_id == site_id, CaseRow.accession == accession)
    ).one_or_none()
    if case is None:
        return Party(accession, None, None, None, stain, block)
    return Party(accession, case.id, case.patient_name, case.organ, stain, block)


def _number(slide: Slide) -> str:
    return slide.case_accession or slide.accession or ""


def _entities(slide: Slide) -> list[Entity]:
    return [Entity("slide", slide.id), *([Entity("case", slide.case_id)] if slide.case_id else [])]


def _record(session: Session, subject: Member, claim: Claim, detail: dict[str, str]) -> None:
    """With the slide as it stands now; the case that it left is told beside it."""
    slide = slides.get_slide(session, System(), claim.slide.id)
    former = claim.slide.case_id if claim.slide.case_id != slide.case_id else None
    audit.record(
        session,
        site_id=slide.site_id,
        act=Act.CLAIM_RESOLVED,
        subject=subject,
        entities=_entities(slide),
        detail=detail | ({"former_case": former} if former else {}),
        personal={"accession": _number(slide), "other_accession": claim.held.accession},
    )
