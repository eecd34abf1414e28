"""Cases: the worklist and one case."""

from typing import Annotated

from fastapi import APIRouter, Query

from sharing import cases, sightings
from sharing.vocabulary import Action, CaseId
from slideserver.api.schemas import CaseOut
from slideserver.deps import MemberDep, SessionDep, requires
from slideserver.recording import RecordDep

router = APIRouter(prefix="/api/cases")


@router.get("", dependencies=[requires(Action.LIST_CASES)])
def list_cases(
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    search: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
) -> list[CaseOut]:
    """The cases the member may see, newest first; `search` in accession, name and organ."""
    found = cases.list_cases(session, member, search, limit=limit)
    record(sightings.list_cases, member, "worklist", len(found), search=search.strip())
    return [CaseOut.of(case) for case in found]


@router.get("/{case_id}", dependencies=[requires(Action.VIEW_CASE)])
def get_case(session: SessionDep, record: RecordDep, member: MemberDep, case_id: CaseId) -> CaseOut:
    found = cases.get_case(session, member, case_id)
    record(sightings.open_case, member, found.id, found)
    return CaseOut.of(found)
