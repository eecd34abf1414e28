"""Signed statements of how far each chain has come: what witnesses countersign, and what an export is held against.

A checkpoint names a log, its number of entries, the root of its Merkle tree and the head of its chain, in the form of
C2SP's tlog-checkpoint below which anybody's signature can stand. See docs/reference/audit-format.md.
"""

import base64
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Select, and_, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from sharing import merkle
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditCheckpointRow,
    AuditCosignatureRow,
    AuditSealRow,
    AuditTreeRow,
    SiteRow,
    WitnessRow,
)
from sharing.entries import GENESIS
from sharing.verifier import LOG, Key, checkpoint_body, signature_line
from sharing.vocabulary import SiteId, WitnessId, new_id

EVERY_US = 10 * SECOND_US
"""How often a log that grows is signed at most, unless somebody asks."""
_FORM = re.compile(r"PRIVATE\+KEY\+(iain-[a-z2-7]{12})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")


class Signer:
    """The server's Ed25519 key, under the name of this installation."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self.name, self._private = name, private

    @classmethod
    def new(cls) -> "Signer":
        return cls(f"iain-{new_id()[:12]}", Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> "Signer":
        """From what `to_text` gave. Raises ValueError."""
        match = _FORM.fullmatch(text.strip())
        raw = base64.b64decode(match[3]) if match else b""
        if match is None or raw[0] != LOG:
            raise ValueError("This is no key for checkpoints.")
        signer = cls(match[1], Ed25519PrivateKey.from_private_bytes(raw[1:]))
        if signer._key(signer.name).id.hex() != match[2]:
            raise ValueError("This key for checkpoints is damaged.")
        return signer

    def to_text(self) -> str:
        """The secret key, in the form in which Go's `sumdb/note` keeps one."""
        raw = bytes([LOG]) + self._private.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self._key(self.name).id.hex()}+{base64.b64encode(raw).decode()}"

    def key(self, site_id: SiteId) -> Key:
        """The public key of a site's log. Each log has a name of its own, and all have this one key."""
        return self._key(f"{self.name}/{site_id}")

    def signed(self, site_id: SiteId, size: int, root: bytes, head: bytes) -> str:
        """The checkpoint as a signed note."""
        key = self.key(site_id)
        body = checkpoint_body(key.name, size, root, head)
        return f"{body}\n{signature_line(key, self._private.sign(body.encode()))}\n"

    def _key(self, name: str) -> Key:
        return Key(name, LOG, self._private.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    site_id: SiteId
    size: int
    """How many entries the chain had."""
    root: str
    """That of the Merkle tree, as 64 hexadecimal digits."""
    signed_us: int
    note: str
    """The text with the server's signature."""


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's signature below a checkpoint."""

    witness_id: WitnessId
    witness_name: str
    site_id: SiteId
    """At which site the witness stands."""
    site_name: str
    public_key: str
    signed_us: int
    line: str


@dataclass(frozen=True, slots=True)
class Covered:
    """A checkpoint, with all that was signed below it."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]

    @property
    def note(self) -> str:
        return self.checkpoint.note + "".join(f"{each.line}\n" for each in self.cosignatures)


def sign(database: Database, signer: Signer, *, every_us: int = EVERY_US) -> int:
    """Sign every log that has grown and was not signed within `every_us`; how many there were."""
    with database.reading() as session:
        if not _due(session, every_us):
            return 0
    with database.writing() as session:
        due = _due(session, every_us)
        return sum(_sign(session, signer, site_id) is not None for site_id in due)


def sign_now(session: Session, signer: Signer, site_id: SiteId) -> Checkpoint | None:
    """The checkpoint of all that is sealed, made in this transaction if it was not there; None of an empty log."""
    return _sign(session, signer, site_id) or latest(session, site_id)


def current(session: Session, site_id: SiteId) -> Checkpoint | None:
    """The last checkpoint, if nothing was sealed since."""
    last = latest(session, site_id)
    size = session.scalar(select(AuditTreeRow.size).where(AuditTreeRow.site_id == site_id))
    return last if last and last.size == size else None


def latest(session: Session, site_id: SiteId) -> Checkpoint | None:
    """The last checkpoint of a log."""
    row = session.scalars(_of(site_id).order_by(AuditCheckpointRow.size.desc()).limit(1)).one_or_none()
    return _checkpoint(row) if row else None


def at(session: Session, site_id: SiteId, size: int) -> Checkpoint | None:
    row = session.get(AuditCheckpointRow, (site_id, size))
    return _checkpoint(row) if row else None


def covering(session: Session, site_id: SiteId, seq: int = 0) -> Covered | None:
    """The first checkpoint of at least `seq` entries that a witness has signed; without a number, the last of all."""
    signed = (
        select(AuditCosignatureRow.size)
        .where(AuditCosignatureRow.site_id == site_id, AuditCosignatureRow.size >= seq)
        .order_by(AuditCosignatureRow.size if seq else AuditCosignatureRow.size.desc())
        .limit(1)
    )
    size = session.scalar(signed)
    checkpoint = at(session, site_id, size) if size is not None else None
    return Covered(checkpoint, cosignatures(session, site_id, checkpoint.size)) if checkpoint else None


def cosignatures(session: Session, site_id: SiteId, size: int) -> tuple[Cosignature, ...]:
    """What witnesses signed below a checkpoint, by their names."""
    row, witness = AuditCosignatureRow, WitnessRow
    rows = session.execute(
        select(row.witness_id, witness.name, witness.site_id, SiteRow.name, witness.public_key, row.signed_us, row.line)
        .join(witness, witness.id == row.witness_id)
        .join(SiteRow, SiteRow.id == witness.site_id)
        .where(row.site_id == site_id, row.size == size)
        .order_by(witness.name)
    )
    return tuple(Cosignature(*each) for each in rows)


def _due(session: Session, every_us: int) -> list[SiteId]:
    """Logs that have grown since they were signed, long enough ago."""
    row = AuditCheckpointRow
    each = aliased(row)
    newest = (
        select(func.max(each.size))
        .where(each.site_id == AuditTreeRow.site_id)
        .correlate(AuditTreeRow)
        .scalar_subquery()
    )
    rows = session.execute(
        select(AuditTreeRow.site_id, row.signed_us)
        .outerjoin(row, and_(row.site_id == AuditTreeRow.site_id, row.size == newest))
        .where(AuditTreeRow.size > func.coalesce(newest, 0))
    )
    now_us = session.now_us
    return [site_id for site_id, signed_us in rows if signed_us is None or not now_us - every_us < signed_us <= now_us]


def _sign(session: Session, signer: Signer, site_id: SiteId) -> Checkpoint | None:
    """A checkpoint of the tree as it stands; None if there is one of that size, or a greater, or no tree."""
    try:
        edge = merkle.edge_of(session, site_id)
    except ValueError:  # somebody tampered with it: verification says so
        return None
    last = latest(session, site_id)
    if edge.size <= (last.size if last else 0):
        return None
    head = session.scalar(
        select(AuditSealRow.hash).where(AuditSealRow.site_id == site_id, AuditSealRow.seq == edge.size)
    )
    if head is None or len(head) != len(GENESIS):
        return None
    root = edge.root()
    note = signer.signed(site_id, edge.size, root, bytes.fromhex(head))
    made = Checkpoint(site_id, edge.size, root.hex(), session.now_us, note)
    row = {"site_id": site_id, "size": made.size, "root": made.root, "signed_us": made.signed_us, "note": note}
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Another process may sign the same at this moment: the signature is the same, too.
    session.execute(make(AuditCheckpointRow).values(row).on_conflict_do_nothing())
    return made


def _of(site_id: SiteId) -> Select[AuditCheckpointRow]:
    return select(AuditCheckpointRow).where(AuditCheckpointRow.site_id == site_id)


def _checkpoint(row: AuditCheckpointRow) -> Checkpoint:
    return Checkpoint(row.site_id, row.size, row.root, row.signed_us, row.note)
