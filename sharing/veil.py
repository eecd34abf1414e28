"""What leaves the site: of a case and its slides, that which names nobody.

Another site or a guest sees the organ, sex and age, the stain, the block and the image, under the short number of the
exchange. No accession number, no patient's name, no file name, no scanner, no label and no macro. Whoever shows
something of a case outside its site shows these values, never the case itself.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sharing import text
from sharing.cases import Case
from sharing.clock import SECOND_US
from sharing.errors import InvalidError
from sharing.rights import GRANTS
from sharing.slides import Slide
from sharing.vocabulary import Purpose, SlideId, SlideState

OLDEST = 90
"""Ages from here on are told as this one: the very old are few enough to be recognised."""


@dataclass(frozen=True, slots=True)
class VeiledSlide:
    id: SlideId
    version: str | None
    state: SlideState
    stain: str | None
    block: str | None
    width: int | None
    height: int | None
    mpp_x: float | None
    mpp_y: float | None
    objective_power: float | None


@dataclass(frozen=True, slots=True)
class VeiledCase:
    reference: str
    """The number of the consultation or link, which stands for the accession number."""
    site_name: str
    organ: str | None
    sex: str | None
    """Patient's Sex (0010,0040): F, M or O."""
    age: int | None
    """In years, give or take one; 90 stands for 90 and more."""
    slides: tuple[VeiledSlide, ...]


def veiled(case: Case, reference: str, shown: Collection[SlideId], *, purpose: Purpose, now_us: int) -> VeiledCase:
    """The case under its `reference`, with those of its slides that are `shown`, and what the purpose shows of it."""
    person, age = GRANTS[purpose].person, None
    if person and case.patient_birth_year is not None:
        year = datetime.fromtimestamp(now_us / SECOND_US, UTC).year
        age = min(max(year - case.patient_birth_year, 0), OLDEST)
    return VeiledCase(
        reference=reference,
        site_name=case.site_name,
        organ=_unless_named(case.organ, case),
        sex=case.patient_sex if person else None,
        age=age,
        slides=tuple(_slide(slide, case) for slide in case.slides if slide.id in shown),
    )


def require_unnamed(prose: str, what: str, case: Case) -> None:
    """Raises InvalidError if text that will be read elsewhere names the patient or the case; `what` names the field."""
    for word in naming(prose, case):
        raise InvalidError(
            f"{what} contains “{word}”, which tells whose case this is. It will be read outside your centre: "
            f"take it out and send it again."
        )


def naming(prose: str, case: Case) -> Iterator[str]:
    """What in the text identifies the patient: the accession number however it is spaced, the family name as a name is
    written, or all parts of the name.
    """
    number = _letters(case.accession)
    if len(number) >= 4 and number in _letters(prose):
        yield case.accession
    words = set(re.findall(r"\w+", prose))
    folded = {text.folded(word) for word in words}
    parts = re.findall(r"\w{2,}", case.patient_name)
    if len(parts) > 1 and all(text.folded(part) in folded for part in parts):
        yield case.patient_name
    for part in parts:
        # "EXEMPLE" is the patient, "par exemple" is not.
        if (
            len(part) >= 3
            and part.isupper()
            and any(w.isupper() and text.folded(w) == text.folded(part) for w in words)
        ):
            yield part


def _slide(slide: Slide, case: Case) -> VeiledSlide:
    return VeiledSlide(
        id=slide.id,
        version=slide.version,
        state=slide.state,
        stain=_unless_named(slide.stain, case, slide),
        block=_unless_named(slide.block, case, slide),
        width=slide.width,
        height=slide.height,
        mpp_x=slide.mpp_x,
        mpp_y=slide.mpp_y,
        objective_power=slide.objective_power,
    )


def _unless_named(value: str | None, case: Case, slide: Slide | None = None) -> str | None:
    """A short field, unless somebody wrote a name or a number of the case, of the patient or of the file into it."""
    if value is None:
        return None
    folded, plain = text.folded(value), _letters(value)
    numbers = [case.accession, *((slide.accession,) if slide else ())]
    if any(number and len(_letters(number)) >= 4 and _letters(number) in plain for number in numbers):
        return None
    # A file may be called "Ki67.svs" and the stain Ki67: only what is longer than such a word gives a file away.
    others = [slide.file_name.rpartition(".")[0], slide.scanner_name] if slide else []
    if any(other and len(_letters(other)) >= 6 and _letters(other) in plain for other in others):
        return None
    names = {text.folded(part) for part in re.findall(r"\w{3,}", case.patient_name)}
    # Six digits in a row are no block: they are a number or a date of somebody's.
    return None if names & set(re.findall(r"\w+", folded)) or re.search(r"\d{6}", plain) else value


def _letters(value: str) -> str:
    """Letters and digits alone, so that no blank or hyphen hides a number."""
    return re.sub(r"[^a-z0-9]", "", text.folded(value))
