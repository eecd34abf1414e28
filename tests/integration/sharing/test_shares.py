"""What the lab managers of both sites see of what is shared between them."""

import pytest

from sharing import audit, consultations, exchange, links, shares
from sharing.errors import ConflictError, NotFoundError, RefusedError
from sharing.shares import DAY_US, HOUR_US, Direction, Filters, Kind
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
            return shares.list_shares(session, manager, Filters(**filters))

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
        rows = audit.query(session, centres.caen.lab_manager, audit.Filters(act="shares.read")).rows
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


def test_figures(centres, story, listed):
    figures = shares.figures(listed(centres.caen.lab_manager))
    assert [(week.consultations, week.links) for week in figures.weeks] == [(1, 0), (0, 1)]
    assert figures.weeks[0].start_us % DAY_US == 0
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
    nothing = shares.figures([])
    assert (nothing.weeks, nothing.opening.median_us, nothing.answer.median_us) == ((), None, None)
