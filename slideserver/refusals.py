"""Why a slide was refused, in the reader's language.

A refusal is kept as a code and an English sentence. The code has words of its own, about what to do; the sentence says
more closely what is wrong. As in `slideserver.sentences`, its values are taken out and the words around them told anew.
"""

import re
from functools import cache

from slideserver.i18n import Catalogue, Language
from slideserver.reasons import REASONS


def told(sentence: str | None, words: Catalogue) -> str | None:
    """The reason of a refused slide in the language of `words`; None when there is none, or none in this language."""
    if sentence is None or words.language is Language.EN:
        return sentence
    for pattern, message in _patterns():
        match = pattern.fullmatch(sentence)
        if match:
            return words(message) % {name: words(value) for name, value in match.groupdict().items()}
    return None


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each reason as a pattern of the sentences it was made into."""
    return tuple((_pattern(message), message) for message in REASONS)


def _pattern(message: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", message)
    named = [f"(?P<{part}>{_value(part)})" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile("".join(named))


def _value(name: str) -> str:
    """What a value may be: names of files have dots, and nothing else has any."""
    return ".+" if name in ("name", "names") else "[^.;]+"
