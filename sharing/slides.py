"""Slides: from the last byte received to the image on the screen, or to the reason why there is none."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, delete, insert, select, update

from sharing import audit, epoch, policy, text
from sharing.db.engine import Session
from sharing.db.rows import insert_new
from sharing.db.tables import CaseRow, ScannerRow, SlideFileRow, SlideRow
from sharing.errors import ConflictError, InvalidError
from sharing.subjects import Agent, Sender, Subject, System
from sharing.vocabulary import Act, Action, CaseId, Entity, Outcome, ScannerId, SiteId, SlideId, SlideState, new_id

ALLOWED: dict[SlideState, frozenset[SlideState]] = {
    SlideState.RECEIVED: frozenset({SlideState.INDEXING, SlideState.READY, SlideState.REFUSED}),
    SlideState.INDEXING: frozenset({SlideState.INDEXING, SlideState.READY, SlideState.REFUSED}),
    SlideState.READY: frozenset(),
    SlideState.REFUSED: frozenset({SlideState.INDEXING}),  # a later version may be able to read it
}
"""Where a slide may go from each state."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a slide, as the blob store has it; `length` in bytes."""

    name: str
    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What reading the slide told. Pixels for `width` and `height`, µm per pixel for `mpp_…`."""

    format: str
    width: int
    height: int
    mpp_x: float | None = None
    mpp_y: float | None = None
    objective_power: float | None = None
    has_label: bool = False
    has_macro: bool = False


@dataclass(frozen=True, slots=True)
class Slide:
    """One registered scan of one glass. Image facts are None until it is ready."""

    id: SlideId
    site_id: SiteId
    case_id: CaseId | None
    case_accession: str | None
    accession: str | None
    """What the sender said; `case_accession` is that of the case it was matched with."""
    state: SlideState
    sha256: str
    length: int
    index_digest: str | None
    """SHA-256 of the newest generation of its tile index."""
    version: str | None
    """The part of a tile's address that names what the tile is made from and how; None until there is an index."""
    file_name: str
    stain: str | None
    block: str | None
    format: str | None
    width: int | None
    height: int | None
    mpp_x: float | None
    mpp_y: float | None
    objective_power: float | None
    has_label: bool
    has_macro: bool
    refusal_code: str | None
    refusal_reason: str | None
    received_us: int
    decided_us: int | None
    scanner_id: ScannerId | None
    scanner_name: str | None


def create_slide(
    session: Session,
    sender: Sender,
    *,
    files: Sequence[StoredFile],
    file_name: str | None = None,
    sha256: str | None = None,
    accession: str | None = None,
    stain: str | None = None,
    block: str | None = None,
) -> SlideId:
    """Register what was sent. Raises ConflictError if the sender's site has the same bytes already.

    Several files come in the order of their names, which are kept as they are, with the slide's own name and the
    SHA-256 that stands for all of them together.
    """
    policy.require(session, sender, Action.PUSH_SLIDE, sender)
    slide_id, first, alone = SlideId(new_id()), files[0], len(files) == 1
    digest, shown = sha256 or first.sha256, file_name or first.name
    row = {
        "id": slide_id,
        "site_id": sender.site_id,
        "scanner_id": sender.scanner_id if isinstance(sender, Agent) else None,
        "state": SlideState.RECEIVED,
        "sha256": digest,
        "length": sum(file.length for file in files),
        "file_name": text.line(shown, "The file name", limit=255),
        "accession": text.accession(accession) if accession and accession.strip() else None,
        "stain": text.line_or_none(stain, "The stain", limit=64),
        "block": text.line_or_none(block, "The block", limit=64),
        "has_label": False,
        "has_macro": False,
        "received_us": session.now_us,
    }
    insert_new(session, SlideRow, row, "The site already has a slide with these bytes.")
    session.execute(
        insert(SlideFileRow),
        [
            {
                "slide_id": slide_id,
                "number": number,
                "name": text.line(file.name, "The file name", limit=255) if alone else file.name,
                "sha256": file.sha256,
                "length": file.length,
                "derived": False,
            }
            for number, file in enumerate(files)
        ],
    )
    personal = {"file_name": shown, "accession": accession or ""}
    detail = {"sha256": digest} if alone else {"sha256": digest, "files": str(len(files))}
    _record(session, Act.SLIDE_RECEIVED, sender, slide_id, sender.site_id, detail, personal=personal)
    return slide_id


