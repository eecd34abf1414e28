"""The register of objections: whom it finds, what it shows beforehand, what it ends, and what it leaves alone."""

import pytest
from sqlalchemy import select

from sharing import (
    cases,
    consultations,
    epoch,
    exchange,
    link_lists,
    links,
    objections,
    patients,
    policy,
    readings,
    slides,
)
from sharing.clock import MINUTE_US
from sharing.db.tables import AuditEventRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.subjects import System
from sharing.vocabulary import (
    Act,
    Action,
    ConsultationState,
    LinkState,
    Move,
    ObjectionId,
    Origin,
    Purpose,
    new_id,
)

ACCESSION = "26H01234"
HOUR_US = 60 * MINUTE_US


@pytest.fixture
def do(database):
    def do(function, *args, **kwargs):
        with database.writing() as session:
            return function(session, *args, **kwargs)

    return do


@pytest.fixture
def officer(centres):
    return centres.caen.protection_officer


@pytest.fixture
def case_id(centres):
    return centres.caen.cases[ACCESSION]


@pytest.fixture
def link(do, clock, centres, shared, case_id):
    def link(purpose):
        made = do(
            links.create,
            centres.caen.pathologist,
            case_id,
            purpose=purpose,
            reason="Cours du 12 janvier",
            expires_us=clock.now_us() + HOUR_US,
            slide_id=shared.first,
            max_uses=5,
        )
        return made.id, made.secret

    return link


@pytest.fixture
def ask(do, centres, shared, case_id):
    def ask(purpose):
        return do(
            consultations.request,
            centres.caen.pathologist,
            case_id,
            question="Invasion ?",
            slide_id=shared.first,
            to_member=centres.rouen.pathologist.id,
            purpose=purpose,
        )

    return ask


def events(database, act, site="caen"):
    with database.reading() as session:
        rows = session.scalars(
            select(AuditEventRow)
            .where(AuditEventRow.act == act, AuditEventRow.site_id == site)
            .order_by(AuditEventRow.position)
        )
        return [(row.purpose, row.entities, row.detail) for row in rows]


def register_like(do, centres, accession, name, year=1957, sex="F", site="caen"):
    return do(
        cases.register_case,
        System(),
        site,
        accession=accession,
        patient_name=name,
        patient_birth_year=year,
        patient_sex=sex,
    )


def test_an_objection_ends_what_shows_for_its_purpose_and_leaves_the_rest(
    database, do, centres, shared, case_id, officer, link, ask
):
    taught, treated = link(Purpose.TEACHING), link(Purpose.CARE)
    lesson, opinion = ask(Purpose.TEACHING), ask(Purpose.CARE)
    guests = {purpose: links.redeem(database, *made).guest for purpose, made in ((1, taught), (2, treated))}
    with database.reading() as session:
        before = epoch.read(session)

    (objection,) = do(objections.register, officer, case_id, {Purpose.TEACHING}, Origin.LETTER)

    rouen = centres.rouen.pathologist
    with database.reading() as session:
        slide = slides.get_slide(session, System(), shared.first)
        assert epoch.read(session) == before + 1
        assert not policy.may(session, guests[1], Action.VIEW_SLIDE, slide).allowed
        assert policy.may(session, guests[2], Action.VIEW_SLIDE, slide).allowed
        assert policy.basis(session, rouen, slide).entity.id == opinion
        ended, standing = exchange.get(session, rouen, lesson), exchange.get(session, rouen, opinion)
        at_home = exchange.get(session, centres.caen.pathologist, lesson)
    assert ended.objected
    assert not ended.shows_slides
    assert ended.veiled.slides == ()
    assert ended.question == "Invasion ?"
    assert ended.state is ConsultationState.REQUESTED
    assert at_home.objected
    assert at_home.veiled.slides
    assert not standing.objected
    assert standing.shows_slides
    assert standing.veiled.slides
    do(consultations.move, rouen, lesson, Move.DECLINE, "Plus de lames")  # the words go on

    do(objections.withdraw, officer, objection)
    with database.reading() as session:
        assert policy.may(session, guests[1], Action.VIEW_SLIDE, slide).allowed


