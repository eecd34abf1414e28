"""Four ways to lose the right to a slide, and those who lose it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import update

from benchmarks.torture_sharing.stage import GUEST_COOKIE, Stage
from benchmarks.torture_sharing.twins import add_twin
from sharing import cases, consultations, links, objections, sessions, sites
from sharing.clock import SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import SessionTokenRow
from sharing.links import NewLink
from sharing.subjects import Member, System
from sharing.vocabulary import CaseId, ConsultationId, Move, Origin, Purpose, Role, SiteId, SlideId
from slideserver.auth.cookies import SessionCookie

GUESTS, CONSULTANTS, MEMBERS = 12, 12, 8
LONG_US = 3600 * SECOND_US
SOON_US = 10 * SECOND_US
"""When what runs out does so: by then everybody must have begun to read."""
SESSION_COOKIE = SessionCookie(secure=False).name

# What of a slide is pixels, or leads to them, below /tiles/SLIDE/VERSION/; and what only its own site is given.
ABROAD = (
    "0/1_1",
    "0/2_3",
    "slide.dzi",
    "slide_files/12/3_4.jpeg",
    "iiif/info.json",
    "iiif/720,960,240,240/240,240/0/default.jpg",
    "slide.json",
    "thumbnail",
    "profile.icc",
)
AT_HOME = ("label", "macro")
FILE = "file"


@dataclass(frozen=True, slots=True)
class Loser:
    """Somebody who reads, with the cookie that lets him, and the addresses that he asks for."""

    kind: str
    cookie: str
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loss:
    way: str
    losers: tuple[Loser, ...]
    end: Callable[[], float]
    """Ends the right of all of them; the moment (monotonic, s) since when nobody may be shown anything."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """A slide, who shares it, and by what others see it."""

    on: Stage
    maker: Member
    consultant: Member
    member: Member
    case_id: CaseId
    slide_id: SlideId
    link: NewLink
    consultation_id: ConsultationId
    ends_us: int
    guests: tuple[str, ...]
    consultants: tuple[str, ...]
    members: tuple[str, ...]


def prepare(on: Stage, way: str, name: str) -> Loss:
    """Everybody in his place, on a slide and with accounts of their own."""
    scene = _scene(on, way, name)
    below = f"/tiles/{scene.slide_id}/{on.slide.version}/"
    abroad = tuple(below + what for what in ABROAD)
    home = (*abroad, *(below + what for what in AT_HOME), f"/api/slides/{scene.slide_id}/{FILE}")
    losers = [Loser("guest", f"{GUEST_COOKIE}={token}", abroad) for token in scene.guests]
    losers += [Loser("consultant", f"{SESSION_COOKIE}={token}", abroad) for token in scene.consultants]
    if way != "objection":  # which leaves care alone
        losers += [Loser("member", f"{SESSION_COOKIE}={token}", home) for token in scene.members]
    return Loss(way, tuple(losers), lambda: WAYS[way](scene))


def _scene(on: Stage, way: str, name: str) -> _Scene:
    caen, rouen = on.centres.caen.id, on.centres.rouen.id
    with on.database.writing() as session:
        maker, member = (_account(session, caen, f"{who}.{name}") for who in ("maker", "member"))
        consultant = _account(session, rouen, f"consultant.{name}")
        accession = f"26T-{name}"
        case_id = cases.register_case(
            session, System(), caen, accession=accession, patient_name=f"TORTURE {name}", patient_birth_year=1950
        )
    slide_id = add_twin(on, name, accession)
    with on.database.writing() as session:
        ends_us = session.now_us + (SOON_US if way == "expiry" else LONG_US)
        link = links.create(
            session,
            maker,
            case_id,
            [slide_id],
            purpose=Purpose.RESEARCH,
            reason="torture",
            expires_us=ends_us,
            max_uses=GUESTS,
            slide_id=slide_id,
        )
        consultation_id = consultations.request(
            session,
            maker,
            case_id,
            question="Invasion ?",
            slide_id=slide_id,
            to_member=consultant.id,
            purpose=Purpose.RESEARCH,
        )
        tokens = [
            [sessions.create(session, who) for _ in range(count)]
            for who, count in ((consultant, CONSULTANTS), (member, MEMBERS))
        ]
        if way == "expiry":
            of_them = SessionTokenRow.member_id.in_([consultant.id, member.id])
            session.execute(update(SessionTokenRow).where(of_them).values(expires_us=ends_us))
    guests = [links.redeem(on.database, link.id, link.secret).token for _ in range(GUESTS)]
    return _Scene(
        on,
        maker,
        consultant,
        member,
        case_id,
        slide_id,
        link,
        consultation_id,
        ends_us,
        tuple(guests),
        *map(tuple, tokens),
    )


def _account(session: Session, site: SiteId, login: str) -> Member:
    sites.add_member(session, site, login=login, name=login, role=Role.PATHOLOGIST, password_hash="-")
    account = sites.member_by_login(session, login)
    assert account is not None
    return account.member


def _revoke(scene: _Scene) -> float:
    asked = time.monotonic()
    with scene.on.database.writing() as session:
        links.revoke(session, scene.maker, scene.link.id)
        consultations.move(session, scene.maker, scene.consultation_id, Move.CANCEL)
        for token in scene.members:
            sessions.revoke(session, token)
    return asked


def _expire(scene: _Scene) -> float:
    return time.monotonic() + scene.ends_us / SECOND_US - time.time()


def _object(scene: _Scene) -> float:
    asked = time.monotonic()
    with scene.on.database.writing() as session:
        officer = scene.on.centres.caen.protection_officer
        objections.register(session, officer, scene.case_id, [Purpose.RESEARCH], Origin.LETTER)
    return asked


def _close(scene: _Scene) -> float:
    asked = time.monotonic()
    with scene.on.database.writing() as session:
        for who in (scene.maker, scene.consultant, scene.member):
            sites.disable_member(session, who.id)
    return asked


WAYS: dict[str, Callable[[_Scene], float]] = {
    "revocation": _revoke,
    "expiry": _expire,
    "objection": _object,
    "closed account": _close,
}
