"""The code's page, the open links of a site, and what a maker is told of tries in vain."""

import csv
import io
import re
import time

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.server import World, running_server
from fixtures.smtp import MailServer, mail_server

from sharing import audit_search
from sharing.db.engine import Database
from sharing.slides import Slide
from sharing.vocabulary import Act
from slideserver.settings import Settings

RECIPIENT = "pr.martin@hopital.example"


@pytest.fixture
def mail():
    with mail_server() as server:
        yield server


@pytest.fixture
def world(settings: Settings, database: Database, centres: Centres, indexed, sandbox, mail: MailServer):
    """Its server sends mail by itself."""
    mailing = {"smtp_host": "127.0.0.1", "smtp_port": mail.port, "smtp_starttls": False}
    with running_server(settings.model_copy(update=mailing), sandbox=sandbox) as url:
        world = World(url, settings, database, centres, indexed)
        yield world
        for client in world.clients:
            client.close()


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, "26H01234")


def acts(world: World, act: Act) -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        return list(audit_search.query(session, world.centres.caen.lab_manager, audit_search.Filters(act=act)).rows)


def press(browser: httpx.Client, link: dict, **fields: str) -> httpx.Response:
    address, _, secret = link["url"].partition("#")
    return browser.post("/l/" + address.rpartition("/")[2], data={"secret": secret, **fields})


def code_in(mail: MailServer, number: int) -> str:
    [code] = re.findall(r"^ +(\d{4} \d{4})", mail.wait_for(number)[-1].get_content(), re.MULTILINE)
    return code


def test_between_the_key_and_the_slides_stands_a_code(world, slide, mail) -> None:
    link = world.link(slide, recipient=RECIPIENT, max_uses=5)
    browser = world.client()
    browser.headers["Accept-Language"] = "fr"
    asked = press(browser, link)
    assert (asked.status_code, asked.cookies.get("iain_guest")) == (200, None)
    assert 'autocomplete="one-time-code"' in asked.text
    for word in ("pr.martin", "hopital.example", "26H01234", "EXEMPLE"):
        assert word not in asked.text, "the key may be in the wrong hands"
    code = code_in(mail, 1)
    assert mail.recipients == [RECIPIENT]
    tile = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    wrong = [press(browser, link, code=f"{int(code.replace(' ', '')) ^ 1:08}"), press(browser, link, code="x")]
    assert [answer.status_code for answer in wrong] == [403, 403]
    assert wrong[0].text == wrong[1].text
    assert browser.get(tile).status_code in (401, 404)
    came = press(browser, link, code=code)
    assert (came.status_code, came.headers["location"]) == (303, f"/g/{slide.id}#c=1110,1480&m=10")
    assert browser.get(tile).status_code == 200
    assert press(browser, link).status_code == 303, "who is in stays in"
    late = press(world.client(), link, code=code)
    assert (late.status_code, late.text) == (403, wrong[0].text), "a used code is like a wrong one"
    again = press(world.client(), link, code=code, again="1")
    assert again.status_code == 200
    assert press(world.client(), link, code=code_in(mail, 2)).status_code == 303
    assert [row.detail["reason"] for row in acts(world, Act.LINK_REFUSED)] == ["wrong_code", "wrong_code"]
    assert {row.personal["recipient"] for row in acts(world, Act.LINK_CODE_SENT)} == {RECIPIENT}
    described = browser.get(f"/api/slides/{slide.id}").json()
    assert described["context"]["pinned"] == slide.version
    assert slide.sha256 not in str(described), "the digest names the file"


def test_its_maker_and_who_answers_for_it_see_what_was_tried_in_vain(world, slide) -> None:
    link = world.link(slide, recipient=RECIPIENT)
    spread = world.link(slide, max_uses=None, reason="=1+1")
    stranger = world.client()
    for _ in range(3):
        stranger.post(f"/l/{link['id']}", data={"secret": "A" * 43})
    press(stranger, link, code="12345678")
    maker = world.signed_in("pathologiste.caen")
    maker.headers["Accept-Language"] = "fr"
    deadline = time.monotonic() + 10
    while "4 essais vains" not in (own := maker.get("/links").text):
        assert time.monotonic() < deadline, "the sealer writes down what was counted in memory"
        time.sleep(0.05)
    assert RECIPIENT in own
    assert maker.get("/links/open").status_code == 403
    for login in ("responsable.caen", "dpo.caen"):
        reader = world.signed_in(login)
        reader.headers["Accept-Language"] = "fr"
        page = reader.get("/links/open").text
        for told in (RECIPIENT, "quiconque a l’adresse", "Pathologiste de Caen", "clé fausse", "26H01234"):
            assert told in page, (login, told)
        assert page.index(link["id"]) < page.index(spread["id"]), "the oldest first"
    assert "Aucun lien de Rouen" in world.signed_in("responsable.rouen").get("/links/open").text
    answer = reader.get("/links/open.csv")
    assert "attachment" in answer.headers["content-disposition"]
    table = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff")), delimiter=";"))
    assert [row[5] for row in table[1:]] == [RECIPIENT, ""]
    assert table[2][7] == "'=1+1"
    for lie in (link["id"], "x"):
        assert "C’est définitif" not in reader.get(f"/links/open?done={lie}").text, "nothing was revoked"
    done = reader.post(f"/links/{link['id']}/revoke", data={"next": "/links/open"})
    assert done.headers["location"] == f"/links/open?done={link['id']}"
    after = reader.get(done.headers["location"]).text
    assert "C’est définitif" in after
    assert RECIPIENT not in after
    read = acts(world, Act.SHARES_READ)
    assert {(row.detail["list"], row.detail["count"]) for row in read} == {("open links", "2"), ("open links", "1")}
    assert len(acts(world, Act.SHARES_EXPORTED)) == 1
