"""Links: a secret address that admits somebody without an account to exactly the slides it names.

The secret has 256 random bits and is shown once, to its maker; the database keeps its SHA-256. A guest comes in by
`redeem`, which counts the use, and is known afterwards by a token of its own, in the way of `sharing.sessions`. What a
guest may see is the policy's to say, at every decision anew: a link dies with its maker's right.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, insert, select, update

from sharing import audit, cases, consultations, epoch, policy, text, veil
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.rows import insert_new
from sharing.db.tables import CaseRow, GuestRow, LinkRow, LinkSlideRow, MemberRow
from sharing.errors import ConflictError, GoneError, InvalidError, NotFoundError, Refusal
from sharing.subjects import Guest, Member, Stranger
from sharing.veil import VeiledCase
from sharing.vocabulary import (
    PLATFORM,
    Act,
    Action,
    CaseId,
    Entity,
    GuestId,
    LinkId,
    LinkState,
    Outcome,
    Purpose,
    SlideId,
    new_id,
    new_reference,
)

LONGEST_US = 90 * 24 * 60 * MINUTE_US
MOST_USES = 100
GUEST_US = 12 * 60 * MINUTE_US
"""How long a guest stays without the secret, if the link lasts longer."""

ADMITTED = frozenset({LinkState.LIVE, LinkState.USED_UP})
"""The states in which who came in before may stay."""
ENDED: Mapping[LinkState, str] = {
    LinkState.USED_UP: "This link has been used as often as it may be. Ask whoever sent it for a new one.",
    LinkState.EXPIRED: "This link has expired. Ask whoever sent it for a new one.",
    LinkState.REVOKED: "This link was withdrawn by the centre that made it. Ask whoever sent it.",
    LinkState.MAKER_GONE: "Whoever made this link may no longer share these slides. Ask their centre for a new one.",
    LinkState.OBJECTED: "These slides may no longer be shown for this purpose. Ask whoever sent the link.",
}
"""Why a link admits nobody, for the holder of its secret."""


@dataclass(frozen=True, slots=True)
class NewLink:
    id: LinkId
    reference: str
    secret: str
    """To be shown this once, in the fragment of the link's address."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as its maker sees it."""

    id: LinkId
    reference: str
    case_id: CaseId
    accession: str
    slides: tuple[SlideId, ...]
    slide_id: SlideId
    view: str
    purpose: Purpose
    reason: str
    max_uses: int
    uses: int
    created_us: int
    expires_us: int
    opened_us: int | None
    """When the first guest came in."""
    revoked_us: int | None
    maker_name: str
    state: LinkState


@dataclass(frozen=True, slots=True)
class Redeemed:
    token: str
    guest: Guest
    slide_id: SlideId
    view: str
    expires_us: int


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


def create(
    session: Session,
    subject: Member,
    case_id: CaseId,
    slides: Sequence[SlideId] | None = None,
    *,
    purpose: Purpose,
    reason: str,
    expires_us: int,
    slide_id: SlideId,
    max_uses: int = 1,
    view: str = "",
) -> NewLink:
    """Make a link to slides of a case, all that are ready if none are named. `reason` stays in the centre.

    Raises NotFoundError or RefusedError if the case is not the subject's to share, InvalidError for what cannot be.
    """
    case = cases.get_case(session, subject, case_id)
    policy.require(session, subject, Action.SHARE_BY_LINK, case, Entity("case", case_id))
    shown = consultations.shareable(subject, Action.SHARE_BY_LINK, case, slides, slide_id)
    if not session.now_us < expires_us <= session.now_us + LONGEST_US:
        raise InvalidError("A link lasts until a moment between now and 90 days from now. Choose its end again.")
    if not 1 <= max_uses <= MOST_USES:
        raise InvalidError(f"A link can be used from once to {MOST_USES} times. Choose the number again.")
    secret = secrets.token_urlsafe(32)
    link = NewLink(LinkId(new_id()), new_reference("L"), secret)
    row = {
        "id": link.id,
        "reference": link.reference,
        "site_id": case.site_id,
        "case_id": case_id,
        "maker_id": subject.id,
        "secret_hash": _digest(secret),
        "purpose": purpose,
        "reason": text.prose(reason, "The reason", limit=500),
        "slide_id": slide_id,
        "view": text.fragment(view),
        "max_uses": max_uses,
        "uses": 0,
        "created_us": session.now_us,
        "expires_us": expires_us,
    }
    insert_new(session, LinkRow, row, "The link could not be stored. Make it once more.")
    pinned = {slide.id: slide for slide in case.slides}
    session.execute(
        insert(LinkSlideRow),
        [
            {"link_id": link.id, "slide_id": s, "number": n, "sha256": pinned[s].sha256, "version": pinned[s].version}
            for n, s in enumerate(shown)
        ],
    )
    audit.record(
        session,
        site_id=case.site_id,
        act=Act.LINK_MADE,
        subject=subject,
        entities=[Entity("link", link.id), Entity("case", case_id), Entity("slide", slide_id)],
        detail={
            "reference": link.reference,
            "expires_us": str(expires_us),
            "max_uses": str(max_uses),
            "slides": str(len(shown)),
        },
        purpose=purpose,
    )
    return link


