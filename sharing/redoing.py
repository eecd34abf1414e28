"""What has to be done again after a restore: acts that an export of the log holds and the database does not.

A backup is older than the moment of the loss. Images come again from the scanners; that a patient objected, or that an
account was closed, does not come again by itself. Who keeps an export elsewhere, the whole one or the small one of
these acts, finds by it what is missing.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select

from sharing import logfile
from sharing.db.engine import Session
from sharing.db.tables import (
    AuditEventRow,
    AuditPersonalRow,
    AuditSealRow,
    CaseRow,
    ConsultationRow,
    MemberRow,
    ObjectionRow,
    ScannerRow,
    WitnessRow,
)
from sharing.errors import InvalidError
from sharing.vocabulary import Act, SiteId

ACTS = (
    Act.OBJECTION_REGISTERED,
    Act.OBJECTION_WITHDRAWN,
    Act.MEMBER_DISABLED,
    Act.MEMBER_CHANGED,
    Act.SCANNER_DISABLED,
    Act.SCANNER_KEY_ENDED,
    Act.CONSULTATION_CLOSED,
    Act.CONSULTATION_CANCELLED,
    Act.PERSONAL_ERASED,
    Act.WITNESS_DISABLED,
)
"""Those that took something away from somebody. Sessions and links end with every restore."""
VERSION = 1
_HEAD = "iain-acts-to-redo"
_AT_ONCE = 500
_NAMES: dict[str, tuple[Any, Any]] = {
    "case": (CaseRow.id, CaseRow.accession),
    "member": (MemberRow.id, MemberRow.login),
    "scanner": (ScannerRow.id, ScannerRow.name),
    "consultation": (ConsultationRow.id, ConsultationRow.reference),
    "witness": (WitnessRow.id, WitnessRow.name),
}
"""By what people call a thing of this kind, where the database knows it still."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An act that the export holds and the database does not."""

    site_id: SiteId
    seq: int
    """Its number in the chain that is lost."""
    recorded_us: int
    act: Act
    purpose: str
    about: str
    """What it was done to, as people call it; by its id if the database does not know it."""
    who: str
    """Empty where the export names nobody."""
    done: bool
    """Whether the register has it again by now; told of objections alone."""


@dataclass(frozen=True, slots=True)
class Missing:
    entries: int
    """How many entries the database does not have, of whatever kind."""
    acts: tuple[Lost, ...]
    """The oldest first."""


def lines(session: Session, site_ids: Sequence[SiteId]) -> Iterator[str]:
    """The small export: these acts alone, as the whole one has them. It proves nothing."""
    yield logfile.line({_HEAD: VERSION})
    event, seal = AuditEventRow.__table__, AuditSealRow
    rows = session.execute(
        select(event, seal.seq, seal.sealed_us, seal.hash, AuditPersonalRow.salt, AuditPersonalRow.body)
        .join(seal, seal.event_id == event.c.id)
        .outerjoin(AuditPersonalRow, AuditPersonalRow.event_id == event.c.id)
        .where(event.c.site_id.in_(site_ids), event.c.act.in_(ACTS))
        .order_by(event.c.site_id, seal.seq)
    )
    for row in rows:
        told = _object(logfile.entry(row, persons=True))
        things = {each["id"]: each["kind"] for each in (told.get("event") or {}).get("entities", ())}
        # What came after the backup is not there to be looked up after a restore, so its name goes along.
        yield logfile.line({**told, "called": {thing: _name(session, kind, thing) for thing, kind in things.items()}})


def missing(session: Session, exported: Iterable[str]) -> Missing:
    """What of an export, a whole or a small one, the database does not have. Raises InvalidError for another file."""
    found = iter(exported)
    head = _object(next(found, ""))
    if not {_HEAD, "iain-audit-log"} & head.keys():
        raise InvalidError("This is no export of the journal. Give a file that `iain audit export` wrote.")
    entries = (entry for entry in map(_object, found) if isinstance(entry.get("event"), dict))
    count, lost = 0, []
    try:
        while some := {entry["event"]["id"]: entry for entry in islice(entries, _AT_ONCE)}:
            known = set(session.scalars(select(AuditEventRow.id).where(AuditEventRow.id.in_(some))))
            new = [entry for event_id, entry in some.items() if event_id not in known]
            count += len(new)
            lost += [entry for entry in new if entry["event"]["act"] in ACTS and entry["event"]["outcome"] == "success"]
        lost.sort(key=lambda entry: entry["event"]["recorded_us"])
        return Missing(count, tuple(_lost(session, entry) for entry in lost))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidError("This export is damaged: an entry is in no format. Check it with verifier.py.") from error


def _object(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _lost(session: Session, entry: dict[str, Any]) -> Lost:
    event, personal, called = entry["event"], entry.get("personal"), entry.get("called", {})
    things = {each["kind"]: each["id"] for each in event["entities"]}
    return Lost(
        site_id=SiteId(event["site"]),
        seq=entry["seq"],
        recorded_us=event["recorded_us"],
        act=Act(event["act"]),
        purpose=event["purpose"] or "",
        about=", ".join(
            f"{kind} {called.get(thing) or _name(session, kind, thing)}"
            for kind, thing in things.items()
            if kind != "objection"
        ),
        who=json.loads(personal["body"]).get("agent_name", "") if personal else "",
        done=_done(session, event["act"], things.get("case"), event["purpose"]),
    )


def _name(session: Session, kind: str, thing: str) -> str:
    if kind not in _NAMES:
        return thing
    key, name = _NAMES[kind]
    return session.scalar(select(name).where(key == thing)) or thing


def _done(session: Session, act: str, case_id: str | None, purpose: str | None) -> bool:
    case = session.get(CaseRow, case_id) if case_id else None
    if act not in (Act.OBJECTION_REGISTERED, Act.OBJECTION_WITHDRAWN) or case is None:
        return False
    row = ObjectionRow
    standing = session.scalar(
        select(row.id).where(
            row.site_id == case.site_id,
            row.patient_key == case.patient_key,
            row.purpose == purpose,
            row.withdrawn_us.is_(None),
        )
    )
    return (standing is not None) == (act == Act.OBJECTION_REGISTERED)
