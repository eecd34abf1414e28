"""The Merkle tree over the leaves of a chain (RFC 6962, 2.1), kept by its right edge alone.

`sharing.verifier` has its own, so that what is checked is not checked by what made it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from sharing.db.engine import Session
from sharing.db.tables import AuditTreeRow
from sharing.vocabulary import SiteId

_NODE = b"\x01"


@dataclass(slots=True)
class Edge:
    """The roots of the complete subtrees of a growing tree, largest first: all that its next leaf is joined to."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            size, node = self.size, leaf
            while size % 2:
                node = sha256(_NODE + self.hashes.pop() + node).digest()
                size //= 2
            self.hashes.append(node)
            self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return sha256().digest()
        *others, root = self.hashes
        for left in reversed(others):
            root = sha256(_NODE + left + root).digest()
        return root


def edge_of(session: Session, site_id: SiteId) -> Edge:
    """That of a chain's tree, as far as it has grown. Raises ValueError when the row was tampered with."""
    statement = select(AuditTreeRow.size, AuditTreeRow.edge).where(AuditTreeRow.site_id == site_id)
    try:
        row = session.execute(statement).one_or_none()
        if row is None:
            return Edge()
        edge = Edge(row.size, [bytes.fromhex(each) for each in json.loads(row.edge)])
        sound = len(edge.hashes) == edge.size.bit_count() and all(len(each) == 32 for each in edge.hashes)
    except (TypeError, AttributeError, ValueError, RecursionError, OperationalError) as error:  # the last: no text
        raise ValueError(f"The tree of {site_id} was tampered with.") from error
    if not sound:
        raise ValueError(f"The tree of {site_id} was tampered with.")
    return edge


def keep(session: Session, site_id: SiteId, edge: Edge) -> None:
    told = {"size": edge.size, "edge": json.dumps([each.hex() for each in edge.hashes])}
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(AuditTreeRow).values(site_id=site_id, **told)
    session.execute(statement.on_conflict_do_update(index_elements=["site_id"], set_=told))
