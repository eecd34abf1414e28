"""Witnesses: programs at the sites, outside the server, that countersign checkpoints with keys of their own.

Here is the server's side of it: which witnesses there are, what they are shown, and keeping what they sign. Nothing
that is shown to them says anything of a patient: they get the times and hashes of entries.
"""

import base64
import re
from contextlib import closing
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from sharing import audit, checkpoints, entries
from sharing.clock import MINUTE_US, SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import AuditCosignatureRow, AuditTreeRow, ContradictionRow, SiteRow, WitnessRow
from sharing.errors import ConflictError, InvalidError, NotFoundError
from sharing.subjects import System
from sharing.verifier import COSIGNER, Key, NoteError, parse_checkpoint, parse_key
from sharing.vocabulary import Act, Entity, SiteId, WitnessId, new_id

SCHEME = "IAIN-Witness"
CLOCKS_APART_US = 5 * MINUTE_US
"""By how much the clock of a witness may be wrong. Hearing a request twice changes nothing, so no more is needed."""
AT_ONCE = 20_000
"""How many entries are shown in one answer."""
_PROOF = re.compile(rf"{SCHEME} ([!-*,-~]{{1,200}}) ([0-9]{{1,12}}) ([A-Za-z0-9+/]{{86}}==)", re.IGNORECASE)


class UnknownWitnessError(Exception):
    """The request does not prove that it comes from a witness in service."""


@dataclass(frozen=True, slots=True)
class Witness:
    id: WitnessId
    site_id: SiteId
    """At which site it stands; it watches the logs of all."""
    name: str
    public_key: str
    disabled_us: int | None
    signed_us: int | None
    """When it last countersigned anything."""

    @property
    def key(self) -> Key:
        return Key(self.name, COSIGNER, bytes.fromhex(self.public_key))


def add(session: Session, site_id: SiteId, public_key: str) -> Witness:
    """Take a witness into service. `public_key` as `iain-agent witness --show-key` tells it. Raises InvalidError,
    ConflictError and NotFoundError.
    """
    try:
        key = parse_key(public_key)
    except NoteError:
        key = None
    if key is None or key.kind != COSIGNER:
        raise InvalidError(
            "This is no key of a witness. Copy the whole line that `iain-agent witness --show-key` prints."
        )
    if session.get(SiteRow, site_id) is None:
        raise NotFoundError(f"There is no site {site_id}.")
    taken = select(WitnessRow.id).where((WitnessRow.name == key.name) | (WitnessRow.public_key == key.public.hex()))
    if session.scalar(taken) is not None:
        raise ConflictError(f"There is a witness {key.name}, or one with this key, already. See: iain witness list")
    witness_id = WitnessId(new_id())
    row = WitnessRow(
        id=witness_id,
        site_id=site_id,
        name=key.name,
        public_key=key.public.hex(),
        created_us=session.now_us,
        disabled_us=None,
    )
    session.add(row)
    session.flush()
    _record(session, row, Act.WITNESS_ADDED)
    return Witness(witness_id, site_id, key.name, key.public.hex(), None, None)


def withdraw(session: Session, name: str) -> None:
    """Believe a witness no more. What it has signed stays. Raises NotFoundError."""
    row = session.scalars(
        select(WitnessRow).where(WitnessRow.name == name, WitnessRow.disabled_us.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"No witness {name} is in service. See: iain witness list")
    row.disabled_us = session.now_us
    session.flush()
    _record(session, row, Act.WITNESS_DISABLED)


def listed(session: Session) -> list[Witness]:
    """All there ever were, by name."""
    signed = (
        select(func.max(AuditCosignatureRow.signed_us))
        .where(AuditCosignatureRow.witness_id == WitnessRow.id)
        .scalar_subquery()
    )
    row = WitnessRow
    rows = session.execute(
        select(row.id, row.site_id, row.name, row.public_key, row.disabled_us, signed).order_by(row.name)
    )
    return [Witness(*each) for each in rows]


def request_message(method: str, target: str, time_s: int, body_sha256: str) -> bytes:
    """What a witness signs of a request; `target` is the path with the query."""
    return f"iain-witness-request/v1\n{method}\n{target}\n{time_s}\n{body_sha256}\n".encode()


def authenticate(session: Session, proof: str, method: str, target: str, body_sha256: str) -> Witness:
    """Whose request it is, by its header Authorization. Raises UnknownWitnessError."""
    match = _PROOF.fullmatch(proof)
    if match is None:
        raise UnknownWitnessError
    row = session.scalars(
        select(WitnessRow).where(WitnessRow.name == match[1], WitnessRow.disabled_us.is_(None))
    ).one_or_none()
    time_s = int(match[2])
    if row is None or abs(session.now_us - time_s * SECOND_US) > CLOCKS_APART_US:
        raise UnknownWitnessError
    message = request_message(method, target, time_s, body_sha256)
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(row.public_key)).verify(base64.b64decode(match[3]), message)
    except (InvalidSignature, ValueError):
        raise UnknownWitnessError from None
    return Witness(row.id, row.site_id, row.name, row.public_key, None, None)


