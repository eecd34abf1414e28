"""Slides: received, matched, ready or refused, assigned; and one reading is one event."""

import threading

import pytest
from sqlalchemy import select

from sharing import cases, epoch, readings, slides
from sharing.db.tables import AuditEventRow, ReadingRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.slides import ImageFacts, StoredFile
from sharing.subjects import Stranger, System
from sharing.vocabulary import Action, SlideState

IMAGE = ImageFacts("aperio", 2220, 2967, 0.499, 0.499, 20.0, has_label=True, has_macro=True)
DIGEST, INDEX = "a" * 64, "1" * 64


@pytest.fixture
def push(database):
    def push(centre, *, sha256=DIGEST, accession=None, ready=True):
        with database.writing() as session:
            slide_id = slides.create_slide(
                session,
                centre.agent,
                files=[StoredFile("scan.svs", sha256, 100)],
                accession=accession,
                stain=" HES ",
                block="A1",
            )
            if ready:
                slides.mark_ready(session, slide_id, index_digest=INDEX, image=IMAGE)
        return slide_id

    return push


def acts(database, slide_id):
    with database.reading() as session:
        statement = select(AuditEventRow.act, AuditEventRow.outcome).where(AuditEventRow.slide_id == slide_id)
        return [tuple(row) for row in session.execute(statement.order_by(AuditEventRow.position))]


def get(database, slide_id, subject=None, action=Action.VIEW_SLIDE):
    with database.reading() as session:
        return slides.get_slide(session, subject or System(), slide_id, action)


def test_a_pushed_slide_joins_the_case_of_its_accession_number(database, centres, push):
    slide_id = push(centres.caen, accession="26h01234")
    slide = get(database, slide_id, centres.caen.pathologist)
    assert (slide.state, slide.case_accession, slide.stain, slide.version) == (
        SlideState.READY,
        "26H01234",
        "HES",
        INDEX[:16],
    )
    assert (slide.width, slide.mpp_x, slide.has_label, slide.scanner_name) == (2220, 0.499, True, "Scanner Caen 1")
    with database.reading() as session:
        assert cases.get_case(session, centres.caen.pathologist, slide.case_id).slides == (slide,)
        assert slides.files_of(session, slide_id) == (StoredFile("scan.svs", DIGEST, 100),)
    assert acts(database, slide_id) == [("slide.received", "success"), ("slide.registered", "success")]


def test_an_accession_number_of_another_site_matches_nothing(database, centres, push):
    slide = get(database, push(centres.caen, accession="26R00077"))
    assert (slide.case_id, slide.accession) == (None, "26R00077")


def test_the_same_bytes_are_one_slide_of_a_site_and_nothing_is_told_of_other_sites(database, centres, push):
    slide_id = push(centres.caen)
    with pytest.raises(ConflictError):
        push(centres.caen)
    with database.reading() as session:
        assert slides.by_digest(session, centres.caen.id, DIGEST).id == slide_id
        assert slides.by_digest(session, centres.rouen.id, DIGEST) is None
    assert push(centres.rouen) != slide_id


def test_ready_twice_is_ready_once(database, centres, push):
    slide_id = push(centres.caen)
    with database.writing() as session:
        assert not slides.mark_ready(session, slide_id, index_digest=INDEX, image=IMAGE)
        with pytest.raises(ConflictError):
            slides.mark_ready(session, slide_id, index_digest="2" * 64, image=IMAGE)
        with pytest.raises(ConflictError):
            slides.mark_refused(session, slide_id, code="damaged", reason="The file is damaged.")
        with pytest.raises(ConflictError):
            slides.start_indexing(session, slide_id)
    assert len(acts(database, slide_id)) == 2


def test_a_refused_slide_says_why_and_may_be_tried_again(database, centres, push):
    slide_id = push(centres.caen, ready=False)
    with database.writing() as session:
        slides.start_indexing(session, slide_id)
        assert slides.mark_refused(session, slide_id, code="damaged", reason="The file ends in its middle.")
        assert not slides.mark_refused(session, slide_id, code="damaged", reason="The file ends in its middle.")
    refused = get(database, slide_id)
    assert (refused.state, refused.refusal_code) == (SlideState.REFUSED, "damaged")
    assert refused.refusal_reason == "The file ends in its middle."
    with database.writing() as session:
        slides.start_indexing(session, slide_id)
        slides.mark_ready(session, slide_id, index_digest=INDEX, image=IMAGE)
    assert get(database, slide_id).refusal_reason is None
    assert [outcome for _, outcome in acts(database, slide_id)] == ["success", "failed", "success"]


def test_the_intake_shows_own_slides_to_the_laboratory_alone(database, centres, push, clock):
    first = push(centres.caen)
    clock.advance(minutes=1)
    second = push(centres.caen, sha256="b" * 64, accession="26H01234", ready=False)
    push(centres.rouen)
    with database.reading() as session:
        rows = slides.intake(session, centres.caen.technician)
        assert [(row.id, row.case_id is None, row.state) for row in rows] == [
            (second, True, "received"),
            (first, True, "ready"),
        ]
        assert slides.intake(session, centres.caen.lab_manager) == rows
        for subject in (centres.caen.pathologist, centres.caen.agent, Stranger()):
            assert slides.intake(session, subject) == []


