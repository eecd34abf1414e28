"""What the agent tells a technician, in French and in English: what is wrong, then what to do with one's hands.

A code of the server, or of the agent itself, has its sentence in `ingest.agent.reasons`; one that has none is told in
the server's own words.
"""

from collections.abc import Mapping
from enum import StrEnum

from ingest.agent.cosigner_sayings import COSIGNER_SAYINGS
from ingest.agent.reasons import REASONS
from ingest.agent.sayings import SAYINGS

SENTENCES: Mapping[str, Mapping[str, str]] = {**SAYINGS, **COSIGNER_SAYINGS, **REASONS}
_KINDS = ("problem", "trouble", "refusal")


class Language(StrEnum):
    FR = "fr"
    EN = "en"


def language_from(environ: Mapping[str, str]) -> Language:
    """The language of the workstation; French unless it says English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name):
            return Language.EN if value.lower().startswith("en") else Language.FR
    return Language.FR


class Words:
    """The sentences in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, name: str, /, **values: object) -> str:
        return SENTENCES[name][self.language].format(**values)

    def why(self, code: str | None, detail: str | None = None) -> str:
        """What a code means and what to do about it. `detail`: the server's reason in the agent's language, or what
        the agent met; without a sentence for the code it is told as it is."""
        for kind in _KINDS:
            if (key := f"{kind}-{code}") in REASONS:
                return self(key, detail=detail or "?", why=_because(detail))
        return self("problem-other", detail=detail or code or "?")

    def refusal(self, code: str | None, reason: str | None) -> str:
        """Why the platform refused a slide that it had received, with what to do; as `why` for codes it knows."""
        key = f"refusal-{code}"
        return self(key if key in REASONS else "refusal-other", why=_because(reason))

    def configured(self, name: str, values: Mapping[str, object]) -> str:
        """What is wrong with the configuration (`ingest.agent.config.ConfigError`)."""
        wanted = str(values.get("wanted", ""))
        return self(name, **{**values, "wanted": self(wanted) if wanted in SENTENCES else wanted})

    def span(self, seconds: float) -> str:
        """A time in round words: seconds, minutes or hours."""
        if seconds < 90:
            return self("span-s", number=round(seconds))
        if seconds < 90 * 60:
            return self("span-min", number=round(seconds / 60))
        return self("span-h", number=round(seconds / 3600))

    def size(self, count: float) -> str:
        """Bytes in decimal units with three digits."""
        units = self("units").split()
        while count >= 999.5 and len(units) > 1:
            count /= 1000
            units.pop(0)
        number = f"{count:.3g}" if count < 100 else f"{count:.0f}"
        return f"{number.replace('.', self('decimal'))} {units[0]}"


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