@dataclass(frozen=True, slots=True)
class Log:
    site_id: SiteId
    cosigned: int
    """How far the witness that asks has countersigned it, as far as the server knows."""
    refused: bool
    """Whether it holds something against it, as far as the server knows."""


def logs(session: Session, witness: Witness) -> list[Log]:
    """Every log there is, for a witness."""
    row = AuditCosignatureRow
    cosigned = (
        select(func.coalesce(func.max(row.size), 0))
        .where(row.site_id == AuditTreeRow.site_id, row.witness_id == witness.id)
        .scalar_subquery()
    )
    refused = (
        select(ContradictionRow.what)
        .where(ContradictionRow.site_id == AuditTreeRow.site_id, ContradictionRow.witness_id == witness.id)
        .exists()
    )
    return [Log(*each) for each in session.execute(select(AuditTreeRow.site_id, cosigned, refused).order_by("site_id"))]


def hashes(session: Session, site_id: SiteId, after: int, until: int) -> bytes:
    """Of each entry from number `after` + 1 to `until`, `AT_ONCE` at most: when it was sealed (µs, 8 bytes) and its
    leaf (32 bytes). It ends before an entry that is not in its format.
    """
    told = bytearray()
    with closing(entries.read(session, site_id, after, min(until, after + AT_ONCE))) as rows:
        for number, row in enumerate(rows, after + 1):
            try:
                if row is None or row.seq != number:
                    break
                told += row.sealed_us.to_bytes(8, "big") + entries.leaf_hash(row)
            except (TypeError, ValueError, AttributeError, OverflowError):
                break
    return bytes(told)


def keep(session: Session, witness: Witness, site_id: SiteId, size: int, line: str) -> None:
    """Keep a signature below a checkpoint. Raises NotFoundError and InvalidError.

    It is one line, of this witness: it goes into every export as it stands, among those of the others.
    """
    checkpoint = checkpoints.at(session, site_id, size)
    if checkpoint is None:
        raise NotFoundError("There is no such checkpoint.")
    try:
        when = parse_checkpoint(f"{checkpoint.note}{line}\n").cosigned_at(witness.key) if "\n" not in line else None
    except NoteError:
        when = None
    if when is None:
        raise InvalidError("This is not a signature of this witness below this checkpoint.")
    row = {
        "site_id": site_id,
        "size": size,
        "witness_id": witness.id,
        "signed_us": when * SECOND_US,
        "line": line,
    }
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(make(AuditCosignatureRow).values(row).on_conflict_do_nothing())


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a witness has countersigned a log, and when."""

    name: str
    site_id: SiteId
    site_name: str
    size: int
    signed_us: int | None


def standing(session: Session, site_id: SiteId) -> list[Standing]:
    """What each witness in service has countersigned of a site's log, be it nothing; by name."""
    row, witness = AuditCosignatureRow, WitnessRow
    rows = session.execute(
        select(
            witness.name, witness.site_id, SiteRow.name, func.coalesce(func.max(row.size), 0), func.max(row.signed_us)
        )
        .join(SiteRow, SiteRow.id == witness.site_id)
        .outerjoin(row, (row.witness_id == witness.id) & (row.site_id == site_id))
        .where(witness.disabled_us.is_(None))
        .group_by(witness.name, witness.site_id, SiteRow.name)
        .order_by(witness.name)
    )
    return [Standing(*each) for each in rows]


def _record(session: Session, row: WitnessRow, act: Act) -> None:
    """In the chain of the site where the witness stands: who reads it there knows which witness there should be."""
    audit.record(
        session,
        site_id=row.site_id,
        act=act,
        subject=System(),
        entities=[Entity("witness", row.id)],
        detail={"name": row.name, "public_key": row.public_key},
    )
