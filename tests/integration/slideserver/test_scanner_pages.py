"""The page of the scanners as the server tells it: which scanner is how, what was refused and why, and for whom."""

import csv
import io
from dataclasses import replace

import httpx
import pytest
from fixtures.cases import add_slide
from fixtures.html import parse
from fixtures.pages import check, read, rows
from fixtures.scanning import LITTLE_ROOM, TROUBLED, WELL, hear
from fixtures.server import World
from sqlalchemy import select, update

from ingest.heartbeat import Trouble
from sharing import claims, custody, scanners, slides
from sharing.clock import MINUTE_US
from sharing.db.tables import SessionTokenRow
from sharing.subjects import System
from sharing.vocabulary import SlideId

TECHNICIAN = "technicien.caen"
# What the pages are made of is asked of both databases beside `sharing`.
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def refused(world: World) -> SlideId:
    with world.database.writing() as session:
        slide_id = add_slide(session, world.centres.caen, "=26H01234", "26H01234-C3.svs", ready=False)
        slides.mark_refused(session, slide_id, code="damaged", reason="The file is empty.")
    return slide_id


def signs(client: httpx.Client) -> dict[str, str]:
    page = read(client, "/scanners")
    return {
        row.one("th").text.removesuffix(" Aperio AT2"): row.get("data-sign") for row in rows(page.one(id="scanners"))
    }


@once
def test_each_scanner_stands_for_its_last_word(world: World) -> None:
    agent, technician = world.centres.caen.agent, world.signed_in(TECHNICIAN)
    assert signs(technician) == {"Scanner Caen 1": "never"}
    for said, ago_us, sign in (
        (LITTLE_ROOM, 0, "watch"),
        (replace(WELL, skew_ms=61_000), 0, "watch"),
        (TROUBLED, 0, "watch"),
        (replace(WELL, troubles=(Trouble("x" * 255, "?", "{x}", 1 << 60),), skew_ms=-(1 << 60)), 0, "watch"),
        (replace(WELL, queued=1 << 60, queued_bytes=1 << 60, bytes_per_s=1 << 60, free_bytes=1 << 60), 0, "fine"),
        (replace(WELL, free_bytes=10**9), 0, "alarm"),
        (WELL, 0, "fine"),
    ):
        hear(world.database, agent, said, ago_us=ago_us)
        assert signs(technician) == {"Scanner Caen 1": sign}
    assert signs(world.signed_in("technicien.rouen")) == {"Scanner Rouen 1": "never"}
    assert world.signed_in("pathologiste.caen").get("/scanners").status_code == 403


def test_every_refusal_is_told_with_what_to_do_about_it(world: World, refused: SlideId) -> None:
    hear(world.database, world.centres.caen.agent, replace(TROUBLED, skew_ms=-120_000))
    technician = world.signed_in(TECHNICIAN)
    page = read(technician, "/scanners")
    check(page, "fr")
    local, here = rows(page.one(id="to-do"))
    assert "26L00533-B2.mrxs" in local.text
    assert "Copiez-les à côté des autres" in local.text, "as the agent tells it beside the scanner"
    assert here.one("a", class_="row-link").get("href") == f"/intake/{refused}"
    assert "Le fichier est vide." in here.text
    assert "retarde de 2 min" in page.one(id="scanners").text
    technician.cookies.set("iain_language", "en")
    page = read(technician, "/scanners")
    check(page, "en")
    assert "Copy them beside the others" in page.text


@once
def test_what_the_agent_says_of_a_slide_that_was_refused_here_is_told_once(world: World, refused: SlideId) -> None:
    elsewhere = Trouble("26H01234-C4.svs", "damaged", "", 0)
    hear(
        world.database,
        world.centres.caen.agent,
        replace(WELL, troubles=(replace(elsewhere, name="26H01234-C3.svs"), elsewhere)),
    )
    told = rows(read(world.signed_in(TECHNICIAN), "/scanners").one(id="to-do"))
    assert len(told) == 2
    assert "26H01234-C4.svs" in told[0].text
    assert told[1].get("id") == f"refused-{refused}"


