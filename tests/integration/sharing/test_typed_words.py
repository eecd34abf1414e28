"""What somebody typed may be a name. It stands on record where it can be erased, or not at all."""

import json

import pytest
from sqlalchemy import select

from sharing import audit, audit_search, consultations, shares
from sharing.db.tables import AuditEventRow, AuditPersonalRow
from sharing.errors import InvalidError
from sharing.share_search import Filters as Shares
from sharing.vocabulary import Action, Outcome

NAME = "EXEMPLE Zoé"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_typed_instead_of_an_id_stays_out_of_what_is_kept_for_ever(database, centres):
    caen, manager = centres.caen, centres.caen.lab_manager
    with database.writing() as session:
        audit_search.note_reading(session, manager, audit_search.Filters(case_id=NAME, agent_id=NAME, slide_id=NAME))
        shares.note_reading(session, manager, Shares(organ=NAME, person=NAME, site=NAME, opened=True))
    with database.reading() as session, pytest.raises(InvalidError) as refused:
        consultations.request(
            session, caen.pathologist, caen.cases["26H01234"], question="?", slide_id=NAME, to_site="rouen"
        )
    audit.record_refusal(database, refused.value.refusal)
    with database.reading() as session:
        events = session.scalars(select(AuditEventRow).order_by(AuditEventRow.position.desc()).limit(3)).all()
        erasable = session.scalar(select(AuditPersonalRow.body).where(AuditPersonalRow.event_id == events[1].id))
    assert [json.loads(event.detail) for event in reversed(events[1:])] == [
        {"agent_id": "?", "case_id": "?", "slide_id": "?"},
        {"opened": "true", "person": "?", "site": "?"},
    ]
    assert json.loads(erasable)["organ"] == NAME
    assert (events[0].outcome, json.loads(events[0].detail)["asked"]) == (Outcome.REFUSED, Action.REQUEST_CONSULTATION)
    assert json.loads(events[0].entities)[1] == {"id": "?", "kind": "slide"}
    assert events[0].slide_id == "?"
