"""What is seen of patients beside the slides: once on record as long as it lasts, and in every chain it concerns."""

import asyncio
import json

import pytest
from sqlalchemy import select

from sharing import audit_search, cases, consultations, exchange, readings, sightings, slides
from sharing.db.tables import AuditEventRow, AuditPersonalRow
from sharing.errors import NotFoundError
from sharing.readings import UnrecordedError
from sharing.slides import ImageFacts, StoredFile
from sharing.vocabulary import Act
from slideserver.recorder import Record, recorder


@pytest.fixture
def slide(database, centres):
    with database.writing() as session:
        file = StoredFile("scan.svs", "a" * 64, 1)
        slide_id = slides.create_slide(session, centres.caen.agent, files=[file], accession="26H01234")
        facts = ImageFacts("aperio", 10, 10, has_label=True)
        slides.mark_ready(session, slide_id, index_digest="b" * 64, image=facts)
        return slides.get_slide(session, centres.caen.pathologist, slide_id)


def told(database, *acts: Act) -> list[tuple[str, str, str | None, str | None]]:
    """Chain, act, who and which case, oldest first."""
    wanted = acts or (Act.CASE_OPENED, Act.LABEL_READ, Act.SLIDE_OPENED, Act.CASES_LISTED, Act.INTAKE_READ)
    with database.reading() as session:
        events = session.scalars(
            select(AuditEventRow).where(AuditEventRow.act.in_(wanted)).order_by(AuditEventRow.position)
        )
        return [(event.site_id, event.act, event.agent_id, event.case_id) for event in events]


def see(database, sight, *args, **more):
    with database.writing() as session:
        return sight(session, *args, **more)


def test_a_case_that_is_open_is_one_event_as_long_as_somebody_goes_on(database, centres, clock):
    reader, case_id = centres.caen.pathologist, centres.caen.cases["26H01234"]
    opened = [see(database, sightings.open_case, reader, case_id, centres.caen.agent) for _ in range(3)]
    clock.advance(minutes=29)
    opened.append(see(database, sightings.open_case, reader, case_id, centres.caen.agent))
    clock.advance(minutes=29)
    opened.append(see(database, sightings.open_case, reader, case_id, centres.caen.agent))
    clock.advance(minutes=31)
    opened.append(see(database, sightings.open_case, reader, case_id, centres.caen.agent))
    assert opened == [True, False, False, False, False, True]
    assert told(database) == [("caen", "case.opened", reader.id, case_id)] * 2


def test_what_a_consultant_reads_stands_in_both_chains_and_names_the_case_in_the_owners_alone(
    database, centres, slide, clock
):
    asker, reader = centres.caen.pathologist, centres.rouen.pathologist
    with database.writing() as session:
        asked = consultations.request(
            session, asker, slide.case_id, question="?", slide_id=slide.id, to_member=reader.id
        )
        exchange.open_(session, reader, asked)
        exchange.open_(session, reader, asked)
    assert told(database, Act.CASE_OPENED) == [], "the first look is a move, which is on record as such"
    clock.advance(minutes=31)
    with database.reading() as session:
        assert not exchange.seen(session, reader, exchange.get(session, reader, asked))
    with database.writing() as session:
        exchange.open_(session, reader, asked)
        exchange.open_(session, asker, asked)
    assert told(database, Act.CASE_OPENED) == [
        ("caen", "case.opened", reader.id, slide.case_id),
        ("rouen", "case.opened", reader.id, None),
        ("caen", "case.opened", asker.id, slide.case_id),
    ]


def test_a_small_picture_is_part_of_a_page_or_else_a_reading(database, centres, slide, clock):
    reader = centres.caen.pathologist
    with database.reading() as session, pytest.raises(UnrecordedError):
        sightings.glance(session, reader, slide)
    see(database, sightings.list_cases, reader, "worklist", 3, search="EXEMPLE")
    see(database, sightings.glance, reader, slide)
    with database.reading() as session:
        sightings.glance(session, reader, slide)
        [search] = session.scalars(select(AuditPersonalRow.body).where(AuditPersonalRow.body.contains("search")))
    assert json.loads(search)["search"] == "EXEMPLE", "what was typed can be erased"
    assert [act for _, act, *_ in told(database)] == ["cases.listed"]
    clock.advance(hours=13)
    see(database, sightings.glance, reader, slide)
    see(database, sightings.glance, reader, slide)
    assert [act for _, act, *_ in told(database)] == ["cases.listed", "slide.opened"]


def test_a_label_is_on_record_once_a_reading_beside_the_slide(database, centres, slide):
    reader = centres.caen.technician
    assert [see(database, sightings.open_label, reader, slide) for _ in range(3)] == [True, False, False]
    assert see(database, readings.open_reading, reader, slide)
    assert [act for _, act, *_ in told(database)] == ["slide.label_read", "slide.opened"]


def test_a_page_that_asks_again_by_itself_is_one_event_for_half_an_hour(database, centres, clock):
    watcher = centres.caen.technician
    for minutes in (0, 1, 28, 2, 1):
        clock.advance(minutes=minutes)
        see(database, sightings.watch_intake, watcher, "scanners", 4)
    assert len(told(database, Act.INTAKE_READ)) == 2


def test_what_shares_a_commit_fails_alone(database, centres):
    reader, case_id = centres.caen.pathologist, centres.caen.cases["26H01234"]

    def fail(session):
        raise NotFoundError("gone meanwhile")

    records = [Record() for _ in range(4)]
    records[0](sightings.list_cases, reader, "worklist", 3)
    records[1](sightings.list_cases, reader, "worklist", 3)
    records[1](fail)
    records[2](sightings.open_case, reader, case_id, centres.caen.agent)
    records[3](cases.get_case, reader, case_id)

    async def scene():
        counter = recorder(database)
        return await asyncio.gather(*(counter.ask(record) for record in records), return_exceptions=True)

    failed = asyncio.run(scene())
    assert [type(each) for each in failed] == [type(None), NotFoundError, type(None), type(None)]
    assert [act for _, act, *_ in told(database)] == ["cases.listed", "case.opened"]
    manager = centres.caen.lab_manager
    with database.writing() as session:
        assert (
            audit_search.query(session, manager, audit_search.Filters(act=Act.CASE_OPENED)).rows[0].agent_name
            == reader.name
        )


def test_what_is_told_of_the_next_slide_of_a_case_is_no_reading_of_it(database, centres, shared):
    anne = centres.caen.pathologist

    def opened() -> set[str]:
        with database.reading() as session:
            acts = select(AuditEventRow.slide_id).where(AuditEventRow.act == Act.SLIDE_OPENED)
            return set(session.scalars(acts))

    with database.writing() as session:
        assert sightings.open_slide(session, anne, shared.first)
        assert not sightings.open_slide(session, anne, shared.second), "of the same case"
    assert opened() == {shared.first}
    with database.writing() as session:
        assert sightings.open_slide(session, centres.caen.lab_manager, shared.second), "the control"
    assert opened() == {shared.first, shared.second}
