"""The server tidies up while it runs, not only when it starts."""

import os

from fixtures.waiting import wait_until
from sqlalchemy import select, update

from sharing.db.tables import AuditEventRow, MemberRow
from sharing.vocabulary import Act
from slideserver import state as lifetime
from slideserver.state import State, working


def test_what_was_put_aside_goes_without_a_restart(state: State, database, centres, monkeypatch) -> None:
    monkeypatch.setattr(lifetime, "SWEEP_EVERY_S", 0.05)
    left = state.settings.var / "aside" / "caen" / "ab" / ("ab" * 32)
    left.parent.mkdir(parents=True)
    with working(state):  # which has swept once by now
        left.touch()
        os.utime(left, (1, 1))
        wait_until(lambda: not left.exists(), "the sweep")
        with database.writing() as session:
            over = update(MemberRow).where(MemberRow.id == centres.caen.trainee.id)
            session.execute(over.values(password_until_us=session.now_us))

        def noted() -> bool:
            with database.reading() as session:
                found = select(AuditEventRow.id).where(AuditEventRow.act == Act.PASSWORD_RAN_OUT)
                return session.scalar(found) is not None

        wait_until(noted, "what the journal says of a first password that nobody used")
