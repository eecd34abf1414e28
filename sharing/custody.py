"""The files that the platform vouches for, and what looking at them again has found.

A blob or an index is known by its site and SHA-256. Who reads and hashes it is elsewhere; here stands when that was
last done and what was wrong, and becoming damaged or sound again goes on record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Row, Select, Text, and_, cast, func, literal, null, or_, select, union_all

from sharing import audit, policy
from sharing.db.engine import Session
from sharing.db.tables import BlobCheckRow, CaseRow, SlideFileRow, SlideRow
from sharing.subjects import Sender, Subject, System
from sharing.vocabulary import Act, CaseId, Entity, Outcome, SiteId, SlideId, SlideState

MOST = 50
_PLATFORM = System()


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that must be there. `length` in bytes, None when only its digest is known; `index_of`: the slide in whose
    directory it lies, None for a blob."""

    site_id: SiteId
    sha256: str
    length: int | None = None
    index_of: SlideId | None = None


@dataclass(frozen=True, slots=True)
class Bearer:
    """A slide that cannot be shown rightly without a file. `file` is the file's name within the slide."""

    slide_id: SlideId
    slide_name: str
    file: str
    case_id: CaseId | None
    accession: str | None
    """Of its case, or else as it was sent."""


@dataclass(frozen=True, slots=True)
class Damaged:
    site_id: SiteId
    sha256: str
    damage: str
    checked_us: int
    bearers: tuple[Bearer, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many files there are to look at, how many were ever looked at and were damaged then, and the longest time ago
    of these."""

    files: int
    checked: int
    damaged: int
    oldest_us: int | None


def kept(session: Session) -> list[Kept]:
    """Every file that a slide needs, each once."""
    return [_kept(row) for row in session.execute(_everything())]


def due(session: Session, before_us: int, damaged_before_us: int, *, limit: int) -> list[Kept]:
    """Files that were not looked at since `before_us`, damaged ones since `damaged_before_us`: those that never were,
    then by time."""
    files = _everything().subquery()
    statement = (
        select(files)
        .outerjoin(BlobCheckRow, and_(BlobCheckRow.site_id == files.c.site_id, BlobCheckRow.sha256 == files.c.sha256))
        .where(
            or_(
                BlobCheckRow.checked_us.is_(None),
                BlobCheckRow.checked_us < before_us,
                and_(BlobCheckRow.damage.is_not(None), BlobCheckRow.checked_us < damaged_before_us),
            )
        )
        .order_by(func.coalesce(BlobCheckRow.checked_us, 0), files.c.sha256)
        .limit(limit)
    )
    return [_kept(row) for row in session.execute(statement)]


def record(session: Session, site_id: SiteId, sha256: str, damage: str | None, subject: Subject = _PLATFORM) -> None:
    """Write down what was found now. An event tells when a file became damaged, otherwise damaged, or sound again, and
    by whom: the platform itself looks."""
    row = session.get(BlobCheckRow, (site_id, sha256), with_for_update=True)
    before = row.damage if row else None
    if row is None:
        session.add(BlobCheckRow(site_id=site_id, sha256=sha256, checked_us=session.now_us, damage=damage))
    else:
        row.checked_us, row.damage = session.now_us, damage
    session.flush()
    if damage == before:
        return
    audit.record(
        session,
        site_id=site_id,
        act=Act.BLOB_DAMAGED if damage else Act.BLOB_SOUND,
        outcome=Outcome.FAILED if damage else Outcome.SUCCESS,
        subject=subject,
        entities=[Entity("slide", bearer.slide_id) for bearer in bearers(session, site_id, sha256)],
        detail={"sha256": sha256} | ({"damage": damage} if damage else {}),
    )


def lost(session: Session, site_id: SiteId, digests: Iterable[str]) -> frozenset[str]:
    """Those of a site's files that are damaged: whoever has them may send them again."""
    found = select(BlobCheckRow.sha256).where(
        BlobCheckRow.site_id == site_id, BlobCheckRow.sha256.in_(digests), BlobCheckRow.damage.is_not(None)
    )
    return frozenset(session.scalars(found))


def mended(session: Session, sender: Sender, digests: Iterable[str]) -> None:
    """These files of the sender's site were proved, and put in place anew by whoever sent them."""
    for sha256 in sorted(lost(session, sender.site_id, digests)):
        record(session, sender.site_id, sha256, None, sender)


def bearers(session: Session, site_id: SiteId, sha256: str) -> tuple[Bearer, ...]:
    """The slides that need a file, by their names."""
    blob = select(SlideFileRow.slide_id, SlideFileRow.name).where(SlideFileRow.sha256 == sha256)
    index = select(SlideRow.id, literal("index")).where(SlideRow.index_digest == sha256)
    using = union_all(blob, index).subquery()
    statement = (
        select(
            SlideRow.id,
            SlideRow.file_name,
            using.c.name,
            SlideRow.case_id,
            func.coalesce(CaseRow.accession, SlideRow.accession).label("accession"),
        )
        .join(using, using.c.slide_id == SlideRow.id)
        .outerjoin(CaseRow, CaseRow.id == SlideRow.case_id)
        .where(SlideRow.site_id == site_id)
        .order_by(SlideRow.file_name, SlideRow.id, using.c.name)
    )
    return tuple(
        Bearer(row.id, row.file_name, row.name, row.case_id, row.accession) for row in session.execute(statement)
    )


def damaged(session: Session, subject: Subject, *, limit: int = MOST) -> list[Damaged]:
    """The files of the subject's own site that are not as they were received; every site's for the platform itself.
    Empty for who may not see what a site receives. A disk that is gone takes more files than a page can name: the first
    `limit`."""
    visible = policy.visible_intake(subject).subquery()
    of_files = select(SlideFileRow.sha256).join(visible, visible.c.id == SlideFileRow.slide_id)
    statement = (
        select(BlobCheckRow)
        .where(
            BlobCheckRow.damage.is_not(None),
            BlobCheckRow.site_id.in_(select(visible.c.site_id)),
            or_(BlobCheckRow.sha256.in_(of_files), BlobCheckRow.sha256.in_(select(visible.c.index_digest))),
        )
        .order_by(BlobCheckRow.site_id, BlobCheckRow.sha256)
        .limit(limit)
    )
    return [
        Damaged(row.site_id, row.sha256, row.damage or "", row.checked_us, bearers(session, row.site_id, row.sha256))
        for row in session.scalars(statement)
    ]


def standing(session: Session) -> Standing:
    files = _everything().subquery()
    statement = select(
        func.count(),
        func.count(BlobCheckRow.checked_us),
        func.count(BlobCheckRow.damage),
        func.min(BlobCheckRow.checked_us),
    ).select_from(
        files.outerjoin(
            BlobCheckRow, and_(BlobCheckRow.site_id == files.c.site_id, BlobCheckRow.sha256 == files.c.sha256)
        )
    )
    return Standing(*session.execute(statement).one())


def _everything() -> Select[*tuple[Any, ...]]:
    """Blobs that any slide names, and the newest index of each that is ready."""
    blobs = (
        select(
            SlideRow.site_id,
            SlideFileRow.sha256,
            func.max(SlideFileRow.length).label("length"),
            cast(null(), Text).label("index_of"),
        )
        .join(SlideRow, SlideRow.id == SlideFileRow.slide_id)
        .group_by(SlideRow.site_id, SlideFileRow.sha256)
    )
    indexes = select(SlideRow.site_id, SlideRow.index_digest, cast(null(), BigInteger), SlideRow.id).where(
        SlideRow.state == SlideState.READY, SlideRow.index_digest.is_not(None)
    )
    both = union_all(blobs, indexes).subquery()
    return select(both.c.site_id, both.c.sha256, both.c.length, both.c.index_of)


def _kept(row: Row[*tuple[Any, ...]]) -> Kept:
    return Kept(row.site_id, row.sha256, row.length, row.index_of)
