"""The entries of a chain: the form in which an event is sealed, its hashes, and reading a million of them.

docs/reference/audit-format.md tells the form.
"""

import hashlib
import sqlite3
from collections.abc import Generator
from contextlib import closing
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from sharing.db.engine import Session
from sharing.vocabulary import SiteId

GENESIS = "0" * 64
"""What the first entry of a chain stands on."""

_LEAF, _LINK = b"\x00", b"\x02"  # 0x01 is that of the nodes of the Merkle tree over the leaves (RFC 6962, 2.1)
_FETCH = 200  # rows that are still in the processor's cache when they are looked at


class Entry(NamedTuple):
    """An entry of a chain with all that it seals, as the database has it: after tampering, values of any type.

    What is from the event is None where the event is gone.
    """

    seq: Any
    event_id: Any
    sealed_us: Any
    prev_hash: Any
    hash: Any
    id: Any
    version: Any
    site_id: Any
    recorded_us: Any
    type: Any
    act: Any
    action: Any
    outcome: Any
    agent_kind: Any
    agent_id: Any
    agent_site_id: Any
    agent_role: Any
    purpose: Any
    entities: Any
    detail: Any
    commitment: Any
    case_id: Any
    slide_id: Any
    salt: Any
    body: Any


_COLUMNS = ", ".join(
    f"{'s' if number < 5 else 'p' if name in ('salt', 'body') else 'e'}.{name}"
    for number, name in enumerate(Entry._fields)
)
# Written out and read past the mapper: a verification reads every entry there is.
_ENTRIES = f"""SELECT {_COLUMNS} FROM audit_seal AS s
    LEFT JOIN audit_event AS e ON e.id = s.event_id
    LEFT JOIN audit_personal AS p ON p.event_id = s.event_id
    WHERE s.site_id = {{0}} AND s.seq > {{0}} AND s.seq <= {{0}} ORDER BY s.seq"""  # noqa: S608 - names of columns


def read(session: Session, site_id: SiteId, after: int = 0, until: int = 2**62) -> Generator[Entry | None]:
    """The entries of a chain with numbers from `after` + 1 to `until`, in order; None in the place of one that the
    driver cannot read as text, and nothing after it.
    """
    for batch in (_FETCH, 1):  # one bad row hides its batch: then go on one by one, to name the very entry
        try:
            with closing(_rows(session, site_id, after, until, batch)) as rows:
                for entry in rows:
                    yield entry
                    after = entry.seq
            return
        except _UnreadableError:
            continue
    yield None


class _UnreadableError(Exception):
    """The driver could not make text of a row."""


def _rows(session: Session, site_id: SiteId, after: int, until: int, batch: int) -> Generator[Entry]:
    connection = session.connection()
    driver: Any = connection.connection.driver_connection
    server_side = connection.dialect.name == "postgresql"
    cursor = driver.cursor(name="iain_entries") if server_side else driver.cursor()
    try:
        cursor.execute(_ENTRIES.format("%s" if server_side else "?"), (site_id, after, until))
        while rows := cursor.fetchmany(batch):
            yield from map(Entry._make, rows)
    except sqlite3.OperationalError as error:
        raise _UnreadableError from error
    finally:
        cursor.close()


def leaf_hash(event: Any) -> bytes:
    return hashlib.sha256(_LEAF + canonical(event).encode()).digest()


def link_hash(prev_hash: str, seq: int, sealed_us: int, leaf: bytes) -> str:
    numbers = seq.to_bytes(8, "big") + sealed_us.to_bytes(8, "big")
    return hashlib.sha256(_LINK + bytes.fromhex(prev_hash) + numbers + leaf).hexdigest()


def canonical(event: Any) -> str:
    """The canonical JSON of a row of `audit_event`: keys sorted, no spaces.

    It is spelled out, not built by `audit.canonical_json`, because a million are read at a verification; `entities` and
    `detail` are stored in that form. Raises ValueError or TypeError for a value that no event can have.
    """
    q, or_null = encode_basestring, _quoted
    return (
        f'{{"act":{q(event.act)},"action":{q(event.action)},"agent":{{"id":{or_null(event.agent_id)},'
        f'"kind":{q(event.agent_kind)},"role":{or_null(event.agent_role)},"site":{or_null(event.agent_site_id)}}},'
        f'"commitment":{or_null(event.commitment)},"detail":{event.detail},"entities":{event.entities},'
        f'"id":{q(event.id)},"outcome":{q(event.outcome)},"purpose":{or_null(event.purpose)},'
        f'"recorded_us":{event.recorded_us:d},"site":{q(event.site_id)},"type":{q(event.type)},'
        f'"version":{event.version:d}}}'
    )


def _quoted(value: str | None) -> str:
    return "null" if value is None else encode_basestring(value)