def redeem(database: Database, link_id: LinkId, secret: str, *, personal: Mapping[str, str] | None = None) -> Redeemed:
    """Admit a guest, in a transaction of its own. Of any number of tries at the last use exactly one succeeds.

    Raises NotFoundError for a wrong secret as for a link that does not exist; both are counted among the refusals of
    strangers. Raises GoneError to the holder of the right secret of a link that is over; that is put on record.
    """
    with database.reading() as session:
        row = session.get(LinkRow, link_id) if re.fullmatch("[a-z2-7]{26}", link_id) else None
        # Nothing is written, and nobody waits, for who does not hold the secret.
        known = hmac.compare_digest(row.secret_hash if row else _digest(""), _digest(secret))
    if row is None or not known:
        reason = "wrong secret of a link" if row else "no such link"
        audit.count_stranger(database, reason, site_id=row.site_id if row else PLATFORM)
        raise _absent()
    with database.writing() as session:
        redeemed = _use(session, link_id, personal)
        if redeemed is None:
            row = session.get_one(LinkRow, link_id, populate_existing=True)
            state = policy.link_state(session, row)
            why = LinkState.USED_UP if state is LinkState.LIVE else state
            _record_refusal(session, row, why, personal)
    if redeemed is None:
        raise GoneError(ENDED[why], why)
    return redeemed


