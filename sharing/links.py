"""Links: a secret address that admits somebody without an account to exactly the slides it names.

The secret has 256 random bits and is shown once, to its maker; the database keeps its SHA-256. Of a link that is bound
to a recipient, it opens nothing by itself: a code goes to the recipient's mail (`sharing.link_codes`). A guest comes in
by `redeem`, which counts the use, and is known afterwards by a token of its own, in the way of `sharing.sessions`. What
a guest may see is the policy's to say, at every decision anew: a link dies with its maker's right.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update

from sharing import (
    audit,
    cases,
    consultations,
    epoch,
    link_codes,
    link_refusals,
    objections,
    outbox,
    policy,
    text,
)
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.rows import insert_new
from sharing.db.tables import GuestRow, LinkRow, LinkSlideRow
from sharing.errors import CodeWantedError, ConflictError, GoneError, InvalidError, NotFoundError, Refusal, SharingError
from sharing.subjects import Guest, Member, Stranger
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
    Vain,
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
class Knock:
    """Somebody at the door who holds the right secret."""

    link_id: LinkId
    proof: link_codes.Proof | None
    """Of the code, if one was given and the link wants one."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    token: str
    guest: Guest
    slide_id: SlideId
    view: str
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
    recipient: str | None = None,
) -> NewLink:
    """Make a link to slides of a case, all that are ready if none are named; it shows the very bytes they have now.
    `reason` stays in the centre. Bound to a `recipient`, a mail address, it also wants the code that is mailed there.

    Raises NotFoundError or RefusedError if the case is not the subject's to share, InvalidError for what cannot be,
    ConflictError if the patient objects to the purpose.
    """
    case = cases.get_case(session, subject, case_id)
    policy.require(session, subject, Action.SHARE_BY_LINK, case, Entity("case", case_id))
    objections.refuse(session, subject, Action.SHARE_BY_LINK, case_id, case.site_id, purpose)
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
        "secret_hash": digest(secret),
        "purpose": purpose,
        "reason": text.prose(reason, "The reason", limit=500),
        "slide_id": slide_id,
        "view": text.fragment(view),
        "max_uses": max_uses,
        "uses": 0,
        "created_us": session.now_us,
        "expires_us": expires_us,
        "recipient": text.mail_address(recipient, "The recipient") if recipient and recipient.strip() else None,
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
            "sha256": " ".join(f"{s}:{pinned[s].sha256}" for s in shown),
        },
        personal={"recipient": str(row["recipient"])} if row["recipient"] else None,
        purpose=purpose,
    )
    return link


def redeem(
    database: Database,
    link_id: LinkId,
    secret: str,
    *,
    code: str | None = None,
    again: bool = False,
    language: str = "fr",
    personal: Mapping[str, str] | None = None,
) -> Redeemed:
    """Admit a guest: `knock`, then `enter`."""
    return enter(database, knock(database, link_id, secret, code), again=again, language=language, personal=personal)


def knock(database: Database, link_id: LinkId, secret: str, code: str | None = None) -> Knock:
    """Show a secret, and a code, at the door of a link. Writes nothing, so that a flood of them takes no turn to write.

    Raises NotFoundError for a wrong secret as for a link that does not exist; both are counted among the refusals of
    strangers. Raises CodeWantedError for a code where none is to be had; that is counted likewise.
    """
    with database.reading() as session:
        row = session.get(LinkRow, link_id) if re.fullmatch("[a-z2-7]{26}", link_id) else None
        known = hmac.compare_digest(row.secret_hash if row else digest(""), digest(secret))
        live = row is not None and known and policy.link_state(session, row) is LinkState.LIVE
        code_id = link_codes.standing(session, link_id) if code else None
    if row is None or not known:
        if row is not None:
            link_refusals.count_later(database, link_id, Vain.WRONG_KEY)
        reason = "wrong secret of a link" if row else "no such link"
        audit.count_stranger(database, reason, site_id=row.site_id if row else PLATFORM)
        raise absent()
    if row.recipient is None or not code:
        return Knock(link_id, None)
    proof = link_codes.proof(code_id or link_id, code)
    if live and code_id is None:
        link_refusals.count_later(database, link_id, Vain.STALE_CODE)
        audit.count_stranger(database, "stale code of a link", site_id=row.site_id)
        raise _code_wanted(wrong=True)
    return Knock(link_id, proof)


def enter(
    database: Database,
    shown: Knock,
    *,
    again: bool = False,
    language: str = "fr",
    personal: Mapping[str, str] | None = None,
) -> Redeemed:
    """Admit who has knocked, in a transaction of its own. Of any number of tries at the last use exactly one succeeds.

    Raises GoneError to the holder of the right secret of a link that is over; that is put on record. Raises
    CodeWantedError if the link is bound to a recipient and the code is missing or opens nothing; without one, a code is
    mailed in the `language`, a new one if `again` is asked for.
    """
    with database.writing() as session:
        outcome = _enter(session, shown, again, language, personal)
    if isinstance(outcome, SharingError):
        raise outcome
    return outcome


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


def _enter(
    session: Session, shown: Knock, again: bool, language: str, personal: Mapping[str, str] | None
) -> Redeemed | SharingError:
    """A refusal is returned, not raised: what it leaves on record stands in the same transaction."""
    row = session.get_one(LinkRow, shown.link_id, populate_existing=True)
    state = policy.link_state(session, row)
    if state is not LinkState.LIVE:
        return _refused(session, row, state, personal)
    if row.recipient is not None:
        if shown.proof is None:
            if code_id := link_codes.ask(session, row, language, again=again):
                outbox.enqueue_code(session, code_id)
            return _code_wanted(wrong=False)
        if not link_codes.spend(session, shown.proof):
            return _refused(session, row, Vain.WRONG_CODE, personal)
    return _use(session, row, personal) or _refused(session, row, LinkState.USED_UP, personal)


def _use(session: Session, row: LinkRow, personal: Mapping[str, str] | None) -> Redeemed | None:
    """One use, if there is one left: decided by the statement that counts it."""
    link_id = row.id
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
            token_hash=digest(token),
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
        detail={"reference": row.reference, "use": str(used), "of": str(row.max_uses)} | _pin(session, row),
        personal=personal,
        purpose=Purpose(row.purpose),
    )
    return Redeemed(token, who, row.slide_id, row.view, expires_us)


def _refused(
    session: Session, row: LinkRow, why: LinkState | Vain, personal: Mapping[str, str] | None
) -> CodeWantedError | GoneError:
    link_refusals.count(session, row.id, why)
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
    return GoneError(ENDED[why], why) if isinstance(why, LinkState) else _code_wanted(wrong=True)


def _pin(session: Session, row: LinkRow) -> dict[str, str]:
    """The digest of the slide that is looked at first, as it was when the link was made."""
    sha256 = session.scalar(
        select(LinkSlideRow.sha256).where(LinkSlideRow.link_id == row.id, LinkSlideRow.slide_id == row.slide_id)
    )
    return {"sha256": sha256} if sha256 else {}


def _code_wanted(*, wrong: bool) -> CodeWantedError:
    return CodeWantedError("This link wants the code that was mailed. Type it, or ask for another.", wrong=wrong)


def absent() -> NotFoundError:
    """The one error for a wrong secret and for a link that never was."""
    return NotFoundError("This link is not known here. Look whether it was copied whole, or ask whoever sent it.")


def digest(secret: str) -> str:
    """What the database keeps of a secret or a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
