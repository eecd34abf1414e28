"""What somebody without an account meets: the page of a link, and the viewer on its slides."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from sharing import sightings
from sharing.vocabulary import SlideId
from slideserver.deps import GuestDep, PageDep, ReadersDep, SessionDep, StateDep, by_link
from slideserver.description import describe_slide
from slideserver.pages.slides import viewer
from slideserver.recording import RecordDep

router = APIRouter()


@router.get("/l/{link_id}")
def landing(page: PageDep, link_id: str) -> HTMLResponse:
    """A button, the same under every address: whoever does not hold the key learns nothing, and whatever only looks
    (a mail scanner, a preview) spends nothing.
    """
    return page("link.html", link_id=link_id, problem=None)


@router.get("/g/{slide_id}", dependencies=[by_link])
def slide(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    guest: GuestDep,
    readers: ReadersDep,
    page: PageDep,
    slide_id: str,
) -> HTMLResponse:
    """The viewer for a guest, on one of the slides of the link. A member who is no guest sees what members may see."""
    reader = guest or readers[0]
    described = describe_slide(session, state.sources, reader, SlideId(slide_id))
    record(sightings.open_slide, reader, SlideId(slide_id))
    return viewer(page, described, allowed=frozenset())
