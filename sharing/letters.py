"""How a mail reads, and to whom it goes: about a consultation to a member, with a code to the recipient of a link.

A mail holds no word of a patient, of a case or of a question: only where to look, or the code that was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from sharing import link_codes, policy, text
from sharing.clock import SECOND_US
from sharing.db.engine import Session
from sharing.db.tables import ConsultationRow, LinkCodeRow, LinkRow, MemberRow, OutboxRow, SiteRow
from sharing.vocabulary import Act, Entity, LinkState, Move, Purpose, SiteId

WORDS: dict[str, dict[Move, str]] = {
    "fr": {
        Move.REQUEST: "Une demande d'avis vous attend sur IAIN",
        Move.DECLINE: "Votre demande d'avis a été déclinée",
        Move.ASK: "Un complément vous est demandé sur IAIN",
        Move.REPLY: "Un complément vous attend sur IAIN",
        Move.ANSWER: "Un avis vous attend sur IAIN",
        Move.AMEND: "Un avis a été modifié sur IAIN",
        Move.CANCEL: "Une demande d'avis a été annulée",
    },
    "en": {
        Move.REQUEST: "A request for your opinion waits on IAIN",
        Move.DECLINE: "Your request for an opinion was declined",
        Move.ASK: "You are asked for more information on IAIN",
        Move.REPLY: "The information you asked for waits on IAIN",
        Move.ANSWER: "An opinion waits for you on IAIN",
        Move.AMEND: "An opinion was amended on IAIN",
        Move.CANCEL: "A request for your opinion was cancelled",
    },
}
BODY = {
    "fr": "Bonjour,\n\n{subject} :\n{address}\n\nCe message ne contient aucune donnée de patient. N'y répondez pas.\n",
    "en": "Hello,\n\n{subject}:\n{address}\n\nThis message holds no patient data. Please do not reply to it.\n",
}
CODE_WORDS = {"fr": "Votre code pour ouvrir des lames sur IAIN", "en": "Your code to open slides on IAIN"}
CODE_BODY = {
    "fr": (
        "Bonjour,\n\nVoici le code qui ouvre le lien {reference}, reçu du centre {site} :\n\n    {code}\n\n"
        "Il vaut dix minutes et ne sert qu'une fois, sur la page où il a été demandé.\n"
        "Vous n'avez rien demandé ? Quelqu'un d'autre a votre lien : prévenez la personne qui vous l'a envoyé, et ne "
        "donnez ce code à personne.\n\nCe message ne contient aucune donnée de patient. N'y répondez pas.\n"
    ),
    "en": (
        "Hello,\n\nThis code opens the link {reference}, which the centre {site} sent to you:\n\n    {code}\n\n"
        "It is valid for ten minutes and works once, on the page where it was asked for.\n"
        "You did not ask for it? Somebody else has your link: tell the person who sent it to you, and give this code "
        "to nobody.\n\nThis message holds no patient data. Please do not reply to it.\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a mail is about, for the audit log of the site that owns it."""

    site_id: SiteId
    sent: Act
    entities: tuple[Entity, ...]
    detail: Mapping[str, str]
    personal: Mapping[str, str] = field(default_factory=dict)
    purpose: Purpose | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    to: str
    subject: str
    text: str
    name: str
    """Stands in the Message-ID: the same mail sent twice has the same one."""

    def message(self, sender: str, base_url: str, written_us: int) -> EmailMessage:
        """The mail (RFC 5322) from the address `sender` of the platform at `base_url`."""
        message = EmailMessage()
        message["Message-ID"] = f"<{self.name}@{urlsplit(base_url).hostname or 'iain.invalid'}>"
        message["Date"] = format_datetime(datetime.fromtimestamp(written_us / SECOND_US, UTC))
        message["From"] = sender
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answer, please
        message.set_content(self.text)
        return message


def topic(session: Session, row: OutboxRow) -> Topic:
    if row.link_code_id is not None:
        link = _link(session, row.link_code_id)
        entities = (Entity("link", link.id), Entity("case", link.case_id))
        personal = {"recipient": link.recipient or ""}
        return Topic(
            link.site_id, Act.LINK_CODE_SENT, entities, {"reference": link.reference}, personal, Purpose(link.purpose)
        )
    owner, member = session.get_one(ConsultationRow, row.consultation_id), session.get_one(MemberRow, row.member_id)
    entities = (Entity("consultation", owner.id), Entity("member", member.id))
    return Topic(owner.site_id, Act.MAIL_SENT, entities, {"move": row.move or "", "to_site": member.site_id})


def letter(session: Session, row: OutboxRow, base_url: str) -> Letter | None:
    """What to send now; None if there is nobody to send it to, or nobody who waits for it."""
    return _of_code(session, row, row.link_code_id) if row.link_code_id else _of_move(session, row, base_url)


def _of_move(session: Session, row: OutboxRow, base_url: str) -> Letter | None:
    member = session.get_one(MemberRow, row.member_id)
    if member.email is None or member.disabled_us is not None or not text.is_mail_address(member.email):
        return None
    language = member.language if member.language in WORDS else "fr"
    subject = WORDS[language][Move(row.move or Move.REQUEST)]
    address = f"{base_url.rstrip('/')}/consultations/{row.consultation_id}"
    return Letter(member.email, subject, BODY[language].format(subject=subject, address=address), row.id)


def _of_code(session: Session, row: OutboxRow, code_id: str) -> Letter | None:
    asked, link = session.get_one(LinkCodeRow, code_id, populate_existing=True), _link(session, code_id)
    recipient = link.recipient or ""
    if not text.is_mail_address(recipient) or policy.link_state(session, link) is not LinkState.LIVE:
        return None
    code = link_codes.draw(session, asked)
    if code is None:
        return None
    language = asked.language if asked.language in CODE_BODY else "fr"
    told = CODE_BODY[language].format(
        reference=link.reference,
        site=session.get_one(SiteRow, link.site_id).name,
        code=f"{code[:4]} {code[4:]}",
    )
    # Another attempt brings another code, which no mail system may take for the same mail.
    return Letter(recipient, CODE_WORDS[language], told, f"{row.id}.{row.attempts}")


def _link(session: Session, code_id: str) -> LinkRow:
    return session.get_one(LinkRow, session.get_one(LinkCodeRow, code_id).link_id)
