"""Mail that tells a member that something waits. It is written in the transaction of the act, and sent later by whoever
calls `Sender.send_due`; a mail holds no word of a patient, of a case or of a question: only where to look.

At least once: a sender that dies after the server took a mail sends it again, under the same Message-ID, by which mail
systems tell that it is the same.
"""

import smtplib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import Select, insert, select, update

from sharing import audit
from sharing.clock import MINUTE_US, SECOND_US
from sharing.db.engine import Database, Session
from sharing.db.tables import ConsultationRow, MemberRow, OutboxRow
from sharing.subjects import System
from sharing.vocabulary import Act, ConsultationId, Entity, MemberId, Move, Outcome, new_id

LEASE_US = 2 * MINUTE_US
ATTEMPTS = 12
"""With the waits between them, which double from one minute to four hours, they span more than a day."""

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


class Post(Protocol):
    """What takes a mail, such as an `smtplib.SMTP`; it raises OSError or SMTPException when it does not."""

    def send_message(self, msg: EmailMessage, /) -> object: ...


def enqueue(
    session: Session,
    consultation_id: ConsultationId,
    member_ids: Iterable[MemberId],
    move: Move,
    *,
    delay_us: int = 0,
) -> None:
    """Tell the members of a move, `delay_us` from now at the earliest."""
    rows = [
        {
            "id": new_id(),
            "consultation_id": consultation_id,
            "member_id": member_id,
            "move": move,
            "state": "waiting",
            "not_before_us": session.now_us + delay_us,
            "attempts": 0,
            "created_us": session.now_us,
        }
        for member_id in member_ids
    ]
    if rows:
        session.execute(insert(OutboxRow), rows)


def withdraw(session: Session, consultation_id: ConsultationId) -> None:
    """Send nothing more of what still waits about a consultation."""
    waiting = (OutboxRow.consultation_id == consultation_id, OutboxRow.state == "waiting")
    session.execute(update(OutboxRow).where(*waiting).values(state="dropped"))


def due(session: Session) -> bool:
    """Whether there is anything to send now; worth a connection to the mail server."""
    return session.scalar(_due(session).limit(1)) is not None


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends what is due. Any number of them may run; each mail is held by one at a time."""

    database: Database
    base_url: str
    """Where readers find the platform, such as https://iain.example."""
    address: str = "IAIN <iain@localhost>"
    """The From of every mail."""

    def send_due(self, post: Post) -> int:
        """Hand every due mail to `post`; how many it took. One that fails waits longer each time, and is given up in
        the end; both endings stand in the audit log.
        """
        sent = 0
        while (claimed := self._claim()) is not None:
            row, message, site_id = claimed
            error = None
            if message is not None:
                try:
                    post.send_message(message)
                except (OSError, smtplib.SMTPException) as failure:
                    error = f"{type(failure).__name__}: {failure}"[:500]
            with self.database.writing() as session:
                self._settle(session, row, site_id, delivered=message is not None, error=error)
            sent += message is not None and error is None
            if error is not None and row.attempts == 1:
                break  # the server, not the mail, is likely to be the reason: let the others wait for the next round
        return sent

    def _claim(self) -> tuple[OutboxRow, EmailMessage | None, str] | None:
        """The next due mail, held for LEASE_US; the mail is None if there is nobody to send it to."""
        with self.database.writing() as session:
            first = _due(session).order_by(OutboxRow.not_before_us, OutboxRow.id).limit(1)
            if session.get_bind().dialect.name == "postgresql":
                first = first.with_for_update(skip_locked=True)
            mail_id = session.scalars(first).one_or_none()
            if mail_id is None:
                return None
            session.execute(
                update(OutboxRow)
                .where(OutboxRow.id == mail_id)
                .values(not_before_us=session.now_us + LEASE_US, attempts=OutboxRow.attempts + 1)
            )
            row = session.get_one(OutboxRow, mail_id)
            member = session.get_one(MemberRow, row.member_id)
            reachable = member.email is not None and member.disabled_us is None
            return row, self._mail(row, member) if reachable else None, member.site_id

    def _settle(self, session: Session, row: OutboxRow, site_id: str, *, delivered: bool, error: str | None) -> None:
        values: dict[str, object] = {"last_error": error}
        if error is None:
            values |= {"state": "sent", "sent_us": session.now_us} if delivered else {"state": "dropped"}
        elif row.attempts >= ATTEMPTS:
            values["state"] = "dropped"
        else:
            wait_us = min(MINUTE_US << (row.attempts - 1), 240 * MINUTE_US)
            values["not_before_us"] = session.now_us + wait_us
        session.execute(update(OutboxRow).where(OutboxRow.id == row.id, OutboxRow.state == "waiting").values(values))
        if "state" not in values or (error is None and not delivered):
            return
        consultation_id, member_id, move = row.consultation_id, row.member_id, row.move
        if consultation_id is None or member_id is None or move is None:
            return
        owner = session.get_one(ConsultationRow, consultation_id)
        audit.record(
            session,
            site_id=owner.site_id,
            act=Act.MAIL_SENT if error is None else Act.MAIL_FAILED,
            outcome=Outcome.SUCCESS if error is None else Outcome.FAILED,
            subject=System(),
            entities=[Entity("consultation", consultation_id), Entity("member", member_id)],
            detail={"move": move, "to_site": site_id},
        )

    def _mail(self, row: OutboxRow, member: MemberRow) -> EmailMessage:
        language = member.language if member.language in WORDS else "fr"
        subject = WORDS[language][Move(row.move or Move.REQUEST)]
        message = EmailMessage()
        message["Message-ID"] = f"<{row.id}@{urlsplit(self.base_url).hostname or 'iain.invalid'}>"
        message["Date"] = format_datetime(datetime.fromtimestamp(row.created_us / SECOND_US, UTC))
        message["From"] = self.address
        message["To"] = member.email
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answer, please
        address = f"{self.base_url.rstrip('/')}/consultations/{row.consultation_id}"
        message.set_content(BODY[language].format(subject=subject, address=address))
        return message


def _due(session: Session) -> Select[str]:
    return select(OutboxRow.id).where(OutboxRow.state == "waiting", OutboxRow.not_before_us <= session.now_us)
