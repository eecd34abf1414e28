"""Mail, from the act to a mail server: what it says, that it waits for ten seconds, and that it survives outages."""

import smtplib
import ssl
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.server import World, running_server
from fixtures.smtp import MailServer, mail_server
from sqlalchemy import text

from sharing import audit_search, sites
from sharing.db.engine import Database
from sharing.vocabulary import Act
from slideserver.mail import Mailer, connect
from slideserver.settings import Settings

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOBODY = ("EXEMPLE", "Camille", "26H01234", "Sein", "1957", "Invasion", "HES")


@pytest.fixture
def mail():
    with mail_server() as server:
        yield server


@pytest.fixture
def mailing(settings: Settings, mail: MailServer) -> Settings:
    more = {"smtp_host": "127.0.0.1", "smtp_port": mail.port, "smtp_starttls": False, "mail_from": "iain@example.org"}
    return settings.model_copy(update={**more, "base_url": "https://iain.example"})


@pytest.fixture
def world(mailing: Settings, database: Database, centres: Centres, indexed):
    """Without threads for mail: each test sends by itself what time has made due."""
    with database.writing() as session:
        for centre in (centres.caen, centres.rouen):
            sites.set_email(session, centre.pathologist.id, f"pathologiste@{centre.id}.example")
    with running_server(mailing.model_copy(update={"smtp_host": "", "base_url": ""})) as url:
        world = World(url, mailing, database, centres, indexed)
        yield world
        for client in world.clients:
            client.close()


def make_due(database: Database) -> None:
    """As if the ten seconds, or the wait after a failure, were over."""
    with database.writing() as session:
        session.execute(text("UPDATE outbox SET not_before_us = not_before_us - 36000000000"))


def test_a_request_is_announced_after_ten_seconds_without_a_word_of_the_patient(world, mailing, mail) -> None:
    mailer = Mailer(world.database, mailing)
    slide = world.add_slide(world.centres.caen, "26H01234")
    asked = world.ask(slide, world.centres.rouen)
    assert mailer.send() == 0, "it can still be taken back"
    assert mail.connections == 0, "with nothing to send nobody is bothered"
    make_due(world.database)
    assert mailer.send() == 1
    assert mailer.send() == 0
    [letter] = mail.wait_for(1)
    assert mail.recipients == ["pathologiste@rouen.example"]
    assert letter["To"] == "pathologiste@rouen.example"
    assert letter["From"] == "iain@example.org"
    assert f"https://iain.example/consultations/{asked['id']}" in letter.get_content()
    whole = letter.as_string() + letter.get_content() + str(letter["Subject"])
    assert [word for word in NOBODY if word in whole] == []
    with world.database.writing() as session:
        manager = world.centres.caen.lab_manager
        [sent] = audit_search.query(session, manager, audit_search.Filters(act=Act.MAIL_SENT)).rows
    assert sent.entities[0].id == asked["id"]


def test_the_answer_is_announced_to_who_asked(world, mailing, mail) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    path = f"/api/consultations/{world.ask(slide, world.centres.rouen)['id']}"
    sent = {"agreement": "agree", "text": "D'accord."}
    assert world.signed_in("pathologiste.rouen").post(f"{path}/answer", json=sent).status_code == 201
    make_due(world.database)
    Mailer(world.database, mailing).send()
    mail.wait_for(2)
    assert set(mail.recipients) == {"pathologiste@rouen.example", "pathologiste@caen.example"}


def test_what_a_mail_server_refuses_is_sent_later_under_the_same_name(world, mailing, mail) -> None:
    mailer = Mailer(world.database, mailing)
    world.ask(world.add_slide(world.centres.caen, "26H01234"), world.centres.rouen)
    make_due(world.database)
    mail.refusing = True
    assert mailer.send() == 0
    mail.refusing = False
    assert mailer.send() == 0, "not at once"
    make_due(world.database)
    assert mailer.send() == 1
    [letter] = mail.wait_for(1)
    assert letter["Message-ID"].endswith("@iain.example>")


def test_a_mail_server_that_is_away_loses_nothing(world, mailing, mail) -> None:
    world.ask(world.add_slide(world.centres.caen, "26H01234"), world.centres.rouen)
    make_due(world.database)
    with pytest.raises(OSError, match="refused"):
        Mailer(world.database, mailing.model_copy(update={"smtp_port": 1})).send()
    assert Mailer(world.database, mailing).send() == 1


def test_the_server_sends_by_itself(mailing, database, centres, indexed, mail) -> None:
    with database.writing() as session:
        sites.set_email(session, centres.rouen.pathologist.id, "pathologiste@rouen.example")
    with running_server(mailing.model_copy(update={"base_url": ""})) as url:
        world = World(url, mailing, database, centres, indexed)
        world.ask(world.add_slide(centres.caen, "26H01234"), centres.rouen)
        make_due(database)
        mail.wait_for(1)
        for client in world.clients:
            client.close()


def test_a_mail_server_without_encryption_is_not_spoken_to_by_mistake(mailing, mail) -> None:
    with pytest.raises(smtplib.SMTPException, match="STARTTLS"):
        connect(mailing.model_copy(update={"smtp_starttls": True}))


TLS = Path(__file__).parents[2] / "data" / "tls"


def test_over_tls_the_certificate_is_proved_before_the_password_is_shown(mailing, tmp_path, monkeypatch) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    password = tmp_path / "password"
    password.write_text("secret word\n")
    with mail_server(context) as server:
        more = {"smtp_username": "iain", "smtp_password_file": password, "smtp_port": server.port}
        settings = mailing.model_copy(update={"smtp_starttls": True, **more})
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(settings)
        assert server.signed_in == []
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
        connect(settings).quit()
        assert server.signed_in == ["\0iain\0secret word"]
