"""Cases: registering, listing, searching, and what a neighbour sees of them."""

import pytest

from sharing import cases
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.subjects import Stranger, System


def test_a_member_lists_the_cases_of_the_own_site_alone(database, centres):
    with database.reading() as session:
        caen = cases.list_cases(session, centres.caen.pathologist)
        rouen = cases.list_cases(session, centres.rouen.pathologist)
    assert {case.accession for case in caen} == set(centres.caen.cases)
    assert {case.accession for case in rouen} == set(centres.rouen.cases)
    assert {case.site_name for case in caen} == {"Caen"}


def test_who_has_no_worklist_lists_nothing(database, centres):
    with database.reading() as session:
        for subject in (centres.caen.technician, centres.caen.agent, Stranger()):
            assert cases.list_cases(session, subject) == []
        assert len(cases.list_cases(session, System())) == 5


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("modele sacha", ["26H01236"]),
        ("MODÈLE", ["26H01236"]),
        ("colon fict", ["26H01235"]),
        ("h0123", ["26H01234", "26H01235", "26H01236"]),
        ("100%", []),
        ("_", []),
        ("exemple dominique", []),
    ],
)
def test_search_asks_for_every_word_in_any_case_and_accent(database, centres, search, found):
    with database.reading() as session:
        listed = cases.list_cases(session, centres.caen.pathologist, search)
    assert sorted(case.accession for case in listed) == found


def test_the_newest_case_stands_first(database, centres, clock):
    clock.advance(minutes=1)
    with database.writing() as session:
        newest = cases.register_case(session, System(), centres.caen.id, accession="26H09999", patient_name="NEUVE Lou")
    with database.reading() as session:
        assert cases.list_cases(session, centres.caen.pathologist, limit=1)[0].id == newest


def test_absent_and_foreign_case_look_alike(database, centres):
    foreign = centres.rouen.cases["26R00077"]
    messages = set()
    for case_id in (foreign, "a" * 26, "' OR 1=1 --"):
        with database.reading() as session, pytest.raises(NotFoundError) as caught:
            cases.get_case(session, centres.caen.pathologist, case_id)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_an_accession_number_is_unique_at_its_site_whatever_its_letter_case(database, centres):
    case = centres.caen.cases["26H01234"]
    with database.writing() as session:
        with pytest.raises(ConflictError, match="26H01234"):
            cases.register_case(session, System(), centres.caen.id, accession=" 26h01234 ", patient_name="X")
        # the transaction lives on, and another site may use the number
        cases.register_case(session, System(), centres.lille.id, accession="26H01234", patient_name="X")
    with database.reading() as session:
        assert cases.case_by_accession(session, centres.caen.id, "26h01234") == case
        assert cases.case_by_accession(session, centres.rouen.id, "26H01234") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"accession": " "},
        {"accession": "A" * 65},
        {"patient_name": "\x00"},
        {"patient_sex": "X"},
        {"patient_birth_year": 57},
    ],
)
def test_what_cannot_be_a_case_is_refused_in_words(database, centres, wrong):
    facts = {"accession": "26H05555", "patient_name": "FICTIVE Alix"} | wrong
    with database.writing() as session, pytest.raises(InvalidError):
        cases.register_case(session, System(), centres.caen.id, **facts)


def test_registering_is_for_the_laboratory(database, centres):
    facts = {"accession": "26H05555", "patient_name": "FICTIVE Alix"}
    with database.writing() as session:
        cases.register_case(session, centres.caen.technician, centres.caen.id, **facts)
        with pytest.raises(RefusedError):
            cases.register_case(session, centres.caen.pathologist, centres.caen.id, **facts)
        with pytest.raises(NotFoundError):
            cases.register_case(session, centres.caen.technician, centres.rouen.id, **facts)
