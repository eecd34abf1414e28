"""Links bound to a recipient: the secret alone opens nothing, and the code that is mailed opens once."""

import re
import smtplib
import threading
from email.message import EmailMessage

import pytest
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from sharing import chain, link_codes, link_lists, link_refusals, links, visits
from sharing.clock import MINUTE_US
from sharing.db.tables import AuditEventRow, AuditPersonalRow, LinkCodeRow, LinkRow, OutboxRow, SlideRow
from sharing.errors import CodeWantedError, GoneError, InvalidError, NotFoundError
from sharing.outbox import Sender
from sharing.vocabulary import Act, LinkId, LinkState, Purpose, Vain

ACCESSION = "26H01234"
HOUR_US = 60 * MINUTE_US
RECIPIENT = "pr.martin@hopital.example"


class Box:
    """A mail server's in-tray; full, it takes nothing."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.full = False

    def send_message(self, msg: EmailMessage) -> None:
        if self.full:
            raise smtplib.SMTPServerDisconnected
        self.mails.append(msg)

    def code(self) -> str:
        """The one in the last mail."""
        [code] = re.findall(r"^ +(\d{4} \d{4})$", self.mails[-1].get_content(), re.MULTILINE)
        return code


@pytest.fixture
def box():
    return Box()


@pytest.fixture
def send(database, box):
    return lambda: Sender(database, "https://iain.example").send_due(box)


@pytest.fixture
def make(database, clock, centres, shared):
    def make(**changes):
        arguments = {"reason": "Avis du Pr Martin", "purpose": Purpose.CARE, "recipient": RECIPIENT} | changes
        with database.writing() as session:
            return links.create(
                session,
                centres.caen.pathologist,
                centres.caen.cases[ACCESSION],
                **{"expires_us": clock.now_us() + 24 * HOUR_US, "slide_id": shared.first, "max_uses": 100} | arguments,
            )

    return make


@pytest.fixture
def knock(database):
    """Try to come in: what is wrong, or None when a guest came in."""

    def knock(link, code=None, **more):
        try:
            links.redeem(database, link.id, link.secret, code=code, **more)
        except CodeWantedError as error:
            return "wrong" if error.wrong else "wanted"
        except GoneError as error:
            return error.why
        return None

    return knock


@pytest.fixture
def coded(make, knock, send, box):
    """A link whose recipient has a code in hand."""

    def coded(**changes):
        link = make(**changes)
        assert knock(link) == "wanted"
        assert send() == 1
        return link, box.code()

    return coded


def recorded(database, act):
    with database.reading() as session:
        return session.scalars(
            select(AuditEventRow.detail).where(AuditEventRow.act == act).order_by(AuditEventRow.position)
        ).all()


def tries(database, link):
    link_refusals.write_down(database)
    with database.reading() as session:
        return {each.reason: each.count for each in link_refusals.of(session, [link.id]).get(link.id, ())}


def test_the_secret_asks_for_a_code_and_the_code_opens_once(database, make, knock, send, box, centres):
    link = make()
    assert [knock(link), knock(link)] == ["wanted", "wanted"]
    assert [send(), send()] == [1, 0], "who looks again is not sent another"
    [mail] = box.mails
    assert (mail["To"], mail["Subject"]) == (RECIPIENT, "Votre code pour ouvrir des lames sur IAIN")
    whole = mail.as_string() + mail.get_content()
    assert link.reference in whole
    for word in (ACCESSION, "EXEMPLE", "Camille", "Sein", "Avis du Pr", link.secret, link.id, "first.svs"):
        assert word not in whole
    code = box.code()
    assert knock(link, code) is None
    assert knock(link, code) == "wrong", "once"
    assert knock(link, "") == "wanted"
    [sent] = recorded(database, Act.LINK_CODE_SENT)
    assert link.reference in sent
    assert RECIPIENT not in sent, "an address can be erased"
    with database.reading() as session:
        personal = session.scalars(select(AuditPersonalRow.body)).all()
    assert sum(RECIPIENT in body for body in personal) == 2, "when the link was made, and when the code was sent"


def test_a_code_is_drawn_when_it_is_sent_and_nothing_of_it_can_be_read(database, make, knock, send, box):
    link = make()
    knock(link)
    with database.reading() as session:
        assert session.scalars(select(LinkCodeRow.code_hash)).all() == [None]
    send()
    digits = box.code().replace(" ", "")
    with database.reading() as session:
        for table in inspect(database.engine).get_table_names():
            for row in session.execute(text(f'SELECT * FROM "{table}"')):
                assert digits not in repr(tuple(row))


def test_in_groups_or_not_it_is_the_same_code_and_the_mail_speaks_the_readers_language(make, knock, send, box):
    link = make()
    for number, written in enumerate((" {} {} ", "{}-{}", "{}{}", "{}.{}\n")):
        assert knock(link, again=True, language=("en", "fr")[number % 2]) == "wanted"
        send()
        assert knock(link, written.format(*box.code().split())) is None
    assert box.mails[0]["Subject"] == "Your code to open slides on IAIN"
    assert "valid for ten minutes" in box.mails[0].get_content()
    assert "dix minutes" in box.mails[1].get_content()


def test_what_is_no_code_opens_nothing_and_is_counted(database, coded, knock):
    (link, code), (other, foreign) = coded(), coded()
    bare = code.replace(" ", "")
    assert knock(link, foreign) == "wrong", "another link's code"
    for wrong in ("12345", f"{bare}0", bare[:7], "٠١٢٣٤٥٦٧"):
        assert knock(link, wrong) == "wrong"
    assert knock(other, "\udc80") == "wrong"
    assert (tries(database, link), tries(database, other)) == ({Vain.WRONG_CODE: 5}, {Vain.WRONG_CODE: 1})
    assert ['"reason":"wrong_code"' in detail for detail in recorded(database, Act.LINK_REFUSED)] == [True] * 6
    assert knock(other, foreign) is None


def test_a_code_bears_five_tries_and_an_hour_five_codes(database, clock, coded, knock, send, box, make):
    link, code = coded()
    assert [knock(link, "11111111") for _ in range(7)] == ["wrong"] * 7
    assert knock(link, code) == "wrong", "the right one, too late"
    assert tries(database, link) == {Vain.WRONG_CODE: 5, Vain.STALE_CODE: 3}
    assert len(recorded(database, Act.LINK_REFUSED)) == 5, "the rest is counted by the minute, as a stranger's"
    for number in range(2, 12):
        assert knock(link, again=True) == "wanted"
        assert send() == (number <= link_codes.AN_HOUR)
    assert len(box.mails) == link_codes.AN_HOUR
    clock.advance(minutes=9.9)
    assert knock(link, box.code()) is None
    clock.advance(minutes=50.2)
    assert knock(link, again=True) == "wanted"
    assert send() == 1, "an hour later there are five more"


def test_a_newer_code_replaces_the_one_before_also_while_it_is_on_its_way(clock, coded, knock, send, box):
    link, first = coded()
    clock.advance(seconds=1)
    assert knock(link, again=True) == "wanted"
    assert knock(link, first) == "wrong"
    assert [send(), len(box.mails)] == [1, 2]
    assert knock(link, first) == "wrong"
    assert knock(link, box.code()) is None


def test_a_code_is_over_ten_minutes_after_its_mail(clock, make, knock, send, box, coded):
    link = make()
    knock(link)
    clock.advance(minutes=9)
    send()
    clock.advance(minutes=9.9)
    assert knock(link, box.code()) is None
    link, code = coded()
    clock.advance(minutes=10)
    assert knock(link, code) == "wrong"
    assert [knock(link), send()] == ["wanted", 1]


def test_a_mail_that_does_not_leave_is_tried_with_another_code(database, clock, make, knock, send, box):
    link = make()
    knock(link)

    class HangsUp(Box):
        def send_message(self, msg: EmailMessage) -> None:
            super().send_message(msg)
            raise smtplib.SMTPServerDisconnected  # it was taken all the same

    taken = HangsUp()
    assert Sender(database, "https://iain.example").send_due(taken) == 0
    clock.advance(minutes=1)
    assert send() == 1
    assert taken.mails[0]["Message-ID"] != box.mails[0]["Message-ID"], "or mail systems would keep the first"
    assert taken.code() != box.code()
    assert knock(link, taken.code()) == "wrong"
    assert knock(link, box.code()) is None


def test_a_code_that_cannot_be_sent_in_ten_minutes_is_given_up_and_on_record(database, clock, make, knock, send, box):
    link = make()
    knock(link)
    box.full = True
    for _ in range(4):
        assert send() == 0
        clock.advance(minutes=4)
    box.full = False
    assert send() == 0
    assert box.mails == []
    with database.reading() as session:
        assert session.scalars(select(OutboxRow.state)).all() == ["dropped"]
    [failed] = recorded(database, Act.MAIL_FAILED)
    assert link.reference in failed


def test_who_revokes_the_link_stops_the_code_too(database, clock, centres, make, coded, knock, send, box):
    link, code = coded()
    knock(link, again=True)
    with database.writing() as session:
        links.revoke(session, centres.caen.pathologist, link.id)
    assert send() == 0
    for tried in (code, None, "12345678"):
        assert knock(link, tried) is LinkState.REVOKED
    assert tries(database, link) == {LinkState.REVOKED: 3}
    assert len(box.mails) == 1
    link, code = coded(expires_us=clock.now_us() + 5 * MINUTE_US)
    clock.advance(minutes=5)
    assert [knock(link, code), knock(link)] == [LinkState.EXPIRED] * 2, "so does its end"


def test_of_many_who_ask_at_once_one_code_goes_out_and_of_many_who_show_it_one_comes_in(
    database, make, knock, send, box
):
    link = make()
    assert together(lambda: knock(link, again=True)) == ["wanted"] * 8
    assert [send(), len(box.mails)] == [1, 1]
    outcomes = together(lambda: knock(link, box.code()))
    assert (outcomes.count(None), outcomes.count("wrong")) == (1, 7)
    with database.reading() as session:
        assert session.get_one(LinkRow, link.id).uses == 1
    chain.seal(database)
    with database.reading() as session:
        assert chain.verify(session).whole


def together(act, number=8):
    """What comes of `number` who act at the same moment."""
    barrier, outcomes = threading.Barrier(number), []

    def run():
        barrier.wait()
        outcomes.append(act())

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_only_one_plain_address_is_a_recipient(make, knock):
    for address in ("x", "a b@c.example", "a@b.example, c@d.example", "é@b.example", "a@b.example>\nBcc: c@d.example"):
        with pytest.raises(InvalidError, match="no mail address"):
            make(recipient=address)
    for nobody in (None, "", "  "):
        assert knock(make(recipient=nobody)) is None, "the secret is enough"


def test_a_flood_of_wrong_keys_writes_nothing_until_the_sealer_comes(database, clock, centres, make, knock):
    link = make(recipient=None, max_uses=1)
    with database.reading() as session:
        before = session.scalars(select(AuditEventRow.id)).all()
    for _ in range(300):
        with pytest.raises(NotFoundError):
            links.redeem(database, link.id, "A" * 43)
    with database.reading() as session:
        assert session.scalars(select(AuditEventRow.id)).all() == before
        assert link_refusals.of(session, [link.id]) == {}
    clock.advance(minutes=3)
    link_refusals.write_down(database)
    link_refusals.write_down(database)
    knock(link)
    assert knock(link) is LinkState.USED_UP
    with database.reading() as session:
        [told] = link_lists.made(session, centres.caen.pathologist)
    assert {each.reason: (each.count, each.last_us) for each in told.in_vain} == {
        Vain.WRONG_KEY: (300, clock.now_us()),
        LinkState.USED_UP: (1, clock.now_us()),
    }
    assert told.tries_in_vain == 301


def test_what_could_not_be_written_down_is_kept_for_the_next_time(database, make):
    counts = {(make().id, Vain.WRONG_KEY): 1, (LinkId("no link at all"), Vain.WRONG_KEY): 2}
    for key, times in counts.items():
        database.link_tries.add(key, times)
    with pytest.raises(IntegrityError):
        link_refusals.write_down(database)
    assert database.link_tries.take() == counts


def test_the_slides_are_pinned_and_the_log_says_to_what(database, centres, shared, make, knock):
    link = make(recipient=None)
    assert knock(link) is None
    with database.reading() as session:
        guest = visits.guest(session, links.redeem(database, link.id, link.secret).token).guest
        pins = visits.showing(session, guest).pins
        stored = {row.id: row for row in session.scalars(select(SlideRow)) if row.id in pins}
    assert pins == {slide_id: stored[slide_id].version for slide_id in (shared.first, shared.second)}
    [made] = recorded(database, Act.LINK_MADE)
    for slide_id, row in stored.items():
        assert f"{slide_id}:{row.sha256}" in made
    assert f'"sha256":"{stored[shared.first].sha256}"' in recorded(database, Act.LINK_REDEEMED)[0]


def test_the_open_links_of_a_site_the_oldest_first(database, clock, centres, make, knock):
    old, used, _, ended, new = [
        make(recipient=None, max_uses=uses, expires_us=clock.now_us() + hours * HOUR_US)
        for uses, hours in ((2, 48), (1, 48), (1, 1), (1, 48), (1, 48))
    ]
    assert knock(used) is None
    with database.writing() as session:
        links.revoke(session, centres.caen.lab_manager, ended.id)
        session.execute(update(LinkRow).where(LinkRow.id == new.id).values(created_us=LinkRow.created_us + 1))
    clock.advance(hours=2)
    with database.reading() as session:
        for reader in (centres.caen.lab_manager, centres.caen.protection_officer):
            found = link_lists.open_of_site(session, reader)
            assert {link.id for link in found} == {old.id, used.id, new.id}
            assert found[-1].id == new.id
            assert len(link_lists.open_of_site(session, reader, limit=2)) == 2
        assert link_lists.open_of_site(session, centres.rouen.lab_manager) == []
