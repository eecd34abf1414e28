"""What a person who deposits slides asks for while typing: whose number this is."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from sharing import cases, sightings
from sharing.vocabulary import Action
from slideserver.deps import MemberDep, SessionDep, requires
from slideserver.recording import RecordDep

router = APIRouter(prefix="/api/deposit")


class CaseHint(BaseModel):
    """A case as somebody recognises it who holds its glass."""

    accession: str
    patient: str
    organ: str | None


@router.get("/cases", dependencies=[requires(Action.PUSH_SLIDE)])
def cases_numbered(
    session: SessionDep, record: RecordDep, member: MemberDep, q: Annotated[str, Query(max_length=64)] = ""
) -> list[CaseHint]:
    """The cases of the member's centre whose accession number begins with `q`; none below three characters."""
    found = cases.cases_numbered(session, member, q)
    record(sightings.list_cases, member, "deposit", len(found), search=q.strip())
    return [CaseHint(accession=case.accession, patient=case.patient_name, organ=case.organ) for case in found]
