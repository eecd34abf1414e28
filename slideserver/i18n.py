"""French and English: which of the two a request wants, and the sentences in it.

Message ids are the English sentences; `locales/<language>/LC_MESSAGES/iain.po` holds the others. The catalogues are
read as text when the server starts, so that there is no compiled file to forget.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

COOKIE = "iain_language"
LOCALES = Path(__file__).parent / "locales"


class Language(StrEnum):
    """The languages of the interface, the preferred one first."""

    FR = "fr"
    EN = "en"


def choose_language(cookie: str | None, accept_language: str | None) -> Language:
    """The language kept in the cookie, else the best of Accept-Language (RFC 9110 §12.5.4), else French."""
    if cookie in set(Language):
        return Language(cookie)
    wanted: list[tuple[float, int, Language]] = []
    for position, entry in enumerate((accept_language or "").split(",")[:20]):
        tag, _, parameter = entry.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary in set(Language):
            wanted.append((-_quality(parameter), position, Language(primary)))
    wanted = [choice for choice in wanted if choice[0] < 0]
    return min(wanted)[2] if wanted else Language.FR


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0


class Catalogue:
    """The sentences of one language. `catalogue(english)` gives the sentence, or the English one when it has none."""

    def __init__(self, language: Language, single: Mapping[str, str], plural: Mapping[str, tuple[str, ...]]) -> None:
        self.language = language
        self._single = single
        self._plural = plural

    def gettext(self, message: str) -> str:
        return self._single.get(message, message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """The sentence for `number` things; 0 counts as one in French (CLDR plural rules), as many in English."""
        one = number < 2 if self.language is Language.FR else number == 1
        forms = self._plural.get(singular, (singular, plural))
        return forms[0 if one else -1]

    __call__ = gettext


@cache
def load_catalogues(locales: Path = LOCALES) -> dict[Language, Catalogue]:
    """One catalogue a language, from `locales`; a language without a file speaks English."""
    return {language: _load(language, locales / language / "LC_MESSAGES" / "iain.po") for language in Language}


def _load(language: Language, path: Path) -> Catalogue:
    single: dict[str, str] = {}
    plural: dict[str, tuple[str, ...]] = {}
    if path.exists():
        with path.open("rb") as file:
            for message in read_po(file, locale=language, charset="utf-8"):
                if message.fuzzy or not message.id or not message.string:
                    continue
                if isinstance(message.id, str):
                    single[message.id] = str(message.string)
                else:
                    plural[message.id[0]] = tuple(message.string)
    return Catalogue(language, single, plural)
