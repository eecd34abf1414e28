from pathlib import Path

import pytest

from slideserver.i18n import Language, choose_language, load_catalogues


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (None, None, "fr"),
        (None, "", "fr"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr;q=0.4, en;q=0.8", "en"),
        (None, "en, fr", "en"),
        (None, "de, es;q=0.9", "fr"),
        (None, "en;q=0, de", "fr"),
        (None, "en;q=nonsense", "fr"),
        (None, "de;q=1, en-US;q=0.2", "en"),
        ("en", "fr", "en"),
        ("fr", "en", "fr"),
        ("xx", "en", "en"),
        ("../fr", None, "fr"),
    ],
)
def test_the_cookie_decides_then_the_browser_then_french(cookie, accept, language) -> None:
    assert choose_language(cookie, accept) == language


def test_a_catalogue_translates_what_it_has_and_repeats_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "iain.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=2; plural=(n > 1);\\n"\n\n'
        'msgid "Sign in"\nmsgstr "Se connecter"\n\n'
        '#, fuzzy\nmsgid "Guess"\nmsgstr "Peut-être"\n\n'
        'msgid "%(num)s slide"\nmsgid_plural "%(num)s slides"\nmsgstr[0] "%(num)s lame"\nmsgstr[1] "%(num)s lames"\n',
        encoding="utf-8",
    )
    catalogues = load_catalogues(tmp_path)
    french, english = catalogues[Language.FR], catalogues[Language.EN]
    assert french.gettext("Sign in") == "Se connecter"
    assert english.gettext("Sign in") == "Sign in"
    assert french.gettext("Guess") == "Guess", "a fuzzy translation is nobody's word yet"
    forms = [
        [catalogue.ngettext("%(num)s slide", "%(num)s slides", n) for n in (0, 1, 2)]
        for catalogue in catalogues.values()
    ]
    assert forms == [
        ["%(num)s lame", "%(num)s lame", "%(num)s lames"],
        ["%(num)s slides", "%(num)s slide", "%(num)s slides"],
    ]
