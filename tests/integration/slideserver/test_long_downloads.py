"""Whoever downloads is at work: the session lives as long as the download does, and ends as every other."""

import asyncio

import pytest
from fixtures.server import World
from fixtures.waiting import wait_until
from sqlalchemy import select

from sharing import sessions
from sharing.clock import FrozenClock, SystemClock
from sharing.db.engine import open_database
from sharing.db.tables import SessionTokenRow
from slideserver.access import Access
from slideserver.admissions import Look, Verdict


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_session_does_not_run_out_while_its_download_goes_on(settings, database, centres, indexed) -> None:
    settings.var.mkdir()
    slide = World("", settings, database, centres, indexed).add_slide(centres.caen, "26H01234")
    clock = FrozenClock(SystemClock().now_us())
    own = open_database(settings.database, clock)
    with own.writing() as session:
        token = sessions.create(session, centres.caen.pathologist)

    def used_us() -> int:
        with own.reading() as session:
            return session.scalars(select(SessionTokenRow.used_us)).one()

    async def main() -> list[Verdict]:
        access, told = Access(own), []
        for _ in range(3):
            access.read_epoch()
            told.append((await access.ask(f"{token};", slide.id, Look.FILE)).verdict)
            await asyncio.to_thread(wait_until, lambda: used_us() == clock.now_us(), "the note")
            clock.advance(minutes=20)
        clock.advance(minutes=10)
        access.read_epoch()
        return [*told, (await access.ask(f"{token};", slide.id, Look.FILE)).verdict]

    assert asyncio.run(main()) == [Verdict.ALLOWED] * 3 + [Verdict.SIGNED_OUT]
    own.close()
