"""How a list of cases is narrowed, ordered and grouped."""

from zoneinfo import ZoneInfo

import pytest

from sharing.cases import Case
from sharing.slides import Slide
from sharing.vocabulary import CaseId, SiteId, SlideId, SlideState
from slideserver.pages.worklist import Search, arrange, listed

PARIS = ZoneInfo("Europe/Paris")
NOW = 1_795_275_612_000_000  # 2026-11-21 16:40:12 in Paris
HOUR = 3_600_000_000


def slide(name, state=SlideState.READY, hours_ago=1):
    absent = dict.fromkeys(
        [
            "case_id",
            "case_accession",
            "accession",
            "index_digest",
            "version",
            "stain",
            "block",
            "format",
            "width",
            "height",
            "mpp_x",
            "mpp_y",
            "objective_power",
            "refusal_code",
            "refusal_reason",
            "decided_us",
            "scanner_id",
            "scanner_name",
        ]
    )
    return Slide(
        id=SlideId(name),
        site_id=SiteId("caen"),
        state=state,
        sha256="",
        length=1,
        file_name="",
        has_label=False,
        has_macro=False,
        received_us=NOW - hours_ago * HOUR,
        **absent,
    )


def case(accession, *slides, patient="", organ=None, hours_ago=1000):
    return listed(
        Case(
            id=CaseId(accession),
            site_id=SiteId("caen"),
            site_name="Caen",
            accession=accession,
            patient_name=patient,
            patient_birth_year=None,
            patient_sex=None,
            organ=organ,
            registered_us=NOW - hours_ago * HOUR,
            slides=slides,
        )
    )


def names(groups):
    return [(group.name, [case.accession for case in group.cases]) for group in groups]


def show(cases, q="", organ="", state="", sort="-received"):
    return names(arrange(cases, Search.of(q, organ, state, sort), NOW, PARIS))


CASES = [
    case("A3", slide("1"), patient="Zoé", organ="Sein"),
    case("A1", slide("2", SlideState.INDEXING, hours_ago=2), slide("3"), patient="Éric", organ="Peau"),
    case("A2", slide("4", SlideState.REFUSED, hours_ago=20), slide("5", hours_ago=30), patient="anne", organ="Peau"),
    case("A4", hours_ago=70),
    case("A5", slide("6", hours_ago=900)),
]


def test_by_arrival_the_cases_stand_under_their_days():
    assert show(CASES) == [
        ("Today", ["A3", "A1"]),
        ("Yesterday", ["A2"]),
        ("The last seven days", ["A4"]),
        ("Earlier", ["A5"]),
    ]
    assert next(name for name, _ in show(CASES, sort="received")) == "Earlier"


def test_by_anything_else_they_stand_in_one_list():
    assert show(CASES, sort="accession") == [("", ["A1", "A2", "A3", "A4", "A5"])]
    assert show(CASES, sort="-accession") == [("", ["A5", "A4", "A3", "A2", "A1"])]
    assert show(CASES[:3], sort="patient") == [("", ["A2", "A3", "A1"])]
    assert show(CASES[2:4], sort="organ") == [("", ["A2", "A4"])]


@pytest.mark.parametrize(
    ("state", "left"), [("ready", ["A3", "A5"]), ("pending", ["A1"]), ("refused", ["A2"]), ("empty", ["A4"])]
)
def test_one_state_is_left(state, left):
    assert show(CASES, state=state, sort="accession") == [("", left)]


def test_one_organ_is_left():
    assert show(CASES, organ="Peau", sort="accession") == [("", ["A1", "A2"])]
    assert show(CASES, organ="Rein") == []
    assert show([], sort="accession") == []


def test_an_unknown_order_is_that_of_arrival():
    search = Search.of(" a ", "", "", "id; drop")
    assert (search.q, search.sort, search.descending) == ("a", "received", True)


def test_a_head_turns_the_order_round_and_keeps_the_search():
    search = Search.of("été", "Sein", "", "accession")
    assert search.sorted_by("accession") == "/cases?q=%C3%A9t%C3%A9&organ=Sein&sort=-accession"
    assert search.sorted_by("received") == "/cases?q=%C3%A9t%C3%A9&organ=Sein&sort=-received"
    assert search.sorted_by("patient") == "/cases?q=%C3%A9t%C3%A9&organ=Sein&sort=patient"


def test_the_first_slide_to_open_is_the_first_that_is_ready():
    assert case("X", slide("1", SlideState.REFUSED), slide("2"), slide("3")).first_ready == "2"
    assert case("X", slide("1", SlideState.RECEIVED)).first_ready is None
