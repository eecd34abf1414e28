"""The worklist and the page of one case."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

import sharing.cases
from sharing import exchange, objections, policy, sightings
from sharing.policy import AtSite, actions_of
from sharing.vocabulary import Action, CaseId, Entity
from slideserver.deps import MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.pages import consulting
from slideserver.pages.worklist import Search, arrange, listed
from slideserver.recording import RecordDep

MOST = 200
THUMBNAILS = 5

router = APIRouter()


@router.get("/cases", dependencies=[requires(Action.LIST_CASES)])
def worklist(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    page: PageDep,
    q: str = "",
    organ: str = "",
    standing: Annotated[str, Query(alias="state")] = "",
    sort: str = "-received",
) -> HTMLResponse:
    policy.require(session, member, Action.LIST_CASES, AtSite(member.site_id), Entity("site", member.site_id))
    search = Search.of(q, organ, standing, sort)
    found = [listed(case) for case in sharing.cases.list_cases(session, member, search.q, limit=MOST)]
    groups = arrange(found, search, session.now_us, ZoneInfo(state.settings.timezone))
    count = sum(len(group.cases) for group in groups)
    record(sightings.list_cases, member, "worklist", count, search=search.typed)
    return page(
        "cases.html",
        search=search,
        groups=groups,
        count=count,
        more=len(found) == MOST,
        organs=sorted({case.organ for case in found if case.organ}),
        shown=THUMBNAILS,
    )


@router.get("/cases/{case_id}", dependencies=[requires(Action.VIEW_CASE)])
def case(session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, case_id: str) -> HTMLResponse:
    found = sharing.cases.get_case(session, member, CaseId(case_id))
    record(sightings.open_case, member, found.id, found)
    allowed = actions_of(member)
    asked = exchange.of_case(session, member, found.id) if Action.VIEW_CONSULTATION in allowed else []
    return page(
        "case.html",
        case=found,
        first_ready=listed(found).first_ready,
        allowed=allowed,
        asked=asked,
        objected=objections.of_case(session, found.id),
        consulting=consulting,
    )
