"""What the viewer needs to know of a slide before it asks for the first tile, as one JSON document.

All lengths are pixels of level 0 unless a name says otherwise; level 0 is full resolution (as in OpenSlide).

Who reads it at another site, or by a link, is told what `sharing.veil` lets through and nothing else of the case.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from sharing import cases, exchange, objections, policy, slides, visits
from sharing.cases import Case
from sharing.db.engine import Session
from sharing.errors import ConflictError
from sharing.slides import Slide
from sharing.subjects import Guest, Member
from sharing.veil import VeiledCase, VeiledSlide
from sharing.vocabulary import Action, CaseId, ConsultationId, ConsultationState, Move, Purpose, SlideId, SlideState
from slideserver.sources import Sources
from tiler.geometry import Region
from tiler.metadata import DISPLAY_WINDOW, FOCAL_PLANE


class PatientDescription(BaseModel):
    """`age` is what other sites are told in place of the year of birth."""

    name: str
    sex: str | None
    birth_year: int | None
    age: int | None = None


class CaseDescription(BaseModel):
    """Of a case of another site: no id, and in place of the accession number the reference of the exchange."""

    id: CaseId | None
    accession: str
    site: str
    patient: PatientDescription
    organ: str | None


class LevelDescription(BaseModel):
    width: int
    height: int
    tile_width: int
    tile_height: int


class BoundsDescription(BaseModel):
    x: int
    y: int
    width: int
    height: int


class FileDescription(BaseModel):
    """What the scanner made, and how many bytes."""

    url: str
    length: int


class SiblingDescription(BaseModel):
    """A slide of the same case. There is a thumbnail when it is ready."""

    id: SlideId
    stain: str | None
    block: str | None
    thumbnail_url: str | None
    state: SlideState


class Context(BaseModel):
    """In which right the slide is read, and what else the reader may do from here.

    `consultation_id`: the consultation about this slide in which the reader takes part; of several, at home the newest,
    abroad as `policy.basis` has it. `expires_us`: when a guest's right ends at the latest. `pinned`: the version
    to whose bytes the guest's link is pinned; no others are shown. `objections`: the purposes for which the patient
    lets nothing be shown elsewhere, told at home.
    """

    kind: Literal["own", "consultation", "guest"]
    role: Literal["requester", "consultant", "guest"] | None = None
    consultation_id: ConsultationId | None = None
    reference: str | None = None
    may_ask: bool = False
    may_link: bool = False
    may_answer: bool = False
    expires_us: int | None = None
    pinned: str | None = None
    objections: list[Purpose] = []


class SlideDescription(BaseModel):
    """`case` is null while nobody has said whose slide it is. `mpp` is µm per pixel, null when unknown. `bounds` is
    where there is anything to see, the whole slide unless its scanner says so; it is what the thumbnail shows.
    `display_window` and `focal_plane` say how the slide is shown where that is a choice. `file` is told to who may take
    it away."""

    id: SlideId
    version: str
    case: CaseDescription | None
    stain: str | None
    block: str | None
    width: int
    height: int
    mpp_x: float | None
    mpp_y: float | None
    objective_power: float | None
    bounds: BoundsDescription
    display_window: str | None
    focal_plane: str | None
    levels: list[LevelDescription]
    tile_url: str
    thumbnail_url: str
    label_url: str | None
    macro_url: str | None
    file: FileDescription | None = None
    slides_of_case: list[SiblingDescription]
    context: Context


@dataclass(frozen=True, slots=True)
class _Told:
    """What one reader is told of a slide, beside its geometry."""

    case: CaseDescription | None
    stain: str | None
    block: str | None
    siblings: list[SiblingDescription]
    context: Context
    file: FileDescription | None = None


def describe_slide(session: Session, sources: Sources, reader: Member | Guest, slide_id: SlideId) -> SlideDescription:
    """The slide, for somebody who may see it.

    Raises NotFoundError when it is not there for them, ConflictError when it cannot be shown (yet), with the reason.
    """
    slide = slides.get_slide(session, reader, slide_id)
    ready = slide.state is SlideState.READY and slide.version is not None
    own = isinstance(reader, Member) and reader.site_id == slide.site_id
    if not ready:
        raise _unready(slide) if own else policy.absent("slide")
    if isinstance(reader, Member) and own:
        told = _told_at_home(session, reader, slide)
    else:
        told = _told_abroad(session, reader, slide)
    index = sources.open(slide).source.index
    levels, image = index.levels, index.metadata
    bounds = image.bounds or Region(0, 0, image.size.width, image.size.height)
    address = f"/tiles/{slide.id}/{slide.version}"
    return SlideDescription(
        id=slide.id,
        version=slide.version or "",
        case=told.case,
        stain=told.stain,
        block=told.block,
        width=levels[0].size.width,
        height=levels[0].size.height,
        mpp_x=slide.mpp_x,
        mpp_y=slide.mpp_y,
        objective_power=slide.objective_power,
        bounds=BoundsDescription(x=bounds.x, y=bounds.y, width=bounds.width, height=bounds.height),
        display_window=image.properties.get(DISPLAY_WINDOW),
        focal_plane=image.properties.get(FOCAL_PLANE),
        levels=[
            LevelDescription(
                width=level.size.width,
                height=level.size.height,
                tile_width=level.tile.width,
                tile_height=level.tile.height,
            )
            for level in levels
        ],
        tile_url=f"{address}/{{level}}/{{col}}_{{row}}",
        thumbnail_url=f"{address}/thumbnail",
        label_url=f"{address}/label" if own and slide.has_label else None,
        macro_url=f"{address}/macro" if own and slide.has_macro else None,
        file=told.file,
        slides_of_case=told.siblings,
        context=told.context,
    )


def _unready(slide: Slide) -> ConflictError:
    if slide.state is SlideState.REFUSED:
        return ConflictError(slide.refusal_reason or "This slide was refused.")
    return ConflictError("This slide has arrived and is being read. It can be opened in a moment.")


def _told_at_home(session: Session, reader: Member, slide: Slide) -> _Told:
    case = cases.get_case(session, reader, slide.case_id) if slide.case_id is not None else None
    allowed = policy.actions_of(reader)
    asked = [
        consultation
        for consultation in (
            exchange.of_case(session, reader, case.id) if case and Action.VIEW_CONSULTATION in allowed else ()
        )
        if slide.id in consultation.slides and consultation.state is not ConsultationState.CANCELLED
    ]
    context = Context(
        kind="own",
        role="requester" if asked else None,
        consultation_id=asked[0].id if asked else None,
        reference=asked[0].reference if asked else None,
        may_ask=case is not None and Action.REQUEST_CONSULTATION in allowed,
        may_link=case is not None and Action.SHARE_BY_LINK in allowed,
        objections=list(objections.of_case(session, case.id)) if case else [],
    )
    siblings = [sibling(other) for other in (case.slides if case else (slide,))]
    may_download = Action.DOWNLOAD_SLIDE in allowed
    file = FileDescription(url=f"/api/slides/{slide.id}/file", length=slide.length) if may_download else None
    return _Told(_case(case) if case else None, slide.stain, slide.block, siblings, context, file)


def _told_abroad(session: Session, reader: Member | Guest, slide: Slide) -> _Told:
    if isinstance(reader, Guest):
        shown = visits.showing(session, reader)
        case = shown.veiled
        context = Context(
            kind="guest",
            role="guest",
            reference=shown.reference,
            expires_us=shown.expires_us,
            pinned=shown.pins.get(slide.id),
        )
    else:
        consultation = exchange.showing(session, reader, slide.id)
        case = consultation.veiled
        context = Context(
            kind="consultation",
            role="consultant",
            consultation_id=consultation.id,
            reference=consultation.reference,
            may_answer=Move.ANSWER in consultation.may,
        )
    veiled = next((each for each in case.slides if each.id == slide.id), None)
    if veiled is None:
        raise policy.absent("slide")
    siblings = [veiled_sibling(each) for each in case.slides]
    return _Told(_veiled_case(case), veiled.stain, veiled.block, siblings, context)


def thumbnail_url(slide: Slide) -> str | None:
    """Where the slide's thumbnail is, once there is one."""
    return f"/tiles/{slide.id}/{slide.version}/thumbnail" if slide.state is SlideState.READY else None


def sibling(slide: Slide) -> SiblingDescription:
    return SiblingDescription(
        id=slide.id, stain=slide.stain, block=slide.block, thumbnail_url=thumbnail_url(slide), state=slide.state
    )


def veiled_sibling(slide: VeiledSlide) -> SiblingDescription:
    ready = slide.state is SlideState.READY and slide.version
    return SiblingDescription(
        id=slide.id,
        stain=slide.stain,
        block=slide.block,
        thumbnail_url=f"/tiles/{slide.id}/{slide.version}/thumbnail" if ready else None,
        state=slide.state,
    )


def _veiled_case(case: VeiledCase) -> CaseDescription:
    return CaseDescription(
        id=None,
        accession=case.reference,
        site=case.site_name,
        patient=PatientDescription(name="", sex=case.sex, birth_year=None, age=case.age),
        organ=case.organ,
    )


def _case(case: Case) -> CaseDescription:
    return CaseDescription(
        id=case.id,
        accession=case.accession,
        site=case.site_name,
        patient=PatientDescription(name=case.patient_name, sex=case.patient_sex, birth_year=case.patient_birth_year),
        organ=case.organ,
    )
