"""The shapes of the API's answers that no other module owns."""

from pydantic import BaseModel, ConfigDict

from sharing.audit_search import AuditRow
from sharing.cases import Case
from sharing.paging import Page
from sharing.subjects import Member
from sharing.vocabulary import Act, CaseId, EventId, MemberId, Outcome, Role, SiteId
from slideserver.description import PatientDescription, SiblingDescription, sibling


class Asked(BaseModel):
    """A document that somebody sends. What it has no place for is refused and not passed over: it may be a limit, such
    as the recipient of a link, under a name that is not ours."""

    model_config = ConfigDict(extra="forbid")


class MemberOut(BaseModel):
    id: MemberId
    name: str
    login: str
    role: Role
    site_id: SiteId
    site: str

    @classmethod
    def of(cls, member: Member) -> "MemberOut":
        return cls(
            id=member.id,
            name=member.name,
            login=member.login,
            role=member.role,
            site_id=member.site_id,
            site=member.site_name,
        )


class CaseOut(BaseModel):
    """Times are microseconds since 1970-01-01T00:00Z."""

    id: CaseId
    accession: str
    site: str
    patient: PatientDescription
    organ: str | None
    registered_us: int
    slides: list[SiblingDescription]

    @classmethod
    def of(cls, case: Case) -> "CaseOut":
        return cls(
            id=case.id,
            accession=case.accession,
            site=case.site_name,
            patient=PatientDescription(
                name=case.patient_name, sex=case.patient_sex, birth_year=case.patient_birth_year
            ),
            organ=case.organ,
            registered_us=case.registered_us,
            slides=[sibling(slide) for slide in case.slides],
        )


class EntityOut(BaseModel):
    kind: str
    id: str


class AuditRowOut(BaseModel):
    """One act. `seq` is its place in the site's chain, null in the moment before it is sealed.

    `personal` names persons; null when that part was erased. `act` is null for a row that was altered past the program
    and can no longer be read.
    """

    id: EventId
    recorded_us: int
    act: Act | None
    outcome: Outcome
    agent_kind: str
    agent_id: str | None
    agent_name: str | None
    agent_role: str | None
    entities: list[EntityOut]
    accession: str | None
    slide_name: str | None
    detail: dict[str, str]
    personal: dict[str, str] | None
    seq: int | None

    @classmethod
    def of(cls, row: AuditRow) -> "AuditRowOut":
        return cls(
            id=row.id,
            recorded_us=row.recorded_us,
            act=row.act,
            outcome=row.outcome,
            agent_kind=row.agent_kind,
            agent_id=row.agent_id,
            agent_name=row.agent_name,
            agent_role=row.agent_role,
            entities=[EntityOut(kind=entity.kind, id=entity.id) for entity in row.entities],
            accession=row.accession,
            slide_name=row.slide_name,
            detail=dict(row.detail),
            personal=dict(row.personal) if row.personal is not None else None,
            seq=row.seq,
        )


class AuditPageOut(BaseModel):
    rows: list[AuditRowOut]
    next: str | None

    @classmethod
    def of(cls, page: Page[AuditRow]) -> "AuditPageOut":
        return cls(rows=[AuditRowOut.of(row) for row in page.rows], next=page.next)
