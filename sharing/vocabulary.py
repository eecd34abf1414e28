"""The words of the domain as types: ids, roles, states, acts. Every other module of `sharing` builds on this one.

The values are stored in the database and sealed into the audit log: a value, once published, keeps its meaning for
ever. New ones may be added.
"""

import base64
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

SiteId = NewType("SiteId", str)
MemberId = NewType("MemberId", str)
ScannerId = NewType("ScannerId", str)
CaseId = NewType("CaseId", str)
SlideId = NewType("SlideId", str)
UploadId = NewType("UploadId", str)
EventId = NewType("EventId", str)

PLATFORM = SiteId("platform")
"""The audit chain of what belongs to no site: unknown visitors, the start of a server. Never a site's id."""


def new_id() -> str:
    """128 random bits as 26 characters of `a-z2-7`: fit for a URL, a file name and a barcode; not to be guessed."""
    return base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()


class Role(StrEnum):
    PATHOLOGIST = "pathologist"
    TECHNICIAN = "technician"
    LAB_MANAGER = "lab_manager"


class Action(StrEnum):
    """What a subject may ask for; `policy.may` answers."""

    LIST_CASES = "case.list"
    VIEW_CASE = "case.view"
    REGISTER_CASE = "case.register"
    VIEW_SLIDE = "slide.view"
    VIEW_LABEL = "slide.label"
    PUSH_SLIDE = "slide.push"
    ASSIGN_SLIDE = "slide.assign"
    VIEW_INTAKE = "intake.view"
    READ_AUDIT = "audit.read"
    ERASE_PERSONAL = "audit.erase"


class SlideState(StrEnum):
    RECEIVED = "received"
    """Every byte is stored and its digest proved."""
    INDEXING = "indexing"
    """A sandboxed worker is reading it."""
    READY = "ready"
    REFUSED = "refused"
    """It cannot be shown; the reason stands beside it in words."""


class Purpose(StrEnum):
    """Why somebody looks (FHIR Consent.provision.purpose)."""

    CARE = "care"
    TUMOUR_BOARD = "tumour_board"
    TEACHING = "teaching"
    RESEARCH = "research"
    AI = "ai"


class Outcome(StrEnum):
    """How an act ended (DICOM PS3.15 A.5, Event Outcome Indicator)."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILED = "failed"


class EventType(StrEnum):
    """Event ID of DICOM PS3.15 A.5 (coding scheme DCM)."""

    APPLICATION_ACTIVITY = "110100"
    AUDIT_LOG_USED = "110101"
    INSTANCES_ACCESSED = "110103"
    EXPORT = "110106"
    IMPORT = "110107"
    PATIENT_RECORD = "110110"
    QUERY = "110112"
    SECURITY_ALERT = "110113"
    USER_AUTHENTICATION = "110114"


class ActionCode(StrEnum):
    """Event Action Code of DICOM PS3.15 A.5, AuditEvent.action of FHIR."""

    C = "C"
    R = "R"
    U = "U"
    D = "D"
    E = "E"


class Act(StrEnum):
    """What happened, in the audit log. Each act has one DICOM event type and one action code, see `ACTS`."""

    SERVER_STARTED = "server.started"
    SITE_ADDED = "site.added"
    MEMBER_ADDED = "member.added"
    MEMBER_DISABLED = "member.disabled"
    SCANNER_ADDED = "scanner.added"
    SCANNER_DISABLED = "scanner.disabled"
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    ACCESS_REFUSED = "access.refused"
    STRANGERS_REFUSED = "strangers.refused"
    CASE_REGISTERED = "case.registered"
    SLIDE_RECEIVED = "slide.received"
    SLIDE_REGISTERED = "slide.registered"
    SLIDE_ASSIGNED = "slide.assigned"
    SLIDE_OPENED = "slide.opened"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    PERSONAL_ERASED = "audit.personal_erased"

    @property
    def type(self) -> EventType:
        return ACTS[self][0]

    @property
    def code(self) -> ActionCode:
        return ACTS[self][1]


ACTS: dict[Act, tuple[EventType, ActionCode]] = {
    Act.SERVER_STARTED: (EventType.APPLICATION_ACTIVITY, ActionCode.E),
    Act.SITE_ADDED: (EventType.APPLICATION_ACTIVITY, ActionCode.C),
    Act.MEMBER_ADDED: (EventType.SECURITY_ALERT, ActionCode.C),
    Act.MEMBER_DISABLED: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.SCANNER_ADDED: (EventType.SECURITY_ALERT, ActionCode.C),
    Act.SCANNER_DISABLED: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.SESSION_OPENED: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.SESSION_CLOSED: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.ACCESS_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.STRANGERS_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.CASE_REGISTERED: (EventType.PATIENT_RECORD, ActionCode.C),
    Act.SLIDE_RECEIVED: (EventType.IMPORT, ActionCode.C),
    Act.SLIDE_REGISTERED: (EventType.IMPORT, ActionCode.U),
    Act.SLIDE_ASSIGNED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.SLIDE_OPENED: (EventType.INSTANCES_ACCESSED, ActionCode.R),
    Act.AUDIT_READ: (EventType.AUDIT_LOG_USED, ActionCode.R),
    Act.AUDIT_VERIFIED: (EventType.AUDIT_LOG_USED, ActionCode.E),
    Act.PERSONAL_ERASED: (EventType.AUDIT_LOG_USED, ActionCode.D),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing an event or a refusal is about: `kind` is case, slide, upload, scanner, member, site or event."""

    kind: str
    id: str
