"""The links a member has made for guests; all open links of a site, for who answers for them; and the end of one."""

from collections.abc import Iterable
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form
from starlette.responses import HTMLResponse, RedirectResponse, Response

import sharing.links
import sharing.slides
from sharing import audit, link_lists, sightings
from sharing.clock import MINUTE_US
from sharing.db.engine import Session
from sharing.deeds import just_done
from sharing.errors import NotFoundError, RefusedError
from sharing.link_lists import OPEN, Link
from sharing.slides import Slide
from sharing.subjects import Member
from sharing.vocabulary import Act, Action, Entity, LinkId, LinkState, SlideId
from slideserver.deps import LanguageDep, MemberDep, PageDep, SessionDep, StateDep, requires
from slideserver.i18n import Language
from slideserver.login import local_path
from slideserver.pages import moments
from slideserver.pages.journal import Translate, csv_of
from slideserver.pages.words import N_, PURPOSES, SHARES, VAIN
from slideserver.recording import RecordDep

SHOWN = 200

router = APIRouter()


@router.get("/links", dependencies=[requires(Action.SHARE_BY_LINK)])
def links(session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, done: str = "") -> HTMLResponse:
    made = link_lists.made(session, member)
    record(sightings.list_cases, member, "links", len(made))
    return page(
        "links.html",
        made=made,
        open=[link for link in made if link.state in OPEN],
        over=[link for link in made if link.state not in OPEN],
        slides={link.slide_id: _slide(session, member, link.slide_id) for link in made},
        unlimited=sharing.links.MOST_USES,
        done=next((link for link in made if link.id == done and link.state is LinkState.REVOKED), None),
    )


@router.get("/links/open", dependencies=[requires(Action.VIEW_SHARES)])
def open_links(
    session: SessionDep, record: RecordDep, member: MemberDep, page: PageDep, done: str = ""
) -> HTMLResponse:
    """Every link of the site by which somebody may see slides, the oldest first."""
    found = link_lists.open_of_site(session, member, limit=SHOWN + 1)
    record(_reading, member, Act.SHARES_READ, len(found))
    return page(
        "links_open.html",
        found=found,
        shown=SHOWN,
        unlimited=sharing.links.MOST_USES,
        now_us=session.now_us,
        day_us=24 * 60 * MINUTE_US,
        done=bool(done) and just_done(session, member, {Act.LINK_REVOKED}, Entity("link", done)),
    )


@router.get("/links/open.csv", dependencies=[requires(Action.VIEW_SHARES)])
def export(
    state: StateDep, session: SessionDep, record: RecordDep, member: MemberDep, language: LanguageDep
) -> Response:
    """What that page lists, all of it, as a file for a spreadsheet."""
    timezone, translate = ZoneInfo(state.settings.timezone), state.catalogues[language].gettext
    found = link_lists.open_of_site(session, member)
    record(_reading, member, Act.SHARES_EXPORTED, len(found))
    today = moments.at(session.now_us, timezone).date()
    name = f"iain-liens-ouverts-{member.site_id}-{today}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    text = "".join(_csv(found, timezone, language, translate))
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/links/{link_id}/revoke", dependencies=[requires(Action.REVOKE_LINK)])
def revoke(session: SessionDep, member: MemberDep, link_id: str, next: Annotated[str, Form()] = "/links") -> Response:
    sharing.links.revoke(session, member, LinkId(link_id))
    address = local_path(next)
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}done={link_id}", 303)


def _slide(session: Session, member: Member, slide_id: SlideId) -> Slide | None:
    """The slide of the link's view; None when it is no longer the member's to see."""
    try:
        return sharing.slides.get_slide(session, member, slide_id)
    except (NotFoundError, RefusedError):
        return None


def _reading(session: Session, member: Member, act: Act, count: int) -> None:
    detail = {"list": "open links", "count": str(count)}
    audit.record(session, site_id=member.site_id, act=act, subject=member, detail=detail)


def _csv(found: Iterable[Link], timezone: ZoneInfo, language: Language, translate: Translate) -> Iterable[str]:
    heads = (
        N_("Date"),
        N_("Number"),
        N_("Case number"),
        N_("Slides"),
        N_("Who shared"),
        N_("Recipient"),
        N_("Purpose"),
        N_("Why"),
        N_("Uses"),
        N_("Of at most"),
        N_("Opened"),
        N_("Until"),
        N_("State"),
        N_("Tries in vain"),
        N_("Why in vain"),
    )

    def moment(when_us: int | None) -> str:
        return "" if when_us is None else moments.at(when_us, timezone).isoformat(timespec="seconds")

    rows = (
        (
            moment(link.created_us),
            link.reference,
            link.accession,
            str(len(link.slides)),
            link.maker_name,
            link.recipient or "",
            translate(PURPOSES[link.purpose]),
            link.reason,
            str(link.uses),
            str(link.max_uses) if link.max_uses < sharing.links.MOST_USES else "",
            moment(link.opened_us),
            moment(link.expires_us),
            translate(SHARES[link.state][0]),
            str(link.tries_in_vain),
            " · ".join(f"{translate(VAIN[each.reason])} {each.count}" for each in link.in_vain),
        )
        for link in found
    )
    return csv_of([translate(head) for head in heads], rows, language)
