"""What the viewer needs to know of a slide before it asks for the first tile, as one JSON document.

All lengths are pixels of level 0 unless a name says otherwise; level 0 is full resolution (as in OpenSlide).
"""

from pydantic import BaseModel

from sharing import cases, slides
from sharing.cases import Case
from sharing.db.engine import Session
from sharing.errors import ConflictError
from sharing.slides import Slide
from sharing.subjects import Member
from sharing.vocabulary import CaseId, SlideId, SlideState
from slideserver.sources import Sources


class PatientDescription(BaseModel):
    name: str
    sex: str | None
    birth_year: int | None


class CaseDescription(BaseModel):
    id: CaseId
    accession: str
    site: str
    patient: PatientDescription
    organ: str | None


class LevelDescription(BaseModel):
    width: int
    height: int
    tile_width: int
    tile_height: int


class SiblingDescription(BaseModel):
    """A slide of the same case. There is a thumbnail when it is ready."""

    id: SlideId
    stain: str | None
    block: str | None
    thumbnail_url: str | None
    state: SlideState


class SlideDescription(BaseModel):
    """`case` is null while nobody has said whose slide it is. `mpp` is µm per pixel, null when unknown."""

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
    levels: list[LevelDescription]
    tile_url: str
    thumbnail_url: str
    label_url: str | None
    macro_url: str | None
    slides_of_case: list[SiblingDescription]


def describe_slide(session: Session, sources: Sources, member: Member, slide_id: SlideId) -> SlideDescription:
    """The slide, for somebody who may see it.

    Raises NotFoundError when it is not there for them, ConflictError when it cannot be shown (yet), with the reason.
    """
    slide = slides.get_slide(session, member, slide_id)
    if slide.state is SlideState.REFUSED:
        raise ConflictError(slide.refusal_reason or "This slide was refused.")
    if slide.state is not SlideState.READY or slide.version is None:
        raise ConflictError("This slide has arrived and is being read. It can be opened in a moment.")
    case = cases.get_case(session, member, slide.case_id) if slide.case_id is not None else None
    levels = sources.open(slide).source.index.levels
    address = f"/tiles/{slide.id}/{slide.version}"
    return SlideDescription(
        id=slide.id,
        version=slide.version,
        case=_case(case) if case else None,
        stain=slide.stain,
        block=slide.block,
        width=levels[0].size.width,
        height=levels[0].size.height,
        mpp_x=slide.mpp_x,
        mpp_y=slide.mpp_y,
        objective_power=slide.objective_power,
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
        label_url=f"{address}/label" if slide.has_label else None,
        macro_url=f"{address}/macro" if slide.has_macro else None,
        slides_of_case=[sibling(other) for other in (case.slides if case else (slide,))],
    )


def thumbnail_url(slide: Slide) -> str | None:
    """Where the slide's thumbnail is, once there is one."""
    return f"/tiles/{slide.id}/{slide.version}/thumbnail" if slide.state is SlideState.READY else None


def sibling(slide: Slide) -> SiblingDescription:
    return SiblingDescription(
        id=slide.id, stain=slide.stain, block=slide.block, thumbnail_url=thumbnail_url(slide), state=slide.state
    )


def _case(case: Case) -> CaseDescription:
    return CaseDescription(
        id=case.id,
        accession=case.accession,
        site=case.site_name,
        patient=PatientDescription(name=case.patient_name, sex=case.patient_sex, birth_year=case.patient_birth_year),
        organ=case.organ,
    )
