"""Why can I, or can I not, see this? In words: by which right, until when, what is hidden; or what may be against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import HTMLResponse

import sharing.why
from sharing.db.engine import Session
from sharing.explanation import Code, Explanation, Reason
from sharing.subjects import Guest, Member
from sharing.vocabulary import CaseId, Purpose, Role, SlideId, SlideState
from sharing.why import Person, Told
from slideserver.deps import LanguageDep, PageDep, ReadersDep, RecordingSessionDep, StateDep, any_reader
from slideserver.pages.journal import Translate
from slideserver.pages.words import N_, PURPOSES, ROLES, SHARES, STATES

# What each reason is told as, to the one whom it is about, then about somebody else.
REASONS: Mapping[Code, tuple[str, str]] = {
    Code.ROLE_OPENS: (
        N_("It belongs to %(site)s, your centre, and your role, %(role)s, opens it."),
        N_("It belongs to %(site)s, and the role %(role)s opens it there."),
    ),
    Code.ASKED: (
        N_("%(site)s asks your opinion about it, for %(purpose)s: request %(reference)s."),
        N_("An opinion was asked about it, for %(purpose)s: request %(reference)s."),
    ),
    Code.LINKED: (
        N_("It was shared with you by a link, for %(purpose)s: %(reference)s."),
        N_("The link %(reference)s shows it to guests, for %(purpose)s."),
    ),
    Code.IDENTITY_HIDDEN: (
        N_("The patient’s name, year of birth and case number stay at the centre the slide comes from."),
        N_("The patient’s name, year of birth and case number are not shown."),
    ),
    Code.PERSON_HIDDEN: (
        N_("Sex and age are not shown for %(purpose)s."),
        N_("Sex and age are not shown for %(purpose)s."),
    ),
    Code.LABEL_HIDDEN: (
        N_("The label and the picture of the whole glass are not shown: they bear names and numbers."),
        N_("The label and the picture of the whole glass are not shown: they bear names and numbers."),
    ),
    Code.FILE_HIDDEN: (N_("The file cannot be downloaded."), N_("The file cannot be downloaded.")),
    Code.OTHERS_HIDDEN: (
        N_("Other slides of the same case, if there are any, are shown only when they were named too."),
        N_("Other slides of the same case are shown only where they were named too."),
    ),
    Code.OBJECTION_STANDS: (
        N_("The patient objects to %(purpose)s: outside your centre nobody is shown it for that."),
        N_("The patient objects to %(purpose)s: outside the centre nobody is shown it for that."),
    ),
    Code.NOT_READY: (
        N_("There is no picture of it: %(state)s."),
        N_("There is no picture of it: %(state)s."),
    ),
    Code.ROLE_CLOSED: (
        N_("It is not open to your role, %(role)s. Your lab manager can tell you who may open it."),
        N_("It is not open to the role %(role)s."),
    ),
    Code.ROLE_NOT_ASKED: (
        "",
        N_("It belongs to another centre, and nobody with the role %(role)s can be asked there."),
    ),
    Code.ACCOUNT_CLOSED: ("", N_("The account is closed.")),
    Code.NEVER_ASKED: ("", N_("It belongs to another centre, which has asked nothing of %(site)s about it.")),
    Code.CASE_STAYS: ("", N_("A case is open at its own centre alone; others see the slides that were named to them.")),
    Code.SHARE_OVER: ("", N_("%(reference)s showed it, and is over: %(state)s.")),
    Code.OBJECTED: ("", N_("%(reference)s does not show it any more: the patient objects to %(purpose)s.")),
    Code.NOT_NAMED: ("", N_("%(reference)s is about the same case, and this slide was not named in it.")),
    Code.SOMEBODY_ELSE: ("", N_("%(reference)s shows it to somebody else: %(name)s.")),
    Code.CASE_CHANGED: ("", N_("%(reference)s showed it, until the slide was put into another case.")),
    Code.BYTES_CHANGED: (
        "",
        N_("%(reference)s shows the slide as it was when the link was made; it has changed since."),
    ),
}
# What may be so when nothing is told, and what helps.
POSSIBLE: tuple[tuple[str, str], ...] = (
    (N_("The address is incomplete or wrong."), N_("Open the slide from your list rather than from a copied address.")),
    (
        N_("The slide belongs to another centre, and you are not asked about it."),
        N_("Ask the colleague who told you of it to send you a request for an opinion."),
    ),
    (
        N_("A request or a link showed it, and is over."),
        N_("What was written stays under Opinions. To see the slide again, ask that centre for a new request."),
    ),
    (
        N_("The patient has objected to what it was shared for."),
        N_("Nothing can be done from here: the centre that made the slide knows more."),
    ),
    (N_("Your role does not open it."), N_("Your lab manager can tell you who may.")),
)

# Until when a right holds, if no moment is told.
UNTIL: Mapping[Code, str] = {
    Code.ROLE_OPENS: N_("As long as the account and its role stand."),
    Code.ASKED: N_("Until the request is closed by the centre that asked, or declined."),
}

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Sentence:
    """`when_us`: since or until when, if that is known."""

    text: str
    when_us: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An explanation in the reader's language. Without `reasons`: nothing can be told."""

    allowed: bool
    reasons: Sequence[Sentence]
    limits: Sequence[Sentence]
    until: str | None
    until_us: int | None


