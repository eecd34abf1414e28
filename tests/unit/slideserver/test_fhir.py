"""The journal as FHIR AuditEvents: every act, held against the model of FHIR and against what R4 demands."""

import json
import re

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle

from sharing.audit_search import AuditRow
from sharing.vocabulary import Act, Entity, EventType, Outcome, Purpose, Role, SiteId
from slideserver import fhir

CAEN = SiteId("caen")
SITES = {"caen": "Caen", "rouen": "Rouen"}
REQUIRED = ("type", "recorded", "agent", "source")
CODES = {"action": "CRUDE", "outcome": ("0", "4", "8", "12")}


def row(**changes) -> AuditRow:
    known = {
        "id": "e" * 26,
        "position": 7,
        "recorded_us": 1_795_275_612_345_678,
        "act": Act.SLIDE_OPENED,
        "outcome": Outcome.SUCCESS,
        "agent_kind": "member",
        "agent_id": "m" * 26,
        "agent_site_id": "rouen",
        "agent_role": Role.PATHOLOGIST,
        "purpose": Purpose.CARE,
        "entities": (Entity("slide", "s" * 26), Entity("case", "c" * 26), Entity("consultation", "a" * 26)),
        "detail": {"owner": "caen"},
        "personal": {"agent_name": "Dr Anne Lambert", "source": "192.0.2.1", "login": "anne", "file_name": "a.svs"},
        "case_id": "c" * 26,
        "slide_id": "s" * 26,
        "accession": "26H01234",
        "slide_name": "a.svs",
        "slide_stain": "HES",
        "slide_block": "A1",
        "seq": 41,
    }
    return AuditRow(**{**known, **changes})


def flaws(event: dict) -> list[str]:
    """What R4 demands of an AuditEvent and this one lacks."""
    found = [f"no {name}" for name in REQUIRED if not event.get(name)]
    found += [f"{name} is {event[name]}" for name, codes in CODES.items() if event.get(name) not in codes]
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.get("recorded", "")):
        found.append("recorded is no instant")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", event.get("id", "")):
        found.append("the id is none of FHIR")
    found += ["an agent without requestor" for agent in event.get("agent", ()) if agent.get("requestor") is None]
    if not event.get("source", {}).get("observer"):
        found.append("no observer")
    for entity in event.get("entity", ()):
        found += ["an entity with name and query"] if "name" in entity and "query" in entity else []
        found += [
            f"detail without {name}"
            for d in entity.get("detail", ())
            for name in ("type", "valueString")
            if not d[name]
        ]
    return found


@pytest.mark.parametrize("act", Act)
def test_every_act_is_an_audit_event_of_r4(act):
    for outcome in Outcome:
        event = fhir.event(row(act=act, outcome=outcome), CAEN, SITES)
        assert flaws(event) == []
        AuditEvent.model_validate(event)
        assert (event["type"]["code"], event["action"]) == (act.type.value, act.code.value)


@pytest.mark.parametrize("kind", ["member", "agent", "guest", "system", "stranger"])
@pytest.mark.parametrize("purpose", [None, *Purpose])
def test_every_agent_and_every_purpose(kind, purpose):
    nobody = {"agent_id": None, "agent_site_id": None, "agent_role": None, "personal": {}, "entities": (), "detail": {}}
    changes = {} if kind == "member" else nobody
    event = fhir.event(row(agent_kind=kind, purpose=purpose, seq=None, **changes), CAEN, SITES)
    assert flaws(event) == []
    AuditEvent.model_validate(event)


def test_the_check_finds_what_it_is_for():
    event = fhir.event(row(), CAEN, SITES)
    for broken in (
        {**event, "recorded": "yesterday"},
        {**event, "source": {"site": "caen"}},
        {**event, "agent": [{"who": {"display": "x"}}]},
        {**event, "agent": []},
        {**event, "outcome": "9"},
    ):
        assert flaws(broken)
    with pytest.raises(ValueError, match="observer"):
        AuditEvent.model_validate({**event, "source": {"site": "caen"}})


def test_what_happened_is_told_where_fhir_looks_for_it():
    event = fhir.event(row(), CAEN, SITES)
    assert event["type"] == {
        "system": "http://dicom.nema.org/resources/ontology/DCM",
        "code": "110103",
        "display": "DICOM Instances Accessed",
    }
    assert event["subtype"] == [{"system": "urn:iain:act", "code": "slide.opened"}]
    assert event["recorded"] == "2026-11-21T15:40:12.345Z"
    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    [agent] = event["agent"]
    assert agent["who"] == {
        "identifier": {"system": "urn:iain:member", "value": "m" * 26},
        "display": "Dr Anne Lambert",
    }
    assert (agent["altId"], agent["network"], agent["location"]) == (
        "anne",
        {"address": "192.0.2.1", "type": "2"},
        {"display": "Rouen"},
    )
    assert event["source"]["observer"] == {"display": "Caen"}
    slide, case, _, told = event["entity"]
    assert slide["what"]["identifier"] == {"system": "urn:iain:slide", "value": "s" * 26}
    assert case["name"] == "26H01234"
    assert told["detail"] == [
        {"type": "chain.entry", "valueString": "41"},
        {"type": "owner", "valueString": "caen"},
    ]


def test_what_was_erased_leaves_no_name_and_what_was_altered_is_no_event():
    event = fhir.event(row(personal=None), CAEN, SITES)
    assert "display" not in event["agent"][0]["who"]
    with pytest.raises(ValueError, match="altered"):
        fhir.event(row(act=None), CAEN, SITES)


def test_a_line_is_one_line_whatever_it_holds():
    line = fhir.line(row(personal={"agent_name": "a\nb\u2028c"}), CAEN, SITES)
    assert line.count("\n") == 1
    assert json.loads(line)["agent"][0]["who"]["display"] == "a\nb\u2028c"


def test_no_patient_is_named():
    personal = {"agent_name": "Dr Anne Lambert", "file_name": "EXEMPLE Zoe.svs", "search": "exemple zoé"}
    line = fhir.line(row(personal={**personal, "recipient": "pr.martin@hopital.example"}), CAEN, SITES)
    assert "pr.martin@hopital.example" in line
    assert "exemple" not in line.casefold()


def test_a_page_of_a_search_is_a_bundle_with_its_next():
    events = [fhir.event(row(), CAEN, SITES)]
    base = "https://iain.example/api/fhir/AuditEvent"
    here = fhir.address(base, {"_count": 1, "cursor": None})
    bundle = fhir.bundle(events, here, fhir.address(base, {"_count": 1, "cursor": "5-7"}))
    Bundle.model_validate(bundle)
    assert bundle["link"] == [
        {"relation": "self", "url": f"{base}?_count=1"},
        {"relation": "next", "url": f"{base}?_count=1&cursor=5-7"},
    ]
    Bundle.model_validate(fhir.bundle([], here, None))


def test_every_event_type_has_the_name_that_dicom_gives_it():
    assert set(fhir.TYPES) == set(EventType)
