"""GET /api/audit: what is on record at the member's site, newest first. Asking is itself put on record."""

from typing import Annotated

from fastapi import APIRouter, Query

from sharing import audit_search
from sharing.vocabulary import Act, Action, CaseId, MemberId, Outcome, SlideId
from slideserver.api.schemas import AuditPageOut
from slideserver.deps import MemberDep, SessionDep, requires
from slideserver.recording import RecordDep

router = APIRouter(prefix="/api/audit")


@router.get("", dependencies=[requires(Action.READ_AUDIT)])
def query(
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    since_us: int | None = None,
    until_us: int | None = None,
    act: Act | None = None,
    outcome: Outcome | None = None,
    agent_id: MemberId | None = None,
    case_id: CaseId | None = None,
    slide_id: SlideId | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AuditPageOut:
    """One page of the audit log; `next` is the cursor of the page after it. Times are µs since 1970-01-01T00:00Z."""
    filters = audit_search.Filters(
        since_us=since_us,
        until_us=until_us,
        act=act,
        outcome=outcome,
        agent_id=agent_id,
        case_id=case_id,
        slide_id=slide_id,
    )
    found = audit_search.read(session, member, filters, cursor, limit=limit)
    record(audit_search.note_reading, member, filters)
    return AuditPageOut.of(found)