@router.get("/why", dependencies=[any_reader])
def why(page: PageDep) -> HTMLResponse:
    """What may be the reasons, when nothing in particular is asked about."""
    return page("why.html", answer=None, told=None, possible=POSSIBLE, people=(), about=None, about_answer=None)


@router.get("/why/cases/{case_id}", dependencies=[any_reader])
def why_case(
    state: StateDep,
    session: RecordingSessionDep,
    readers: ReadersDep,
    language: LanguageDep,
    page: PageDep,
    case_id: str,
) -> HTMLResponse:
    told = _told(session, readers, CaseId(case_id), "case")[1]
    answer = _answer(told.explanation, state.catalogues[language].gettext)
    return page("why.html", answer=answer, told=told, possible=POSSIBLE, people=(), about=None, about_answer=None)


@router.get("/why/{slide_id}", dependencies=[any_reader])
def why_slide(
    state: StateDep,
    session: RecordingSessionDep,
    readers: ReadersDep,
    language: LanguageDep,
    page: PageDep,
    slide_id: str,
    person: str = "",
) -> HTMLResponse:
    """About oneself; and, for who may explain the access to the slide, about a `person`."""
    translate = state.catalogues[language].gettext
    reader, told = _told(session, readers, SlideId(slide_id), "slide")
    people: Sequence[Person] = ()
    about = about_answer = None
    if isinstance(reader, Member) and told.slide is not None and sharing.why.may_explain(session, reader, told.slide):
        people = sharing.why.people(session, reader, told.slide)
        about = next((each for each in people if each.key == person), None)
        if about is not None:
            found = sharing.why.told_about(session, reader, told.slide.id, about.key)
            about_answer = _answer(found.explanation, translate, about=1)
    return page(
        "why.html",
        answer=_answer(told.explanation, translate),
        told=told,
        possible=POSSIBLE,
        people=people,
        about=about,
        about_answer=about_answer,
    )


def _told(
    session: Session, readers: Sequence[Member | Guest], thing_id: SlideId | CaseId, kind: str
) -> tuple[Member | Guest, Told]:
    """Of those whom the browser proves to be, the first who may see it; else the first."""
    asked = [(reader, sharing.why.told(session, reader, thing_id, kind)) for reader in readers]
    return next((each for each in asked if each[1].explanation.allowed), asked[0])


def _answer(found: Explanation, translate: Translate, *, about: int = 0) -> Answer | None:
    """In words, about oneself or (1) somebody else; None when no more is told than that there may be reasons."""
    if any(reason.code is Code.ABSENT for reason in found.reasons):
        return None
    until = next((UNTIL[reason.code] for reason in found.reasons if found.allowed and reason.code in UNTIL), None)
    return Answer(
        allowed=found.allowed,
        reasons=[_sentence(reason, translate, about) for reason in found.reasons],
        limits=[_sentence(reason, translate, about) for reason in found.limits],
        until=translate(until) if until and found.until_us is None else None,
        until_us=found.until_us,
    )


def _sentence(reason: Reason, translate: Translate, about: int) -> Sentence:
    values = {name: _value(name, value, translate) for name, value in reason.values.items()}
    when = reason.values.get("ended_us") or reason.values.get("since_us")
    return Sentence(translate(REASONS[reason.code][about]) % values, int(when) if when else None)


def _value(name: str, value: str | int, translate: Translate) -> str:
    text = str(value)
    match name:
        case "role":
            return translate(ROLES[Role(text)]).lower()
        case "purpose":
            return translate(PURPOSES[Purpose(text)])
        case "state" if text in SHARES:
            return translate(SHARES[text][0])
        case "state":
            return translate(STATES[SlideState(text)]).lower()
        case _:
            return text
