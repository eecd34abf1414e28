"""How long the right to a slide takes to be found out, and how fast it ends at every address that shows something."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fixtures.server import World
from fixtures.waiting import wait_until
from sqlalchemy import select, text

from ingest.directory import PROFILE
from sharing import consultations, epoch, links, objections, readings, sessions, sites
from sharing.clock import FrozenClock, SystemClock
from sharing.db.engine import Session, open_database
from sharing.db.tables import AuditEventRow, EpochSeenRow, SessionTokenRow
from sharing.slides import Slide
from sharing.vocabulary import Act, Move, Origin, Purpose
from slideserver.access import Access
from slideserver.admissions import Admissions, Decision, Look, Verdict

AT_MOST_S = 1.0
ABROAD = (
    "0/1_1",
    "slide.dzi",
    "slide_files/12/3_4.jpeg",
    "iiif/info.json",
    "iiif/720,960,240,240/240,240/0/default.jpg",
    "slide.json",
    "thumbnail",
    PROFILE,
)


def everything_of(world: World, slide: Slide) -> list[str]:
    """What shows something of the slide to who is of another site."""
    (world.settings.var / "slides" / slide.id / PROFILE).write_bytes(b"a profile")
    return [f"/tiles/{slide.id}/{slide.version}/{what}" for what in ABROAD]


def revoke(world: World, session: Session, link: dict, asked: dict) -> None:
    links.revoke(session, world.centres.caen.pathologist, link["id"])
    consultations.move(session, world.centres.caen.pathologist, asked["id"], Move.CANCEL)


def objected(world: World, session: Session, link: dict, asked: dict) -> None:
    caen = world.centres.caen
    objections.register(session, caen.protection_officer, caen.cases["26H01234"], [Purpose.RESEARCH], Origin.LETTER)


def closed(world: World, session: Session, link: dict, asked: dict) -> None:
    sites.disable_member(session, world.centres.caen.pathologist.id)
    sites.disable_member(session, world.centres.rouen.pathologist.id)


@pytest.mark.parametrize("way", [revoke, objected, closed])
def test_a_right_ends_at_every_address_within_a_second(world: World, way: Callable, figure) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    link = world.link(slide, purpose="research")
    asked = world.ask(slide, world.centres.rouen, purpose="research")
    home = world.signed_in("responsable.caen")
    readers = [world.guest(link), world.signed_in("pathologiste.rouen")]
    addresses = everything_of(world, slide)
    for reader in readers:
        assert {address: reader.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 200)
    with world.database.writing() as session:
        way(world, session, link, asked)
    ended = last = time.monotonic()
    shown = {(reader, address) for reader in readers for address in addresses}
    while shown:
        for reader, address in sorted(shown, key=str):
            asked_at = time.monotonic()
            status = reader.get(address).status_code
            if status == 200:
                last = asked_at
            elif status != 503:  # short of a turn at the processor
                shown.discard((reader, address))
        assert time.monotonic() - ended < 60
    figure("link.revoke_to_last_tile_ms", round((last - ended) * 1000))
    assert last - ended <= AT_MOST_S
    assert home.get(addresses[0]).status_code == 200, "who has a right of his own keeps it"
    wait_until(lambda: told(world, session.now_us) is not None, "the server to learn of it")


def test_who_reads_on_waits_for_nobody_who_writes(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    tile = f"/tiles/{slide.id}/{slide.version}/0/1_1"
    reader, new = world.signed_in("pathologiste.caen"), world.signed_in("responsable.caen")
    assert reader.get(tile).status_code == 200
    with world.database.writing() as session:
        epoch.bump(session)
    wait_until(lambda: told(world, session.now_us) is not None, "the server to learn of it")
    opened: list[int] = []
    with nobody_writes(world):
        opening = threading.Thread(target=lambda: opened.append(new.get(tile).status_code))
        opening.start()
        for _ in range(3):
            assert reader.get(tile).status_code == 200
        assert opened == [], "the control: what is not on record yet has to wait"
    opening.join(60)
    assert opened == [200]


def test_a_server_says_when_it_began_and_what_it_has_learned(world: World) -> None:
    with world.database.writing() as session:
        epoch.bump(session)
        standing = epoch.read(session)
    wait_until(lambda: told(world, session.now_us) is not None, "the server to learn of it")
    with world.database.reading() as session:
        seen = session.execute(select(EpochSeenRow.epoch, EpochSeenRow.first).order_by(EpochSeenRow.epoch)).all()
    assert [tuple(row) for row in seen] == [(standing - 1, True), (standing, False)]


def told(world: World, ended_us: int) -> int | None:
    with world.database.reading() as session:
        return epoch.last_tile(session, ended_us)


@contextmanager
def nobody_writes(world: World) -> Iterator[None]:
    """As long as this lasts, no event can be put on record."""
    with world.database.writing() as session:
        on_postgresql = session.get_bind().dialect.name == "postgresql"
        # A transaction begins with its first statement.
        session.execute(text("LOCK TABLE audit_event IN EXCLUSIVE MODE" if on_postgresql else "SELECT 1"))
        yield


@pytest.mark.parametrize(("look", "begun"), [(Look.TILE, 1), (Look.FILE, 0)])
def test_who_goes_on_stays_signed_in_and_begins_no_new_reading(
    settings, database, centres, indexed, look: Look, begun: int
) -> None:
    """Nobody waits for that to be noted; but it is, or the session would end after half an hour."""
    settings.var.mkdir()
    slide = World("", settings, database, centres, indexed).add_slide(centres.caen, "26H01234")
    clock = FrozenClock(SystemClock().now_us())
    own = open_database(settings.database, clock)
    with own.writing() as session:
        token = sessions.create(session, centres.caen.pathologist)

    def used_us() -> int:
        with own.reading() as session:
            return session.scalars(select(SessionTokenRow.used_us)).one()

    async def scene() -> list[Verdict]:
        access, told = Access(own), []
        for _ in range(4):
            access.read_epoch()
            assert access.decide(f"{token};", slide.id, look) is None
            told.append((await access.ask(f"{token};", slide.id, look)).verdict)
            await asyncio.to_thread(wait_until, lambda: used_us() == clock.now_us(), "the note")
            clock.advance(minutes=20)
        clock.advance(minutes=10)
        access.read_epoch()
        return [*told, (await access.ask(f"{token};", slide.id, look)).verdict]

    assert asyncio.run(scene()) == [Verdict.ALLOWED] * 4 + [Verdict.SIGNED_OUT]
    with own.reading() as session:
        opened = session.scalars(select(AuditEventRow.id).where(AuditEventRow.act == Act.SLIDE_OPENED)).all()
    assert len(opened) == begun
    own.close()


def test_who_was_a_guest_fills_the_log_with_nothing_invented(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    link = world.link(slide)
    guest = world.guest(link)
    with world.database.writing() as session:
        links.revoke(session, world.centres.caen.pathologist, link["id"])

    def refusals() -> int:
        with world.database.reading() as session:
            asked = select(AuditEventRow.id).where(AuditEventRow.act == Act.ACCESS_REFUSED)
            return len(session.scalars(asked).all())

    for slide_id in ("a" * 26, "b" * 26):
        wait_until(
            lambda slide_id=slide_id: guest.get(f"/tiles/{slide_id}/{'0' * 16}/0/0_0").status_code == 410, "an end"
        )
    assert refusals() == 0
    assert guest.get(f"/tiles/{slide.id}/{slide.version}/0/0_0").status_code == 410
    assert refusals() == 1, "the control: what there is, is on record"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_was_in_the_way_of_another_is_asked_about_again(settings, database, centres, indexed) -> None:
    settings.var.mkdir()
    slide = World("", settings, database, centres, indexed).add_slide(centres.caen, "26H01234")
    first, last = sorted([centres.caen.pathologist, centres.caen.lab_manager], key=lambda member: member.id)
    with database.writing() as session:
        keys = [(f"{sessions.create(session, member)};", slide.id, Look.TILE) for member in (first, last)]

    def somebody_waits() -> bool:
        with database.reading() as session:
            return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    told: list[Decision] = []
    with database.writing() as session:
        readings.open_reading(session, last, slide)
        admitting = threading.Thread(target=lambda: told.extend(Admissions(database).admit(keys).values()))
        admitting.start()
        wait_until(somebody_waits, "a lock")
        # Now both wait for each other; PostgreSQL ends whoever first asks why.
        session.execute(text("SET LOCAL deadlock_timeout = '20s'"))
        assert readings.open_reading(session, first, slide)
    admitting.join(60)
    assert [decision.verdict for decision in told] == [Verdict.ALLOWED] * 2
    with database.reading() as session:
        opened = session.scalars(select(AuditEventRow.id).where(AuditEventRow.act == Act.SLIDE_OPENED)).all()
    assert len(opened) == 2
