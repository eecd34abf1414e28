"""What the lab managers of both sites see of what is shared between them."""

import pytest
from sqlalchemy import insert

from sharing import audit_search, cases, consultations, epoch, exchange, links, share_figures, shares
from sharing.db.tables import CaseRow, LinkRefusalRow, ObjectionRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.share_figures import DAY_US, HOUR_US
from sharing.share_search import Direction, Filters, Kind
from sharing.subjects import System
from sharing.vocabulary import Agreement, ConsultationState, LinkState, Move, Purpose

ACCESSION = "26H01234"


@pytest.fixture
def story(database, clock, centres, shared):
    """On Monday a consultation, answered after two days; a week and a day later a link, opened after five hours."""
    caen, rouen = centres.caen.pathologist, centres.rouen.pathologist
    with database.writing() as session:
        asked = consultations.request(
            session,
            caen,
            centres.caen.cases[ACCESSION],
            question="?",
            slide_id=shared.first,
            to_member=rouen.id,
        )
    clock.advance(minutes=20)
    with database.writing() as session:
        exchange.open_(session, rouen, asked)
    clock.advance(hours=48)
    with database.writing() as session:
        consultations.answer(session, rouen, asked, agreement=Agreement.AGREE, text="Oui.")
    clock.advance(hours=24 * 6)
    with database.writing() as session:
        link = links.create(
            session,
            caen,
            centres.caen.cases[ACCESSION],
            [shared.first],
            purpose=Purpose.TEACHING,
            reason="Cours",
            expires_us=clock.now_us() + 10 * HOUR_US,
            slide_id=shared.first,
        )
    clock.advance(hours=5)
    links.redeem(database, link.id, link.secret)
    return asked, link


@pytest.fixture
def listed(database):
    def listed(manager, **filters):
        with database.writing() as session:
            shares.note_reading(session, manager, Filters(**filters))
            return list(shares.query(session, manager, Filters(**filters)).rows)

    return listed


def test_the_manager_sees_what_left_the_site(centres, story, listed):
    asked, link = story
    first, second = listed(centres.caen.lab_manager)
    assert (first.id, first.kind, first.state, first.with_site_id, first.with_name) == (
        link.id,
        Kind.LINK,
        LinkState.USED_UP,
        None,
        "",
    )
    assert (first.accession, first.slides, first.reason, first.until_us - first.created_us) == (
        ACCESSION,
        1,
        "Cours",
        10 * HOUR_US,
    )
    assert (second.id, second.kind, second.state, second.with_name) == (
        asked,
        Kind.CONSULTATION,
        ConsultationState.ANSWERED,
        "Pathologiste de Rouen, Rouen",
    )
    assert (second.by, second.slides, second.live, second.may_end) == ("Pathologiste de Caen", 2, True, True)


def test_the_other_manager_sees_what_came_in_without_the_accession_number(centres, story, listed):
    asked, _ = story
    (share,) = listed(centres.rouen.lab_manager)
    assert (share.id, share.direction, share.accession, share.with_name, share.may_end) == (
        asked,
        Direction.IN,
        None,
        "Caen",
        False,
    )
    assert listed(centres.lille.lab_manager) == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"kind": Kind.LINK}, ["link"]),
        ({"kind": Kind.CONSULTATION}, ["consultation"]),
        ({"site": "rouen"}, ["consultation"]),
        ({"site": "lille"}, []),
        ({"purpose": Purpose.TEACHING}, ["link"]),
        ({"opened": True}, ["link", "consultation"]),
        ({"opened": False}, []),
        ({"person": "nobody"}, []),
    ],
)
def test_filters(centres, story, listed, filters, found):
    assert [share.kind for share in listed(centres.caen.lab_manager, **filters)] == found


def test_filters_by_period_and_person(centres, story, listed):
    link, asked = listed(centres.caen.lab_manager)
    manager = centres.caen.lab_manager
    assert listed(manager, since_us=link.created_us) == [link]
    assert listed(manager, until_us=link.created_us) == [asked]
    assert listed(manager, person=centres.caen.pathologist.id) == [link, asked]


