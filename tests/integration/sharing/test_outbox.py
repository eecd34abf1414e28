"""Mail: what waits is told to those whom it concerns, in the words of nobody's case, over a real SMTP connection."""

import smtplib
import threading
from email.message import EmailMessage

import pytest
from fixtures.smtp import mail_server
from sqlalchemy import select, update

from sharing import consultations, outbox, sites
from sharing.db.tables import AuditEventRow, MemberRow, OutboxRow
from sharing.outbox import Sender
from sharing.vocabulary import Act, Agreement, Move, Role

ACCESSION = "26H01234"


@pytest.fixture
def mail():
    with mail_server() as server:
        yield server


@pytest.fixture
def people(database, centres):
    caen, rouen = centres.caen.pathologist, centres.rouen.pathologist
    with database.writing() as session:
        sites.set_email(session, caen.id, "caen@hopital.example")
        sites.set_email(session, rouen.id, "rouen@hopital.example")
    return caen, rouen


@pytest.fixture
def ask(database, centres, shared, people):
    def ask(**changes):
        with database.writing() as session:
            return consultations.request(
                session,
                people[0],
                centres.caen.cases[ACCESSION],
                **{"question": "Lobulaire ?", "slide_id": shared.first, "to_member": people[1].id} | changes,
            )

    return ask


@pytest.fixture
def send(database, mail):
    def send():
        with smtplib.SMTP("127.0.0.1", mail.port, timeout=10) as smtp:
            return Sender(database, "https://iain.example/").send_due(smtp)

    return send


def rows(database, *columns):
    with database.reading() as session:
        return session.execute(select(*columns).order_by(OutboxRow.created_us, OutboxRow.id)).all()


def acts(database, act):
    with database.reading() as session:
        return session.scalars(select(AuditEventRow.detail).where(AuditEventRow.act == act)).all()


def test_a_request_is_told_after_ten_seconds_and_every_hand_over_at_once(database, clock, ask, people, mail, send):
    caen, rouen = people
    asked = ask()
    clock.advance(seconds=9.9)
    assert send() == 0
    with database.reading() as session:
        assert not outbox.due(session)
    clock.advance(seconds=0.1)
    with database.reading() as session:
        assert outbox.due(session)
    assert send() == 1
    assert send() == 0

    def move(who, move, note=""):
        with database.writing() as session:
            consultations.move(session, who, asked, move, note)

    move(rouen, Move.ACCEPT)
    assert send() == 0
    move(rouen, Move.ASK, "Une PAS ?")
    move(caen, Move.REPLY, "La voici.")
    with database.writing() as session:
        consultations.answer(session, rouen, asked, agreement=Agreement.AGREE, text="Oui.")
        consultations.amend(session, rouen, asked, agreement=Agreement.AGREE, text="Oui !")
    move(caen, Move.CLOSE)
    assert send() == 4
    told = sorted((message["To"], message["Subject"]) for message in mail.mails)
    assert told == [
        ("caen@hopital.example", "Un avis a été modifié sur IAIN"),
        ("caen@hopital.example", "Un avis vous attend sur IAIN"),
        ("caen@hopital.example", "Un complément vous est demandé sur IAIN"),
        ("rouen@hopital.example", "Un complément vous attend sur IAIN"),
        ("rouen@hopital.example", "Une demande d'avis vous attend sur IAIN"),
    ]
    for message in mail.mails:
        assert f"https://iain.example/consultations/{asked}" in message.get_content().splitlines()
    assert len(acts(database, Act.MAIL_SENT)) == 5


def test_a_mail_holds_no_word_of_the_case(database, clock, ask, centres, shared, mail, send):
    ask(question="Marqueur-de-question, adénome ?")
    clock.advance(seconds=10)
    assert send() == 1
    (message,) = mail.mails
    text = message.as_string() + message.get_content() + message["Subject"]
    for secret in (ACCESSION, "EXEMPLE", "Camille", "Sein", "Marqueur", "first.svs", shared.first, "Scanner", "Caen"):
        assert secret not in text
    assert centres.caen.cases[ACCESSION] not in text


def test_an_undone_request_is_told_to_nobody(database, clock, ask, people, mail, send):
    asked = ask()
    clock.advance(seconds=5)
    with database.writing() as session:
        consultations.undo(session, people[0], asked)
    clock.advance(minutes=5)
    assert send() == 0
    assert mail.mails == []