def test_each_purpose_is_an_event_that_counts_what_it_ended(database, do, case_id, officer, link, ask):
    link(Purpose.TEACHING), link(Purpose.RESEARCH), ask(Purpose.RESEARCH)
    do(objections.register, officer, case_id, {Purpose.RESEARCH, Purpose.TEACHING, Purpose.AI}, Origin.MAIL)
    found = events(database, Act.OBJECTION_REGISTERED)
    assert [purpose for purpose, *_ in found] == ["ai", "research", "teaching"]
    assert [detail for *_, detail in found] == [
        '{"cases":"1","consultations":"0","links":"0","origin":"mail","slides":"2"}',
        '{"cases":"1","consultations":"1","links":"1","origin":"mail","slides":"2"}',
        '{"cases":"1","consultations":"0","links":"1","origin":"mail","slides":"2"}',
    ]
    assert all(case_id in entities for _, entities, _ in found)


def test_nothing_new_is_shared_for_an_objected_purpose_and_its_maker_is_told_why(
    database, do, centres, case_id, officer, link, ask
):
    do(objections.register, officer, case_id, {Purpose.RESEARCH}, Origin.IN_PERSON)
    for share in (link, ask):
        with pytest.raises(ConflictError, match="objects to research") as refused:
            share(Purpose.RESEARCH)
        assert refused.value.refusal.site_id == "caen"
        share(Purpose.TEACHING)


def test_cases_that_come_later_are_covered_and_another_site_is_not(
    database, do, clock, centres, officer, case_id, shared
):
    do(objections.register, officer, case_id, {Purpose.AI}, Origin.OTHER)
    later = register_like(do, centres, "26H09999", "Camille  Exemple")
    elsewhere = register_like(do, centres, "26R09999", "EXEMPLE Camille", site="rouen")
    with database.reading() as session:
        assert objections.of_case(session, later) == (Purpose.AI,)
        assert objections.of_case(session, elsewhere) == ()
        assert objections.of_case(session, centres.caen.cases["26H01235"]) == ()


def test_the_effects_are_shown_before_with_who_reads_now_and_who_may_be_the_same(
    database, do, centres, shared, case_id, officer, link, ask
):
    made, care, lesson = link(Purpose.TEACHING), link(Purpose.CARE), ask(Purpose.TEACHING)
    twin = register_like(do, centres, "26H05001", "EXEMPLE Camile")
    namesake = register_like(do, centres, "26H05002", "EXEMPLE Camille", year=1991)
    register_like(do, centres, "26H05003", "TÉMOIN Dominique")
    second = register_like(do, centres, "26H05004", "EXEMPLE Camille")
    guest = links.redeem(database, *made).guest
    with database.writing() as session:
        slide = slides.get_slide(session, System(), shared.first)
        readings.open_reading(session, guest, slide)
        readings.open_reading(session, centres.rouen.pathologist, slide)
    patient, alike, ends = do(objections.effects, officer, case_id)
    assert {case.id for case in patient.cases} == {case_id, second}
    assert patient.slides == 2
    assert {other.cases[0].id for other in alike} == {twin, namesake}
    told = {end.entity.id: end for end in ends}
    assert set(told) == {made[0], lesson}
    assert care[0] not in told
    assert told[made[0]].guests == 1
    assert told[lesson].readers == ("Pathologiste de Rouen, Rouen",)
    assert told[lesson].to == "Pathologiste de Rouen, Rouen"

    do(objections.register, officer, case_id, {Purpose.TEACHING}, Origin.LETTER, also=[twin])
    with database.reading() as session:
        assert objections.of_case(session, twin) == (Purpose.TEACHING,)
        assert objections.of_case(session, namesake) == ()
    patient, *_, ends = do(objections.effects, officer, case_id)
    assert patient.objects_to == {Purpose.TEACHING}
    assert ends == []


def test_a_patient_is_found_by_number_and_by_part_of_the_name(do, centres, officer, case_id):
    for words in (ACCESSION.lower(), "exemple", "CAMILLE exe"):
        (found,) = do(patients.find, officer, words)
        assert found.cases[0].id == case_id
        assert found.name == "EXEMPLE Camille"
    for words in ("26R00077", "IMAGINAIRE", "x", "", "%", "rouen exemple"):
        assert do(patients.find, officer, words) == []


