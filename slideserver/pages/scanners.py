"""The scanners of a centre for its technicians: which one is silent, what came today, and what waits for somebody.

The page asks for its moving part again every few seconds; that keeps nobody signed in.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

import sharing.slides
from ingest.agent import messages
from sharing import claims, custody, heartbeats, sightings
from sharing.db.engine import Session
from sharing.share_figures import DAY_US
from sharing.slides import Slide
from sharing.subjects import Member
from sharing.vocabulary import Action, SlideId, SlideState
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.pages import charts, moments, signs
from slideserver.pages.intake import unmatched
from slideserver.pages.journal import Translate, csv_of
from slideserver.pages.words import N_, STATES, refusal
from slideserver.pages.worklist import PENDING
from slideserver.pages.works import Work, work_of
from slideserver.recording import RecordDep
from slideserver.state import State

MOST_OF_A_DAY = 5_000
REFUSED_FOR_US = 7 * DAY_US
MOST_REFUSED = 50
MOST_JOBS = 5_000
BOARD = "scanners"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an agent cannot do without a person beside the scanner, in the words the agent itself uses there."""

    scanner_name: str
    name: str
    told: str
    since_us: int


@router.get("/scanners", dependencies=[requires(Action.VIEW_INTAKE)])
def scanners(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, language: LanguageDep, page: PageDep
) -> HTMLResponse:
    board = _board(state, session, member, language)
    record(sightings.list_intake, member, BOARD, len(board["today"]))
    return page("scanners.html", every_s=signs.REFRESH_S, **board)


@router.get("/scanners/now", dependencies=[requires(Action.VIEW_INTAKE)])
def now(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, language: LanguageDep, page: PageDep
) -> HTMLResponse:
    """The part of the page that moves, by itself."""
    board = _board(state, session, member, language)
    if not sightings.watched(session, member, BOARD):
        record(sightings.watch_intake, member, BOARD, len(board["today"]))
    return page("scanners_now.html", **board)


@router.get("/scanners.csv", dependencies=[requires(Action.VIEW_INTAKE)])
def export(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, language: LanguageDep
) -> Response:
    """The slides of the day, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    today, _ = _day(session.now_us, timezone)
    found = sharing.slides.intake(session, member, since_us=today, limit=MOST_OF_A_DAY)
    record(sightings.list_intake, member, "csv", len(found))
    headers = {
        "Content-Disposition": f'attachment; filename="iain-lames-{member.site_id}-'
        f'{moments.at(session.now_us, timezone).date()}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(_csv(found, timezone, language, translate), media_type="text/csv; charset=utf-8", headers=headers)


def _board(state: State, session: Session, member: Member, language: Language) -> dict[str, Any]:
    timezone = ZoneInfo(state.settings.timezone)
    start_us, end_us = _day(session.now_us, timezone)
    found = [signs.standing(each, session.now_us) for each in heartbeats.list_scanners(session, member, member.site_id)]
    today = sharing.slides.intake(session, member, since_us=start_us, limit=MOST_OF_A_DAY)
    sent = heartbeats.volumes(session, member, member.site_id, start_us, end_us)
    refused = sharing.slides.intake(session, member, state=SlideState.REFUSED, limit=MOST_REFUSED)
    refused = [slide for slide in refused if slide.received_us > session.now_us - REFUSED_FOR_US]
    works, waiting = _works(state, session, member)
    return {
        "scanners": found,
        "troubles": _troubles(found, refused, language),
        "refused": refused,
        "works": works,
        "waiting": waiting,
        "claims": claims.count_waiting(session, member),
        "damaged": custody.damaged(session, member),
        "today": today,
        "counted": Counter(_standing(slide) for slide in today),
        "chart": charts.day(
            ((volume.minute_us, volume.sent_bytes) for volume in sent),
            (slide.received_us for slide in today),
            start_us,
            end_us,
            session.now_us,
        ),
        "told_us": session.now_us,
        "server": state.settings.base_url or f"http://{state.settings.host}:{state.settings.port}",
    }


def _day(now_us: int, timezone: ZoneInfo) -> tuple[int, int]:
    """The midnights before and after, at the site."""
    day = moments.at(now_us, timezone).date()
    start_us = moments.midnight_us(day.isoformat(), timezone)
    end_us = moments.midnight_us((day + timedelta(days=1)).isoformat(), timezone)
    assert start_us is not None  # noqa: S101 - of a real day
    assert end_us is not None  # noqa: S101
    return start_us, end_us


def _standing(slide: Slide) -> str:
    if slide.state in PENDING:
        return "pending"
    return "unmatched" if unmatched(slide) else slide.state


def _troubles(found: Sequence[signs.Standing], refused: Sequence[Slide], language: Language) -> list[Trouble]:
    """What the agents say, but for slides that were refused here: those are told once, with what the server knows."""
    here = {(slide.scanner_name, slide.file_name) for slide in refused}
    words = messages.Words(messages.Language(language.value))
    return [
        Trouble(each.scanner.name, trouble.name, words.why(trouble.code, trouble.detail or None), trouble.since_us)
        for each in found
        if each.said
        for trouble in each.said.troubles
        if (each.scanner.name, trouble.name) not in here
    ]


def _works(state: State, session: Session, member: Member) -> tuple[list[tuple[Slide, Work]], int]:
    """What is in hand for the member's site, and how many more slides wait for their turn."""
    jobs = sorted(state.queue.progress(session), key=lambda job: job.state != "running")[:MOST_JOBS]
    ids = {SlideId(job.key) for job in jobs}
    own = {slide.id: slide for slide in sharing.slides.intake(session, member, ids=ids, limit=MOST_JOBS)}
    mine = [job for job in jobs if SlideId(job.key) in own]
    running = [job for job in mine if job.state == "running"]
    return [(own[SlideId(job.key)], work_of(job)) for job in running], len(mine) - len(running)


def _csv(found: Sequence[Slide], timezone: ZoneInfo, language: Language, translate: Translate) -> str:
    heads = (
        N_("Arrival"),
        N_("Scanner"),
        N_("Case number"),
        N_("Number sent"),
        N_("File"),
        N_("Bytes"),
        N_("State"),
        N_("Why, and what to do"),
    )
    rows = (
        (
            moments.at(slide.received_us, timezone).isoformat(timespec="seconds"),
            slide.scanner_name or "",
            slide.case_accession or "",
            slide.accession or "",
            slide.file_name,
            str(slide.length),
            translate(N_("Without a case")) if unmatched(slide) else translate(STATES[slide.state]),
            translate(refusal(slide.refusal_code)) if slide.state is SlideState.REFUSED else "",
        )
        for slide in found
    )
    return "".join(csv_of([translate(head) for head in heads], rows, language))
