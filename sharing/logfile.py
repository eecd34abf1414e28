"""An audit log as one file, to be checked elsewhere and offline by `sharing.verifier`.

A line each: the version; for each chain a header, the checkpoints with all signatures below them, every entry, and an
end. Every line is JSON in its canonical form. See docs/reference/audit-format.md.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import func, select

from sharing import checkpoints, entries
from sharing.checkpoints import Covered, Signer
from sharing.db.engine import Database, Session
from sharing.db.tables import (
    AuditCosignatureRow,
    AuditEventRow,
    AuditPendingRow,
    AuditSealRow,
    AuditTreeRow,
    WitnessRow,
)
from sharing.verifier import COSIGNER, LOG_VERSION, Key, canonical
from sharing.vocabulary import SiteId

_HEX = re.compile(r"[0-9a-f]{64}")
_HIGHEST = 2**62
AT_ONCE = 1000
"""How many entries are read in one transaction, where the reader may take long."""
CHECKPOINTS = 32
"""How many of a log's checkpoints go into its file at most, beside the last of each witness."""


def sites(session: Session) -> list[SiteId]:
    """Whose logs there are."""
    return list(session.scalars(select(AuditTreeRow.site_id).order_by(AuditTreeRow.site_id)))


def lines(session: Session, signer: Signer, site_ids: Sequence[SiteId], *, persons: bool = True) -> Iterator[str]:
    """The lines of the file, each with its end. Without `persons`, it names nobody, and is as good a proof."""
    yield line({"iain-audit-log": LOG_VERSION})
    for site_id in site_ids:
        yield from _head(session, signer, site_id)
        count = 0
        for entry in _entries(session, site_id, 0, _HIGHEST, persons=persons):
            yield entry
            count += 1
        yield _end(session, site_id, count)


def pieces(
    database: Database, signer: Signer, site_id: SiteId, *, persons: bool = True, at_once: int = AT_ONCE
) -> Iterator[str]:
    """The same of one log, `at_once` entries in a piece, each from a transaction of its own: none is held for as long
    as somebody takes to read. What is sealed meanwhile is not in it.
    """
    seq = AuditSealRow.seq
    sealed = (AuditSealRow.site_id == site_id, seq <= _HIGHEST)
    with database.reading() as session:
        head = "".join(_head(session, signer, site_id))
        last = session.scalar(select(func.max(seq)).where(*sealed)) or 0
    yield line({"iain-audit-log": LOG_VERSION}) + head
    count = 0
    first = 1 if last else None
    while first is not None:
        with database.reading() as session:
            until = min(first - 1 + at_once, last)
            piece = list(_entries(session, site_id, first - 1, until, persons=persons))
            # Where entries were taken away, there is nothing to be read up to the next one.
            first = session.scalar(select(func.min(seq)).where(*sealed, seq > until, seq <= last))
        count += len(piece)
        yield "".join(piece)
    with database.reading() as session:
        end = _end(session, site_id, count)
    yield end


def _head(session: Session, signer: Signer, site_id: SiteId) -> Iterator[str]:
    # What was said of the chain is read before its entries: what is sealed meanwhile makes it longer, not shorter.
    signed = _checkpoints(session, site_id)
    witnesses = _witnesses(session, site_id)  # after the checkpoints: whoever signed one of them is among these
    key = signer.key(site_id)
    told = {"key": str(key), "origin": key.name, "site": site_id, "witnesses": [str(each) for each in witnesses]}
    yield line({"chain": told})
    for covered in signed:
        yield line({"checkpoint": covered.note})


def _entries(session: Session, site_id: SiteId, after: int, until: int, *, persons: bool) -> Iterator[str]:
    with closing(entries.read(session, site_id, after, until)) as rows:
        for row in rows:
            yield entry(row, persons=persons)


def _end(session: Session, site_id: SiteId, count: int) -> str:
    return line({"end": {"entries": count, "waiting": _waiting(session, site_id)}})


def line(value: object) -> str:
    return f"{canonical(value)}\n"


def entry(row: Any, *, persons: bool) -> str:
    """Of what has all that `entries.Entry` has. What was tampered with so that it has no form, and None, goes out as
    null, for the verifier to name."""
    if row is None:
        return '{"event":null}\n'
    try:
        event = entries.canonical(row) if row.id is not None else "null"
        personal = "null"
        if persons and row.body is not None:
            personal = f'{{"body":{encode_basestring(row.body)},"salt":{encode_basestring(row.salt)}}}'
        told = (
            f'{{"event":{event},"hash":{encode_basestring(row.hash)},"personal":{personal},'
            f'"sealed_us":{row.sealed_us:d},"seq":{row.seq:d}}}'
        )
    except (TypeError, ValueError):
        return '{"event":null}\n'
    return '{"event":null}\n' if "\n" in told else f"{told}\n"


def _checkpoints(session: Session, site_id: SiteId) -> list[Covered]:
    """The last one, the last of each witness, and some before them, to tell from when on a log was rewritten."""
    row = AuditCosignatureRow
    last = checkpoints.latest(session, site_id)
    if last is None:
        return []
    signed = list(session.scalars(select(row.size).where(row.site_id == site_id).distinct().order_by(row.size)))
    newest = session.scalars(select(func.max(row.size)).where(row.site_id == site_id).group_by(row.witness_id))
    chosen = {last.size, *newest, *signed[:: max(1, -(-len(signed) // CHECKPOINTS))]}
    found = [checkpoints.at(session, site_id, size) for size in sorted(chosen)]
    return [Covered(each, checkpoints.cosignatures(session, site_id, each.size)) for each in found if each]


def _witnesses(session: Session, site_id: SiteId) -> list[Key]:
    """Those that ever signed a checkpoint of this log, by name."""
    signed = select(AuditCosignatureRow.witness_id).where(AuditCosignatureRow.site_id == site_id)
    rows = session.execute(
        select(WitnessRow.name, WitnessRow.public_key).where(WitnessRow.id.in_(signed)).order_by(WitnessRow.name)
    )
    return [Key(row.name, COSIGNER, bytes.fromhex(row.public_key)) for row in rows if _HEX.fullmatch(row.public_key)]


def _waiting(session: Session, site_id: SiteId) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(AuditPendingRow)
            .join(AuditEventRow, AuditEventRow.position == AuditPendingRow.position)
            .where(AuditEventRow.site_id == site_id)
        )
        or 0
    )
