"""What leaves the centre and what comes to it, for its lab manager: what was shared with whom, for what, until when,
and whether it was opened. Every reading of it is on record.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

import sharing.shares
from sharing import share_figures, sites
from sharing.deeds import just_done
from sharing.share_figures import Figures
from sharing.share_search import Direction, Filters, Kind
from sharing.shares import Share
from sharing.vocabulary import Act, Action, Entity, MemberId, Purpose, SiteId
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.login import local_path
from slideserver.pages import charts, journal, moments, searches
from slideserver.pages.charts import Part
from slideserver.pages.journal import Translate
from slideserver.pages.searches import Search
from slideserver.pages.words import N_, PURPOSES, SHARES
from slideserver.recording import RecordDep

ON_A_PAGE = 100
IN_A_FILE = 50_000
GUESTS = "-"
"""Stands in the address for those who have no centre."""
FIELDS = {
    "direction": searches.one_of(("in", "all")),  # else what goes out
    "site": searches.key,
    "person": searches.key,
    "purpose": searches.one_of(set(Purpose)),
    "organ": searches.word,
    "opened": searches.one_of(("yes", "no")),
    "since": searches.day,
    "until": searches.day,
}
ENDS = frozenset({Act.LINK_REVOKED, Act.CONSULTATION_CLOSED, Act.CONSULTATION_CANCELLED})
DIRECTIONS: Mapping[str, Direction | None] = {"": Direction.OUT, "in": Direction.IN, "all": None}

router = APIRouter()


def asked(request: Request) -> Search:
    return searches.search("/shares", FIELDS, request.query_params)


SearchDep = Annotated[Search, Depends(asked)]


@dataclass(frozen=True, slots=True)
class Division:
    """How the shares divide by one field: `name` is a message id, `rest` how many values are not drawn."""

    field: str
    name: str
    parts: tuple[Part, ...]
    rest: int


@router.get("/shares", dependencies=[requires(Action.VIEW_SHARES)])
def shares(
    state: StateDep,
    session: SessionDep,
    record: RecordDep,
    member: MemberDep,
    language: LanguageDep,
    page: PageDep,
    search: SearchDep,
    done: str = "",
) -> HTMLResponse:
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    filters = filters_of(search, timezone)
    found = sharing.shares.query(session, member, filters, search.cursor or None, limit=ON_A_PAGE)
    figures = share_figures.figures(session, member, filters)
    record(sharing.shares.note_reading, member, filters)
    everywhere = sites.list_sites(session)
    site_names: dict[str, str] = {site.id: site.name for site in everywhere}
    return page(
        "shares.html",
        search=search,
        periods=list(searches.periods(moments.at(session.now_us, timezone).date())),
        shares=found.rows,
        next=found.next,
        figures=figures,
        done=bool(done) and any(just_done(session, member, ENDS, Entity(kind, done)) for kind in Kind),
        weeks=charts.weeks(figures.weeks),
        opening=charts.delays(figures.opening, of=figures.count),
        answering=charts.delays(figures.answer, of=figures.consultations),
        divisions=list(_divisions(figures, site_names, translate)),
        sites=[(site.id, site.name) for site in everywhere if site.id != member.site_id],
        site_names=site_names,
        people=sorted(
            {
                **{who: name for who, (name, _) in figures.people.items()},
                **dict(sharing.shares.people(session, member)),
            }.items(),
            key=lambda each: each[1],
        ),
        organs=sharing.shares.organs(session, member),
    )


@router.get("/shares.csv", dependencies=[requires(Action.VIEW_SHARES)])
def export(state: StateDep, member: MemberDep, language: LanguageDep, search: SearchDep) -> StreamingResponse:
    """What the page lists under the same filters, all of it, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    filters = filters_of(search, timezone)
    found = sharing.shares.export(state.database, member, filters, form="csv", limit=IN_A_FILE)
    today = moments.at(state.database.clock.now_us(), timezone).date()
    headers = {
        "Content-Disposition": f'attachment; filename="iain-partages-{member.site_id}-{today}.csv"',
        "Cache-Control": "no-store",
    }
    lines = _csv(found, timezone, language, translate)
    return StreamingResponse(journal.in_pieces(lines), media_type="text/csv; charset=utf-8", headers=headers)


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


def filters_of(search: Search, timezone: ZoneInfo) -> Filters:
    guests = search["site"] == GUESTS
    return Filters(
        direction=DIRECTIONS[search["direction"]],
        kind=Kind.LINK if guests else None,
        site=SiteId(search["site"]) if search["site"] and not guests else None,
        person=MemberId(search["person"]) if search["person"] else None,
        purpose=Purpose(search["purpose"]) if search["purpose"] else None,
        organ=search["organ"] or None,
        since_us=search.since_us(timezone),
        until_us=search.until_us(timezone),
        opened={"yes": True, "no": False}.get(search["opened"]),
    )


def _divisions(figures: Figures, site_names: Mapping[str, str], translate: Translate) -> Iterator[Division]:
    guests, unknown = translate(N_("Guests")), translate(N_("not told"))
    for field, name, counted in (
        ("site", N_("By centre"), [(i or GUESTS, site_names.get(i, guests), n) for i, n in figures.sites.items()]),
        ("person", N_("By person"), [(i, name, n) for i, (name, n) in figures.people.items()]),
        (
            "purpose",
            N_("By purpose"),
            [(i, translate(PURPOSES[Purpose(i)]), n) for i, n in figures.purposes.items()],
        ),
        ("organ", N_("By organ"), [(i, i or unknown, n) for i, n in figures.organs.items()]),
    ):
        yield Division(field, name, charts.parts(counted), max(0, len(counted) - charts.PARTS))


def _csv(found: Iterable[Share], timezone: ZoneInfo, language: Language, translate: Translate) -> Iterator[str]:
    heads = (
        N_("Date"),
        N_("Way"),
        N_("Kind"),
        N_("Number"),
        N_("Case number"),
        N_("Organ"),
        N_("Slides"),
        N_("Who shared"),
        N_("With"),
        N_("Purpose"),
        N_("Until"),
        N_("Opened"),
        N_("Answered"),
        N_("Ended"),
        N_("Last possible picture"),
        N_("Tries in vain"),
        N_("State"),
        N_("Why"),
    )

    def moment(when_us: int | None) -> str:
        return "" if when_us is None else moments.at(when_us, timezone).isoformat(timespec="milliseconds")

    rows = (
        (
            moment(share.created_us),
            translate(N_("Coming in")) if share.direction is Direction.IN else translate(N_("Going out")),
            translate(N_("Guest link")) if share.kind is Kind.LINK else translate(N_("Request for an opinion")),
            share.reference,
            share.accession or "",
            share.organ or "",
            str(share.slides),
            share.by,
            share.with_name,
            translate(PURPOSES[share.purpose]),
            moment(share.until_us),
            moment(share.opened_us),
            moment(share.answered_us),
            moment(share.ended_us),
            moment(share.last_tile_us),
            str(share.refused) if share.kind is Kind.LINK else "",
            translate(SHARES[share.standing][0]),
            share.reason,
        )
        for share in found
    )
    return journal.csv_of([translate(head) for head in heads], rows, language)
