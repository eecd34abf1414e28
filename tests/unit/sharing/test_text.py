import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharing import text
from sharing.errors import InvalidError


@given(st.text(alphabet=st.characters(codec=None)))
def test_a_line_is_storable_and_one_line_or_refused(value):
    try:
        line = text.line(value, "The name", limit=50)
    except InvalidError:
        return
    assert 0 < len(line) <= 50
    assert line.encode("utf-8")
    assert "\x00" not in line
    assert line.splitlines() == [line]
    assert text.line(line, "The name", limit=50) == line


@pytest.mark.parametrize(
    ("value", "line"),
    [(" a\tb\n", "a b"), ("a\x00b", "a b"), ("\udcff.svs", ".svs"), ("e\N{COMBINING ACUTE ACCENT}", "é")],
)
def test_line(value, line):
    assert text.line(value, "The name") == line


def test_a_line_says_which_field_is_wrong_and_what_to_do():
    with pytest.raises(InvalidError, match=r"The stain has 3 characters; at most 2 are kept\. Shorten it\."):
        text.line("HES", "The stain", limit=2)


def test_folding():
    assert text.folded("MODÈLE  Élise", None, "Œsophage", "Côlon") == "modele elise œsophage colon"
    assert text.accession(" 26h01234 ") == "26H01234"