def by_digest(session: Session, site_id: SiteId, sha256: str) -> Slide | None:
    """The slide of this very site that has these bytes; whether another site has them is not told."""
    return _one(session, _slides().where(SlideRow.site_id == site_id, SlideRow.sha256 == sha256))


def start_indexing(session: Session, slide_id: SlideId) -> None:
    """Say that a worker reads it. Raises ConflictError if the slide is ready."""
    _move(session, slide_id, SlideState.INDEXING, {"refusal_code": None, "refusal_reason": None, "decided_us": None})


def mark_ready(
    session: Session, slide_id: SlideId, *, index_digest: str, image: ImageFacts, version: str | None = None
) -> bool:
    """Open the slide to its readers, matched with its site's case of the accession the sender gave, if there is one.
    `version` is that of the index; None for a first generation, which it is named after.

    False, and nothing done, if it was ready already with that index. Raises ConflictError from any other wrong state.
    """
    hold(session, slide_id)
    slide = _known(session, slide_id)
    if slide.state is SlideState.READY and slide.index_digest == index_digest:
        return False
    case_id = slide.case_id or _case_of(session, slide)
    facts = {
        "index_digest": index_digest,
        "version": version or index_digest[:16],
        "case_id": case_id,
        "decided_us": session.now_us,
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "mpp_x": image.mpp_x,
        "mpp_y": image.mpp_y,
        "objective_power": image.objective_power,
        "has_label": image.has_label,
        "has_macro": image.has_macro,
    }
    _move(session, slide_id, SlideState.READY, facts)
    detail = {"index": index_digest, "matched": "yes" if case_id else "no"}
    _record(session, Act.SLIDE_REGISTERED, System(), slide_id, slide.site_id, detail, case_id=case_id)
    return True


def mark_refused(session: Session, slide_id: SlideId, *, code: str, reason: str) -> bool:
    """Close the slide with a reason in words. False, and nothing done, if it was refused with that code already."""
    slide = _known(session, slide_id)
    if slide.state is SlideState.REFUSED and slide.refusal_code == code:
        return False
    why = {"refusal_code": code, "refusal_reason": text.line(reason, "The reason", limit=1000)}
    _move(session, slide_id, SlideState.REFUSED, why | {"decided_us": session.now_us})
    _record(
        session,
        Act.SLIDE_REGISTERED,
        System(),
        slide_id,
        slide.site_id,
        {"refused": code},
        case_id=slide.case_id,
        outcome=Outcome.FAILED,
    )
    return True


def get_slide(session: Session, subject: Subject, slide_id: SlideId, action: Action = Action.VIEW_SLIDE) -> Slide:
    """The slide, if the subject may do `action` to it; else NotFoundError or RefusedError, see `policy.require`."""
    slide = _known(session, slide_id)
    require(session, subject, slide, action)
    return slide


def require(session: Session, subject: Subject, slide: Slide, action: Action = Action.VIEW_SLIDE) -> None:
    """Return if the subject may do `action` to the slide; else as `get_slide`."""
    policy.require(session, subject, action, slide, Entity("slide", slide.id), *_case_entity(slide.case_id))


def known(session: Session, slide_ids: Collection[SlideId]) -> dict[SlideId, Slide]:
    """Those of the slides that there are, whoever may see them: ask `require` about each."""
    rows = session.execute(_by_ids(), {"slide_ids": [*slide_ids]}).mappings() if slide_ids else ()
    return {row["id"]: _of(row) for row in rows}


