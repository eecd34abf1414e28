"""The same picture under two case numbers: somebody at reception says which one is right, and may take it back."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

import sharing.claims
from sharing.claims import ClaimId, Verdict
from sharing.vocabulary import Action
from slideserver.deps import MemberDep, SessionDep, requires

router = APIRouter()


@router.post("/intake/claims/{claim_id}", dependencies=[requires(Action.ASSIGN_SLIDE)])
def resolve(session: SessionDep, member: MemberDep, claim_id: str, verdict: Annotated[Verdict, Form()]) -> Response:
    sharing.claims.resolve(session, member, ClaimId(claim_id), verdict)
    return RedirectResponse(f"/intake?{urlencode({'decided': claim_id})}", 303)


@router.post("/intake/claims/{claim_id}/undo", dependencies=[requires(Action.ASSIGN_SLIDE)])
def undo(session: SessionDep, member: MemberDep, claim_id: str) -> Response:
    sharing.claims.reopen(session, member, ClaimId(claim_id))
    return RedirectResponse("/intake#claims", 303)
