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


@pytest.mark.parametrize(
    ("value", "prose"),
    [(" a \r\n b\t c ", "a\nb c"), ("\n\na\n\n\n\nb\n", "a\n\nb"), ("a\x00b", "a b"), ("a\u2028b", "a\nb")],
)
def test_prose_keeps_its_lines(value, prose):
    assert text.prose(value, "The question") == prose


@given(st.text(alphabet=st.characters(codec=None)))
def test_prose_is_storable_or_refused(value):
    try:
        prose = text.prose(value, "The question", limit=50)
    except InvalidError:
        return
    assert prose.strip()
    assert prose.encode("utf-8")
    assert "\x00" not in prose
    assert len(prose) <= 50
    assert text.prose(prose, "The question", limit=50) == prose


def test_prose_says_when_it_is_empty_or_too_long():
    with pytest.raises(InvalidError, match="The question is empty"):
        text.prose(" \n\t", "The question")
    with pytest.raises(InvalidError, match="at most 4 are kept"):
        text.prose("abc\nde", "The question", limit=4)


@pytest.mark.parametrize("view", ["", "#c=100,200&m=20", "c=1.5,-2&m=40&r=90"])
def test_a_view_is_the_fragment_of_an_address(view):
    assert text.fragment(view) == view.removeprefix("#")


@pytest.mark.parametrize("view", ["<b>", "a b", "javascript:alert(1)//", "a#b", "é", "x" * 201, "a\nb", '"'])
def test_anything_else_is_no_view(view):
    with pytest.raises(InvalidError, match="no view"):
        text.fragment(view)