@once
def test_without_scanners_the_page_says_how_to_add_one(world: World) -> None:
    with world.database.writing() as session:
        scanners.disable_scanner(session, world.centres.caen.agent.scanner_id)
    page = read(world.signed_in(TECHNICIAN), "/scanners")
    check(page, "fr")
    assert "iain scanner add caen" in page.one(id="scanners").text
    assert world.url.rpartition(":")[0] in page.one(id="scanners").text


@once
def test_slides_that_wait_for_somebody_are_counted_with_the_way_to_them(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H99999")
    with world.database.writing() as session:
        claims.lodge(session, world.centres.caen.agent, slide, accession="26H01234", file_name="x.svs")
        custody.record(session, slide.site_id, slide.sha256, "missing")
    technician = world.signed_in(TECHNICIAN)
    page = read(technician, "/scanners")
    to_do = page.one(id="to-do")
    assert {link.get("href") for link in to_do.all("a")} == {"/intake#claims", "/intake?state=unmatched"}
    assert page.one(id="damage").one(role="alert").all("a")[0].get("href") == f"/intake/{slide.id}"
    assert "1" in page.one(id="today").one("a", href="/intake?state=unmatched").text
    reception = read(technician, "/intake")
    check(reception, "fr")
    assert reception.one(class_="claim").all("form")
    assert reception.all(role="alert")


@once
def test_a_claim_is_decided_and_taken_back_by_the_site_alone(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    with world.database.writing() as session:
        claims.lodge(session, world.centres.caen.agent, slide, accession="26H01235", file_name="x.svs")
        [claim] = claims.waiting(session, world.centres.caen.technician)
    address = f"/intake/claims/{claim.id}"
    technician = world.signed_in(TECHNICIAN)
    for login, status in (("technicien.rouen", 404), ("pathologiste.caen", 403)):
        assert world.signed_in(login).post(address, data={"verdict": "moved"}).status_code == status
    assert technician.post(address, data={"verdict": "burnt"}).status_code == 422
    answer = technician.post(address, data={"verdict": "moved"})
    assert answer.status_code == 303
    notice = read(technician, answer.headers["location"]).one(role="status")
    assert "maintenant sous 26H01235" in notice.text
    late = technician.post(address, data={"verdict": "kept"})
    assert late.status_code == 409
    assert "déjà décidé" in late.text
    assert technician.post(notice.one("form").get("action")).headers["location"] == "/intake#claims"
    with world.database.reading() as session:
        assert slides.get_slide(session, System(), slide.id) == slide


@once
def test_the_slides_of_the_day_leave_as_a_file_without_formulas(world: World, refused: SlideId) -> None:
    answer = world.signed_in(TECHNICIAN).get("/scanners.csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="iain-lames-caen-')
    [line] = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";")
    assert line["Fichier"] == "26H01234-C3.svs"
    assert line["Numéro envoyé"] == "'=26H01234"
    assert "Copiez-le" in line["Pourquoi, et que faire"]


@once
def test_an_open_page_keeps_nobody_signed_in(world: World) -> None:
    technician = world.signed_in(TECHNICIAN)
    with world.database.writing() as session:
        session.execute(update(SessionTokenRow).values(used_us=SessionTokenRow.used_us - 5 * MINUTE_US))

    def used_us() -> int:
        with world.database.reading() as session:
            return session.scalars(select(SessionTokenRow.used_us)).one()

    before = used_us()
    answer = technician.get("/scanners/now")
    assert answer.status_code == 200
    assert parse(f"<div>{answer.text}</div>").one(id="scanners")
    assert used_us() == before
    assert technician.get("/scanners").status_code == 200
    assert used_us() > before, "the control: a person who comes to the page is there"
    assert world.client().get("/scanners/now").status_code == 303
