"""Audit rows in words, and as CSV that a spreadsheet takes for text."""

import csv
import io
from zoneinfo import ZoneInfo

import pytest

from sharing.audit_search import AuditRow
from sharing.rights import OBJECTIONABLE
from sharing.vocabulary import Act, Action, EventId, Outcome, Role
from slideserver.i18n import Language, load_catalogues
from slideserver.pages import journal

PARIS = ZoneInfo("Europe/Paris")
CATALOGUES = load_catalogues()
FR, EN = Language.FR, Language.EN


def row(**changes):
    fields = {
        "id": EventId("e" * 26),
        "position": 1,
        "recorded_us": 1_795_275_612_000_000,
        "act": Act.SLIDE_OPENED,
        "outcome": Outcome.SUCCESS,
        "agent_kind": "member",
        "agent_id": "m",
        "agent_site_id": "caen",
        "agent_role": "pathologist",
        "purpose": None,
        "entities": (),
        "detail": {},
        "personal": {"agent_name": "Dr Anne Lambert"},
        "case_id": None,
        "slide_id": None,
        "accession": "26H01234",
        "slide_name": "scan.svs",
        "slide_stain": "HES",
        "slide_block": "A1",
        "seq": 7,
    }
    return AuditRow(**{**fields, **changes})


def line(language=FR, **changes):
    return journal.line(row(**changes), PARIS, language, CATALOGUES[language].gettext, {"rouen": "Rouen"})


def read(*rows, language=FR):
    text = "".join(journal.csv_text([line(language, **changes) for changes in rows], language, CATALOGUES[language]))
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:]), delimiter=";" if language is FR else ","))


def test_a_line_says_who_what_and_about_what():
    told = line()
    assert (told.hour, told.who, told.role, told.what) == ("16:40:12", "Dr Anne Lambert", "Pathologist", "Slide opened")
    assert (told.accession, told.slide_name, told.seq) == ("26H01234", "HES A1", 7)


def test_a_slide_without_stain_and_block_goes_by_its_file():
    assert line(slide_stain=None, slide_block=None).slide_name == "scan.svs"
    assert line(slide_stain=None, slide_block=None, slide_name=None).slide_name is None


@pytest.mark.parametrize(
    ("changes", "who"),
    [
        ({"personal": None}, "(effacé)"),
        ({"agent_kind": "system", "agent_role": None, "personal": {}}, "Plateforme"),
        ({"agent_kind": "stranger", "agent_role": None, "personal": {"source": "192.0.2.1"}}, "Inconnu"),
        ({"agent_kind": "agent", "agent_role": None, "personal": {"agent_name": "Scanner 1"}}, "Scanner 1"),
    ],
)
def test_who_is_never_left_blank(changes, who):
    assert line(**changes).who == who


def test_particulars_are_told_in_words():
    refused = line(detail={"reason": "belongs to another site", "asked": "slide.view"})
    assert refused.details == "demandé\u00a0: une lame · motif\u00a0: appartient à un autre centre"
    failed = line(detail={"refused": "damaged"}, personal={"agent_name": "x", "file_name": "a.svs"})
    assert failed.details == "motif\u00a0: fichier endommagé · fichier\u00a0: a.svs"
    assert line(EN, personal={"agent_name": "x", "source": "192.0.2.1", "login": "x"}).details == "from 192.0.2.1"


def test_who_comes_from_another_centre_is_told_with_it():
    assert (line().site, line(agent_site_id="rouen").site, line(agent_site_id=None).site) == ("", "Rouen", "")
    assert read({"agent_site_id": "rouen"})[1][1] == "Dr Anne Lambert, Rouen"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("answer of what is cancelled", "plus possible dans cette demande"),
        ("answer when it had moved on", "quelqu’un a été plus rapide"),
        ("expired", "expiré"),
        ("nobody has said this yet", "nobody has said this yet"),
    ],
)
def test_why_something_was_refused_is_told_in_words(reason, told):
    assert line(detail={"reason": reason}).details == f"motif\u00a0: {told}"


def test_every_role_and_every_objection_that_refuses_has_its_words():
    codes = [f"not open to the role {role}" for role in Role]
    codes += [f"the patient objects to {purpose}" for purpose in OBJECTIONABLE]
    assert set(codes) <= set(journal.REASONS)
    assert set(journal.ASKED) == set(Action)


def test_what_was_shared_is_told_with_its_number_and_purpose():
    shared = line(detail={"reference": "A-7K2MP", "state": "requested"}, purpose="tumour_board")
    assert shared.details == "numéro\u00a0: A-7K2MP · finalité\u00a0: RCP"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_cell_is_a_formula(start):
    formula = f"{start}HYPERLINK(1)"
    _, cells = read({"personal": {"agent_name": formula}, "accession": formula, "slide_stain": formula})
    assert [cells[1], cells[4], cells[5]] == [f"'{formula}", f"'{formula}", f"'{formula} A1"]
    assert not any(cell.startswith(journal.FORMULA_STARTS) for cell in cells)


def test_csv_holds_separators_quotes_and_line_ends():
    name = 'Anne; "la" Lambert,\nCaen'
    for language in (FR, EN):
        heads, cells = read({"personal": {"agent_name": name}}, language=language)
        assert len(heads) == len(cells) == 10
        assert cells[1] == name


def test_csv_of_nothing_has_its_heads():
    assert read() == [
        ["Heure", "Qui", "Rôle", "Action", "N° de cas", "Lame", "Précisions", "Résultat", "Entrée", "Événement"]
    ]


def test_lines_stand_under_their_days():
    rows = [row(), row(recorded_us=1_795_275_612_000_000 - 86_400_000_000)]
    lines = [journal.line(each, PARIS, FR, CATALOGUES[FR].gettext, {}) for each in rows]
    assert [day.name for day in journal.days(lines, rows, PARIS, FR)] == ["samedi 21 novembre", "vendredi 20 novembre"]
