"""Whoever has the journal verified, again and again, takes nothing from those who work."""

import asyncio

import httpx
import pytest

from sharing import sessions
from slideserver.state import VERIFIERS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_journals_are_verified_one_at_a_time_and_who_waits_holds_nothing(framework, state, centres, database):
    with database.writing() as session:
        token = sessions.create(session, centres.caen.lab_manager)

    async def main():
        transport = httpx.ASGITransport(framework)
        cookies = {state.cookie.name: token}
        async with httpx.AsyncClient(transport=transport, base_url="http://iain.example", cookies=cookies) as manager:
            await state.verifications.acquire()  # one is under way
            many = [asyncio.create_task(manager.post("/audit/verify")) for _ in range(40)]
            while sum(task.done() for task in many) < len(many) - VERIFIERS:
                await asyncio.sleep(0.01)
            assert {task.result().status_code for task in many if task.done()} == {503}
            waiting = [task for task in many if not task.done()]
            assert len(waiting) == VERIFIERS
            assert state.database.engine.pool.checkedout() == 0
            assert (await manager.get("/audit")).status_code == 200
            assert not any(task.done() for task in waiting)
            state.verifications.release()
            assert [(await task).status_code for task in waiting] == [200] * VERIFIERS

    asyncio.run(asyncio.wait_for(main(), 60))
