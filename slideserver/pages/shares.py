"""What leaves the centre, for its lab manager: what was shared with whom, for what, until when, and whether it was
opened. Every reading of it is on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.shares
from sharing import sites
from sharing.shares import Direction, Filters, Kind, Share
from sharing.vocabulary import Action, MemberId, Purpose, SiteId
from slideserver.deps import LanguageDep, MemberDep, PageDep, RecordingSessionDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.login import local_path
from slideserver.pages import charts, moments
from slideserver.pages.journal import Translate, csv_of
from slideserver.pages.words import N_, PURPOSES, SHARES

SHOWN = 200
GUESTS = "-"
"""Stands in the address for those who have no centre."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Search:
    """What the address asks of the list; what it does not understand counts as not asked."""

    site: str = ""
    person: str = ""
    purpose: str = ""
    opened: str = ""
    since: str = ""
    until: str = ""
    direction: str = ""
    """Empty: what leaves the centre; "in": what other centres show to it."""

    @property
    def narrowed(self) -> bool:
        return any((self.site, self.person, self.purpose, self.opened, self.since, self.until, self.direction))

    def address(self, path: str) -> str:
        """The same question at `path`."""
        fields = ("site", "person", "purpose", "opened", "since", "until", "direction")
        query = urlencode({name: value for name in fields if (value := getattr(self, name))})
        return f"{path}?{query}" if query else path

    def filters(self, timezone: ZoneInfo) -> Filters:
        return Filters(
            site=SiteId(self.site) if self.site and self.site != GUESTS else None,
            person=MemberId(self.person) if self.person else None,
            purpose=Purpose(self.purpose) if self.purpose else None,
            since_us=moments.midnight_us(self.since, timezone),
            until_us=moments.midnight_us(self.until, timezone, days_later=1),
            opened={"yes": True, "no": False}.get(self.opened),
            kind=Kind.LINK if self.site == GUESTS else None,
        )

    def keeps(self, share: Share) -> bool:
        return share.direction is (Direction.IN if self.direction else Direction.OUT)


def asked(
    site: str = "",
    person: str = "",
    purpose: str = "",
    opened: str = "",
    since: str = "",
    until: str = "",
    direction: str = "",
) -> Search:
    return Search(
        site=site,
        person=person,
        purpose=purpose if purpose in set(Purpose) else "",
        opened=opened if opened in ("yes", "no") else "",
        since=since if moments.day_of(since) else "",
        until=until if moments.day_of(until) else "",
        direction=direction if direction == "in" else "",
    )


SearchDep = Annotated[Search, Depends(asked)]


@router.get("/shares", dependencies=[requires(Action.VIEW_SHARES)])
def shares(
    state: StateDep, session: RecordingSessionDep, member: MemberDep, page: PageDep, search: SearchDep, done: str = ""
) -> HTMLResponse:
    timezone = ZoneInfo(state.settings.timezone)
    found = [*filter(search.keeps, sharing.shares.list_shares(session, member, search.filters(timezone)))]
    figures = sharing.shares.figures(found)
    everywhere = sites.list_sites(session)
    return page(
        "shares.html",
        search=search,
        shares=found,
        shown=SHOWN,
        done=done,
        weeks=charts.weeks(figures.weeks),
        opening=charts.delays(figures.opening, of=len(found)),
        answering=charts.delays(figures.answer, of=sum(share.kind is Kind.CONSULTATION for share in found)),
        sites=[site for site in everywhere if site.id != member.site_id],
        site_names={site.id: site.name for site in everywhere},
        people=sharing.shares.people(session, member),
    )


@router.get("/shares.csv", dependencies=[requires(Action.VIEW_SHARES)])
def export(
    state: StateDep, session: RecordingSessionDep, member: MemberDep, language: LanguageDep, search: SearchDep
) -> Response:
    """What the page lists under the same filters, all of it, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    found = [*filter(search.keeps, sharing.shares.list_shares(session, member, search.filters(timezone)))]
    headers = {
        "Content-Disposition": f'attachment; filename="iain-partages-{member.site_id}-'
        f'{moments.at(session.now_us, timezone).date()}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(_csv(found, timezone, language, translate), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/shares/{kind}/{share_id}/end", dependencies=[requires(Action.END_SHARE)])
def end(
    session: SessionDep,
    member: MemberDep,
    kind: Kind,
    share_id: str,
    next: Annotated[str, Form()] = "/shares",
) -> Response:
    """Take the slides back from whoever sees them by this share; within a second no image leaves through it."""
    sharing.shares.end(session, member, kind, share_id)
    address = local_path(next)
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}done={share_id}", 303)


def _csv(found: Sequence[Share], timezone: ZoneInfo, language: Language, translate: Translate) -> str:
    heads = (
        N_("Date"),
        N_("Kind"),
        N_("Number"),
        N_("Case number"),
        N_("Slides"),
        N_("Who shared"),
        N_("With"),
        N_("Purpose"),
        N_("Until"),
        N_("Opened"),
        N_("Answered"),
        N_("Ended"),
        N_("State"),
        N_("Why"),
    )

    def moment(when_us: int | None) -> str:
        return "" if when_us is None else moments.at(when_us, timezone).isoformat(timespec="seconds")

    rows = (
        (
            moment(share.created_us),
            translate(N_("Guest link")) if share.kind is Kind.LINK else translate(N_("Request for an opinion")),
            share.reference,
            share.accession or "",
            str(share.slides),
            share.by,
            share.with_name,
            translate(PURPOSES[share.purpose]),
            moment(share.until_us),
            moment(share.opened_us),
            moment(share.answered_us),
            moment(share.ended_us),
            translate(SHARES[share.state][0]),
            share.reason,
        )
        for share in found
    )
    return "".join(csv_of([translate(head) for head in heads], rows, language))
