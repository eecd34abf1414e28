"""What witnesses hold against the logs: told by them, put on record, and standing until they countersign again.

A witness keeps its evidence for itself, and who owns the server can leave out what it tells: this is for the people of
an honest server, who have to know that somebody does not believe it.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select

from sharing import audit
from sharing.db.engine import Session
from sharing.db.tables import AuditTreeRow, ContradictionRow, SiteRow, WitnessRow
from sharing.errors import InvalidError, NotFoundError
from sharing.subjects import System
from sharing.vocabulary import PLATFORM, Act, Contradiction, Entity, Outcome, SiteId
from sharing.witnesses import Witness


@dataclass(frozen=True, slots=True)
class Standing:
    """A witness that does not countersign a log."""

    witness: str
    witness_site: str
    """The name of the site where it stands."""
    log: SiteId
    log_site: str
    """The name of the site whose log it is; empty for the log of the platform itself."""
    what: Contradiction
    since_us: int


def report(session: Session, witness: Witness, log: SiteId, told: str) -> None:
    """A witness tells why it does not countersign a log. What it tells again is no news. Raises NotFoundError where
    there is no such log, and InvalidError for what no witness tells.
    """
    if told not in list(Contradiction):
        raise InvalidError("This is no reason for which a witness does not sign.")
    known = session.get(SiteRow, log) or session.get(AuditTreeRow, log) or log == PLATFORM
    if not known:
        raise NotFoundError("There is no such log.")
    row = session.get(ContradictionRow, (log, witness.id))
    if row is not None and row.what == told:
        return
    if row is None:
        session.add(ContradictionRow(site_id=log, witness_id=witness.id, what=told, since_us=session.now_us))
    else:
        row.what = told
    session.flush()
    _record(session, witness, log, Act.WITNESS_REFUSED, Outcome.FAILED, {"reason": told})


def settle(session: Session, witness: Witness, log: SiteId) -> None:
    """A witness has countersigned a log: it holds nothing against it any more."""
    row = ContradictionRow
    settled = delete(row).where(row.site_id == log, row.witness_id == witness.id).returning(row.what)
    if session.execute(settled).one_or_none() is not None:
        _record(session, witness, log, Act.WITNESS_RESUMED, Outcome.SUCCESS, {})


def concerning(session: Session, site_id: SiteId) -> list[Standing]:
    """What stands against the log of a site, and what the witnesses of the site hold against the logs of others."""
    return _standing(session, or_(ContradictionRow.site_id == site_id, WitnessRow.site_id == site_id))


def everywhere(session: Session) -> list[Standing]:
    """What stands against any log, for who looks after the server."""
    return _standing(session)


def _standing(session: Session, *conditions: ColumnElement[bool]) -> list[Standing]:
    """The oldest first; nothing of witnesses that are withdrawn."""
    row, stands = ContradictionRow, SiteRow.__table__.alias("stands")
    rows = session.execute(
        select(WitnessRow.name, stands.c.name, row.site_id, SiteRow.name, row.what, row.since_us)
        .join(WitnessRow, WitnessRow.id == row.witness_id)
        .join(stands, stands.c.id == WitnessRow.site_id)
        .outerjoin(SiteRow, SiteRow.id == row.site_id)
        .where(WitnessRow.disabled_us.is_(None), *conditions)
        .order_by(row.since_us, WitnessRow.name, row.site_id)
    )
    return [
        Standing(name, site, log, log_site or "", Contradiction(what), since)
        for name, site, log, log_site, what, since in rows
    ]


def _record(
    session: Session, witness: Witness, log: SiteId, act: Act, outcome: Outcome, detail: dict[str, str]
) -> None:
    """In the chain of the log, and in that of the site where the witness stands: the people of both have to know."""
    for chain in sorted({log, witness.site_id}):
        audit.record(
            session,
            site_id=chain,
            act=act,
            subject=System(),
            outcome=outcome,
            entities=[Entity("witness", witness.id)],
            detail={**detail, "witness": witness.name, "log": log},
        )
