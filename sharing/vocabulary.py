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
ConsultationId = NewType("ConsultationId", str)
OpinionId = NewType("OpinionId", str)
LinkId = NewType("LinkId", str)
GuestId = NewType("GuestId", str)
ObjectionId = NewType("ObjectionId", str)
WitnessId = NewType("WitnessId", str)

PLATFORM = SiteId("platform")
"""The audit chain of what belongs to no site: unknown visitors, the start of a server. Never a site's id."""


def new_id() -> str:
    """128 random bits as 26 characters of `a-z2-7`: fit for a URL, a file name and a barcode; not to be guessed."""
    return base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()


def new_reference(initial: str) -> str:
    """A short number to say on the telephone, such as "A-7K2M": it names an exchange, it opens nothing.

    Of the letters and digits, those that are mistaken for one another are left out.
    """
    return f"{initial}-{''.join(secrets.choice('23456789ACDEFGHJKMNPQRTUVWXY') for _ in range(5))}"


class Role(StrEnum):
    """What a member is at the own site; what each may do is told in `sharing.rights`."""

    PATHOLOGIST = "pathologist"
    TRAINEE = "trainee"
    TECHNICIAN = "technician"
    LAB_MANAGER = "lab_manager"
    DATA_PROTECTION_OFFICER = "data_protection_officer"
    SITE_ADMINISTRATOR = "site_administrator"
    """Looks after accounts, and reads no patient's data."""
    EXTERNAL_EXPERT = "external_expert"
    """Answers what is asked of him by name, and has no slides of his own."""


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
    REQUEST_CONSULTATION = "consultation.request"
    VIEW_CONSULTATION = "consultation.view"
    """Read what was asked, said and answered: the words, not the slides."""
    FOLLOW_CONSULTATION = "consultation.follow"
    """Make the moves of the side that asked."""
    ANSWER_CONSULTATION = "consultation.answer"
    """Make the moves of the side that was asked."""
    SHARE_BY_LINK = "link.share"
    REVOKE_LINK = "link.revoke"
    VIEW_SHARES = "share.list"
    END_SHARE = "share.end"
    """End what somebody else of the site shares."""
    CERTIFY_SHARES = "share.certify"
    """Issue the certificate of what was shared of a case."""
    DOWNLOAD_SLIDE = "slide.download"
    """Take the file away as the scanner made it."""
    EXPLAIN_ACCESS = "access.explain"
    """Ask why somebody of the site may or may not do something; about oneself everybody may."""
    VIEW_OBJECTIONS = "objection.view"
    REGISTER_OBJECTION = "objection.register"
    """Enter that a patient objects to a purpose, and withdraw it."""
    MANAGE_MEMBERS = "member.manage"
    """Open, change and close accounts of the site."""


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


class Origin(StrEnum):
    """How a patient's objection reached the centre."""

    LETTER = "letter"
    MAIL = "mail"
    IN_PERSON = "in_person"
    OTHER = "other"


class Urgency(StrEnum):
    """FHIR ServiceRequest.priority."""

    ROUTINE = "routine"
    URGENT = "urgent"


class Agreement(StrEnum):
    """How an opinion stands to the diagnosis that was asked about."""

    AGREE = "agree"
    MINOR = "minor"
    """A difference without consequence for the patient."""
    MAJOR = "major"
    """A difference that changes what is done."""
    UNDECIDED = "undecided"


class OpinionStatus(StrEnum):
    """FHIR DiagnosticReport.status. An opinion is never changed: a later one amends it."""

    FINAL = "final"
    AMENDED = "amended"


class ConsultationState(StrEnum):
    """FHIR Task.status, as two pathologists would say it."""

    REQUESTED = "requested"
    OPENED = "opened"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    MORE_INFORMATION = "more_information"
    ANSWERED = "answered"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Side(StrEnum):
    """The two who hold a consultation between them."""

    REQUESTER = "requester"
    CONSULTANT = "consultant"


class Move(StrEnum):
    """What moves a consultation; from which state, by whom and where to is told in `consultations.ALLOWED`."""

    REQUEST = "request"
    OPEN = "open"
    ACCEPT = "accept"
    DECLINE = "decline"
    ASK = "ask"
    """Ask for more information."""
    REPLY = "reply"
    ANSWER = "answer"
    AMEND = "amend"
    CLOSE = "close"
    CANCEL = "cancel"


class LinkState(StrEnum):
    """Whether a link still admits a guest, and if not, why."""

    LIVE = "live"
    USED_UP = "used_up"
    """Nobody new is admitted; who came in before stays until the link expires or is revoked."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    MAKER_GONE = "maker_gone"
    """Its maker's account is closed, or may no longer share the case."""
    OBJECTED = "objected"
    """The patient objects to the link's purpose."""


