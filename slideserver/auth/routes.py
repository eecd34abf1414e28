"""POST /login and POST /logout. The page that asks for the password is one of `slideserver.pages`."""

from typing import Annotated

from anyio import current_time, sleep_until, to_thread
from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from slideserver.auth.signing import SignedIn, sign_in, sign_out
from slideserver.deps import StateDep
from slideserver.rendering import reader_of

WRONG = "This login and password do not go together. Check both and try again."
THROTTLED = "There were too many tries. Wait %(minutes)s min, then try again; from another place you can try now."

# "cookies" is left out: it would take the language and the theme too.
CLEAR_SITE_DATA = '"cache", "storage"'

# A failure is told this long after the try arrived, so that its time says nothing about what was looked up or written.
FAILURE_TAKES_S = 0.4

router = APIRouter(include_in_schema=False)


@router.post("/login")
async def login(
    request: Request,
    state: StateDep,
    login: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """303 to where the visitor wanted to go, with a new session; or the form again, with what is wrong."""
    arrived_at = current_time()
    address = request.client.host if request.client else None
    old_token = state.cookie.find(request.scope["headers"])
    outcome = await to_thread.run_sync(sign_in, state, login, password, address, old_token, limiter=state.logins)
    target = local_path(next)
    if isinstance(outcome, SignedIn):
        response: Response = RedirectResponse(target, 303)
        state.cookie.write(response, outcome.token)
        return response
    await sleep_until(arrived_at + FAILURE_TAKES_S)
    reader = reader_of(request)
    gettext = state.catalogues[reader.language].gettext
    minutes = -(-outcome.wait_s // 60)
    failed = gettext(THROTTLED) % {"minutes": minutes} if minutes else gettext(WRONG)
    page = state.renderer.page(
        reader, "login.html", status=429 if minutes else 401, failed=failed, login=login, next=target
    )
    if minutes:
        page.headers["Retry-After"] = str(outcome.wait_s)
    return page


@router.post("/logout")
async def logout(request: Request, state: StateDep) -> Response:
    """Ends the session, here and on the server, and has the browser forget what it kept of it."""
    token = state.cookie.find(request.scope["headers"])
    if token is not None:
        address = request.client.host if request.client else None
        await to_thread.run_sync(sign_out, state, token, address)
    response = RedirectResponse("/login", 303, {"Clear-Site-Data": CLEAR_SITE_DATA})
    state.cookie.clear(response)
    return response


def local_path(address: str) -> str:
    """`address` if it is a path of this site, else "/": signing in sends nobody elsewhere (OWASP ASVS 5.0 3.7.2)."""
    local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if local and len(address) <= 2000 else "/"