def test_nobody_but_a_lab_manager_lists_shares_and_asking_is_on_record(database, centres, story, listed):
    for subject in (centres.caen.pathologist, centres.caen.technician):
        with pytest.raises(RefusedError):
            listed(subject)
    listed(centres.caen.lab_manager, site="rouen")
    with database.writing() as session:
        rows = audit_search.query(session, centres.caen.lab_manager, audit_search.Filters(act="shares.read")).rows
    assert [row.detail for row in rows] == [{"site": "rouen"}]


def test_the_manager_ends_what_is_shared(database, centres, story, listed):
    asked, link = story
    for kind, share_id in ((Kind.CONSULTATION, asked), (Kind.LINK, link.id)):
        with pytest.raises(NotFoundError), database.writing() as session:
            shares.end(session, centres.rouen.lab_manager, kind, share_id)
        with database.writing() as session:
            shares.end(session, centres.caen.lab_manager, kind, share_id)
        with pytest.raises(ConflictError), database.writing() as session:
            shares.end(session, centres.caen.lab_manager, kind, share_id)
    assert [(share.state, share.live, share.may_end) for share in listed(centres.caen.lab_manager)] == [
        (LinkState.REVOKED, False, False),
        (ConsultationState.CLOSED, False, False),
    ]


def test_what_was_undone_is_seen_at_home_alone(database, centres, shared, listed):
    with database.writing() as session:
        asked = consultations.request(
            session,
            centres.caen.pathologist,
            centres.caen.cases[ACCESSION],
            question="?",
            slide_id=shared.first,
            to_site=centres.rouen.id,
        )
        consultations.move(session, centres.caen.pathologist, asked, Move.CANCEL)
    assert listed(centres.rouen.lab_manager) == []
    assert [share.with_name for share in listed(centres.caen.lab_manager)] == ["Rouen"]


def test_who_has_shared_is_there_to_choose_from(database, centres, story):
    with database.reading() as session:
        assert shares.people(session, centres.caen.lab_manager) == [
            (centres.caen.pathologist.id, "Pathologiste de Caen")
        ]
        assert shares.people(session, centres.rouen.lab_manager) == []


