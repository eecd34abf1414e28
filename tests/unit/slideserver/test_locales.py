"""Every sentence that a page, an error or a form can say has its French, and the catalogue holds no other."""

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from slideserver import errors, login
from slideserver.i18n import LOCALES, Language, load_catalogues

SERVER = Path(errors.__file__).parent
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


@pytest.fixture(scope="module")
def used():
    """The message ids in use; those with a plural as pairs."""
    found = extract_from_dir(
        SERVER,
        [("templates/**.html", "jinja2"), ("**.py", "python")],
        options_map={"templates/**.html": {"newstyle_gettext": "true"}},
        keywords={"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)},
    )
    messages = {message if isinstance(message, str) else tuple(message) for _, _, message, _, _ in found if message}
    messages |= {sentence for words in errors.WORDS.values() for sentence in words}
    return messages | {errors.CROSS_ORIGIN, login.WRONG, login.THROTTLED}


@pytest.fixture(scope="module")
def catalogue():
    """Message id → (is it fuzzy, the French, one string or a pair)."""
    with (LOCALES / Language.FR / "LC_MESSAGES" / "iain.po").open("rb") as file:
        return {message.id: message for message in read_po(file, locale="fr") if message.id}


def test_every_message_in_use_is_translated(used, catalogue):
    assert len(used) > 200
    assert sorted(map(str, used - catalogue.keys())) == []
    untranslated = [id for id, message in catalogue.items() if message.fuzzy or not all(strings(message.string))]
    assert untranslated == []


def test_no_translation_is_of_a_message_that_nobody_says(used, catalogue):
    assert sorted(map(str, catalogue.keys() - used)) == []


def test_a_translation_fills_in_the_same_values(catalogue):
    for message in catalogue.values():
        wanted = {PLACEHOLDER.search(id) and frozenset(PLACEHOLDER.findall(id)) for id in strings(message.id)}
        for french in strings(message.string):
            assert (frozenset(PLACEHOLDER.findall(french)) or None) in wanted, message.id


def test_french_punctuation_does_not_part_from_its_word(catalogue):
    for message in catalogue.values():
        for french in strings(message.string):
            assert not re.search(r" [:;?!]|'", french), french


def test_the_server_speaks_both_languages():
    catalogues = load_catalogues()
    assert catalogues[Language.FR]("Sign in") == "Se connecter"
    assert catalogues[Language.EN]("Sign in") == "Sign in"
    assert catalogues[Language.FR].ngettext("%(num)s slide", "%(num)s slides", 2) == "%(num)s lames"


def strings(value):
    return [value] if isinstance(value, str) else list(value)
