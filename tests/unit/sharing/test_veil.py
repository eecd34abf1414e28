"""What of a case leaves its site. Every field of case and slide is planted with something that must stay."""

from dataclasses import fields, replace

import pytest

from sharing import veil
from sharing.cases import Case
from sharing.clock import FrozenClock
from sharing.errors import InvalidError
from sharing.slides import Slide
from sharing.vocabulary import CaseId, Purpose, ScannerId, SiteId, SlideId, SlideState

NOW_US = FrozenClock().now_us()  # January 2026
SLIDE = Slide(
    id=SlideId("slide-id"),
    site_id=SiteId("caen"),
    case_id=CaseId("CASE-ID-STAYS"),
    case_accession="26H01234",
    accession="26H01234",
    state=SlideState.READY,
    sha256="SHA-STAYS",
    length=987_654_321,
    index_digest="1" * 64,
    version="1" * 16,
    file_name="NAME-STAYS.svs",
    stain="HES",
    block="A1",
    format="FORMAT-STAYS",
    width=2220,
    height=2967,
    mpp_x=0.499,
    mpp_y=0.499,
    objective_power=20.0,
    has_label=True,
    has_macro=True,
    refusal_code=None,
    refusal_reason="REASON-STAYS",
    received_us=1,
    decided_us=2,
    scanner_id=ScannerId("SCANNER-ID-STAYS"),
    scanner_name="SCANNER-STAYS",
)
CASE = Case(
    id=CaseId("CASE-ID-STAYS"),
    site_id=SiteId("caen"),
    site_name="Caen",
    accession="26H01234",
    patient_name="EXEMPLE Camille",
    patient_birth_year=1957,
    patient_sex="F",
    organ="Sein",
    registered_us=1,
    slides=(SLIDE, replace(SLIDE, id=SlideId("other-slide"))),
)


def the_slide(slide: Slide) -> veil.VeiledSlide:
    case = replace(CASE, slides=(slide,))
    (shown,) = veil.veiled(case, "A-7K2MP", [slide.id], purpose=Purpose.CARE, now_us=NOW_US).slides
    return shown


def test_what_is_shown():
    shown = veil.veiled(CASE, "A-7K2MP", [SLIDE.id], purpose=Purpose.CARE, now_us=NOW_US)
    assert (shown.reference, shown.site_name, shown.organ, shown.sex, shown.age) == ("A-7K2MP", "Caen", "Sein", "F", 69)
    (slide,) = shown.slides
    assert (slide.id, slide.version, slide.stain, slide.block) == ("slide-id", "1" * 16, "HES", "A1")
    assert (slide.width, slide.height, slide.mpp_x, slide.objective_power) == (2220, 2967, 0.499, 20.0)


def test_what_stays():
    told = repr(veil.veiled(CASE, "A-7K2MP", [SLIDE.id], purpose=Purpose.CARE, now_us=NOW_US))
    for secret in ("STAYS", "26H01234", "EXEMPLE", "Camille", "1957", "987654321", "other-slide", "has_label"):
        assert secret not in told


def test_a_new_field_of_a_slide_or_case_does_not_pass_by_itself():
    assert {f.name for f in fields(veil.VeiledSlide)} == {
        "id", "version", "state", "stain", "block", "width", "height", "mpp_x", "mpp_y", "objective_power",
    }  # fmt: skip
    assert {f.name for f in fields(veil.VeiledCase)} == {"reference", "site_name", "organ", "sex", "age", "slides"}


@pytest.mark.parametrize(
    "written",
    ["26H01234", "26h 01234-A1", "A1 Exemple", "camille", "A1 NAME-STAYS", "SCANNER-STAYS", "12031957", "12/03/1957"],
)
@pytest.mark.parametrize("field", ["stain", "block"])
def test_a_field_that_somebody_wrote_an_identifier_into_is_left_out(field, written):
    slide = replace(SLIDE, **{field: written})
    (shown,) = veil.veiled(
        replace(CASE, slides=(slide,)), "A-7K2MP", [slide.id], purpose=Purpose.CARE, now_us=NOW_US
    ).slides
    assert getattr(shown, field) is None


@pytest.mark.parametrize("written", ["A1", "2", "B12-3", "HES x2", "Anti-CK5/6", "EX 3"])
def test_an_ordinary_block_or_stain_is_shown(written):
    slide = replace(SLIDE, block=written)
    (shown,) = veil.veiled(
        replace(CASE, slides=(slide,)), "A-7K2MP", [slide.id], purpose=Purpose.CARE, now_us=NOW_US
    ).slides
    assert shown.block == written


@pytest.mark.parametrize(
    ("year", "age"), [(None, None), (2026, 0), (2030, 0), (1936, 90), (1935, 90), (1900, 90), (1937, 89)]
)
def test_the_very_old_are_all_ninety(year, age):
    assert veil.veiled(replace(CASE, patient_birth_year=year), "A", [], purpose=Purpose.CARE, now_us=NOW_US).age == age


@pytest.mark.parametrize(
    "prose", ["Mme EXEMPLE ?", "exemple, Camille", "Camille\nExemple", "cf. 26H01234", "26 H 01 234", "26h-01234."]
)
def test_text_that_names_the_patient_is_refused(prose):
    with pytest.raises(InvalidError, match="It will be read outside your centre"):
        veil.require_unnamed(prose, "The question", CASE)


@pytest.mark.parametrize("prose", ["Par exemple ?", "Grade 2 ou 3 ?", "H01234", "Camille pense que oui", ""])
def test_other_text_passes(prose):
    veil.require_unnamed(prose, "The question", CASE)


def test_a_stain_may_be_the_name_of_its_file():
    slide = replace(SLIDE, stain="CD117", file_name="CD117.svs")
    (shown,) = veil.veiled(
        replace(CASE, slides=(slide,)), "A-7K2MP", [slide.id], purpose=Purpose.CARE, now_us=NOW_US
    ).slides
    assert shown.stain == "CD117"


def test_a_name_that_is_one_short_word_does_not_forbid_the_language():
    veil.require_unnamed("Lame DE contrôle", "The question", replace(CASE, patient_name="DE"))


@pytest.mark.parametrize("purpose", [Purpose.TEACHING, Purpose.RESEARCH, Purpose.AI])
def test_what_is_no_care_shows_neither_sex_nor_age(purpose):
    told = veil.veiled(CASE, "A-7K2MP", [SLIDE.id], purpose=purpose, now_us=NOW_US)
    assert (told.sex, told.age) == (None, None)
    care = veil.veiled(CASE, "A-7K2MP", [SLIDE.id], purpose=Purpose.CARE, now_us=NOW_US)
    assert None not in (care.sex, care.age)
