"""Whoever has the journal verified, again and again, takes nothing from those who work."""

import asyncio

import httpx
import pytest

from sharing import sessions


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
            while state.verifications.statistics().tasks_waiting < len(many):
                await asyncio.sleep(0.01)
            assert state.database.engine.pool.checkedout() == 0
            assert (await manager.get("/audit")).status_code == 200
            assert not any(task.done() for task in many)
            for task in many[1:]:
                task.cancel()
            state.verifications.release()
            assert (await many[0]).status_code == 200

    asyncio.run(asyncio.wait_for(main(), 60))
