"""GET /api/fhir/AuditEvent: the audit log of the member's site as FHIR R4, page by page. Asking is put on record."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse

from sharing import audit_search, sites
from sharing.vocabulary import Act, Action, CaseId, MemberId
from slideserver import fhir
from slideserver.deps import MemberDep, SessionDep, StateDep, requires
from slideserver.recording import RecordDep

router = APIRouter(prefix="/api/fhir")


@router.get("/AuditEvent", dependencies=[requires(Action.READ_AUDIT)], response_class=JSONResponse)
def search(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    since_us: Annotated[int | None, Query(ge=0, le=audit_search.LATEST_US)] = None,
    until_us: Annotated[int | None, Query(ge=0, le=audit_search.LATEST_US)] = None,
    subtype: Act | None = None,
    agent: MemberId | None = None,
    case_id: CaseId | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    count: Annotated[int, Query(alias="_count", ge=1, le=500)] = 100,
) -> JSONResponse:
    """A Bundle of AuditEvents, newest first; the link `next` leads to the following page. What was altered past the
    program and can no longer be read is left out."""
    filters = audit_search.Filters(since_us=since_us, until_us=until_us, act=subtype, agent_id=agent, case_id=case_id)
    found = audit_search.read(session, member, filters, cursor, limit=count)
    record(audit_search.note_reading, member, filters)
    names: dict[str, str] = {site.id: site.name for site in sites.list_sites(session)}
    events = [fhir.event(row, member.site_id, names) for row in found.rows if row.act is not None]
    asked = {
        "since_us": since_us,
        "until_us": until_us,
        "subtype": subtype,
        "agent": agent,
        "case_id": case_id,
        "_count": count,
    }
    base = f"{state.settings.address}/api/fhir/AuditEvent"
    here = fhir.address(base, {**asked, "cursor": cursor})
    following = fhir.address(base, {**asked, "cursor": found.next}) if found.next else None
    return JSONResponse(fhir.bundle(events, here, following), media_type=fhir.JSON)