class Vain(StrEnum):
    """Why a try at a link that stands was in vain; at one that is over it is the LinkState."""

    WRONG_KEY = "wrong_key"
    WRONG_CODE = "wrong_code"
    STALE_CODE = "stale_code"
    """A code was given when none was to be had: it was used or replaced, its time or its tries were over."""


class Contradiction(StrEnum):
    """Why a witness does not countersign a log."""

    SHORTER = "shorter"
    """It has fewer entries than the witness signed."""
    REWRITTEN = "rewritten"
    """It does not go on from the entries that the witness signed."""
    GONE = "gone"
    RENAMED = "renamed"
    OTHER_KEY = "other-key"
    UNSIGNED = "unsigned"
    ENTRIES_MISSING = "entries-missing"
    NONSENSE = "nonsense"
    """It says what no log can say."""


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
    SCANNER_KEY_ADDED = "scanner.key_added"
    SCANNER_KEY_ENDED = "scanner.key_ended"
    SITE_QUOTA_SET = "site.quota_set"
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    ACCESS_REFUSED = "access.refused"
    STRANGERS_REFUSED = "strangers.refused"
    CASE_REGISTERED = "case.registered"
    SLIDE_RECEIVED = "slide.received"
    SLIDE_REGISTERED = "slide.registered"
    SLIDE_ASSIGNED = "slide.assigned"
    SLIDE_CLAIMED = "slide.claimed"
    CLAIM_RESOLVED = "slide.claim_resolved"
    BLOB_DAMAGED = "blob.damaged"
    BLOB_SOUND = "blob.sound"
    SLIDE_OPENED = "slide.opened"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    PERSONAL_ERASED = "audit.personal_erased"
    CONSULTATION_REQUESTED = "consultation.requested"
    CONSULTATION_OPENED = "consultation.opened"
    CONSULTATION_ACCEPTED = "consultation.accepted"
    CONSULTATION_DECLINED = "consultation.declined"
    INFORMATION_ASKED = "consultation.information_asked"
    INFORMATION_GIVEN = "consultation.information_given"
    OPINION_SIGNED = "opinion.signed"
    OPINION_AMENDED = "opinion.amended"
    CONSULTATION_CLOSED = "consultation.closed"
    CONSULTATION_CANCELLED = "consultation.cancelled"
    LINK_MADE = "link.made"
    LINK_REDEEMED = "link.redeemed"
    LINK_REFUSED = "link.refused"
    LINK_REVOKED = "link.revoked"
    SHARES_READ = "shares.read"
    MAIL_SENT = "mail.sent"
    MAIL_FAILED = "mail.failed"
    BACKUP_TAKEN = "backup.taken"
    BACKUP_RESTORED = "backup.restored"
    CASE_OPENED = "case.opened"
    CASES_LISTED = "cases.listed"
    INTAKE_READ = "intake.read"
    LABEL_READ = "slide.label_read"
    SLIDE_DOWNLOADED = "slide.downloaded"
    UPLOAD_FORGOTTEN = "upload.forgotten"
    ACCESS_EXPLAINED = "access.explained"
    OBJECTION_REGISTERED = "objection.registered"
    OBJECTION_WITHDRAWN = "objection.withdrawn"
    OBJECTIONS_READ = "objections.read"
    LINK_CODE_SENT = "link.code_sent"
    MEMBER_CHANGED = "member.changed"
    PASSWORD_RAN_OUT = "member.password_ran_out"  # noqa: S105
    """A password that an administrator gave, and nobody used in time."""
    SESSIONS_ENDED = "session.ended"
    AUDIT_EXPORTED = "audit.exported"
    SHARES_EXPORTED = "shares.exported"
    CERTIFICATE_ISSUED = "certificate.issued"
    WITNESS_ADDED = "witness.added"
    WITNESS_DISABLED = "witness.disabled"
    WITNESS_REFUSED = "witness.refused"
    WITNESS_RESUMED = "witness.resumed"

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
    Act.SCANNER_KEY_ADDED: (EventType.SECURITY_ALERT, ActionCode.C),
    Act.SCANNER_KEY_ENDED: (EventType.SECURITY_ALERT, ActionCode.D),
    Act.SITE_QUOTA_SET: (EventType.APPLICATION_ACTIVITY, ActionCode.U),
    Act.SESSION_OPENED: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.SESSION_CLOSED: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.ACCESS_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.STRANGERS_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.CASE_REGISTERED: (EventType.PATIENT_RECORD, ActionCode.C),
    Act.SLIDE_RECEIVED: (EventType.IMPORT, ActionCode.C),
    Act.SLIDE_REGISTERED: (EventType.IMPORT, ActionCode.U),
    Act.SLIDE_ASSIGNED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.SLIDE_CLAIMED: (EventType.IMPORT, ActionCode.E),
    Act.CLAIM_RESOLVED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.BLOB_DAMAGED: (EventType.SECURITY_ALERT, ActionCode.R),
    Act.BLOB_SOUND: (EventType.APPLICATION_ACTIVITY, ActionCode.R),
    Act.SLIDE_OPENED: (EventType.INSTANCES_ACCESSED, ActionCode.R),
    Act.AUDIT_READ: (EventType.AUDIT_LOG_USED, ActionCode.R),
    Act.AUDIT_VERIFIED: (EventType.AUDIT_LOG_USED, ActionCode.E),
    Act.PERSONAL_ERASED: (EventType.AUDIT_LOG_USED, ActionCode.D),
    Act.CONSULTATION_REQUESTED: (EventType.EXPORT, ActionCode.C),
    Act.CONSULTATION_OPENED: (EventType.PATIENT_RECORD, ActionCode.R),
    Act.CONSULTATION_ACCEPTED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.CONSULTATION_DECLINED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.INFORMATION_ASKED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.INFORMATION_GIVEN: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.OPINION_SIGNED: (EventType.PATIENT_RECORD, ActionCode.C),
    Act.OPINION_AMENDED: (EventType.PATIENT_RECORD, ActionCode.C),
    Act.CONSULTATION_CLOSED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.CONSULTATION_CANCELLED: (EventType.PATIENT_RECORD, ActionCode.U),
    Act.LINK_MADE: (EventType.EXPORT, ActionCode.C),
    Act.LINK_REDEEMED: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.LINK_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.LINK_REVOKED: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.SHARES_READ: (EventType.AUDIT_LOG_USED, ActionCode.R),
    Act.MAIL_SENT: (EventType.APPLICATION_ACTIVITY, ActionCode.E),
    Act.MAIL_FAILED: (EventType.APPLICATION_ACTIVITY, ActionCode.E),
    Act.BACKUP_TAKEN: (EventType.EXPORT, ActionCode.R),
    Act.BACKUP_RESTORED: (EventType.IMPORT, ActionCode.C),
    Act.CASE_OPENED: (EventType.PATIENT_RECORD, ActionCode.R),
    Act.CASES_LISTED: (EventType.QUERY, ActionCode.E),
    Act.INTAKE_READ: (EventType.QUERY, ActionCode.E),
    Act.LABEL_READ: (EventType.INSTANCES_ACCESSED, ActionCode.R),
    Act.SLIDE_DOWNLOADED: (EventType.EXPORT, ActionCode.R),
    Act.UPLOAD_FORGOTTEN: (EventType.IMPORT, ActionCode.D),
    Act.ACCESS_EXPLAINED: (EventType.QUERY, ActionCode.E),
    Act.OBJECTION_REGISTERED: (EventType.PATIENT_RECORD, ActionCode.C),
    Act.OBJECTION_WITHDRAWN: (EventType.PATIENT_RECORD, ActionCode.D),
    Act.OBJECTIONS_READ: (EventType.QUERY, ActionCode.E),
    Act.LINK_CODE_SENT: (EventType.USER_AUTHENTICATION, ActionCode.E),
    Act.MEMBER_CHANGED: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.PASSWORD_RAN_OUT: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.SESSIONS_ENDED: (EventType.SECURITY_ALERT, ActionCode.D),
    Act.AUDIT_EXPORTED: (EventType.AUDIT_LOG_USED, ActionCode.R),
    Act.SHARES_EXPORTED: (EventType.AUDIT_LOG_USED, ActionCode.R),
    Act.CERTIFICATE_ISSUED: (EventType.AUDIT_LOG_USED, ActionCode.E),
    Act.WITNESS_ADDED: (EventType.SECURITY_ALERT, ActionCode.C),
    Act.WITNESS_DISABLED: (EventType.SECURITY_ALERT, ActionCode.U),
    Act.WITNESS_REFUSED: (EventType.SECURITY_ALERT, ActionCode.E),
    Act.WITNESS_RESUMED: (EventType.SECURITY_ALERT, ActionCode.E),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing an event or a refusal is about: `kind` is case, slide, upload, scanner, member, guest, site, event,
    consultation, opinion, link, objection or witness.
    """

    kind: str
    id: str
