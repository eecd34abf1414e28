"""Opinions: signed answers. One is never changed; what its author thinks later is a new one, which amends it.

`consultations.answer` and `consultations.amend` are the doors: they ask the policy and move the consultation.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import insert, select

from sharing.db.engine import Session
from sharing.db.tables import OpinionRow
from sharing.subjects import Member
from sharing.vocabulary import Agreement, ConsultationId, MemberId, OpinionId, OpinionStatus, new_id

LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Opinion:
    """FHIR DiagnosticReport; the last of a consultation is the one in force."""

    id: OpinionId
    number: int
    agreement: Agreement
    text: str
    status: OpinionStatus
    amends: OpinionId | None
    author_id: MemberId
    author_name: str
    signed_us: int


def sign(
    session: Session, author: Member, consultation_id: ConsultationId, *, agreement: Agreement, text: str
) -> OpinionId:
    """Sign an opinion, which amends the one in force if there is one. For a caller that has asked the policy."""
    former = of_consultations(session, [consultation_id]).get(consultation_id, ())
    opinion_id = OpinionId(new_id())
    session.execute(
        insert(OpinionRow).values(
            id=opinion_id,
            consultation_id=consultation_id,
            number=len(former) + 1,
            author_id=author.id,
            author_name=author.name,
            agreement=agreement,
            text=text,
            status=OpinionStatus.AMENDED if former else OpinionStatus.FINAL,
            amends=former[-1].id if former else None,
            signed_us=session.now_us,
        )
    )
    return opinion_id


def of_consultations(
    session: Session, consultation_ids: Iterable[ConsultationId]
) -> dict[ConsultationId, tuple[Opinion, ...]]:
    """The opinions of consultations that the caller has already been allowed to read, oldest first."""
    rows = session.scalars(
        select(OpinionRow).where(OpinionRow.consultation_id.in_(consultation_ids)).order_by(OpinionRow.number)
    )
    found: dict[ConsultationId, tuple[Opinion, ...]] = {}
    for row in rows:
        opinion = Opinion(
            id=row.id,
            number=row.number,
            agreement=Agreement(row.agreement),
            text=row.text,
            status=OpinionStatus(row.status),
            amends=row.amends,
            author_id=row.author_id,
            author_name=row.author_name,
            signed_us=row.signed_us,
        )
        found[row.consultation_id] = (*found.get(row.consultation_id, ()), opinion)
    return found
