"""The audit log in the words of others: FHIR R4 AuditEvent (https://hl7.org/fhir/R4/auditevent.html). Pure.

Type and action are codes of DICOM PS3.15 A.5 as they stand in our log; what FHIR has no code for is said by codes of
our own, under `urn:iain:`. No patient is named: a case is known by its accession number.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sharing.audit_search import AuditRow
from sharing.clock import SECOND_US
from sharing.vocabulary import Act, EventType, Outcome, Purpose, SiteId

NDJSON = "application/fhir+ndjson"
JSON = "application/fhir+json"

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ENTITY_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_HUMAN = {"system": "http://terminology.hl7.org/CodeSystem/extra-security-role-type", "code": "humanuser"}

TYPES: Mapping[EventType, str] = {
    EventType.APPLICATION_ACTIVITY: "Application Activity",
    EventType.AUDIT_LOG_USED: "Audit Log Used",
    EventType.INSTANCES_ACCESSED: "DICOM Instances Accessed",
    EventType.EXPORT: "Export",
    EventType.IMPORT: "Import",
    EventType.PATIENT_RECORD: "Patient Record",
    EventType.QUERY: "Query",
    EventType.SECURITY_ALERT: "Security Alert",
    EventType.USER_AUTHENTICATION: "User Authentication",
}
OUTCOMES: Mapping[Outcome, str] = {Outcome.SUCCESS: "0", Outcome.REFUSED: "4", Outcome.FAILED: "8"}
REASONS: Mapping[Purpose, str] = {
    Purpose.CARE: "TREAT",
    Purpose.TUMOUR_BOARD: "CAREMGT",
    Purpose.TEACHING: "TRAIN",
    Purpose.RESEARCH: "HRESCH",
}
"""PurposeOfUse of HL7 v3; it has none for a program that looks at pictures."""


def event(row: AuditRow, site_id: SiteId, sites: Mapping[str, str]) -> dict[str, Any]:
    """The event of the log of `site_id` as an AuditEvent; `sites` are the names of all sites. Raises ValueError for a
    row that can no longer be read."""
    if row.act is None:
        raise ValueError("an altered row is no event any more")
    return {
        "resourceType": "AuditEvent",
        "id": row.id,
        "type": {"system": _DCM, "code": row.act.type.value, "display": TYPES[row.act.type]},
        "subtype": [{"system": "urn:iain:act", "code": row.act.value}],
        "action": row.act.code.value,
        "recorded": instant(row.recorded_us),
        "outcome": OUTCOMES[row.outcome],
        **({"purposeOfEvent": [_purpose(Purpose(row.purpose))]} if row.purpose else {}),
        "agent": [_agent(row, sites)],
        "source": {
            "site": site_id,
            "observer": {"display": sites.get(site_id, site_id)},
            "type": [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}],
        },
        **({"entity": entities} if (entities := list(_entities(row))) else {}),
    }


def line(row: AuditRow, site_id: SiteId, sites: Mapping[str, str]) -> str:
    """The event as one line of NDJSON."""
    return json.dumps(event(row, site_id, sites), ensure_ascii=False, separators=(",", ":")) + "\n"


def bundle(events: list[dict[str, Any]], address: str, following: str | None) -> dict[str, Any]:
    """A page of a search (https://hl7.org/fhir/R4/bundle.html): it stands at `address`, the next at `following`."""
    links = [{"relation": "self", "url": address}]
    if following:
        links.append({"relation": "next", "url": following})
    entries = [{"resource": each, "search": {"mode": "match"}} for each in events]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, **({"entry": entries} if entries else {})}


def address(base: str, asked: Mapping[str, object]) -> str:
    """Of a page of a search: what is None was not asked."""
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return f"{base}?{query}"


def instant(when_us: int) -> str:
    """The moment to the millisecond, UTC: what a FHIR `instant` holds everywhere."""
    when = datetime.fromtimestamp(when_us // SECOND_US, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when_us % SECOND_US // 1000:03}Z"


def _purpose(purpose: Purpose) -> dict[str, Any]:
    own = {"system": "urn:iain:purpose", "code": purpose.value}
    code = REASONS.get(purpose)
    return {"coding": [{"system": _REASON, "code": code}, own] if code else [own]}


def _agent(row: AuditRow, sites: Mapping[str, str]) -> dict[str, Any]:
    personal = row.personal or {}
    who: dict[str, Any] = {}
    if row.agent_id:
        who["identifier"] = {"system": f"urn:iain:{row.agent_kind}", "value": row.agent_id}
    if row.agent_name:
        who["display"] = row.agent_name
    kind = {"system": "urn:iain:agent", "code": row.agent_kind}
    agent: dict[str, Any] = {
        "type": {"coding": [_HUMAN, kind] if row.agent_kind in ("member", "guest") else [kind]},
        "who": who or {"display": row.agent_kind},
        "requestor": True,
    }
    if row.agent_role:
        agent["role"] = [{"coding": [{"system": "urn:iain:role", "code": row.agent_role}]}]
    if (login := personal.get("login")) and row.act is not Act.MEMBER_ADDED:  # there it is that of the new account
        agent["altId"] = login
    if row.agent_site_id:
        agent["location"] = {"display": sites.get(row.agent_site_id, row.agent_site_id)}
    if source := personal.get("source"):
        agent["network"] = {"address": source, "type": "2"}
    return agent


def _entities(row: AuditRow) -> Iterator[dict[str, Any]]:
    for each in row.entities:
        named = {"name": row.accession} if each.kind == "case" and each.id == row.case_id and row.accession else {}
        yield {
            "what": {"identifier": {"system": f"urn:iain:{each.kind}", "value": each.id}},
            "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
            **named,
        }
    told = {key: value for key, value in {**row.detail, **_told(row)}.items() if value}
    if told:
        role = ("24", "Query") if row.act in (Act.AUDIT_READ, Act.SHARES_READ) else ("4", "Domain Resource")
        yield {
            "type": {"system": _ENTITY_TYPE, "code": "2", "display": "System Object"},
            "role": {"system": _ENTITY_ROLE, "code": role[0], "display": role[1]},
            "detail": [{"type": key, "valueString": value} for key, value in sorted(told.items())],
        }


def _told(row: AuditRow) -> dict[str, str]:
    """What of the personal part is of no patient, besides who it was, and the place in the chain by which the entry can
    be checked."""
    personal = {key: value for key, value in (row.personal or {}).items() if key in _OF_NO_PATIENT}
    return personal | ({"chain.entry": str(row.seq)} if row.seq else {})


_OF_NO_PATIENT = frozenset({"accession", "name", "other_accession", "recipient"})
"""File names, and what was typed to find a case, name patients as often as not: they stay with the log."""