def test_a_request_to_a_site_is_told_to_its_pathologists_in_their_language(
    database, clock, ask, centres, people, mail, send
):
    with database.writing() as session:
        sites.add_member(
            session,
            centres.rouen.id,
            login="english",
            name="English",
            role=Role.PATHOLOGIST,
            password_hash="x",
            language="en",
            email="english@hopital.example",
        )
    ask(to_member=None, to_site=centres.rouen.id)
    clock.advance(seconds=10)
    assert send() == 2
    assert {message["To"]: message["Subject"] for message in mail.mails} == {
        "rouen@hopital.example": "Une demande d'avis vous attend sur IAIN",
        "english@hopital.example": "A request for your opinion waits on IAIN",
    }


def test_who_has_no_address_or_no_account_any_more_gets_none(database, clock, ask, people, mail, send):
    ask()
    ask()
    with database.writing() as session:
        sites.disable_member(session, people[1].id)
    clock.advance(seconds=10)
    assert send() == 0
    assert mail.mails == []
    assert {row.state for row in rows(database, OutboxRow.state)} == {"dropped"}


def test_a_server_that_says_no_is_asked_again_later_and_later(database, clock, ask, mail, send):
    ask()
    clock.advance(seconds=10)
    mail.refusing = True
    assert send() == 0
    (row,) = rows(database, OutboxRow.state, OutboxRow.attempts, OutboxRow.not_before_us, OutboxRow.last_error)
    assert (row.state, row.attempts, row.not_before_us - clock.now_us()) == ("waiting", 1, 60_000_000)
    assert "451" in row.last_error
    clock.advance(minutes=1)
    assert send() == 0
    assert rows(database, OutboxRow.not_before_us)[0].not_before_us - clock.now_us() == 120_000_000
    mail.refusing = False
    clock.advance(minutes=2)
    assert send() == 1


def test_a_mail_that_cannot_be_sent_is_given_up_in_the_end_and_that_is_on_record(database, clock, ask, mail, send):
    ask()
    mail.refusing = True
    for _ in range(outbox.ATTEMPTS):
        clock.advance(hours=4)
        assert send() == 0
    assert [row.state for row in rows(database, OutboxRow.state)] == ["dropped"]
    assert len(acts(database, Act.MAIL_FAILED)) == 1


def test_a_mail_that_was_taken_without_a_word_comes_again_under_the_same_id(database, clock, ask, mail, send):
    ask()
    clock.advance(seconds=10)

    class HangsUp:
        def send_message(self, message: EmailMessage) -> None:
            with smtplib.SMTP("127.0.0.1", mail.port, timeout=10) as smtp:
                smtp.send_message(message)
            raise smtplib.SMTPServerDisconnected

    assert Sender(database, "https://iain.example/").send_due(HangsUp()) == 0
    clock.advance(minutes=1)
    assert send() == 1
    first, second = mail.mails
    assert first["Message-ID"].endswith("@iain.example>")
    assert first.as_bytes() == second.as_bytes()


def test_a_sender_that_died_holds_its_mail_for_two_minutes(database, clock, ask, mail, send):
    ask()
    clock.advance(seconds=10)

    class Dies:
        def send_message(self, message: EmailMessage) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Sender(database, "https://iain.example").send_due(Dies())
    clock.advance(seconds=119)
    assert send() == 0
    clock.advance(seconds=1)
    assert send() == 1


def test_eight_senders_at_once_send_each_mail_once(database, clock, ask, mail):
    for _ in range(12):
        ask()
    clock.advance(seconds=10)
    sent, barrier = [], threading.Barrier(8)

    def run():
        with smtplib.SMTP("127.0.0.1", mail.port, timeout=10) as smtp:
            barrier.wait()
            sent.append(Sender(database, "https://iain.example").send_due(smtp))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 12
    assert len({message["Message-ID"] for message in mail.mails}) == len(mail.mails) == 12


def test_an_address_that_nothing_can_be_sent_to_holds_up_nobody(database, clock, ask, people, mail, send):
    """An earlier version kept such addresses."""
    ask(to_member=None, to_site=people[1].site_id)
    with database.writing() as session:
        session.execute(update(MemberRow).where(MemberRow.id == people[1].id).values(email="a@["))
    clock.advance(seconds=10)
    assert send() == 0
    with database.writing() as session:
        sites.set_email(session, people[1].id, "rouen@hopital.example")
    ask()
    clock.advance(seconds=10)
    assert send() == 1
