"""How not to do it: a server that puts an act on record a moment after it was done.

`python -m benchmarks.torture_sharing.late_record serve …`, as `iain serve …`. It exists to show that
`benchmarks.torture_sharing.completeness` can tell.
"""

import threading
from typing import Any

from sqlalchemy import event

from sharing import audit
from sharing.db.engine import Session
from sharing.vocabulary import EventId, new_id
from slideserver import cli

LATER_S = 0.5
record = audit.record


def later(session: Session, **told: Any) -> EventId:
    engine, now_us = session.get_bind().engine, session.now_us

    def write() -> None:
        with Session(engine.execution_options(iain_writes=True), now_us=now_us, writable=True) as own, own.begin():
            record(own, **told)

    def committed(_: Session) -> None:
        timer = threading.Timer(LATER_S, write)
        timer.daemon = True
        timer.start()

    event.listen(session, "after_commit", committed, once=True)
    return EventId(new_id())


if __name__ == "__main__":
    audit.record = later
    cli.main()
