"""Mail that tells somebody that something waits. It is written in the transaction of the act, and sent later by whoever
calls `Sender.send_due`. How it reads is told in `sharing.letters`.

At least once: a sender that dies after the server took a mail sends it again, under the same Message-ID, by which mail
systems tell that it is the same. A mail with a code is sent again with another code, under another Message-ID.
"""

import smtplib
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Protocol

from sqlalchemy import Select, insert, select, update

from sharing import audit, letters
from sharing.clock import MINUTE_US
from sharing.db.engine import Database, Session
from sharing.db.tables import OutboxRow
from sharing.subjects import System
from sharing.vocabulary import Act, ConsultationId, MemberId, Move, Outcome, new_id

LEASE_US = 2 * MINUTE_US
ATTEMPTS = 12
"""With the waits between them, which double from one minute to four hours, they span more than a day."""


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
        {"consultation_id": consultation_id, "member_id": member_id, "move": move} | _waiting(session, delay_us)
        for member_id in member_ids
    ]
    if rows:
        session.execute(insert(OutboxRow), rows)


def enqueue_code(session: Session, link_code_id: str) -> None:
    """Send a code to the recipient of its link, at once."""
    session.execute(insert(OutboxRow), [{"link_code_id": link_code_id} | _waiting(session, 0)])


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
            row, message = claimed
            error = None
            if message is not None:
                try:
                    post.send_message(message)
                except (OSError, smtplib.SMTPException) as failure:
                    error = f"{type(failure).__name__}: {failure}"[:500]
            with self.database.writing() as session:
                self._settle(session, row, delivered=message is not None, error=error)
            sent += message is not None and error is None
            if error is not None and row.attempts == 1:
                break  # the server, not the mail, is likely to be the reason: let the others wait for the next round
        return sent

    def _claim(self) -> tuple[OutboxRow, EmailMessage | None] | None:
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
            letter = letters.letter(session, row, self.base_url)
            return row, letter.message(self.address, self.base_url, row.created_us) if letter else None

    def _settle(self, session: Session, row: OutboxRow, *, delivered: bool, error: str | None) -> None:
        values: dict[str, object] = {"last_error": error}
        if error is None:
            values |= {"state": "sent", "sent_us": session.now_us} if delivered else {"state": "dropped"}
        elif row.attempts >= ATTEMPTS:
            values["state"] = "dropped"
        else:
            wait_us = min(MINUTE_US << (row.attempts - 1), 240 * MINUTE_US)
            values["not_before_us"] = session.now_us + wait_us
        session.execute(update(OutboxRow).where(OutboxRow.id == row.id, OutboxRow.state == "waiting").values(values))
        # A code that could not be sent in its ten minutes has failed; one that was never tried is wanted by nobody.
        too_late = not delivered and row.link_code_id is not None and row.attempts > 1
        if "state" not in values or (error is None and not delivered and not too_late):
            return
        about, failed = letters.topic(session, row), error is not None or too_late
        audit.record(
            session,
            site_id=about.site_id,
            act=Act.MAIL_FAILED if failed else about.sent,
            outcome=Outcome.FAILED if failed else Outcome.SUCCESS,
            subject=System(),
            entities=about.entities,
            detail=about.detail,
            personal=about.personal,
            purpose=about.purpose,
        )


def _waiting(session: Session, delay_us: int) -> dict[str, object]:
    return {
        "id": new_id(),
        "state": "waiting",
        "not_before_us": session.now_us + delay_us,
        "attempts": 0,
        "created_us": session.now_us,
    }


def _due(session: Session) -> Select[str]:
    return select(OutboxRow.id).where(OutboxRow.state == "waiting", OutboxRow.not_before_us <= session.now_us)
