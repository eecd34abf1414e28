"""Every table of the platform. Rows hold data and nothing else; who may see one is decided in `sharing.policy`.

Times are integer microseconds since the epoch (`…_us`), ids are text, digests are lower-case hex. There are no
relationships: a query says what it joins, so none hides in an attribute. The schema a database really has comes from
`sharing/db/migrations`; a test holds the two equal.
"""

from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sharing.vocabulary import (
    CaseId,
    ConsultationId,
    EventId,
    GuestId,
    LinkId,
    MemberId,
    ObjectionId,
    OpinionId,
    ScannerId,
    SiteId,
    SlideId,
    UploadId,
    WitnessId,
)

IDS: tuple[Any, ...] = (
    SiteId,
    MemberId,
    ScannerId,
    CaseId,
    SlideId,
    UploadId,
    EventId,
    ConsultationId,
    OpinionId,
    LinkId,
    GuestId,
    ObjectionId,
    WitnessId,
)
_COUNTED = ("requester_id", "purpose", "opened_us", "answered_us", "case_id", "state", "ended_us")
# SQLite counts by itself only in a column whose type is spelled INTEGER.
Counter = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text(),
        int: BigInteger(),
        float: Double(),
    }
    type_annotation_map.update({id_type: Text() for id_type in IDS})


class SiteRow(Base):
    __tablename__ = "site"
    id: Mapped[SiteId] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_us: Mapped[int]
    quota_bytes: Mapped[int | None]
    """What the slides of the site may take on the disk; None for as much as there is."""


