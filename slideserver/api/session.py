"""GET /api/session: who is signed in."""

from fastapi import APIRouter

from slideserver.api.schemas import MemberOut
from slideserver.deps import MemberDep, signed_in

router = APIRouter()


@router.get("/api/session", dependencies=[signed_in])
def get_session(member: MemberDep) -> MemberOut:
    return MemberOut.of(member)
