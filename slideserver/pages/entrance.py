"""The way in: the address without a path, the login form, and the two choices a visitor may make without an account."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form
from starlette.responses import RedirectResponse, Response

from slideserver import i18n
from slideserver.deps import MemberDep, PageDep, StateDep, VisitorDep
from slideserver.i18n import Language
from slideserver.login import local_path
from slideserver.pages.navigation import home_of
from slideserver.rendering import THEME_COOKIE

YEAR_S = 365 * 24 * 3600

router = APIRouter()


@router.get("/")
def home(member: MemberDep) -> Response:
    return RedirectResponse(home_of(member), 303)


@router.get("/login")
def login(visitor: VisitorDep, page: PageDep, next: str = "/") -> Response:
    """The form; somebody already signed in goes where they were going."""
    destination = local_path(next)
    if visitor is not None:
        return RedirectResponse(destination, 303)
    return page("login.html", failed=None, login="", next=destination)


@router.post("/language")
def language(
    state: StateDep, language: Annotated[Language, Form()], next: Annotated[str, Form()] = "/"
) -> RedirectResponse:
    return _remember(state.settings.secure_cookies, i18n.COOKIE, language, next)


@router.post("/theme")
def theme(
    state: StateDep, theme: Annotated[Literal["", "light", "dark"], Form()] = "", next: Annotated[str, Form()] = "/"
) -> RedirectResponse:
    """Light, dark, or (empty) whatever the system asks for."""
    return _remember(state.settings.secure_cookies, THEME_COOKIE, theme, next)


def _remember(secure: bool, cookie: str, value: str, address: str) -> RedirectResponse:
    """Keep a choice in a cookie for a year and lead back to the page it was made on."""
    response = RedirectResponse(local_path(address), 303)
    if value:
        response.set_cookie(cookie, value, max_age=YEAR_S, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(cookie, httponly=True, samesite="lax", secure=secure)
    return response
