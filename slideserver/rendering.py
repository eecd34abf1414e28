"""Pages from templates: one Jinja environment a language, escaping on, with the same few names in every template.

In every template: `_`, `ngettext`, `{% trans %}`, `asset(entry)` → `.script`, `.styles`, `format_when(us)`,
`language`, `languages`, `member` (None when nobody is signed in) and `path` (of this request, with its query).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from sharing.clock import Clock
from sharing.subjects import Member
from slideserver.assets import Assets
from slideserver.i18n import Catalogue, Language, format_when

TEMPLATES = Path(__file__).parent / "templates"


class Renderer:
    """Builds pages. `renderer.page("cases.html", language, member, cases=…)` is the whole of its use."""

    def __init__(
        self,
        catalogues: dict[Language, Catalogue],
        assets: Assets,
        clock: Clock,
        timezone: ZoneInfo,
        templates: Path = TEMPLATES,
    ) -> None:
        self._environments = {
            language: _environment(catalogue, assets, clock, timezone, templates)
            for language, catalogue in catalogues.items()
        }

    def page(
        self,
        template: str,
        language: Language,
        member: Member | None,
        *,
        path: str = "/",
        status: int = 200,
        headers: dict[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """The template as a page that no cache keeps. jinja2.TemplateNotFound when there is no such template."""
        text = self._environments[language].get_template(template).render(member=member, path=path, **context)
        return HTMLResponse(
            text, status, {"Cache-Control": "no-store", "Content-Language": language, **(headers or {})}
        )


def _environment(
    catalogue: Catalogue, assets: Assets, clock: Clock, timezone: ZoneInfo, templates: Path
) -> Environment:
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
        asset=assets,
        language=catalogue.language,
        languages=tuple(Language),
        format_when=lambda when_us: format_when(when_us, catalogue.language, timezone, clock.now_us()),
    )
    return environment


Page = partial[HTMLResponse]
