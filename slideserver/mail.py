"""Mail: the thread that hands the outbox to the mail server. What a mail says, and when, is `sharing.outbox`'s."""

import logging
import smtplib
import ssl
import threading

from sharing import outbox
from sharing.db.engine import Database
from slideserver.settings import Settings

LOOK_EVERY_S = 1.0
# A mail server that is away is asked again after a while that doubles, up to this.
RETRY_AT_MOST_S = 60.0
TIMEOUT_S = 20

log = logging.getLogger(__name__)


def connect(settings: Settings) -> smtplib.SMTP:
    """An open connection to the mail server, encrypted and signed in as the settings say.

    Raises OSError or smtplib.SMTPException, among them when the server's certificate proves nothing.
    """
    post = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S)
    try:
        if settings.smtp_starttls:
            post.starttls(context=ssl.create_default_context())
        if settings.smtp_username:
            post.login(settings.smtp_username, _password(settings))
    except BaseException:
        post.close()
        raise
    return post


class Mailer:
    """Sends what is due, until told to stop. Several may run: the outbox gives each mail to one at a time."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._sender = outbox.Sender(database, settings.address, settings.mail_from)

    def run(self, stop: threading.Event) -> None:
        wait_s = LOOK_EVERY_S
        while not stop.wait(wait_s):
            try:
                self.send()
            except Exception as error:
                # Whatever it is: the mails wait in the outbox. Said once for each outage, without a trace of
                # what a mail server answered, which may name people.
                if wait_s == LOOK_EVERY_S:
                    log.warning("Mail cannot be sent (%s); it waits and is tried again", type(error).__name__)
                wait_s = min(wait_s * 2, RETRY_AT_MOST_S)
            else:
                wait_s = LOOK_EVERY_S

    def send(self) -> int:
        """How many mails were handed over. Connects only if there is something to send."""
        with self._database.reading() as session:
            if not outbox.due(session):
                return 0
        with connect(self._settings) as post:
            return self._sender.send_due(post)


def _password(settings: Settings) -> str:
    return settings.smtp_password_file.read_text().strip() if settings.smtp_password_file else ""
