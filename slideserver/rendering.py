"""Pages from templates: one Jinja environment a language, escaping on, with the same few names in every template.

In every template: `_`, `ngettext`, `{% trans %}`, `asset(entry)` → `.script`, `.styles`, `language`, `languages`,
`theme` ("light", "dark" or ""), `member` (None when nobody is signed in) and `path` (of the page they are on, with its
query).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

from sharing.clock import Clock
from sharing.subjects import Member
from slideserver import i18n
from slideserver.assets import Assets
from slideserver.i18n import Catalogue, Language
from slideserver.middleware import SAFE_METHODS

TEMPLATES = Path(__file__).parent / "templates"
THEME_COOKIE = "iain_theme"
THEMES = ("light", "dark")

Install = Callable[[Environment, Language], None]


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a page is for, and where they are."""

    language: Language
    theme: str
    path: str
    member: Member | None


def reader_of(connection: HTTPConnection, member: Member | None = None) -> Reader:
    theme = connection.cookies.get(THEME_COOKIE, "")
    return Reader(
        language=language_of(connection),
        theme=theme if theme in THEMES else "",
        path=page_of(connection),
        member=member,
    )


def page_of(connection: HTTPConnection) -> str:
    """The path and query of the page somebody is on, to which a link can lead back: what they ask for, or, as nobody
    can go to the address of a form, the page from which they sent it."""
    if connection.scope.get("method", "GET") in SAFE_METHODS:
        return f"{connection.url.path}?{connection.url.query}" if connection.url.query else connection.url.path
    try:
        came_from = urlsplit(connection.headers.get("referer", ""))
    except ValueError:
        return "/"
    # One slash: two would begin the address of another site.
    return urlunsplit(("", "", "/" + came_from.path.lstrip("/\\"), came_from.query, ""))


def language_of(connection: HTTPConnection) -> Language:
    return i18n.choose_language(connection.cookies.get(i18n.COOKIE), connection.headers.get("accept-language"))


class Renderer:
    """Builds pages: `renderer.page(reader, "cases.html", cases=…)` is the whole of its use."""

    def __init__(
        self,
        catalogues: dict[Language, Catalogue],
        assets: Assets,
        clock: Clock,
        timezone: ZoneInfo,
        install: Install,
        templates: Path = TEMPLATES,
    ) -> None:
        """`install` adds the filters and names that the pages bring themselves."""
        self._environments: dict[Language, Environment] = {}
        for language, catalogue in catalogues.items():
            environment = _environment(catalogue, templates)
            environment.globals.update(asset=assets, now_us=clock.now_us, timezone=timezone)
            install(environment, language)
            self._environments[language] = environment

    def page(self, reader: Reader, template: str, *, status: int = 200, **context: object) -> HTMLResponse:
        """The template as a page that no cache keeps. jinja2.TemplateNotFound when there is no such template."""
        text = (
            self._environments[reader.language]
            .get_template(template)
            .render(member=reader.member, path=reader.path, theme=reader.theme, **context)
        )
        return HTMLResponse(text, status, {"Cache-Control": "no-store", "Content-Language": reader.language.value})


def _environment(catalogue: Catalogue, templates: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(catalogue.gettext, catalogue.ngettext, newstyle=True)
    environment.globals.update(
        catalogue=catalogue,
        language=catalogue.language,
        languages=tuple(Language),
        theme="",
        member=None,
        path="/",
    )
    return environment
