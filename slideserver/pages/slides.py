"""The page of one slide: who it is from, and the place in which the viewer opens it."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

import sharing.slides
from sharing import readings, sightings
from sharing.policy import actions_of
from sharing.vocabulary import Action, SlideId, SlideState
from slideserver.deps import MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.description import SlideDescription, describe_slide
from slideserver.pages.works import in_hand
from slideserver.recording import RecordDep

router = APIRouter()


@router.get("/slides/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
def slide(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, slide_id: str
) -> HTMLResponse:
    """The viewer; or, while there is nothing to view, how the slide stands and what comes next."""
    found = sharing.slides.get_slide(session, member, SlideId(slide_id))
    if found.state is not SlideState.READY and found.site_id == member.site_id:
        work = in_hand(state.queue.progress(session, [found.id]))
        record(sightings.read_arrival, member, found)
        return page("slide_waiting.html", slide=found, allowed=actions_of(member), work=work)
    described = describe_slide(session, state.sources, member, found.id)
    record(readings.open_reading, member, found)
    return viewer(page, described, allowed=actions_of(member))


def viewer(page: PageDep, slide: SlideDescription, *, allowed: frozenset[Action]) -> HTMLResponse:
    """The page of the viewer, for whoever the description was made for."""
    order = [other.id for other in slide.slides_of_case]
    return page(
        "slide.html",
        slide=slide,
        case=slide.case,
        context=slide.context,
        position=order.index(slide.id) + 1,
        count=len(order),
        allowed=allowed,
        description=slide.model_dump(mode="json"),
    )
