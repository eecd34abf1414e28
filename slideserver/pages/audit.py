"""The journal of a site: who sent what and who opened what, for its lab manager. Every reading of it is on record."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, Response

import sharing.audit
from sharing import chain, sites
from sharing.audit import AuditRow, Filters
from sharing.cases import case_by_accession
from sharing.chain import SiteReport
from sharing.db.engine import Session
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, MemberId, Outcome
from slideserver.deps import LanguageDep, MemberDep, Page, PageDep, RecordingSessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.pages import journal, moments
from slideserver.state import State

ON_A_PAGE = 100
IN_A_FILE = 50_000

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Search:
    """What the address asks of the journal; what it does not understand counts as not asked."""

    case: str = ""
    act: str = ""
    person: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    cursor: str = ""
    unknown_case: bool = False

    @property
    def narrowed(self) -> bool:
        return bool(self.case or self.act or self.person or self.outcome or self.since or self.until)

    def address(self, path: str, cursor: str = "") -> str:
        """The same question at `path`, from `cursor` on."""
        fields = {
            "case": self.case,
            "act": self.act,
            "person": self.person,
            "outcome": self.outcome,
            "since": self.since,
            "until": self.until,
            "cursor": cursor,
        }
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"{path}?{query}" if query else path


def asked(
    case: str = "",
    act: str = "",
    person: str = "",
    outcome: str = "",
    since: str = "",
    until: str = "",
    cursor: str = "",
) -> Search:
    return Search(
        case=" ".join(case.split())[:64],
        act=act if act in set(Act) else "",
        person=person,
        outcome=outcome if outcome in set(Outcome) else "",
        since=since if moments.day_of(since) else "",
        until=until if moments.day_of(until) else "",
        cursor=cursor,
    )


SearchDep = Annotated[Search, Depends(asked)]


@router.get("/audit", dependencies=[requires(Action.READ_AUDIT)])
def read(
    state: StateDep,
    session: RecordingSessionDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    search: SearchDep,
) -> HTMLResponse:
    return _page(state, session, member, language, page, search, verified=None)


@router.post("/audit/verify", dependencies=[requires(Action.READ_AUDIT)])
def verify(state: StateDep, member: MemberDep, language: LanguageDep, page: PageDep, search: SearchDep) -> HTMLResponse:
    """The journal with what a walk along the whole chain of the site has found. Nobody waits to write meanwhile."""
    with state.database.reading() as session:
        verified = chain.verify_own(session, member)
    with state.database.writing() as session:
        chain.record_verification(session, member, verified)
        return _page(state, session, member, language, page, search, verified)


@router.get("/audit.csv", dependencies=[requires(Action.READ_AUDIT)])
def export(
    state: StateDep, session: RecordingSessionDep, member: MemberDep, language: LanguageDep, search: SearchDep
) -> Response:
    """What the page shows under the same filters, all of it, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    rows = _all(session, member, filters(session, member, search, timezone))
    elsewhere = _elsewhere(session, member)
    lines = (journal.line(row, timezone, language, translate, elsewhere) for row in rows)
    text = "".join(journal.csv_text(lines, language, translate))
    day = datetime.fromtimestamp(session.now_us / 1_000_000, timezone).date()
    headers = {
        "Content-Disposition": f'attachment; filename="iain-{member.site_id}-{day}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def filters(session: Session, member: Member, search: Search, timezone: ZoneInfo) -> Filters | None:
    """The question as `sharing` understands it; None when it names a case that the site does not have."""
    case_id = case_by_accession(session, member.site_id, search.case) if search.case else None
    if search.case and case_id is None:
        return None
    return Filters(
        since_us=moments.midnight_us(search.since, timezone),
        until_us=moments.midnight_us(search.until, timezone, days_later=1),
        act=Act(search.act) if search.act else None,
        outcome=Outcome(search.outcome) if search.outcome else None,
        agent_id=MemberId(search.person) if search.person else None,
        case_id=case_id,
    )


def _page(
    state: State,
    session: Session,
    member: Member,
    language: Language,
    page: Page,
    search: Search,
    verified: SiteReport | None,
) -> HTMLResponse:
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    narrowed = filters(session, member, search, timezone)
    rows: list[AuditRow] = []
    following = None
    if narrowed is not None:
        found = sharing.audit.query(session, member, narrowed, search.cursor or None, limit=ON_A_PAGE)
        rows, following = list(found.rows), found.next
    elsewhere = _elsewhere(session, member)
    lines = [journal.line(row, timezone, language, translate, elsewhere) for row in rows]
    return page(
        "audit.html",
        search=replace(search, unknown_case=narrowed is None),
        days=journal.days(lines, rows, timezone, language),
        next=following,
        people=sharing.audit.people(session, member),
        chain=chain.standing(session, member),
        verified=verified,
    )


def _elsewhere(session: Session, member: Member) -> dict[str, str]:
    """The names of the other centres, whose members stand in the journal when they look at what is shown to them."""
    return {site.id: site.name for site in sites.list_sites(session) if site.id != member.site_id}


def _all(session: Session, member: Member, narrowed: Filters | None) -> Iterator[AuditRow]:
    """Every row under the filters, newest first, up to IN_A_FILE of them."""
    cursor: str | None = None
    left = IN_A_FILE if narrowed is not None else 0
    while narrowed is not None and left > 0:
        found = sharing.audit.query(session, member, narrowed, cursor, limit=min(left, 1000))
        yield from found.rows
        left -= len(found.rows)
        cursor = found.next
        if cursor is None:
            return
