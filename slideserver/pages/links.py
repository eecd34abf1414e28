"""The links a member has made for guests, and the end of one."""

from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.link_lists
import sharing.links
import sharing.slides
from sharing.db.engine import Session
from sharing.errors import NotFoundError, RefusedError
from sharing.slides import Slide
from sharing.subjects import Member
from sharing.vocabulary import Action, LinkId, LinkState, SlideId
from slideserver.deps import MemberDep, PageDep, SessionDep, requires

# A used-up link still shows its slides to whoever came in by it.
OPEN = (LinkState.LIVE, LinkState.USED_UP)

router = APIRouter()


@router.get("/links", dependencies=[requires(Action.SHARE_BY_LINK)])
def links(session: SessionDep, member: MemberDep, page: PageDep, done: str = "") -> HTMLResponse:
    made = sharing.link_lists.made(session, member)
    return page(
        "links.html",
        made=made,
        open=[link for link in made if link.state in OPEN],
        over=[link for link in made if link.state not in OPEN],
        slides={link.slide_id: _slide(session, member, link.slide_id) for link in made},
        unlimited=sharing.links.MOST_USES,
        done=next((link for link in made if link.id == done and link.state is LinkState.REVOKED), None),
    )


@router.post("/links/{link_id}/revoke", dependencies=[requires(Action.REVOKE_LINK)])
def revoke(session: SessionDep, member: MemberDep, link_id: str) -> Response:
    sharing.links.revoke(session, member, LinkId(link_id))
    return RedirectResponse(f"/links?done={link_id}", 303)


def _slide(session: Session, member: Member, slide_id: SlideId) -> Slide | None:
    """The slide of the link's view; None when it is no longer the member's to see."""
    try:
        return sharing.slides.get_slide(session, member, slide_id)
    except (NotFoundError, RefusedError):
        return None
