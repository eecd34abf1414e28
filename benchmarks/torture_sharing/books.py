"""The books of a platform: what its tables say was done, held against what its journal says, both ways.

Each account is a question for what was done and one for the events of it, which must give the same rows the same number
of times. Nothing here uses the program's own way of asking.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

_MOVES = {
    "request": "consultation.requested",
    "open": "consultation.opened",
    "accept": "consultation.accepted",
    "decline": "consultation.declined",
    "ask": "consultation.information_asked",
    "reply": "consultation.information_given",
    "answer": "opinion.signed",
    "amend": "opinion.amended",
    "close": "consultation.closed",
    "cancel": "consultation.cancelled",
}
_ACT_OF_MOVE = " ".join(f"WHEN '{move}' THEN '{act}'" for move, act in _MOVES.items())
_THING = {
    "sqlite": "(SELECT json_extract(value, '$.id') FROM json_each(entities) "
    "WHERE json_extract(value, '$.kind') = '{kind}' LIMIT 1)",
    "postgresql": "(SELECT value ->> 'id' FROM json_array_elements(entities::json) "
    "WHERE value ->> 'kind' = '{kind}' LIMIT 1)",
}

ACCOUNTS: dict[str, tuple[str, str]] = {
    "cases": ("SELECT id FROM case_", "SELECT case_id FROM audit_event WHERE act = 'case.registered'"),
    "slides": ("SELECT id FROM slide", "SELECT slide_id FROM audit_event WHERE act = 'slide.received'"),
    "links": ("SELECT id FROM link", "SELECT {link} FROM audit_event WHERE act = 'link.made'"),
    "ends of links": (
        "SELECT id FROM link WHERE revoked_us IS NOT NULL",
        "SELECT {link} FROM audit_event WHERE act = 'link.revoked'",
    ),
    "guests": ("SELECT id FROM guest", "SELECT agent_id FROM audit_event WHERE act = 'link.redeemed'"),
    "readings of slides": (
        "SELECT r.subject_id, r.slide_id, s.site_id FROM reading r JOIN slide s ON s.id = r.slide_id",
        "SELECT e.agent_id, e.slide_id, e.site_id FROM audit_event e JOIN slide s ON s.id = e.slide_id "
        "WHERE e.act = 'slide.opened' AND s.site_id = e.site_id",
    ),
    "readings of cases": (
        "SELECT r.subject_id, r.case_id FROM case_reading r",
        # Whoever was asked twice about a case opens two requests, in one reading.
        "SELECT agent_id, case_id FROM audit_event WHERE act = 'case.opened' AND case_id IS NOT NULL "
        "UNION ALL SELECT DISTINCT agent_id, case_id FROM audit_event o "
        "WHERE act = 'consultation.opened' AND case_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM audit_event e "
        "WHERE e.act = 'case.opened' AND e.agent_id = o.agent_id AND e.case_id = o.case_id)",
    ),
    "moves, at the owner's": (
        f"SELECT m.consultation_id, CASE m.move {_ACT_OF_MOVE} END, c.site_id "
        "FROM consultation_move m JOIN consultation c ON c.id = m.consultation_id",
        "SELECT {consultation}, act, site_id FROM audit_event WHERE act IN {moves} AND case_id IS NOT NULL",
    ),
    "moves, at the other site's": (
        f"SELECT m.consultation_id, CASE m.move {_ACT_OF_MOVE} END, c.to_site_id "
        "FROM consultation_move m JOIN consultation c ON c.id = m.consultation_id",
        "SELECT {consultation}, act, site_id FROM audit_event WHERE act IN {moves} AND case_id IS NULL",
    ),
    "accounts": ("SELECT id FROM member", "SELECT {member} FROM audit_event WHERE act = 'member.added'"),
    "events and their names": (
        "SELECT id FROM audit_event WHERE commitment IS NOT NULL",
        "SELECT event_id FROM audit_personal",
    ),
    "events and their places": (
        "SELECT id FROM audit_event",
        "SELECT event_id FROM audit_seal UNION ALL "
        "SELECT e.id FROM audit_pending p JOIN audit_event e ON e.position = p.position",
    ),
}
"""By name: what was done, and the events of it."""


@dataclass(frozen=True, slots=True)
class Balance:
    acts: int
    without_event: list[str]
    without_act: list[str]


def balance(connection: Connection) -> Balance:
    """Every account, as the database stands."""
    engine, acts = connection.dialect.name, 0
    without_event: list[str] = []
    without_act: list[str] = []
    names: dict[str, Any] = {kind: _THING[engine].format(kind=kind) for kind in ("link", "consultation", "member")}
    names["moves"] = "(" + ", ".join(f"'{act}'" for act in _MOVES.values()) + ")"
    for account, (done, told) in ACCOUNTS.items():
        rows, events = (_counted(connection, question.format(**names)) for question in (done, told))
        acts += rows.total()
        without_event += [f"{account}: {' '.join(map(str, row))}" for row in (rows - events).elements()]
        without_act += [f"{account}: {' '.join(map(str, row))}" for row in (events - rows).elements()]
    return Balance(acts, without_event, without_act)


def _counted(connection: Connection, question: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row) for row in connection.exec_driver_sql(question))