def hold(session: Session, slide_id: SlideId) -> None:
    """Nobody else changes the slide before this transaction ends; what is read of it from here on stays true. Of two
    who name its case at once, reception and its registration, the second sees what the first has done."""
    session.execute(select(SlideRow.id).where(SlideRow.id == slide_id).with_for_update(key_share=True))


def files_of(session: Session, slide_id: SlideId, *, received_only: bool = False) -> tuple[StoredFile, ...]:
    """The files of a slide, in the order of its index: those received, then those its derived tiles are kept in."""
    files = (
        select(SlideFileRow.name, SlideFileRow.sha256, SlideFileRow.length)
        .where(SlideFileRow.slide_id == slide_id)
        .order_by(SlideFileRow.number)
    )
    rows = session.execute(files.where(~SlideFileRow.derived) if received_only else files)
    return tuple(StoredFile(row.name, row.sha256, row.length) for row in rows)


def publish(session: Session, slide_id: SlideId, *, index_digest: str, derived: StoredFile) -> None:
    """Replace the slide's index by a later generation, whose derived tiles lie in `derived`. Its version stays."""
    session.execute(delete(SlideFileRow).where(SlideFileRow.slide_id == slide_id, SlideFileRow.derived))
    number = len(files_of(session, slide_id))
    row = {"name": derived.name, "sha256": derived.sha256, "length": derived.length, "derived": True}
    session.execute(insert(SlideFileRow), [row | {"slide_id": slide_id, "number": number}])
    session.execute(update(SlideRow).where(SlideRow.id == slide_id).values(index_digest=index_digest))


def of_cases(session: Session, case_ids: Iterable[CaseId]) -> dict[CaseId, tuple[Slide, ...]]:
    """The slides of cases that the caller has already been allowed to see, oldest first."""
    statement = _slides().where(SlideRow.case_id.in_(case_ids)).order_by(SlideRow.received_us, SlideRow.id)
    found: dict[CaseId, list[Slide]] = {}
    for slide in _all(session, statement):
        if slide.case_id:
            found.setdefault(slide.case_id, []).append(slide)
    return {case_id: tuple(slides) for case_id, slides in found.items()}


def intake(
    session: Session,
    subject: Subject,
    *,
    since_us: int | None = None,
    state: SlideState | None = None,
    ids: Collection[SlideId] | None = None,
    limit: int = 200,
) -> list[Slide]:
    """What arrived at the subject's site, newest first; unmatched slides have `case_id` None. Empty for who may not.

    If it is said: only what arrived from `since_us` on, stands so, or is one of these.
    """
    visible = policy.visible_intake(subject).subquery()
    statement = _slides().join(visible, visible.c.id == SlideRow.id)
    if since_us is not None:
        statement = statement.where(SlideRow.received_us >= since_us)
    if state is not None:
        statement = statement.where(SlideRow.state == state)
    if ids is not None:
        statement = statement.where(SlideRow.id.in_(ids))
    return _all(session, statement.order_by(SlideRow.received_us.desc(), SlideRow.id).limit(limit))