class MemberRow(Base):
    __tablename__ = "member"
    id: Mapped[MemberId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"), index=True)
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(
        CheckConstraint(
            "role IN ('pathologist', 'trainee', 'technician', 'lab_manager', 'data_protection_officer', "
            "'site_administrator', 'external_expert')",
            "role",
        )
    )
    password_hash: Mapped[str]
    language: Mapped[str]
    created_us: Mapped[int]
    disabled_us: Mapped[int | None]
    email: Mapped[str | None]
    """Where a mail that says "something waits for you" goes; None for nowhere."""
    password_until_us: Mapped[int | None]
    """Until when a password that somebody else gave can be replaced; None for one that the member has chosen."""


class ScannerRow(Base):
    __tablename__ = "scanner"
    __table_args__ = (UniqueConstraint("site_id", "name"),)
    id: Mapped[ScannerId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    name: Mapped[str]
    manufacturer: Mapped[str | None]
    model: Mapped[str | None]
    serial: Mapped[str | None]
    created_us: Mapped[int]
    disabled_us: Mapped[int | None]


class ScannerKeyRow(Base):
    """What proves that an agent speaks for a scanner. While keys are exchanged a scanner has two."""

    __tablename__ = "scanner_key"
    id: Mapped[str] = mapped_column(primary_key=True)
    scanner_id: Mapped[ScannerId] = mapped_column(ForeignKey("scanner.id"), index=True)
    key_hash: Mapped[str]
    created_us: Mapped[int]
    ends_us: Mapped[int | None]


class HeartbeatRow(Base):
    """The last word of a scanner's agent in each minute; kept for some days."""

    __tablename__ = "heartbeat"
    scanner_id: Mapped[ScannerId] = mapped_column(ForeignKey("scanner.id"), primary_key=True)
    minute_us: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at_us: Mapped[int]
    sent_bytes: Mapped[int]
    """In this minute."""
    report: Mapped[str]
    """`ingest.heartbeat.Heartbeat` as JSON."""


class SessionTokenRow(Base):
    __tablename__ = "session_token"
    token_hash: Mapped[str] = mapped_column(primary_key=True)
    member_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"), index=True)
    created_us: Mapped[int]
    used_us: Mapped[int]
    expires_us: Mapped[int] = mapped_column(index=True)


class CaseRow(Base):
    """The patient's data stand here and nowhere else."""

    __tablename__ = "case_"
    __table_args__ = (
        UniqueConstraint("site_id", "accession"),
        Index("ix_case__site_id_registered_us", "site_id", "registered_us"),
        Index("ix_case__site_id_patient_key", "site_id", "patient_key"),
        Index("ix_case__site_id_organ", "site_id", "organ"),
        Index("ix_case__id_organ", "id", "organ"),
    )
    id: Mapped[CaseId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    accession: Mapped[str]
    patient_name: Mapped[str]
    patient_birth_year: Mapped[int | None]
    patient_sex: Mapped[str | None] = mapped_column(CheckConstraint("patient_sex IN ('F', 'M', 'O')", "patient_sex"))
    organ: Mapped[str | None]
    search_text: Mapped[str]
    """Accession, name and organ, folded to plain lower-case letters, to search alike on both engines."""
    registered_us: Mapped[int]
    patient_key: Mapped[str] = mapped_column(server_default=text("''"))
    """`text.patient_key`: the same for all cases of a patient at a site; it names nobody."""


class SlideRow(Base):
    __tablename__ = "slide"
    __table_args__ = (
        UniqueConstraint("site_id", "sha256"),
        Index("ix_slide_site_id_received_us", "site_id", "received_us"),
    )
    id: Mapped[SlideId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    scanner_id: Mapped[ScannerId | None] = mapped_column(ForeignKey("scanner.id"))
    case_id: Mapped[CaseId | None] = mapped_column(ForeignKey("case_.id"), index=True)
    state: Mapped[str] = mapped_column(
        CheckConstraint("state IN ('received', 'indexing', 'ready', 'refused')", "state")
    )
    sha256: Mapped[str]
    length: Mapped[int]
    file_name: Mapped[str]
    accession: Mapped[str | None]
    """What the sender said; the case it belongs to is `case_id`."""
    stain: Mapped[str | None]
    block: Mapped[str | None]
    index_digest: Mapped[str | None]
    format: Mapped[str | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    mpp_x: Mapped[float | None]
    mpp_y: Mapped[float | None]
    objective_power: Mapped[float | None]
    has_label: Mapped[bool]
    has_macro: Mapped[bool]
    refusal_code: Mapped[str | None]
    refusal_reason: Mapped[str | None]
    received_us: Mapped[int]
    decided_us: Mapped[int | None]
    """When it became ready or refused."""
    version: Mapped[str | None]


class SlideFileRow(Base):
    """The files of a slide, in the order in which its tile index numbers them: received ones, then derived ones."""

    __tablename__ = "slide_file"
    __table_args__ = (Index("ix_slide_file_sha256", "sha256"),)
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    sha256: Mapped[str]
    length: Mapped[int]
    derived: Mapped[bool] = mapped_column(server_default=false())


class ClaimRow(Base):
    """Bytes that the site has, sent again with another accession number: a person decides which one is right."""

    __tablename__ = "claim"
    __table_args__ = (
        UniqueConstraint("slide_id", "accession"),
        Index("ix_claim_site_id_resolved_us", "site_id", "resolved_us"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"))
    accession: Mapped[str]
    stain: Mapped[str | None]
    block: Mapped[str | None]
    file_name: Mapped[str]
    sender: Mapped[str]
    created_us: Mapped[int]
    resolved_us: Mapped[int | None]
    resolved_by: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))
    verdict: Mapped[str | None] = mapped_column(CheckConstraint("verdict IN ('kept', 'moved')", "verdict"))


class BlobCheckRow(Base):
    """When the bytes of a blob were last read and hashed, and what was wrong with them."""

    __tablename__ = "blob_check"
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"), primary_key=True)
    sha256: Mapped[str] = mapped_column(primary_key=True)
    checked_us: Mapped[int]
    damage: Mapped[str | None]


class UploadRow(Base):
    __tablename__ = "upload"
    __table_args__ = (
        Index(
            "uq_upload_sender_sha256_open",
            "sender",
            "sha256",
            "of_set",
            unique=True,
            sqlite_where=text("completed_us IS NULL"),
            postgresql_where=text("completed_us IS NULL"),
        ),
    )
    id: Mapped[UploadId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    sender: Mapped[str]
    """The id of the scanner, or of the member, whose upload it is."""
    length: Mapped[int]
    sha256: Mapped[str | None]
    """As announced; None for who cannot say it beforehand."""
    file_name: Mapped[str]
    accession: Mapped[str | None]
    stain: Mapped[str | None]
    block: Mapped[str | None]
    created_us: Mapped[int]
    expires_us: Mapped[int] = mapped_column(index=True)
    completed_us: Mapped[int | None]
    slide_id: Mapped[SlideId | None] = mapped_column(ForeignKey("slide.id"))
    of_set: Mapped[bool] = mapped_column(server_default=false())
    """One file of a slide that has several: complete, it waits for the others, and no slide is made of it alone."""


class JobRow(Base):
    """Work that outlives its process: a worker holds a row by lease, and writes under the fence of its claim."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        Index("ix_job_state_not_before_us", "state", "not_before_us"),
        Index("ix_job_key", "key"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    key: Mapped[str]
    payload: Mapped[str]
    state: Mapped[str] = mapped_column(CheckConstraint("state IN ('queued', 'running', 'done', 'dead')", "state"))
    attempts: Mapped[int]
    not_before_us: Mapped[int]
    lease_until_us: Mapped[int | None]
    fence: Mapped[int]
    worker: Mapped[str | None]
    last_error: Mapped[str | None]
    created_us: Mapped[int]
    finished_us: Mapped[int | None]
    done_units: Mapped[int | None]
    """How far a long job has come, out of `units`; both None for a job that does not tell."""
    units: Mapped[int | None]


class ReadingRow(Base):
    """Who has a slide open: one row per subject and slide, whose `opened_us` moves with each new reading."""

    __tablename__ = "reading"
    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"), primary_key=True)
    opened_us: Mapped[int]
    seen_us: Mapped[int]


class CaseReadingRow(Base):
    """Who has a case open; as ReadingRow."""

    __tablename__ = "case_reading"
    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), primary_key=True)
    opened_us: Mapped[int]
    seen_us: Mapped[int]


class LabelReadingRow(Base):
    """Who has looked at the label or the macro picture of a slide; as ReadingRow."""

    __tablename__ = "label_reading"
    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"), primary_key=True)
    opened_us: Mapped[int]
    seen_us: Mapped[int]


class ObjectionRow(Base):
    """A patient of a site objects to a purpose (FHIR Consent, provision.type deny)."""

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("purpose IN ('teaching', 'research', 'ai')", "purpose"),
        CheckConstraint("origin IN ('letter', 'mail', 'in_person', 'other')", "origin"),
        Index(
            "uq_objection_site_id_patient_key_purpose_standing",
            "site_id",
            "patient_key",
            "purpose",
            unique=True,
            sqlite_where=text("withdrawn_us IS NULL"),
            postgresql_where=text("withdrawn_us IS NULL"),
        ),
    )
    id: Mapped[ObjectionId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    patient_key: Mapped[str]
    purpose: Mapped[str]
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"))
    """The case by which the patient was found."""
    origin: Mapped[str]
    registered_us: Mapped[int]
    registered_by: Mapped[MemberId] = mapped_column(ForeignKey("member.id"))
    withdrawn_us: Mapped[int | None]
    withdrawn_by: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))


class AccessEpochRow(Base):
    """One row. Whatever may take a right away adds one to it."""

    __tablename__ = "access_epoch"
    __table_args__ = (CheckConstraint("id = 1", "single"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[int]


class EpochMoveRow(Base):
    """When each access epoch began."""

    __tablename__ = "epoch_move"
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    moved_us: Mapped[int] = mapped_column(index=True)


class EpochSeenRow(Base):
    """When a server process learned of an access epoch: it shows nothing any more by an older one."""

    __tablename__ = "epoch_seen"
    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    process: Mapped[str] = mapped_column(primary_key=True)
    seen_us: Mapped[int]
    first: Mapped[bool] = mapped_column(server_default=false())
    """The process had just begun: it had shown nothing before."""


class AuditEventRow(Base):
    """One act, as it is sealed: see docs/reference/audit-format.md. Triggers refuse every change of a row."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_site_id_recorded_us", "site_id", "recorded_us", "position"),
        # One person does much. This holds all that is asked besides, so that nobody looks at each event.
        Index(
            "ix_audit_event_agent_id_recorded_us", "agent_id", "recorded_us", "position", "act", "outcome", "site_id"
        ),
        Index("ix_audit_event_case_id_recorded_us", "case_id", "recorded_us"),
        Index("ix_audit_event_slide_id_recorded_us", "slide_id", "recorded_us"),
        Index("ix_audit_event_site_id_act_recorded_us", "site_id", "act", "recorded_us", "position"),
        Index(
            "ix_audit_event_site_id_recorded_us_not_success",
            "site_id",
            "recorded_us",
            "position",
            sqlite_where=text("outcome != 'success'"),
            postgresql_where=text("outcome != 'success'"),
        ),
    )
    position: Mapped[int] = mapped_column(Counter, primary_key=True)
    """The order of arrival. Not sealed: the order that counts is the seal's."""
    id: Mapped[EventId] = mapped_column(unique=True)
    version: Mapped[int]
    site_id: Mapped[SiteId]
    """Whose chain this is: a site, or PLATFORM. Hence no foreign key."""
    recorded_us: Mapped[int]
    type: Mapped[str]
    act: Mapped[str]
    action: Mapped[str]
    outcome: Mapped[str]
    agent_kind: Mapped[str]
    agent_id: Mapped[str | None]
    agent_site_id: Mapped[str | None]
    agent_role: Mapped[str | None]
    purpose: Mapped[str | None]
    entities: Mapped[str]
    detail: Mapped[str]
    commitment: Mapped[str | None]
    case_id: Mapped[CaseId | None]
    slide_id: Mapped[SlideId | None]
    """The first case and slide among `entities`, to be searched by."""


class AuditPersonalRow(Base):
    """What an event knows of persons. It may be deleted: the event keeps only a salted commitment to it."""

    __tablename__ = "audit_personal"
    event_id: Mapped[EventId] = mapped_column(ForeignKey("audit_event.id"), primary_key=True)
    salt: Mapped[str]
    body: Mapped[str]


class AuditPendingRow(Base):
    """Events that wait for the sealer."""

    __tablename__ = "audit_pending"
    position: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=False)
    """That of the event."""


class AuditSealRow(Base):
    __tablename__ = "audit_seal"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[EventId] = mapped_column(ForeignKey("audit_event.id"), unique=True)
    sealed_us: Mapped[int]
    prev_hash: Mapped[str]
    hash: Mapped[str]


class AuditTreeRow(Base):
    """The right edge of each chain's Merkle tree (RFC 6962, 2.1): what the next leaf is joined to."""

    __tablename__ = "audit_tree"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    size: Mapped[int]
    edge: Mapped[str]
    """The hashes of the complete subtrees, largest first, as JSON."""


class AuditCheckpointRow(Base):
    """A signed statement of how far a chain has come. Triggers refuse every change of a row."""

    __tablename__ = "audit_checkpoint"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[str]
    signed_us: Mapped[int]
    note: Mapped[str]
    """The text with the server's signature, as docs/reference/audit-format.md has it."""


class WitnessRow(Base):
    """A program at a site that countersigns checkpoints with a key of its own."""

    __tablename__ = "witness"
    id: Mapped[WitnessId] = mapped_column(primary_key=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    name: Mapped[str] = mapped_column(unique=True)
    public_key: Mapped[str]
    """Ed25519 (RFC 8032), 64 hexadecimal digits."""
    created_us: Mapped[int]
    disabled_us: Mapped[int | None]


class AuditCosignatureRow(Base):
    """Triggers refuse every change of a row."""

    __tablename__ = "audit_cosignature"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    witness_id: Mapped[WitnessId] = mapped_column(ForeignKey("witness.id"), primary_key=True)
    signed_us: Mapped[int]
    line: Mapped[str]
    """The signature line to be put below the checkpoint's note."""


class ContradictionRow(Base):
    """What a witness holds against a log, as long as it does not countersign it again."""

    __tablename__ = "contradiction"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    """Whose log it is."""
    witness_id: Mapped[WitnessId] = mapped_column(ForeignKey("witness.id"), primary_key=True)
    what: Mapped[str]
    since_us: Mapped[int]


class StrangerRefusalRow(Base):
    """Refusals of strangers, counted by the minute until the sealer turns each minute into one event."""

    __tablename__ = "stranger_refusal"
    site_id: Mapped[SiteId] = mapped_column(primary_key=True)
    minute_us: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class ConsultationRow(Base):
    """A site asks another about a case. `state` moves only through `consultations.move`."""

    __tablename__ = "consultation"
    __table_args__ = (
        CheckConstraint("urgency IN ('routine', 'urgent')", "urgency"),
        CheckConstraint("purpose IN ('care', 'tumour_board', 'teaching', 'research', 'ai')", "purpose"),
        CheckConstraint(
            "state IN ('requested', 'opened', 'accepted', 'declined', 'more_information', 'answered', 'closed', "
            "'cancelled')",
            "state",
        ),
        Index("ix_consultation_to_site_id_moved_us", "to_site_id", "moved_us"),
        Index("ix_consultation_site_id_moved_us", "site_id", "moved_us"),
        # These hold all that is counted of shares, so that a hundred thousand are counted without looking at each.
        Index("ix_consultation_site_id_created_us", "site_id", "created_us", "id", "to_site_id", *_COUNTED),
        Index("ix_consultation_to_site_id_created_us", "to_site_id", "created_us", "id", "site_id", *_COUNTED),
    )
    id: Mapped[ConsultationId] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    """What both sides call it, such as "A-7K2MP"."""
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    requester_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"), index=True)
    to_site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    to_member_id: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))
    """None when any pathologist of the site may answer."""
    taken_by: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))
    """Who of the site asked has taken it on."""
    question: Mapped[str]
    urgency: Mapped[str]
    purpose: Mapped[str]
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"))
    view: Mapped[str]
    """The view that the question is about: the fragment of the viewer's address."""
    state: Mapped[str]
    moves: Mapped[int]
    """How many were made; the last one's number."""
    moved_by: Mapped[MemberId] = mapped_column(ForeignKey("member.id"))
    moved_us: Mapped[int]
    created_us: Mapped[int]
    opened_us: Mapped[int | None]
    answered_us: Mapped[int | None]
    ended_us: Mapped[int | None]