def test_absent_and_foreign_slide_look_alike(database, centres, push):
    foreign = push(centres.rouen)
    messages = set()
    for slide_id in (foreign, "z" * 26):
        with pytest.raises(NotFoundError) as caught:
            get(database, slide_id, centres.caen.pathologist)
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_assigning_moves_a_slide_and_the_epoch(database, centres, push):
    slide_id, case_id = push(centres.caen), centres.caen.cases["26H01235"]
    with database.writing() as session:
        before = epoch.read(session)
        slides.assign(session, centres.caen.technician, slide_id, case_id)
        slides.assign(session, centres.caen.technician, slide_id, case_id)
        assert epoch.read(session) == before + 1
    assert get(database, slide_id).case_accession == "26H01235"
    assert acts(database, slide_id)[2:] == [("slide.assigned", "success")]


def test_assigning_says_the_stain_and_block_that_reception_reads_on_the_label(database, centres, push):
    slide_id, case_id = push(centres.caen), centres.caen.cases["26H01235"]

    def assign(**said):
        with database.writing() as session:
            slides.assign(session, centres.caen.technician, slide_id, case_id, **said)
        slide = get(database, slide_id)
        return slide.stain, slide.block

    before = get(database, slide_id)
    assert assign() == (before.stain, before.block)
    assert assign(stain=" PAS\n", block="B2") == ("PAS", "B2")
    with database.reading() as session:
        moved = epoch.read(session)
    assert assign(stain="", block=None) == ("PAS", "B2")
    assert assign(stain="Ki-67") == ("Ki-67", "B2")
    with database.reading() as session:
        assert epoch.read(session) == moved  # the case is the same, and so are the rights
    assert acts(database, slide_id)[2:] == [("slide.assigned", "success")] * 3


def test_what_cannot_be_assigned(database, centres, push):
    slide_id, foreign = push(centres.caen), centres.rouen.cases["26R00077"]
    with database.writing() as session:
        for case_id in (foreign, "z" * 26):
            with pytest.raises(NotFoundError):
                slides.assign(session, centres.caen.technician, slide_id, case_id)
        with pytest.raises(RefusedError):
            slides.assign(session, centres.caen.pathologist, slide_id, centres.caen.cases["26H01234"])
        with pytest.raises(NotFoundError):
            slides.assign(session, centres.rouen.technician, slide_id, foreign)
        with pytest.raises(InvalidError):
            slides.assign(session, System(), slide_id, foreign)
    assert get(database, slide_id).case_id is None


def test_one_reading_is_one_event_until_thirty_idle_minutes_have_passed(database, centres, push, clock):
    slide = get(database, push(centres.caen))
    reader = centres.caen.pathologist

    def look(subject=reader):
        with database.writing() as session:
            return readings.open_reading(session, subject, slide)

    assert [look(), look()] == [True, False]
    clock.advance(minutes=29)
    assert not look()
    clock.advance(minutes=29)
    assert not look()
    clock.advance(minutes=30)
    assert look()
    assert look(centres.caen.lab_manager)
    assert acts(database, slide.id)[2:] == [("slide.opened", "success")] * 3
    with database.reading() as session:
        assert len(session.scalars(select(ReadingRow)).all()) == 2


def test_of_many_simultaneous_openings_one_is_new(database, centres, push):
    slide = get(database, push(centres.caen))
    start, answers = threading.Barrier(16), []

    def look():
        start.wait()
        with database.writing() as session:
            answers.append(readings.open_reading(session, centres.caen.pathologist, slide))

    threads = [threading.Thread(target=look) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 15 + [True]
    assert acts(database, slide.id)[2:] == [("slide.opened", "success")]


def test_many_readings_at_once_are_those_that_would_have_begun_one_by_one(database, centres, push, clock):
    slide, other = (get(database, push(centres.caen, sha256=digit * 64)) for digit in "ab")
    who = [centres.caen.pathologist, centres.caen.lab_manager, centres.caen.technician]

    def open_all(*openings):
        before = len(acts(database, slide.id)) + len(acts(database, other.id))
        with database.writing() as session:
            readings.open_readings(session, openings)
        return len(acts(database, slide.id)) + len(acts(database, other.id)) - before

    assert open_all() == 0
    assert open_all((who[0], slide), (who[1], slide), (who[0], other), (who[0], slide)) == 3
    clock.advance(minutes=29)
    assert open_all((who[0], slide), (who[2], other)) == 1
    clock.advance(minutes=29)
    assert open_all((who[0], slide), (who[1], slide)) == 1, "one has read on, the other has been away for an hour"
    with database.reading() as session:
        standing = readings.standing(session, [(one.kind, one.id, slide.id) for one in who])
    assert {reader for _, reader, _ in standing} == {who[0].id, who[1].id}
