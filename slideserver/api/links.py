"""Links: made and revoked by members, redeemed and lived on by guests. `slideserver.pages` shows the pages around."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from sharing import links, visits
from sharing.clock import SECOND_US
from sharing.errors import CodeWantedError, GoneError, InvalidError, NotFoundError
from sharing.subjects import Guest
from sharing.visits import Shown
from sharing.vocabulary import Action, CaseId, LinkId, LinkState, Purpose, SlideId
from slideserver.api.schemas import Asked
from slideserver.auth.throttle import source_of
from slideserver.deps import GuestSessionDep, LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.guests import ENDS, PROBLEMS
from slideserver.state import State

router = APIRouter()


class LinkIn(Asked):
    """`expires_in_s` from now, since the browser's clock may be wrong; `max_uses` null: as many as there can be.
    `recipient`: the mail address that a guest must be able to read; null or empty: whoever holds the address comes in.
    """

    case_id: CaseId
    slides: list[SlideId] | None = Field(default=None, max_length=500)
    slide_id: SlideId
    view: str = Field(default="", max_length=500)
    purpose: Purpose = Purpose.CARE
    reason: str = Field(max_length=2000)
    expires_in_s: int = Field(ge=60, le=links.LONGEST_US // SECOND_US)
    max_uses: int | None = Field(default=1, ge=1, le=links.MOST_USES)
    recipient: str | None = Field(default=None, max_length=254)


class LinkOut(BaseModel):
    """`url` holds the secret behind its `#`; it is shown this once and kept nowhere."""

    id: LinkId
    reference: str
    url: str
    expires_us: int


class GuestOut(BaseModel):
    """How the guest's right stands; `reason` says it in words once it is over. Without a guest, `state` is "none"."""

    state: Literal["standing", "expired", "revoked", "maker", "objected", "none"]
    reason: str = ""
    expires_us: int | None = None
    reference: str | None = None
    site: str | None = None
    slide_id: SlideId | None = None
    view: str | None = None


@router.post("/api/links", status_code=201, dependencies=[requires(Action.SHARE_BY_LINK)])
def create(request: Request, state: StateDep, session: SessionDep, member: MemberDep, wanted: LinkIn) -> LinkOut:
    """An address that admits somebody without an account to some slides of a case, as they are now."""
    if wanted.recipient and not state.settings.smtp_host:
        raise InvalidError(
            "This server sends no mail, so no code can reach the recipient. Leave the address empty, or ask the person "
            "who manages the server."
        )
    expires_us = session.now_us + wanted.expires_in_s * SECOND_US
    made = links.create(
        session,
        member,
        wanted.case_id,
        wanted.slides,
        purpose=wanted.purpose,
        reason=wanted.reason,
        expires_us=expires_us,
        max_uses=wanted.max_uses or links.MOST_USES,
        slide_id=wanted.slide_id,
        view=wanted.view,
        recipient=wanted.recipient,
    )
    base = (state.settings.base_url or str(request.base_url)).rstrip("/")
    url = f"{base}/l/{made.id}#{made.secret}"
    return LinkOut(id=made.id, reference=made.reference, url=url, expires_us=expires_us)


@router.post("/api/links/{link_id}/revoke", status_code=204, dependencies=[requires(Action.REVOKE_LINK)])
def revoke(session: SessionDep, member: MemberDep, link_id: LinkId) -> None:
    """Within a second no tile is shown by it."""
    links.revoke(session, member, link_id)


@router.get("/api/guest")
def guest(state: StateDep, session: SessionDep, language: LanguageDep, found: GuestSessionDep) -> GuestOut:
    """What the guest's page asks every second while somebody looks at it."""
    if found is None:
        return GuestOut(state="none")
    over = found.state if found.state not in links.ADMITTED else None
    shown = None
    if over is None:
        try:
            shown = visits.showing(session, found.guest)
        except GoneError as error:  # in this very moment
            over = error.why
    if over is not None or shown is None:
        return _over(over or LinkState.EXPIRED, state.catalogues[language].gettext)
    return GuestOut(
        state="standing",
        expires_us=found.expires_us,
        reference=shown.reference,
        site=shown.veiled.site_name,
        slide_id=shown.slide_id,
        view=shown.view,
    )


def _over(why: LinkState, translate: Callable[[str], str]) -> GuestOut:
    state: Literal["expired", "revoked", "maker", "objected"] = "expired"
    if why is LinkState.REVOKED:
        state = "revoked"
    elif why is LinkState.MAKER_GONE:
        state = "maker"
    elif why is LinkState.OBJECTED:
        state = "objected"
    return GuestOut(state=state, reason=translate(ENDS[why]))


@router.post("/l/{link_id}", include_in_schema=False)
async def redeem(
    request: Request,
    state: StateDep,
    page: PageDep,
    language: LanguageDep,
    inside: GuestSessionDep,
    link_id: str,
    secret: Annotated[str, Form(max_length=200)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
    again: Annotated[bool, Form()] = False,
) -> Response:
    """The button of the link's page: a guest's session, and on to the slide; where the link is bound to a recipient,
    the page that asks for the code first. Who came in by this link before, and goes back, goes on without spending
    another use. What is wrong with a link is told only to whoever has its secret; to everybody else it does not
    exist."""
    if inside is not None and inside.guest.link_id == link_id and inside.state in links.ADMITTED:
        shown = await run_in_threadpool(_shown, state, inside.guest)
        return RedirectResponse(_address(shown.slide_id, shown.view), 303)
    typed = None if again else code.strip() or None
    personal = {"source": source_of(request.client.host if request.client else None)}
    try:
        # Whoever does not hold the key waits for no turn to write, and takes none.
        async with state.readers:
            knock = await run_in_threadpool(links.knock, state.database, LinkId(link_id), secret, typed)
        async with state.writers:
            admitted = await run_in_threadpool(
                links.enter, state.database, knock, again=again, language=language, personal=personal
            )
    except CodeWantedError as error:
        status = 403 if error.wrong else 200
        return page("link_code.html", status=status, link_id=link_id, secret=secret, wrong=error.wrong)
    except GoneError as error:
        return page("link.html", status=410, link_id=link_id, problem=PROBLEMS[error.why])
    except NotFoundError:
        return page("link.html", status=404, link_id=link_id, problem="wrong")
    response = RedirectResponse(_address(admitted.slide_id, admitted.view), 303)
    state.guest_cookie.write(response, admitted.token)
    return response


def _shown(state: State, guest: Guest) -> Shown:
    with state.database.reading() as session:
        return visits.showing(session, guest)


def _address(slide_id: SlideId, view: str) -> str:
    return f"/g/{slide_id}#{view}" if view else f"/g/{slide_id}"
