"""GET /api/slides/{id}: what the viewer opens. Its tiles are at /tiles, see `slideserver.tiles`."""

from fastapi import APIRouter

from sharing.errors import NotFoundError, RefusedError
from sharing.vocabulary import SlideId
from slideserver.deps import ReadersDep, SessionDep, StateDep, by_link
from slideserver.description import SlideDescription, describe_slide

router = APIRouter(prefix="/api/slides")


@router.get("/{slide_id}", dependencies=[by_link])
def get_slide(session: SessionDep, state: StateDep, readers: ReadersDep, slide_id: SlideId) -> SlideDescription:
    """409 with the reason while the slide is being read, or when it was refused. A browser that holds a member's
    session and a guest's is answered as the member, and as the guest where the member may not."""
    first, *others = readers
    try:
        return describe_slide(session, state.sources, first, slide_id)
    except (NotFoundError, RefusedError):
        if not others:
            raise
    return describe_slide(session, state.sources, others[0], slide_id)