class ConsultationSlideRow(Base):
    """Exactly what the other site may see."""

    __tablename__ = "consultation_slide"
    consultation_id: Mapped[ConsultationId] = mapped_column(ForeignKey("consultation.id"), primary_key=True)
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"), primary_key=True, index=True)
    number: Mapped[int]


class ConsultationMoveRow(Base):
    """Triggers refuse every change of a row."""

    __tablename__ = "consultation_move"
    consultation_id: Mapped[ConsultationId] = mapped_column(ForeignKey("consultation.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    move: Mapped[str]
    state: Mapped[str]
    """Where it led."""
    member_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"))
    note: Mapped[str]
    made_us: Mapped[int]


class ConsultationSeenRow(Base):
    """Up to which move a member has seen a consultation."""

    __tablename__ = "consultation_seen"
    member_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"), primary_key=True)
    consultation_id: Mapped[ConsultationId] = mapped_column(ForeignKey("consultation.id"), primary_key=True)
    moves: Mapped[int]


class OpinionRow(Base):
    """A signed answer. Triggers refuse every change of a row: what changes is a new one."""

    __tablename__ = "opinion"
    __table_args__ = (
        UniqueConstraint("consultation_id", "number"),
        CheckConstraint("agreement IN ('agree', 'minor', 'major', 'undecided')", "agreement"),
        CheckConstraint("status IN ('final', 'amended')", "status"),
    )
    id: Mapped[OpinionId] = mapped_column(primary_key=True)
    consultation_id: Mapped[ConsultationId] = mapped_column(ForeignKey("consultation.id"))
    number: Mapped[int]
    author_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"))
    author_name: Mapped[str]
    """As it was when it was signed."""
    agreement: Mapped[str]
    text: Mapped[str]
    status: Mapped[str]
    amends: Mapped[OpinionId | None] = mapped_column(ForeignKey("opinion.id"))
    signed_us: Mapped[int]


class LinkRow(Base):
    """A secret address that admits a guest. Of the secret only its SHA-256 is kept."""

    __tablename__ = "link"
    __table_args__ = (
        CheckConstraint("purpose IN ('care', 'tumour_board', 'teaching', 'research', 'ai')", "purpose"),
        CheckConstraint("uses >= 0 AND uses <= max_uses", "uses"),
        Index(
            "ix_link_site_id_created_us", "site_id", "created_us", "id", "maker_id", "purpose", "opened_us", "case_id"
        ),
    )
    id: Mapped[LinkId] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[SiteId] = mapped_column(ForeignKey("site.id"))
    case_id: Mapped[CaseId] = mapped_column(ForeignKey("case_.id"), index=True)
    maker_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"), index=True)
    secret_hash: Mapped[str]
    purpose: Mapped[str]
    reason: Mapped[str]
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"))
    view: Mapped[str]
    max_uses: Mapped[int]
    uses: Mapped[int]
    created_us: Mapped[int]
    expires_us: Mapped[int]
    opened_us: Mapped[int | None]
    """When the first guest came in."""
    revoked_us: Mapped[int | None]
    revoked_by: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))
    recipient: Mapped[str | None]
    """The mail address that a guest must prove to hold by a code; None for whoever holds the secret."""


