"""GET /api/slides/{id}: what the viewer opens. Its tiles are at /tiles, see `slideserver.tiles`."""

from fastapi import APIRouter

from sharing.vocabulary import Action, SlideId
from slideserver.deps import MemberDep, SessionDep, StateDep, requires
from slideserver.description import SlideDescription, describe_slide

router = APIRouter(prefix="/api/slides")


@router.get("/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
def get_slide(session: SessionDep, state: StateDep, member: MemberDep, slide_id: SlideId) -> SlideDescription:
    """409 with the reason while the slide is being read, or when it was refused."""
    return describe_slide(session, state.sources, member, slide_id)
