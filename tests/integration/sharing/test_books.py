"""The books that are held against the journal after each kill: they balance after work, and show what is missing."""

from sqlalchemy import text

from benchmarks.torture_sharing.books import balance
from sharing import audit, chain, consultations, exchange, links, readings, slides
from sharing.clock import SECOND_US
from sharing.slides import ImageFacts, StoredFile
from sharing.vocabulary import Act, Entity, Purpose, new_id


def work(database, centres) -> str:
    """The id of a link."""
    asker, reader = centres.caen.pathologist, centres.rouen.pathologist
    with database.writing() as session:
        file = StoredFile("scan.svs", "a" * 64, 1)
        slide_id = slides.create_slide(session, centres.caen.agent, files=[file], accession="26H01234")
        slides.mark_ready(session, slide_id, index_digest="b" * 64, image=ImageFacts("aperio", 10, 10))
        slide = slides.get_slide(session, asker, slide_id)
        asked = [
            consultations.request(session, asker, slide.case_id, question="?", slide_id=slide_id, to_member=reader.id)
            for _ in range(2)
        ]
        made = links.create(
            session,
            asker,
            slide.case_id,
            purpose=Purpose.CARE,
            reason="essai",
            expires_us=session.now_us + 3600 * SECOND_US,
            slide_id=slide_id,
        )
    links.redeem(database, made.id, made.secret)
    with database.writing() as session:
        for each in asked:
            exchange.open_(session, reader, each)
        readings.open_reading(session, reader, slide)
        links.revoke(session, asker, made.id)
    return made.id


def held(database):
    with database.reading() as session:
        return balance(session.connection())


def test_the_books_balance_before_and_after_sealing(database, centres):
    work(database, centres)
    before = held(database)
    chain.seal(database)
    after = held(database)
    assert before.acts == after.acts > 40
    assert (before.without_event, before.without_act) == (after.without_event, after.without_act) == ([], [])


def test_what_is_missing_is_named_on_either_side(database, centres):
    """The control: an act past the program, and an event of nothing."""
    link_id, invented = work(database, centres), new_id()
    with database.writing() as session:
        session.execute(text("UPDATE link SET revoked_us = NULL WHERE id = :link"), {"link": link_id})
        session.execute(text("DELETE FROM guest"))
        entities = [Entity("link", invented)]
        audit.record(session, site_id="caen", act=Act.LINK_MADE, subject=centres.caen.pathologist, entities=entities)
        session.execute(text("DELETE FROM audit_pending WHERE position = (SELECT max(position) FROM audit_pending)"))
    found = held(database)
    assert [each.partition(":")[0] for each in found.without_act] == ["links", "ends of links", "guests"]
    assert found.without_act[0] == f"links: {invented}"
    assert [each.partition(":")[0] for each in found.without_event] == ["events and their places"]