def test_figures(database, centres, story):
    with database.reading() as session:
        figures = share_figures.figures(session, centres.caen.lab_manager)
        nothing = share_figures.figures(session, centres.lille.lab_manager)
    assert [(week.consultations, week.links) for week in figures.weeks] == [(1, 0), (0, 1)]
    assert (figures.weeks[0].start_us + 3 * DAY_US) % (7 * DAY_US) == 0
    assert figures.weeks[1].start_us - figures.weeks[0].start_us == 7 * DAY_US
    assert figures.opening.median_us == (20 * HOUR_US // 60 + 5 * HOUR_US) // 2
    assert figures.opening.classes == (
        (HOUR_US // 4, 0),
        (HOUR_US, 1),
        (4 * HOUR_US, 0),
        (DAY_US, 1),
        (3 * DAY_US, 0),
        (None, 0),
    )
    assert figures.answer.median_us == 48 * HOUR_US + HOUR_US // 3
    assert (figures.count, figures.consultations) == (2, 1)
    assert figures.sites == {"": 1, "rouen": 1}
    assert figures.people == {centres.caen.pathologist.id: ("Pathologiste de Caen", 2)}
    assert figures.purposes == {"care": 1, "teaching": 1}
    assert figures.organs == {"Sein": 2}
    assert (nothing.count, nothing.weeks, nothing.opening.median_us, nothing.organs) == (0, (), None, {})


def test_figures_are_those_of_what_is_asked_for(database, centres, story):
    def count(manager, **filters):
        with database.reading() as session:
            return share_figures.figures(session, manager, Filters(**filters)).count

    caen, rouen = centres.caen.lab_manager, centres.rouen.lab_manager
    assert count(caen, organ="Sein") == 2
    assert count(caen, organ="Poumon") == count(caen, direction=Direction.IN) == 0
    assert count(caen, purpose=Purpose.TEACHING) == count(caen, site="rouen") == count(rouen) == 1
    assert count(caen, kind=Kind.LINK, site="rouen") == 0, "a guest has no centre"
    with pytest.raises(RefusedError):
        count(centres.caen.pathologist)


def test_the_organ_of_another_site_is_told_in_a_word_of_the_own_site_alone(database, centres, story, listed):
    """Elsewhere somebody may have typed a name there."""
    rouen = centres.rouen
    assert [share.organ for share in listed(rouen.lab_manager)] == [None]
    with database.reading() as session:
        assert share_figures.figures(session, rouen.lab_manager).organs == {"": 1}
    with database.writing() as session:
        cases.register_case(session, System(), rouen.id, accession="26R00078", patient_name="FEINTE Léo", organ="Sein")
    assert [share.organ for share in listed(rouen.lab_manager, organ="Sein")] == ["Sein"]


def test_pages_follow_one_another_without_gap_or_repetition(database, centres, shared, story, listed):
    caen = centres.caen
    with database.writing() as session:
        for _ in range(3):  # at one moment: then the id decides
            links.create(
                session,
                caen.pathologist,
                caen.cases[ACCESSION],
                purpose=Purpose.CARE,
                reason="Avis",
                expires_us=session.now_us + DAY_US,
                slide_id=shared.first,
            )
    seen, cursor = [], None
    for _ in range(5):
        with database.reading() as session:
            page = shares.query(session, caen.lab_manager, None, cursor, limit=1)
        seen += page.rows
        cursor = page.next
    assert cursor is None
    assert seen == listed(caen.lab_manager)
    assert len({share.id for share in seen}) == 5
    with pytest.raises(InvalidError), database.reading() as session:
        shares.query(session, caen.lab_manager, None, "1-x")


def test_what_is_taken_away_is_on_record_once_before_it_leaves(database, centres, story):
    manager = centres.caen.lab_manager
    found = shares.export(database, manager, Filters(purpose=Purpose.TEACHING), form="csv", limit=10, step=1)
    with database.writing() as session:
        rows = audit_search.query(session, manager, audit_search.Filters(act="shares.exported")).rows
    assert [row.detail for row in rows] == [{"form": "csv", "purpose": "teaching"}]
    assert [share.kind for share in found] == [Kind.LINK]
    with pytest.raises(RefusedError):
        shares.export(database, centres.caen.pathologist, Filters(), form="csv", limit=10)


def test_when_it_ended_and_how_often_it_was_tried_in_vain(database, clock, centres, story, listed):
    _, link = story
    manager = centres.caen.lab_manager
    with database.writing() as session:
        epoch.saw(session, epoch.read(session), "a", session.now_us, first=True)
        links.revoke(session, centres.caen.pathologist, link.id)
        revoked_us = session.now_us
        epoch.saw(session, epoch.read(session), "a", session.now_us + 300_000)
        session.execute(
            insert(LinkRefusalRow).values(link_id=link.id, reason="revoked", count=7, first_us=0, last_us=0)
        )
    first, second = listed(manager)
    assert (first.ended_us, first.last_tile_us, first.refused) == (revoked_us, revoked_us + 300_000, 7)
    assert (second.ended_us, second.last_tile_us, second.refused) == (None, None, 0)


def test_an_objection_ends_what_it_objects_to(database, clock, centres, shared, listed):
    caen = centres.caen
    with database.writing() as session:
        consultations.request(
            session,
            caen.pathologist,
            caen.cases[ACCESSION],
            question="?",
            slide_id=shared.first,
            to_member=centres.rouen.pathologist.id,
            purpose=Purpose.TEACHING,
        )
    clock.advance(hours=1)
    with database.writing() as session:
        case = session.get(CaseRow, caen.cases[ACCESSION])
        session.execute(
            insert(ObjectionRow).values(
                id="o" * 26,
                site_id=caen.id,
                patient_key=case.patient_key,
                purpose="teaching",
                case_id=case.id,
                origin="letter",
                registered_us=session.now_us,
                registered_by=caen.lab_manager.id,
            )
        )
        objected_us = session.now_us
    [share] = listed(caen.lab_manager)
    assert (share.standing, share.live, share.may_end, share.ended_us) == ("objected", False, False, objected_us)