def assign(
    session: Session,
    subject: Subject,
    slide_id: SlideId,
    case_id: CaseId,
    *,
    stain: str | None = None,
    block: str | None = None,
) -> None:
    """Put a slide into a case of the same site, with what its label says; None leaves stain or block as it is.

    Raises NotFoundError or RefusedError if the subject may not, InvalidError if the case belongs to another site.
    """
    hold(session, slide_id)
    slide = get_slide(session, subject, slide_id, Action.ASSIGN_SLIDE)
    case = session.get(CaseRow, case_id)
    if case is None:
        raise policy.absent("case")
    policy.require(session, subject, Action.ASSIGN_SLIDE, case, Entity("case", case_id), Entity("slide", slide_id))
    if case.site_id != slide.site_id:
        raise InvalidError("A slide can only join a case of its own site.")
    values = {
        "case_id": case_id,
        "stain": text.line_or_none(stain, "The stain", limit=64) or slide.stain,
        "block": text.line_or_none(block, "The block", limit=64) or slide.block,
    }
    changed = sorted(name for name, value in values.items() if value != getattr(slide, name))
    if not changed:
        return
    session.execute(update(SlideRow).where(SlideRow.id == slide_id).values(values))
    detail = {"changed": " ".join(changed)}
    if "case_id" in changed:
        epoch.bump(session)  # who could see it by its former case may not see it by this one
        detail |= {"former_case": slide.case_id} if slide.case_id else {}
    _record(session, Act.SLIDE_ASSIGNED, subject, slide_id, slide.site_id, detail, case_id=case_id)


def _move(session: Session, slide_id: SlideId, to: SlideState, values: Mapping[str, object]) -> None:
    sources = [state for state, targets in ALLOWED.items() if to in targets]
    moved = session.execute(
        update(SlideRow)
        .where(SlideRow.id == slide_id, SlideRow.state.in_(sources))
        .values(state=to, **values)
        .returning(SlideRow.id)
    ).one_or_none()
    if moved is None:
        raise ConflictError(f"The slide {slide_id} cannot become {to} from where it stands.")


def _record(
    session: Session,
    act: Act,
    subject: Subject,
    slide_id: SlideId,
    site_id: SiteId,
    detail: Mapping[str, str],
    *,
    case_id: CaseId | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    personal: Mapping[str, str] | None = None,
) -> None:
    entities = [Entity("slide", slide_id), *_case_entity(case_id)]
    audit.record(
        session,
        site_id=site_id,
        act=act,
        subject=subject,
        outcome=outcome,
        entities=entities,
        detail=detail,
        personal=personal,
    )


def _case_entity(case_id: CaseId | None) -> list[Entity]:
    return [Entity("case", case_id)] if case_id else []


def _case_of(session: Session, slide: Slide) -> CaseId | None:
    return session.scalars(
        select(CaseRow.id).where(CaseRow.site_id == slide.site_id, CaseRow.accession == slide.accession)
    ).one_or_none()


def _known(session: Session, slide_id: SlideId) -> Slide:
    row = session.execute(_by_id(), {"slide_id": slide_id}).mappings().one_or_none()
    if row is None:
        raise policy.absent("slide")
    return _of(row)


@cache
def _by_ids() -> Select[*tuple[Any, ...]]:
    return _slides().where(SlideRow.id.in_(bindparam("slide_ids", expanding=True)))


@cache
def _by_id() -> Select[*tuple[Any, ...]]:
    return _slides().where(SlideRow.id == bindparam("slide_id"))


@cache
def _slides() -> Select[*tuple[Any, ...]]:
    """Every column of `Slide`, under the name it has there."""
    joined = {"case_accession": CaseRow.accession, "scanner_name": ScannerRow.name}
    columns = (joined[field.name] if field.name in joined else getattr(SlideRow, field.name) for field in fields(Slide))
    return (
        select(*(column.label(field.name) for column, field in zip(columns, fields(Slide), strict=True)))
        .select_from(SlideRow)
        .outerjoin(CaseRow, CaseRow.id == SlideRow.case_id)
        .outerjoin(ScannerRow, ScannerRow.id == SlideRow.scanner_id)
    )


def _all(session: Session, statement: Select[*tuple[Any, ...]]) -> list[Slide]:
    rows = session.execute(statement).mappings()
    return [_of(row) for row in rows]


def _of(row: RowMapping) -> Slide:
    return Slide(**{**row, "state": SlideState(row["state"])})


def _one(session: Session, statement: Select[*tuple[Any, ...]]) -> Slide | None:
    return next(iter(_all(session, statement)), None)
