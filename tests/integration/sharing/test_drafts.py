"""Drafts: kept until they are cleared, and nobody else's."""

import pytest

from sharing import drafts
from sharing.errors import InvalidError

KEY = "consultation:case"


@pytest.fixture
def do(database):
    def do(function, *args):
        with database.writing() as session:
            return function(session, *args)

    return do


def test_a_draft_is_kept_replaced_and_cleared(centres, do):
    caen = centres.caen.pathologist
    assert do(drafts.get, caen, KEY) == ""
    do(drafts.save, caen, KEY, '{"question":"Lobu"}')
    do(drafts.save, caen, KEY, '{"question":"Lobulaire ?\\n"}')
    assert do(drafts.get, caen, KEY) == '{"question":"Lobulaire ?\\n"}'
    do(drafts.clear, caen, KEY)
    assert do(drafts.get, caen, KEY) == ""


def test_an_empty_draft_is_none(centres, do):
    do(drafts.save, centres.caen.pathologist, KEY, "x")
    do(drafts.save, centres.caen.pathologist, KEY, "")
    assert do(drafts.get, centres.caen.pathologist, KEY) == ""


def test_a_draft_is_its_writers_alone(centres, do):
    do(drafts.save, centres.caen.pathologist, KEY, "x")
    for other in (centres.caen.lab_manager, centres.rouen.pathologist):
        assert do(drafts.get, other, KEY) == ""
        do(drafts.clear, other, KEY)
    assert do(drafts.get, centres.caen.pathologist, KEY) == "x"


@pytest.mark.parametrize("body", ["x" * 50_001, "a\x00b"])
def test_what_cannot_be_kept_is_refused_and_the_former_stays(centres, do, body):
    do(drafts.save, centres.caen.pathologist, KEY, "x")
    with pytest.raises(InvalidError):
        do(drafts.save, centres.caen.pathologist, KEY, body)
    assert do(drafts.get, centres.caen.pathologist, KEY) == "x"


def test_half_a_character_does_not_break_the_database(centres, do):
    do(drafts.save, centres.caen.pathologist, KEY, "a\ud83d")
    assert do(drafts.get, centres.caen.pathologist, KEY) == "a?"