def test_entering_twice_and_withdrawing_twice_change_nothing(database, do, case_id, officer):
    (first,) = do(objections.register, officer, case_id, {Purpose.AI}, Origin.LETTER)
    with pytest.raises(ConflictError):
        do(objections.register, officer, case_id, {Purpose.AI}, Origin.LETTER)
    assert len(do(objections.register, officer, case_id, {Purpose.AI, Purpose.TEACHING}, Origin.LETTER)) == 1
    do(objections.withdraw, officer, first)
    with pytest.raises(ConflictError):
        do(objections.withdraw, officer, first)
    (anew,) = do(objections.again, officer, first)
    listed = do(objections.list_objections, officer)
    assert [(o.id, o.withdrawn_us is None) for o in listed][-1] == (first, False)
    assert {o.id for o in listed[:-1]} >= {anew}
    assert listed[-1].withdrawn_by == officer.name
    assert len(events(database, Act.OBJECTION_REGISTERED)) == 3
    assert len(events(database, Act.OBJECTION_WITHDRAWN)) == 1


def test_the_proof_names_the_event_of_the_entry(database, do, case_id, officer):
    entered = do(objections.register, officer, case_id, {Purpose.AI, Purpose.TEACHING}, Origin.LETTER)
    for objection_id in entered:
        objection, entry = do(objections.get, officer, objection_id)
        with database.reading() as session:
            event = session.scalars(select(AuditEventRow).where(AuditEventRow.id == entry.event_id)).one()
        assert objection_id in event.entities
        assert event.purpose == objection.purpose
        assert entry.seq is None
        assert objection.cases == 1


def test_the_register_is_the_officers_of_the_own_site_alone(do, centres, case_id, officer):
    (entered,) = do(objections.register, officer, case_id, {Purpose.AI}, Origin.LETTER)
    caen = centres.caen
    asked = [
        (objections.list_objections,),
        (patients.find, "exemple"),
        (objections.effects, case_id),
        (objections.register, case_id, {Purpose.TEACHING}, Origin.MAIL),
        (objections.withdraw, entered),
        (objections.again, entered),
        (objections.get, entered),
    ]
    for function, *arguments in asked:
        for member in (caen.pathologist, caen.trainee, caen.technician, caen.lab_manager, caen.administrator):
            with pytest.raises(RefusedError):
                do(function, member, *arguments)
        if arguments and arguments != ["exemple"]:
            with pytest.raises(NotFoundError):
                do(function, centres.rouen.protection_officer, *arguments)
    for absent in (new_id(), "x"):
        with pytest.raises(NotFoundError):
            do(objections.withdraw, officer, ObjectionId(absent))
    with pytest.raises(NotFoundError):
        do(objections.register, officer, centres.rouen.cases["26R00077"], {Purpose.AI}, Origin.MAIL)
    with pytest.raises(NotFoundError):
        do(
            objections.register,
            officer,
            case_id,
            {Purpose.TEACHING},
            Origin.MAIL,
            also=[centres.rouen.cases["26R00077"]],
        )
    assert do(objections.list_objections, centres.rouen.protection_officer) == []


@pytest.mark.parametrize("purposes", [set(), {Purpose.CARE}, {Purpose.TUMOUR_BOARD, Purpose.AI}])
def test_nobody_objects_to_care(do, case_id, officer, purposes):
    with pytest.raises(InvalidError):
        do(objections.register, officer, case_id, purposes, Origin.LETTER)


def test_a_link_made_in_the_same_moment_shows_nothing(database, do, centres, case_id, officer, link):
    """Whatever is stored meanwhile: the register is asked at every decision."""
    made = link(Purpose.AI)
    do(objections.register, officer, case_id, {Purpose.AI}, Origin.LETTER)
    with database.reading() as session:
        (found,) = link_lists.of_case(session, centres.caen.pathologist, case_id)
    assert found.id == made[0]
    assert found.state is LinkState.OBJECTED
