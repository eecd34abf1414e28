"""Guests who are in: whose a token is, and what the link behind it shows, as long as it does."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from sharing import cases, policy, veil
from sharing.db.engine import Session
from sharing.db.tables import GuestRow, LinkRow, LinkSlideRow
from sharing.errors import GoneError
from sharing.links import ADMITTED, ENDED, absent, digest
from sharing.subjects import Guest
from sharing.veil import VeiledCase
from sharing.vocabulary import LinkState, Purpose, SlideId


@dataclass(frozen=True, slots=True)
class GuestSession:
    """Who a guest's token belongs to. Outside `ADMITTED`, `state` says why nothing is shown any more."""

    guest: Guest
    state: LinkState
    expires_us: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a guest may know of what the link shows."""

    reference: str
    veiled: VeiledCase
    slide_id: SlideId
    view: str
    purpose: Purpose
    expires_us: int
    pins: Mapping[SlideId, str]
    """The version of each slide when the link was made: other bytes than those it was made from are not shown. Not
    their digest, by which the file is known at its site."""


def guest(session: Session, token: str) -> GuestSession | None:
    """Whose token it is; None if there is no such one. Writes nothing: a guest's time does not grow with use."""
    found = session.execute(
        select(GuestRow, LinkRow)
        .join(LinkRow, LinkRow.id == GuestRow.link_id)
        .where(GuestRow.token_hash == digest(token))
    ).one_or_none()
    if found is None:
        return None
    row, link = found
    state = policy.link_state(session, link)
    if state in ADMITTED and row.expires_us <= session.now_us:
        state = LinkState.EXPIRED
    who = Guest(row.id, link.id, link.site_id)
    return GuestSession(who, state, row.expires_us)


def showing(session: Session, subject: Guest) -> Shown:
    """What the guest's link shows. Raises GoneError, with the reason, once it shows nothing."""
    row = session.get(LinkRow, subject.link_id)
    if row is None:
        raise absent()
    state = policy.link_state(session, row)
    if state not in ADMITTED:
        raise GoneError(ENDED[state], state)
    case = cases.known(session, [row.case_id])[row.case_id]
    pins = session.execute(
        select(LinkSlideRow.slide_id, LinkSlideRow.version).where(LinkSlideRow.link_id == row.id)
    ).all()
    shown = [pin.slide_id for pin in pins]
    return Shown(
        reference=row.reference,
        veiled=veil.veiled(case, row.reference, shown, purpose=Purpose(row.purpose), now_us=session.now_us),
        slide_id=row.slide_id,
        view=row.view,
        purpose=Purpose(row.purpose),
        expires_us=row.expires_us,
        pins={pin.slide_id: pin.version for pin in pins if pin.version},
    )
