"""What the three sites of the demonstration have to say to one another: requests for an opinion, and a guest's link."""

from dataclasses import dataclass
from pathlib import Path

from sharing import cases, consultations, link_lists, links, sites
from sharing.cases import Case
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.links import NewLink
from sharing.subjects import Member
from sharing.vocabulary import (
    Agreement,
    ConsultationId,
    LinkId,
    LinkState,
    Purpose,
    SlideId,
    SlideState,
    Urgency,
)
from slideserver.secret_file import write_secret

ANNE, PAUL, INES = "pathologiste.caen", "pathologiste.rouen", "pathologiste.lille"
SHARED, ANSWERED, FROM_LILLE = "26H01234", "26H01251", "26L02050"
LINK_US = 30 * 24 * 60 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Doors:
    """Addresses to open: of the consultation that waits for Rouen, and of the guest's link with its secret."""

    consultation: str
    guest: str


def begin(database: Database, demo: Path, address: str) -> Doors | None:
    """The doors; at the first time the exchange begins. None while a slide it is about has not arrived."""
    kept = demo / "exchange"
    try:
        if kept.exists():
            consultation, link_id, secret = kept.read_text().split()
            with database.reading() as session:
                states = {link.id: link.state for link in link_lists.made(session, _member(session, ANNE))}
            if states.get(LinkId(link_id)) is LinkState.LIVE:
                return _doors(address, consultation, link_id, secret)
            with database.writing() as session:
                link = _link(session)
        else:
            with database.writing() as session:
                consultation = _ask_around(session)
                link = _link(session)
    except LookupError:
        return None
    write_secret(kept, f"{consultation} {link.id} {link.secret}")
    return _doors(address, consultation, link.id, link.secret)


def _doors(address: str, consultation: str, link_id: str, secret: str) -> Doors:
    return Doors(f"{address}/consultations/{consultation}", f"{address}/l/{link_id}#{secret}")


def _ask_around(session: Session) -> ConsultationId:
    """An opinion that was given, one that Lille waits for, and the one that waits for Rouen."""
    anne, paul, ines = (_member(session, login) for login in (ANNE, PAUL, INES))
    given = _ask(
        session, anne, paul, _case(session, ANNE, ANSWERED), "Néphropathie à IgA, ou lésions chroniques seules ?"
    )
    consultations.answer(
        session,
        paul,
        given,
        agreement=Agreement.AGREE,
        text="D'accord : prolifération mésangiale modérée, sans croissant. Fibrose interstitielle d'environ 20 %.",
    )
    _ask(
        session,
        ines,
        anne,
        _case(session, INES, FROM_LILLE),
        "Adénocarcinome primitif ou métastase ? Le contingent acinaire me fait hésiter.",
    )
    return _ask(
        session,
        anne,
        paul,
        _case(session, ANNE, SHARED),
        "Foyer au centre de la vue : carcinome in situ, ou micro-invasion débutante ?",
        Urgency.URGENT,
    )


def _ask(
    session: Session, asker: Member, to: Member, case: Case, question: str, urgency: Urgency = Urgency.ROUTINE
) -> ConsultationId:
    slide_id, view = _pinned(case)
    return consultations.request(
        session,
        asker,
        case.id,
        to_member=to.id,
        question=question,
        urgency=urgency,
        slide_id=slide_id,
        view=view,
    )


def _link(session: Session) -> NewLink:
    case = _case(session, ANNE, SHARED)
    slide_id, view = _pinned(case)
    return links.create(
        session,
        _member(session, ANNE),
        case.id,
        purpose=Purpose.CARE,
        reason="Démonstration",
        expires_us=session.now_us + LINK_US,
        max_uses=links.MOST_USES,
        slide_id=slide_id,
        view=view,
    )


def _member(session: Session, login: str) -> Member:
    account = sites.member_by_login(session, login)
    if account is None:
        raise LookupError(login)
    return account.member


def _case(session: Session, login: str, accession: str) -> Case:
    member = _member(session, login)
    case_id = cases.case_by_accession(session, member.site_id, accession)
    if case_id is None:
        raise LookupError(accession)
    return cases.get_case(session, member, case_id)


def _pinned(case: Case) -> tuple[SlideId, str]:
    """The first slide that is ready, and the middle of it at ten times. Raises LookupError if none is."""
    for slide in case.slides:
        if slide.state is SlideState.READY:
            return slide.id, f"c={(slide.width or 0) // 2},{(slide.height or 0) // 2}&m=10"
    raise LookupError(case.accession)