class LinkSlideRow(Base):
    """What a link shows, pinned: the very bytes that were there when it was made."""

    __tablename__ = "link_slide"
    link_id: Mapped[LinkId] = mapped_column(ForeignKey("link.id"), primary_key=True)
    slide_id: Mapped[SlideId] = mapped_column(ForeignKey("slide.id"), primary_key=True, index=True)
    number: Mapped[int]
    sha256: Mapped[str | None]
    """Of the slide's bytes then; None in links older than the pin."""
    version: Mapped[str | None]


class LinkCodeRow(Base):
    """A one-time code on its way to a link's recipient. It is drawn when its mail is sent, and only hashed here."""

    __tablename__ = "link_code"
    id: Mapped[str] = mapped_column(primary_key=True)
    link_id: Mapped[LinkId] = mapped_column(ForeignKey("link.id"), index=True)
    language: Mapped[str]
    code_hash: Mapped[str | None]
    """None until the mail is sent."""
    created_us: Mapped[int]
    expires_us: Mapped[int]
    tries: Mapped[int]
    used_us: Mapped[int | None]


class LinkRefusalRow(Base):
    """How often a link was tried in vain, and why: for whoever made it."""

    __tablename__ = "link_refusal"
    link_id: Mapped[LinkId] = mapped_column(ForeignKey("link.id"), primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    first_us: Mapped[int]
    last_us: Mapped[int]


class GuestRow(Base):
    """One redemption of a link: who came in by it, known by a token alone."""

    __tablename__ = "guest"
    id: Mapped[GuestId] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    link_id: Mapped[LinkId] = mapped_column(ForeignKey("link.id"), index=True)
    created_us: Mapped[int]
    expires_us: Mapped[int]


class DraftRow(Base):
    """What a member has begun to write, so that nothing is lost with the tab."""

    __tablename__ = "draft"
    member_id: Mapped[MemberId] = mapped_column(ForeignKey("member.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[str]
    saved_us: Mapped[int]


class OutboxRow(Base):
    """A mail to send, written in the transaction of the act that it tells of: a consultation's move to a member, or a
    code to the recipient of a link. It holds no address, no patient and no code."""

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'dropped')", "state"),
        CheckConstraint("(link_code_id IS NULL) = (consultation_id IS NOT NULL)", "one_subject"),
        Index("ix_outbox_state_not_before_us", "state", "not_before_us"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    consultation_id: Mapped[ConsultationId | None] = mapped_column(ForeignKey("consultation.id"), index=True)
    member_id: Mapped[MemberId | None] = mapped_column(ForeignKey("member.id"))
    move: Mapped[str | None]
    link_code_id: Mapped[str | None] = mapped_column(ForeignKey("link_code.id"))
    state: Mapped[str]
    not_before_us: Mapped[int]
    """Also the lease: a sender at work puts it off."""
    attempts: Mapped[int]
    last_error: Mapped[str | None]
    created_us: Mapped[int]
    sent_us: Mapped[int | None]
