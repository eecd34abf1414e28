"""Who makes a request (FHIR AuditEvent.agent; DICOM PS3.15 A.5, Active Participant)."""

from dataclasses import dataclass
from typing import ClassVar

from sharing.vocabulary import GuestId, LinkId, MemberId, Role, ScannerId, SiteId


@dataclass(frozen=True, slots=True)
class Member:
    """A person with an account at a site."""

    id: MemberId
    site_id: SiteId
    site_name: str
    role: Role
    name: str
    login: str
    language: str = "fr"
    kind: ClassVar[str] = "member"


@dataclass(frozen=True, slots=True)
class Agent:
    """The program beside a registered scanner; its id is the scanner's."""

    scanner_id: ScannerId
    site_id: SiteId
    name: str
    kind: ClassVar[str] = "agent"


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody known only by a link. `site_id` is the site whose slides the link shows: a guest has none."""

    id: GuestId
    link_id: LinkId
    site_id: SiteId
    name: str | None = None
    kind: ClassVar[str] = "guest"


@dataclass(frozen=True, slots=True)
class System:
    """The platform itself: its workers and its command line."""

    kind: ClassVar[str] = "system"


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody whose credential proves nothing, or who showed none."""

    kind: ClassVar[str] = "stranger"


Sender = Member | Agent
"""Who brings slides: a scanner, or a person with a disk in hand."""
Subject = Member | Agent | Guest | System | Stranger


def sender_id(sender: Sender) -> str:
    return sender.scanner_id if isinstance(sender, Agent) else sender.id


def subject_id(subject: Subject) -> str | None:
    """The id under which the audit log knows the subject; None where there is none."""
    match subject:
        case Member():
            return subject.id
        case Agent():
            return subject.scanner_id
        case Guest():
            return subject.id
        case _:
            return None
