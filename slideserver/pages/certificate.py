"""The certificate of sharing of a case: a page made to be printed, and the same as a file. Each is on record."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from sharing import certificates
from sharing.vocabulary import Action, CaseId
from slideserver.deps import MemberDep, PageDep, SessionDep, requires
from slideserver.recording import RecordDep

router = APIRouter()


@router.get("/cases/{case_id}/certificate", dependencies=[requires(Action.CERTIFY_SHARES)])
def certificate(
    session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, case_id: CaseId
) -> HTMLResponse:
    issued = certificates.certify(session, member, case_id)
    record(certificates.note_issue, member, issued, "page")
    return page("certificate.html", certificate=issued)


@router.get("/cases/{case_id}/certificate.json", dependencies=[requires(Action.CERTIFY_SHARES)])
def as_file(session: SessionDep, record: RecordDep, member: MemberDep, case_id: CaseId) -> Response:
    """Its SHA-256 is the one that the journal keeps of this number."""
    issued = certificates.certify(session, member, case_id)
    record(certificates.note_issue, member, issued, "file")
    headers = {
        "Content-Disposition": f'attachment; filename="iain-{issued.reference}.json"',
        "Cache-Control": "no-store",
    }
    return Response(issued.to_json(), media_type="application/json", headers=headers)