def guest(session: Session, token: str) -> GuestSession | None:
    """Whose token it is; None if there is no such one. Writes nothing: a guest's time does not grow with use."""
    found = session.execute(
        select(GuestRow, LinkRow)
        .join(LinkRow, LinkRow.id == GuestRow.link_id)
        .where(GuestRow.token_hash == _digest(token))
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
        raise _absent()
    state = policy.link_state(session, row)
    if state not in ADMITTED:
        raise GoneError(ENDED[state], state)
    case = cases.known(session, [row.case_id])[row.case_id]
    shown = _slides(session, [row.id]).get(row.id, ())
    return Shown(
        reference=row.reference,
        veiled=veil.veiled(case, row.reference, shown, purpose=Purpose(row.purpose), now_us=session.now_us),
        slide_id=row.slide_id,
        view=row.view,
        purpose=Purpose(row.purpose),
        expires_us=row.expires_us,
    )


def revoke(session: Session, subject: Member, link_id: LinkId) -> None:
    """End a link and everybody's stay who came in by it, within a second.

    Raises NotFoundError or RefusedError if it is not the subject's to end, ConflictError if it was revoked before.
    """
    row = session.get(LinkRow, link_id, populate_existing=True)
    if row is None:
        raise policy.absent("link")
    about = (Entity("link", link_id), Entity("case", row.case_id))
    policy.require(session, subject, Action.REVOKE_LINK, row, *about)
    revoked = session.scalars(
        update(LinkRow)
        .where(LinkRow.id == link_id, LinkRow.revoked_us.is_(None))
        .values(revoked_us=session.now_us, revoked_by=subject.id)
        .returning(LinkRow.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if revoked is None:
        again = Refusal(subject, Action.REVOKE_LINK, row.site_id, "revoked before", about)
        raise ConflictError("This link was revoked already; nobody gets in by it.", refusal=again)
    epoch.bump(session)
    audit.record(
        session,
        site_id=row.site_id,
        act=Act.LINK_REVOKED,
        subject=subject,
        entities=about,
        detail={"reference": row.reference, "uses": str(row.uses)},
        purpose=Purpose(row.purpose),
    )


def made(session: Session, subject: Member, *, limit: int = 200) -> list[Link]:
    """The links that the subject has made, newest first."""
    return _links(session, _newest().where(LinkRow.maker_id == subject.id).limit(limit))


def of_case(session: Session, subject: Member, case_id: CaseId) -> list[Link]:
    """The links that anybody has made to a case which the subject may see, newest first."""
    cases.get_case(session, subject, case_id)
    return _links(session, _newest().where(LinkRow.case_id == case_id))


def _use(session: Session, link_id: LinkId, personal: Mapping[str, str] | None) -> Redeemed | None:
    """One use, if there is one left and the link lives: decided by the statement that counts it."""
    row = session.get_one(LinkRow, link_id)
    if policy.link_state(session, row) is not LinkState.LIVE:
        return None
    used = session.scalars(
        update(LinkRow)
        .where(
            LinkRow.id == link_id,
            LinkRow.uses < LinkRow.max_uses,
            LinkRow.revoked_us.is_(None),
            LinkRow.expires_us > session.now_us,
        )
        .values(uses=LinkRow.uses + 1, opened_us=func.coalesce(LinkRow.opened_us, session.now_us))
        .returning(LinkRow.uses)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if used is None:
        return None
    token = secrets.token_urlsafe(32)
    who = Guest(GuestId(new_id()), link_id, row.site_id)
    expires_us = min(row.expires_us, session.now_us + GUEST_US)
    session.execute(
        insert(GuestRow).values(
            id=who.id,
            token_hash=_digest(token),
            link_id=link_id,
            created_us=session.now_us,
            expires_us=expires_us,
        )
    )
    audit.record(
        session,
        site_id=row.site_id,
        act=Act.LINK_REDEEMED,
        subject=who,
        entities=[Entity("link", link_id), Entity("case", row.case_id)],
        detail={"reference": row.reference, "use": str(used), "of": str(row.max_uses)},
        personal=personal,
        purpose=Purpose(row.purpose),
    )
    return Redeemed(token, who, row.slide_id, row.view, expires_us)


def _record_refusal(session: Session, row: LinkRow, why: LinkState, personal: Mapping[str, str] | None) -> None:
    audit.record(
        session,
        site_id=row.site_id,
        act=Act.LINK_REFUSED,
        outcome=Outcome.REFUSED,
        subject=Stranger(),
        entities=[Entity("link", row.id), Entity("case", row.case_id)],
        detail={"reference": row.reference, "reason": why},
        personal=personal,
        purpose=Purpose(row.purpose),
    )


def _newest() -> Select[LinkRow, str, str]:
    return (
        select(LinkRow, MemberRow.name, CaseRow.accession)
        .join(MemberRow, MemberRow.id == LinkRow.maker_id)
        .join(CaseRow, CaseRow.id == LinkRow.case_id)
        .order_by(LinkRow.created_us.desc(), LinkRow.id)
    )


def _links(session: Session, statement: Select[LinkRow, str, str]) -> list[Link]:
    rows = session.execute(statement).all()
    shown = _slides(session, [row.id for row, _, _ in rows])
    return [
        Link(
            id=row.id,
            reference=row.reference,
            case_id=row.case_id,
            accession=accession,
            slides=shown.get(row.id, ()),
            slide_id=row.slide_id,
            view=row.view,
            purpose=Purpose(row.purpose),
            reason=row.reason,
            max_uses=row.max_uses,
            uses=row.uses,
            created_us=row.created_us,
            expires_us=row.expires_us,
            opened_us=row.opened_us,
            revoked_us=row.revoked_us,
            maker_name=maker_name,
            state=policy.link_state(session, row),
        )
        for row, maker_name, accession in rows
    ]


def _slides(session: Session, link_ids: Sequence[LinkId]) -> dict[LinkId, tuple[SlideId, ...]]:
    rows = session.execute(
        select(LinkSlideRow.link_id, LinkSlideRow.slide_id)
        .where(LinkSlideRow.link_id.in_(link_ids))
        .order_by(LinkSlideRow.number)
    )
    found: dict[LinkId, tuple[SlideId, ...]] = {}
    for row in rows:
        found[row.link_id] = (*found.get(row.link_id, ()), row.slide_id)
    return found


def _absent() -> NotFoundError:
    return NotFoundError("This link is not known here. Look whether it was copied whole, or ask whoever sent it.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
