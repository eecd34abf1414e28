"""The journal of a site: who sent what and who opened what, for its lab manager. Every reading of it is on record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from anyio import WouldBlock, to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, StreamingResponse

import sharing.audit
import sharing.audit_search
from sharing import chain, contradictions, sites, witnesses
from sharing.audit_search import AuditRow, Filters
from sharing.cases import case_by_accession
from sharing.chain import SiteReport
from sharing.db.engine import Session
from sharing.errors import BusyError
from sharing.policy import actions_of
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, CaseId, MemberId, Outcome
from slideserver import fhir
from slideserver.deps import LanguageDep, MemberDep, Page, PageDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.pages import journal, moments, searches
from slideserver.pages.searches import Search
from slideserver.recording import Record, RecordDep
from slideserver.state import State

ON_A_PAGE = 100
IN_A_FILE = 50_000
FIELDS = {
    "case": searches.word,
    "act": searches.one_of(set(Act)),
    "person": searches.key,
    "outcome": searches.one_of(set(Outcome)),
    "since": searches.day,
    "until": searches.day,
}

router = APIRouter()


def asked(request: Request) -> Search:
    return searches.search("/audit", FIELDS, request.query_params)


SearchDep = Annotated[Search, Depends(asked)]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as `sharing` understands it; `filters` is None when it names a case that is not there."""

    filters: Filters | None
    case_id: CaseId | None


@router.get("/audit", dependencies=[requires(Action.READ_AUDIT)])
def read(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    search: SearchDep,
) -> HTMLResponse:
    return _page(state, session, record, member, language, page, search, verified=None)


@router.post("/audit/verify", dependencies=[requires(Action.READ_AUDIT)])
async def verify(
    state: StateDep, record: RecordDep, member: MemberDep, language: LanguageDep, page: PageDep, search: SearchDep
) -> HTMLResponse:
    """The journal with what a walk along the whole chain of the site has found. Nobody waits to write meanwhile."""

    def verified() -> HTMLResponse:
        with state.database.reading() as session:
            found = chain.verify_own(session, member)
            record(chain.record_verification, member, found)
            return _page(state, session, record, member, language, page, search, found)

    try:
        state.verifiers.acquire_nowait()
    except WouldBlock:
        raise BusyError("Others have their journal verified. Try again in a minute.") from None
    try:
        return await to_thread.run_sync(verified, limiter=state.verifications)
    finally:
        state.verifiers.release()


@router.get("/audit.csv", dependencies=[requires(Action.READ_AUDIT)])
def as_csv(state: StateDep, member: MemberDep, language: LanguageDep, search: SearchDep) -> StreamingResponse:
    """What the page shows under the same filters, all of it, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    with state.database.reading() as session:
        elsewhere = _elsewhere(session, member)
    lines = (journal.line(row, timezone, language, translate, elsewhere) for row in _all(state, member, search, "csv"))
    return _file(state, member, "csv", "text/csv; charset=utf-8", journal.csv_text(lines, language, translate))


@router.get("/audit.ndjson", dependencies=[requires(Action.READ_AUDIT)])
def as_fhir(state: StateDep, member: MemberDep, search: SearchDep) -> StreamingResponse:
    """The same as FHIR R4 AuditEvents, one on each line. What was altered and can no longer be read is left out."""
    with state.database.reading() as session:
        names: dict[str, str] = {site.id: site.name for site in sites.list_sites(session)}
    rows = (row for row in _all(state, member, search, "fhir") if row.act is not None)
    lines = (fhir.line(row, member.site_id, names) for row in rows)
    return _file(state, member, "ndjson", fhir.NDJSON, lines)


def question(session: Session, member: Member, search: Search, timezone: ZoneInfo) -> Question:
    case_id = case_by_accession(session, member.site_id, search["case"]) if search["case"] else None
    if search["case"] and case_id is None:
        return Question(None, None)
    filters = Filters(
        since_us=search.since_us(timezone),
        until_us=search.until_us(timezone),
        act=Act(search["act"]) if search["act"] else None,
        outcome=Outcome(search["outcome"]) if search["outcome"] else None,
        agent_id=MemberId(search["person"]) if search["person"] else None,
        case_id=case_id,
    )
    return Question(filters, case_id)


def _page(
    state: State,
    session: Session,
    record: Record,
    member: Member,
    language: Language,
    page: Page,
    search: Search,
    verified: SiteReport | None,
) -> HTMLResponse:
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    asked = question(session, member, search, timezone)
    rows: list[AuditRow] = []
    following = None
    if asked.filters is not None:
        found = sharing.audit_search.read(session, member, asked.filters, search.cursor or None, limit=ON_A_PAGE)
        record(sharing.audit_search.note_reading, member, asked.filters)
        rows, following = list(found.rows), found.next
    elsewhere = _elsewhere(session, member)
    lines = [journal.line(row, timezone, language, translate, elsewhere) for row in rows]
    return page(
        "audit.html",
        search=search,
        periods=list(searches.periods(moments.at(session.now_us, timezone).date())),
        unknown_case=asked.filters is None,
        case_id=asked.case_id,
        days=journal.days(lines, rows, timezone, language),
        next=following,
        people=sharing.audit_search.people(session, member),
        chain=chain.standing(session, member),
        verified=verified,
        witnesses=witnesses.standing(session, member.site_id),
        standing=contradictions.concerning(session, member.site_id),
        opens_cases=Action.VIEW_CASE in actions_of(member),
    )


def _elsewhere(session: Session, member: Member) -> dict[str, str]:
    """The names of the other centres, whose members stand in the journal when they look at what is shown to them."""
    return {site.id: site.name for site in sites.list_sites(session) if site.id != member.site_id}


def _all(state: State, member: Member, search: Search, form: str) -> Iterator[AuditRow]:
    """Every row under the filters, newest first, up to IN_A_FILE of them. That they are taken away is on record."""
    with state.database.reading() as session:
        asked = question(session, member, search, ZoneInfo(state.settings.timezone))
    if asked.filters is None:
        return iter(())
    return sharing.audit_search.export(state.database, member, asked.filters, form=form, limit=IN_A_FILE)


def _file(state: State, member: Member, ending: str, media_type: str, lines: Iterable[str]) -> StreamingResponse:
    today = moments.at(state.database.clock.now_us(), ZoneInfo(state.settings.timezone)).date()
    headers = {
        "Content-Disposition": f'attachment; filename="iain-{member.site_id}-{today}.{ending}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(journal.in_pieces(lines), media_type=media_type, headers=headers)
