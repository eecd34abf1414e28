"""The page of one slide: who it is from, and the place in which the viewer opens it."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse

import sharing.slides
from sharing.cases import get_case
from sharing.policy import actions_of
from sharing.vocabulary import Action, SlideId, SlideState
from slideserver.deps import MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.description import describe_slide

router = APIRouter()


@router.get("/slides/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
def slide(state: StateDep, session: SessionDep, member: MemberDep, page: PageDep, slide_id: str) -> HTMLResponse:
    """The viewer; or, while there is nothing to view, how the slide stands and what comes next."""
    found = sharing.slides.get_slide(session, member, SlideId(slide_id))
    if found.state is not SlideState.READY:
        return page("slide_waiting.html", slide=found, allowed=actions_of(member))
    case = get_case(session, member, found.case_id) if found.case_id else None
    order = [other.id for other in case.slides] if case else [found.id]
    return page(
        "slide.html",
        slide=found,
        case=case,
        position=order.index(found.id) + 1,
        count=len(order),
        allowed=actions_of(member),
        description=describe_slide(session, state.sources, member, found.id).model_dump(mode="json"),
    )
