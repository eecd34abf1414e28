"""The journal of the member's site as a file that proves itself, and the program that checks it anywhere."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, StreamingResponse

from sharing import audit, audit_search, checkpoints, logfile, verifier
from sharing.vocabulary import Act, Action
from slideserver.deps import MemberDep, RecordingSessionDep, StateDep, requires

router = APIRouter(prefix="/api/audit")


@router.get("/log", dependencies=[requires(Action.READ_AUDIT)], response_class=StreamingResponse)
def log(
    session: RecordingSessionDep, member: MemberDep, state: StateDep, persons: Annotated[bool, Query()] = True
) -> StreamingResponse:
    """Every sealed entry with the checkpoints and the signatures of witnesses, as JSON lines; to be checked with
    verifier.py. Without `persons` it names nobody, and is as good a proof.
    """
    site_id = audit_search.require_reader(session, member)
    checkpoints.sign_now(session, state.signer, site_id)
    detail = {"form": "proof", "persons": "yes" if persons else "no"}
    audit.record(session, site_id=site_id, act=Act.AUDIT_EXPORTED, subject=member, detail=detail)

    pieces = logfile.pieces(state.database, state.signer, site_id, persons=persons)
    encoded = (piece.encode("utf-8", "surrogateescape") for piece in pieces)
    headers = {"Content-Disposition": f'attachment; filename="journal-{site_id}.jsonl"', "Cache-Control": "no-store"}
    return StreamingResponse(encoded, media_type="application/jsonl", headers=headers)


@router.get("/verifier.py", dependencies=[requires(Action.READ_AUDIT)], response_class=FileResponse)
def program() -> FileResponse:
    """The program that checks such a file on any machine with Python, without a network."""
    return FileResponse(Path(verifier.__file__), media_type="text/x-python", filename="verifier.py")
