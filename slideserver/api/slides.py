"""GET /api/slides/{id}: what the viewer opens. Its tiles are at /tiles, see `slideserver.tiles`."""

from fastapi import APIRouter

from sharing import sightings
from sharing.errors import NotFoundError, RefusedError
from sharing.vocabulary import SlideId
from slideserver.deps import ReadersDep, SessionDep, StateDep, by_link
from slideserver.description import SlideDescription, describe_slide
from slideserver.recording import RecordDep

router = APIRouter(prefix="/api/slides")


@router.get("/{slide_id}", dependencies=[by_link])
def get_slide(
    session: SessionDep, record: RecordDep, state: StateDep, readers: ReadersDep, slide_id: SlideId
) -> SlideDescription:
    """409 with the reason while the slide is being read, or when it was refused. A browser that holds a member's
    session and a guest's is answered as the member, and as the guest where the member may not."""
    reader, *others = readers
    try:
        described = describe_slide(session, state.sources, reader, slide_id)
    except (NotFoundError, RefusedError):
        if not others:
            raise
        reader = others[0]
        described = describe_slide(session, state.sources, reader, slide_id)
    record(sightings.open_slide, reader, slide_id)
    return described
