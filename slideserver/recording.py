"""Putting on record what a page or an answer shows, before it leaves.

Reading needs no turn to write; putting it on record does. So a route that shows patients' data reads as every other,
says what has to be noted, and `RecordDep` has that written when the route is done (`slideserver.recorder`). It is
durable before the first byte of the answer leaves; if it cannot be, there is no answer.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends

from slideserver.deps import StateDep, VisitorDep
from slideserver.recorder import Record as Record


async def get_record(state: StateDep, _visitor: VisitorDep) -> AsyncIterator[Record]:
    record = Record()
    yield record
    if record.notes:
        await state.recorder.ask(record)


RecordDep = Annotated[Record, Depends(get_record, scope="function")]
