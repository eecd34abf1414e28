"""The same picture for two case numbers: lodged once, decided once, and taken back whole."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.cases import IMAGE, add_slide
from fixtures.waiting import wait_until
from sqlalchemy import func, select, text

from sharing import claims, epoch, slides
from sharing.claims import Verdict
from sharing.db.tables import AuditEventRow, ClaimRow
from sharing.errors import ConflictError, NotFoundError, RefusedError
from sharing.subjects import System
from sharing.vocabulary import Act


@pytest.fixture
def slide_id(database, centres):
    """In the case 26H01234, HES A1."""
    with database.writing() as session:
        return add_slide(session, centres.caen, "26H01234")


@pytest.fixture
def lodge(database, centres, slide_id):
    def lodge(accession="26H01235", **fields):
        with database.writing() as session:
            slide = slides.get_slide(session, System(), slide_id)
            return claims.lodge(
                session, centres.caen.agent, slide, accession=accession, file_name="again.svs", **fields
            )

    return lodge


def waiting(database, subject):
    with database.reading() as session:
        return claims.waiting(session, subject)


def resolve(database, subject, verdict, claim=None):
    with database.writing() as session:
        claims.resolve(session, subject, claim or claims.waiting(session, subject)[0].id, verdict)


def labelled(database, slide_id):
    with database.reading() as session:
        slide = slides.get_slide(session, System(), slide_id)
    return slide.case_accession, slide.accession, slide.stain, slide.block


def count(database, act):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(AuditEventRow).where(AuditEventRow.act == act))


def test_the_slides_own_number_or_none_is_no_question(database, centres, lodge):
    for number in (None, "", "  ", "26H01234", " 26h01234 "):
        assert lodge(number) is False
    assert waiting(database, centres.caen.technician) == []


def test_another_number_waits_for_a_person_however_often_it_is_sent(database, centres, lodge):
    assert lodge("26h01235", stain="PAS") is True
    assert lodge(" 26H01235") is True
    [claim] = waiting(database, centres.caen.technician)
    assert (claim.held.accession, claim.held.patient_name) == ("26H01234", "EXEMPLE Camille")
    assert (claim.other.accession, claim.other.patient_name) == ("26H01235", "FICTIVE Dominique")
    assert (claim.other.stain, claim.other.block) == ("PAS", "A1"), "what is not said anew is as it was"
    assert count(database, Act.SLIDE_CLAIMED) == 1


def test_two_scanners_at_one_moment_ask_one_question(database, centres, lodge):
    start = threading.Barrier(2)

    def at_once(_):
        start.wait(60)
        return lodge()

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(at_once, range(2))) == [True, True]
    assert len(waiting(database, centres.caen.technician)) == 1


def test_the_number_that_was_corrected_by_hand_is_no_question(database, centres, lodge, slide_id):
    """A wrong number was sent and put right at reception: the same wrong number once more says nothing new."""
    with database.writing() as session:
        slides.assign(session, centres.caen.technician, slide_id, centres.caen.cases["26H01236"])
    assert lodge("26H01234") is False
    assert lodge("26H01236") is False
    assert lodge("26H01235") is True


def test_kept_stays_and_is_not_asked_again(database, centres, lodge, slide_id):
    lodge()
    resolve(database, centres.caen.technician, Verdict.KEPT)
    assert labelled(database, slide_id) == ("26H01234", "26H01234", "HES", "A1")
    assert lodge() is False
    assert waiting(database, centres.caen.technician) == []
    assert count(database, Act.CLAIM_RESOLVED) == 1


def test_moved_changes_the_case_and_the_label_and_closes_the_former_case(database, centres, lodge, slide_id):
    lodge(stain="PAS", block="B2")
    with database.reading() as session:
        before = epoch.read(session)
    resolve(database, centres.caen.technician, Verdict.MOVED)
    assert labelled(database, slide_id) == ("26H01235", "26H01235", "PAS", "B2")
    assert lodge("26H01234") is False, "either number has been decided about"
    assert lodge("26H01235") is False
    with database.reading() as session:
        assert epoch.read(session) == before + 1


def test_moved_to_a_number_that_is_no_case_waits_at_reception(database, centres, lodge, slide_id):
    lodge("26H09999")
    resolve(database, centres.caen.technician, Verdict.MOVED)
    assert labelled(database, slide_id) == (None, "26H09999", "HES", "A1")


@pytest.mark.parametrize("number", ["26H01235", "26H09999"])
def test_taken_back_everything_is_as_before(database, centres, lodge, slide_id, number):
    lodge(number, stain="PAS")
    before = labelled(database, slide_id), waiting(database, centres.caen.technician)
    for verdict in (*Verdict, *Verdict):
        resolve(database, centres.caen.technician, verdict, before[1][0].id)
        with database.writing() as session:
            claims.reopen(session, centres.caen.lab_manager, before[1][0].id)
        assert (labelled(database, slide_id), waiting(database, centres.caen.technician)) == before
    assert count(database, Act.CLAIM_RESOLVED) == 8


def test_a_slide_sent_without_a_number_first_can_go_there_and_back(database, centres):
    with database.writing() as session:
        files = [slides.StoredFile("scan.svs", "c" * 64, 100)]
        slide_id = slides.create_slide(session, centres.caen.agent, files=files)
        slide = slides.get_slide(session, System(), slide_id)
        assert claims.lodge(session, centres.caen.agent, slide, accession="26H01234", file_name="scan.svs")
        claim = claims.waiting(session, centres.caen.technician)[0]
        claims.resolve(session, centres.caen.technician, claim.id, Verdict.MOVED)
    assert labelled(database, slide_id)[:2] == ("26H01234", "26H01234")
    with database.writing() as session:
        claims.reopen(session, centres.caen.technician, claim.id)
    assert labelled(database, slide_id)[:2] == (None, None)


def test_of_three_numbers_each_can_be_chosen(database, centres, lodge, slide_id):
    lodge("26H01235")
    lodge("26H01236")
    first, second = sorted(waiting(database, centres.caen.technician), key=lambda claim: claim.other.accession)
    resolve(database, centres.caen.technician, Verdict.MOVED, first.id)
    resolve(database, centres.caen.technician, Verdict.MOVED, second.id)
    assert labelled(database, slide_id)[0] == "26H01236"
    with database.writing() as session:
        claims.reopen(session, centres.caen.technician, first.id)  # holds 26H01234 by now
    assert labelled(database, slide_id)[0] == "26H01234"


def test_attaching_the_slide_at_reception_answers_the_question(database, centres, lodge, slide_id):
    lodge("26H01235")
    lodge("26H01236")
    with database.writing() as session:
        slides.assign(session, centres.caen.technician, slide_id, centres.caen.cases["26H01235"])
    [left] = waiting(database, centres.caen.technician)
    resolve(database, centres.caen.technician, Verdict.MOVED, left.id)
    assert labelled(database, slide_id)[0] == "26H01236"
    with database.reading() as session:
        assert len(session.scalars(select(ClaimRow)).all()) == 1


def test_more_than_a_page_can_show_are_counted(database, centres, lodge, slide_id, clock):
    for number in ("26H01235", "26H01236", "26H09999"):
        lodge(number)
        clock.advance(seconds=1)
    with database.writing() as session:
        slides.assign(session, centres.caen.technician, slide_id, centres.caen.cases["26H01235"])
    with database.reading() as session:
        [oldest] = claims.waiting(session, centres.caen.technician, limit=1)
        assert oldest.other.accession == "26H01236"
        assert claims.count_waiting(session, centres.caen.technician) == 2
        assert claims.count_waiting(session, centres.caen.pathologist) == 0
        assert claims.count_waiting(session, centres.rouen.technician) == 0


def test_only_one_of_two_decides(database, centres, lodge, slide_id):
    lodge()
    [claim] = waiting(database, centres.caen.technician)
    resolve(database, centres.caen.technician, Verdict.KEPT, claim.id)
    with pytest.raises(ConflictError, match="faster"):
        resolve(database, centres.caen.lab_manager, Verdict.MOVED, claim.id)
    assert labelled(database, slide_id)[0] == "26H01234"
    with database.writing() as session:
        claims.reopen(session, centres.caen.technician, claim.id)
    with database.writing() as session, pytest.raises(ConflictError, match="faster"):
        claims.reopen(session, centres.caen.technician, claim.id)


def waits(database) -> bool:
    """Whether somebody waits for what another transaction holds; SQLite lets nobody else begin."""
    if database.engine.dialect.name == "sqlite":
        return True
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with database.reading() as session:
        return session.scalar(text(locked)) > 0


def test_a_decision_made_while_the_slide_is_registered_stands(database, centres):
    """Or the slide would stand in the case of one number, under the other."""
    with database.writing() as session:
        slide_id = add_slide(session, centres.caen, "26H01234", ready=False)
        slide = slides.get_slide(session, System(), slide_id)
        claims.lodge(session, centres.caen.agent, slide, accession="26H01235", file_name="again.svs")
    [claim] = waiting(database, centres.caen.technician)

    def register():
        with database.writing() as session:
            return slides.mark_ready(session, slide_id, index_digest="a" * 64, image=IMAGE)

    with ThreadPoolExecutor(1) as threads:
        with database.writing() as session:
            claims.resolve(session, centres.caen.technician, claim.id, Verdict.MOVED)
            registered = threads.submit(register)
            wait_until(lambda: waits(database), "the registration of the slide")
        assert registered.result(60)
    assert labelled(database, slide_id)[:2] == ("26H01235", "26H01235")


def test_who_may_not_attach_slides_may_not_decide(database, centres, lodge):
    lodge()
    [claim] = waiting(database, centres.caen.technician)
    assert waiting(database, centres.caen.pathologist) == []
    assert waiting(database, centres.rouen.technician) == []
    with pytest.raises(RefusedError):
        resolve(database, centres.caen.pathologist, Verdict.KEPT, claim.id)
    with pytest.raises(NotFoundError):
        resolve(database, centres.rouen.technician, Verdict.KEPT, claim.id)
    with pytest.raises(NotFoundError):
        resolve(database, centres.caen.technician, Verdict.KEPT, "nothing")
