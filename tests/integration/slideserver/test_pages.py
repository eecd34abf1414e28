"""The pages as people of one centre meet them, over HTTP, on both databases."""

import csv
import io
import json
from dataclasses import dataclass

import httpx
import pytest
from fixtures.html import Element, parse
from fixtures.pages import check, read, rows
from fixtures.server import World

from sharing import chain, slides
from sharing.slides import ImageFacts, Slide, StoredFile
from sharing.subjects import System
from sharing.vocabulary import SlideId

# What pages show is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PATHOLOGIST, TECHNICIAN, MANAGER = "pathologiste.caen", "technicien.caen", "responsable.caen"
IMAGE = ImageFacts("aperio", 46000, 32914, 0.499, 0.499, 20.0, has_label=True, has_macro=True)


@dataclass
class Shelf:
    """Slides of Caen in every state: `ready` is a real one that can be opened."""

    ready: Slide
    unmatched: Slide
    refused: Slide
    waiting: Slide


@pytest.fixture
def shelf(world: World) -> Shelf:
    return Shelf(
        ready=world.add_slide(world.centres.caen, "26H01234"),
        unmatched=push(world, "1", accession="26HO1235", file_name="<u>.svs", stain=None, block=None, image=IMAGE),
        refused=push(world, "2", accession="26H01236", refusal=("damaged", "It ends at byte 8.")),
        waiting=push(world, "3", accession="26H01235", stain="PAS"),
    )


def push(world, digit, *, accession=None, file_name="scan.svs", stain="HES", block="B1", image=None, refusal=None):
    """A slide that Caen's scanner sent, as far along as is said; its tiles do not exist."""
    with world.database.writing() as session:
        file = StoredFile(file_name, digit * 64, 190_000_000)
        slide_id = slides.create_slide(
            session, world.centres.caen.agent, files=[file], accession=accession, stain=stain, block=block
        )
        if image:
            slides.mark_ready(session, slide_id, index_digest="f" * 64, image=image)
        if refusal:
            slides.mark_refused(session, slide_id, code=refusal[0], reason=refusal[1])
    return stored(world, slide_id)


def stored(world: World, slide_id: SlideId) -> Slide:
    with world.database.reading() as session:
        return slides.get_slide(session, System(), slide_id)


def wanted_next(page: Element) -> str:
    """Where signing in will lead."""
    return page.one("form", action="/login").one("input", name="next").get("value")


# ── The way in ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_session_every_page_asks_to_sign_in_and_remembers_the_way(world):
    visitor = world.client()
    for path in ("/cases?q=26H", "/cases/x", "/slides/x", "/intake", "/audit"):
        answer = visitor.get(path)
        assert answer.status_code == 303
        page = read(visitor, answer.headers["location"])
        assert wanted_next(page) == path
    assert page.one("h1").text == "Se connecter"


def test_the_start_is_where_each_role_works(world):
    for login, home in ((PATHOLOGIST, "/cases"), (TECHNICIAN, "/intake"), (MANAGER, "/cases")):
        client = world.signed_in(login)
        assert client.get("/").headers["location"] == home
        assert client.get("/login?next=/intake").headers["location"] == "/intake"
        assert read(client, home).one("a", aria_current="page").get("href") == home
    assert [link.text for link in read(client, "/cases").one("nav").all("a")] == [
        "Cas",
        "Réception",
        "Dépôt",
        "Scanners",
        "Partages",
        "Liens ouverts",
        "Journal",
    ]


def test_a_wrong_password_leaves_the_login_and_says_what_to_do(world):
    answer = world.client().post("/login", data={"login": PATHOLOGIST, "password": "no", "next": "/intake"})
    page = parse(answer.text)
    assert answer.status_code == 401
    assert "Vérifiez les deux" in page.one(role="alert").text
    assert page.one("input", id="login").get("value") == PATHOLOGIST
    assert page.one("input", id="password").get("value") == ""
    assert wanted_next(page) == "/intake"


def test_the_language_is_a_choice_that_stays(world):
    client = world.signed_in(PATHOLOGIST)
    assert read(client, "/cases").one("html").get("lang") == "fr"
    answer = client.post("/language", data={"language": "en", "next": "/cases?q=26H"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases?q=26H")
    page = read(client, "/cases")
    assert (page.one("html").get("lang"), page.one("h1").text) == ("en", "Cases")
    assert client.post("/language", data={"language": "de"}).status_code == 422


def test_the_browser_chooses_the_language_until_somebody_does(world):
    page = parse(world.client().get("/login", headers={"Accept-Language": "en-GB, fr;q=0.5"}).text)
    assert page.one("h1").text == "Sign in"


def test_the_appearance_is_a_choice_that_stays(world):
    client = world.client()
    assert "data-theme" not in read(client, "/login").one("html").attributes
    for theme in ("dark", "light"):
        assert client.post("/theme", data={"theme": theme, "next": "/login"}).status_code == 303
        assert read(client, "/login").one("html").get("data-theme") == theme
    client.post("/theme", data={"theme": ""})
    assert "data-theme" not in read(client, "/login").one("html").attributes


def test_no_choice_leads_to_another_site(world):
    client = world.client()
    for address in ("https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example"):
        for path, choice in (("/language", {"language": "en"}), ("/theme", {"theme": "dark"})):
            assert client.post(path, data={**choice, "next": address}).headers["location"] == "/"
        assert wanted_next(read(client, f"/login?{httpx.QueryParams(next=address)}")) == "/"
    signed_in = world.signed_in(PATHOLOGIST)
    for referer in ("https://evil.example", "https://own//evil.example/", "https://own/\\evil.example/", "https://["):
        refused = parse(signed_in.post("/links/unknown/revoke", headers={"Referer": referer}).text)
        assert refused.one("p", class_="choices").one("a", class_="primary").get("href") in ("/", "/evil.example/")


# ── Cases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_worklist_shows_each_case_with_its_slides_and_how_they_stand(world, shelf):
    page = read(world.signed_in(PATHOLOGIST), "/cases")
    found = {row.one("a", class_="row-link").text: row for row in rows(page)}
    assert set(found) == {"26H01234", "26H01235", "26H01236"}
    ready = found["26H01234"]
    assert "EXEMPLE Camille" in ready.text
    assert "1957" in ready.text
    assert ready.one("a", class_="thumb").get("href") == f"/slides/{shelf.ready.id}"
    assert ready.one("img").get("src") == f"/tiles/{shelf.ready.id}/{shelf.ready.version}/thumbnail"
    assert ready.one("a", class_="row-link").get("data-open") == shelf.ready.id
    assert ready.one(class_="state").text == "1 lame prête"
    assert found["26H01235"].one(class_="state").text == "En attente de lames"


def test_a_slide_that_is_under_way_or_refused_is_told_in_its_case(world):
    caen = world.centres.caen
    slide = world.add_slide(caen, "26H01234")
    waiting = push(world, "3", accession="26H01234", stain="PAS")
    with world.database.writing() as session:
        slides.assign(session, caen.technician, waiting.id, caen.cases["26H01234"])
    client = world.signed_in(PATHOLOGIST)
    row = rows(read(client, "/cases?q=26H01234"))[0]
    assert row.all(class_="state")[-1].text == "En préparation, 1/2"
    page = read(client, f"/cases/{slide.case_id}")
    assert [card.one(class_="title").all()[1].text for card in page.all("li", class_="slide")] == ["HES", "PAS"]
    assert page.one("li", id=f"slide-{waiting.id}").one(class_="state").text == "Reçue"
    with world.database.writing() as session:
        slides.mark_refused(session, waiting.id, code="damaged", reason="x")
    assert "Copiez-le à nouveau" in read(client, f"/cases/{slide.case_id}").one("li", id=f"slide-{waiting.id}").text
    row = rows(read(client, "/cases?q=26H01234"))[0]
    assert row.all(class_="state")[-1].text == "1 lame refusée"


def test_the_search_is_in_the_address_and_in_the_form(world, shelf):
    client = world.signed_in(PATHOLOGIST)

    def accessions(query: str) -> list[str]:
        return [row.one("a", class_="row-link").text for row in rows(read(client, f"/cases?{query}"))]

    assert accessions("q=fictive") == ["26H01235"]
    assert accessions("q=exemple+camille") == ["26H01234"]
    assert accessions("organ=Sein") == ["26H01234"]
    assert accessions("state=empty&sort=accession") == ["26H01235", "26H01236"]
    assert accessions("sort=-accession") == ["26H01236", "26H01235", "26H01234"]
    page = read(client, "/cases?q=%22%3E%3Cb%3E&sort=accession")
    assert page.one("input", id="q").get("value") == '"><b>'
    assert page.one("input", name="sort").get("value") == "accession"
    assert page.one(class_="empty").one("h2").text == "Aucun cas ne correspond"
    assert page.one(class_="empty").one("a").get("href") == "/cases"


def test_a_case_says_who_sent_what(world, shelf):
    page = read(world.signed_in(PATHOLOGIST), f"/cases/{shelf.ready.case_id}")
    assert page.one("h1").text == "26H01234"
    assert page.one(class_="patient").text == "EXEMPLE Camille"
    assert page.one("a", data_primary="").get("href") == f"/slides/{shelf.ready.id}"
    [row] = rows(page)
    assert "Scanner Caen 1" in row.text
    assert "CMU-1-Small-Region.svs" in row.text


def test_a_case_without_slides_says_when_they_come(world):
    page = read(world.signed_in(PATHOLOGIST), f"/cases/{world.centres.caen.cases['26H01235']}")
    assert "26H01235" in page.one(class_="empty").text
    assert page.all("a", data_primary="") == []


# ── A slide ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_banner_says_whose_slide_it_is_and_the_viewer_gets_its_description(world, shelf):
    client = world.signed_in(PATHOLOGIST)
    page = read(client, f"/slides/{shelf.ready.id}")
    banner = page.one("header", class_="case-banner")
    fields = {each.get("data-field"): each.text for each in banner if each.get("data-field")}
    assert fields == {
        "accession": "26H01234",
        "patient": "EXEMPLE Camille",
        "site": "Caen",
        "organ": "Sein",
        "stain": "HES",
        "block": "bloc A1",
        "position": "1/1",
    }
    assert "féminin 1957" in banner.text
    assert [each.get("href") for each in banner.all("a")] == [
        f"/cases/{shelf.ready.case_id}",
        f"/why/{shelf.ready.id}",
    ]
    description = json.loads(page.one("script", id="slide").raw_text)
    assert description == client.get(f"/api/slides/{shelf.ready.id}").json()
    assert page.one("iain-viewer").get("case-url") == f"/cases/{shelf.ready.case_id}"
    assert "JavaScript" in page.one("noscript").text


def test_no_word_of_a_slide_ends_the_script_that_describes_it(world):
    caen = world.centres.caen
    slide = world.add_slide(caen, "26H01234")
    hostile = "</script><script>alert(1)</script>"
    with world.database.writing() as session:
        slides.assign(session, caen.technician, slide.id, caen.cases["26H01234"], stain=hostile)
    page = read(world.signed_in(PATHOLOGIST), f"/slides/{slide.id}")
    assert json.loads(page.one("script", id="slide").raw_text)["stain"] == hostile
    assert page.one(data_field="stain").text == hostile
    assert len([script for script in page.all("script") if not script.get("src")]) == 1


def test_a_slide_without_a_case_says_that_its_patient_is_not_known(world):
    slide = world.add_slide(world.centres.caen, "26H99999")
    page = read(world.signed_in(TECHNICIAN), f"/slides/{slide.id}")
    banner = page.one("header", class_="case-banner")
    assert "Sans cas" in banner.one("h1").text
    assert [each.get("href") for each in banner.all("a")] == [f"/intake/{slide.id}", f"/why/{slide.id}"]
    assert json.loads(page.one("script", id="slide").raw_text)["case"] is None


def test_a_slide_that_cannot_be_opened_says_why_and_what_comes_next(world, shelf):
    client = world.signed_in(PATHOLOGIST)
    waiting = read(client, f"/slides/{shelf.waiting.id}")
    assert waiting.one("h1").text == "Cette lame est en préparation"
    assert waiting.all("iain-await")
    refused = read(client, f"/slides/{shelf.refused.id}")
    assert "Copiez-le à nouveau" in refused.text
    assert not refused.all("iain-await")


# ── Reception ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reception_shows_every_slide_with_its_state_and_reason(world, shelf):
    page = read(world.signed_in(TECHNICIAN), "/intake")
    told = {row.get("id"): row for row in rows(page)}
    assert len(told) == 4
    states = {name: told[f"row-{getattr(shelf, name).id}"].all(class_="state")[-1].text for name in vars(shelf)}
    assert states == {"ready": "Prête", "unmatched": "Sans cas", "refused": "Refusée", "waiting": "Reçue"}
    assert "data-pending" in told[f"row-{shelf.waiting.id}"].attributes
    assert "tronqué" in told[f"row-{shelf.refused.id}"].text
    task = page.one("li", class_="task")
    assert "26HO1235" in task.text
    assert "<u>.svs" in task.text
    assert task.one("img").get("src") == f"/tiles/{shelf.unmatched.id}/{shelf.unmatched.version}/label"


def test_reception_is_searched_by_its_address(world, shelf):
    client = world.signed_in(TECHNICIAN)
    for query, left in {
        "state=pending": {"waiting"},
        "state=unmatched": {"unmatched"},
        "state=refused": {"refused"},
        "state=ready": {"ready"},
        "q=26ho": {"unmatched"},
        "q=scanner+caen": {"ready", "unmatched", "refused", "waiting"},
        "q=nothing": set(),
    }.items():
        page = read(client, f"/intake?{query}")
        assert {row.get("id") for row in rows(page)} == {f"row-{getattr(shelf, name).id}" for name in left}, query
        assert bool(page.all(class_="empty")) == (not left)


def test_a_misread_number_is_put_right_in_one_step(world, shelf):
    client = world.signed_in(TECHNICIAN)
    form = read(client, "/intake").one("form", action=f"/intake/{shelf.unmatched.id}")
    assert {field.get("name") for field in form.all("input")} == {"accession", "stain", "block"}
    said = {"accession": " 26h01235 ", "stain": "PAS", "block": "B2"}
    answer = client.post(form.get("action"), data=said)
    assert answer.status_code == 303
    notice = read(client, answer.headers["location"]).one(role="status")
    assert "26H01235" in notice.text
    slide = stored(world, shelf.unmatched.id)
    assert (slide.case_accession, slide.stain, slide.block) == ("26H01235", "PAS", "B2")


def test_an_unknown_number_leads_to_a_new_case(world, shelf):
    client = world.signed_in(TECHNICIAN)
    answer = client.post(f"/intake/{shelf.unmatched.id}", data={"accession": "26H07777", "stain": "PAS"})
    form = read(client, answer.headers["location"]).one("form", action=f"/intake/{shelf.unmatched.id}/case")
    said = {field.get("name"): field.get("value") for field in form.all("input")}
    assert (said["accession"], said["stain"]) == ("26H07777", "PAS")
    said |= {"patient_name": "INVENTÉE Louise", "patient_sex": "F", "patient_birth_year": "1970", "organ": "sein"}
    answer = client.post(form.get("action"), data=said)
    assert answer.status_code == 303
    slide = stored(world, shelf.unmatched.id)
    case = read(world.signed_in(PATHOLOGIST), f"/cases/{slide.case_id}")
    assert (case.one("h1").text, case.one(class_="patient").text) == ("26H07777", "INVENTÉE Louise")


def test_a_form_that_is_not_right_comes_back_filled_in_and_changes_nothing(world, shelf):
    client = world.signed_in(TECHNICIAN)
    for wrong, problem in (
        ({"patient_birth_year": "70"}, "quatre chiffres"),
        ({"patient_birth_year": "٢٠٠٠"}, "quatre chiffres"),
        ({"patient_name": " "}, "nom du patient"),
        ({"accession": "26h01235"}, "porte désormais ce numéro"),
    ):
        said = {"accession": "26H07777", "patient_name": "INVENTÉE Louise", "patient_birth_year": "1970", **wrong}
        answer = client.post(f"/intake/{shelf.unmatched.id}/case", data=said)
        page = parse(answer.text)
        assert answer.status_code == 422
        assert problem in page.one(role="alert").text
        assert page.one("input", id="patient_name").get("value") == said["patient_name"]
    assert stored(world, shelf.unmatched.id).case_id is None
    assert rows(read(world.signed_in(PATHOLOGIST), "/cases?q=26H07777")) == []


def test_a_refused_slide_tells_its_reason(world, shelf):
    page = read(world.signed_in(TECHNICIAN), f"/intake/{shelf.refused.id}")
    assert "Copiez-le à nouveau" in page.one(class_="refusal").text
    assert "It ends at byte 8." in page.one(class_="refusal").text
    assert "2" * 64 in page.text


def test_reception_names_no_slide_of_somebody_else_as_done(world, shelf):
    slide = world.add_slide(world.centres.rouen, "26R00077")
    assert read(world.signed_in(TECHNICIAN), f"/intake?done={slide.id}").all(role="status") == []


def test_an_empty_reception_says_how_slides_come(world):
    page = read(world.signed_in("technicien.lille"), "/intake")
    assert "iain-agent push" in page.one(class_="empty").text


# ── Journal ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_journal_says_who_pushed_and_who_opened(world, shelf):
    reader = world.signed_in(PATHOLOGIST)
    assert reader.get(f"/tiles/{shelf.ready.id}/{shelf.ready.version}/0/0_0").status_code == 200
    page = read(world.signed_in(MANAGER), "/audit?case=26H01234")
    lines = [row.text for row in rows(page)]
    assert any("Pathologiste de Caen" in line and "Lame ouverte" in line and "HES A1" in line for line in lines)
    assert not any("26H01235" in line for line in lines)
    received = read(world.signed_in(MANAGER), "/audit?act=slide.received")
    assert {row.one(class_="who-cell").text for row in rows(received)} == {"Scanner Caen 1 Scanner"}


def test_the_journal_is_filtered_by_its_address(world, shelf):
    client = world.signed_in(MANAGER)

    def count(query: str) -> int:
        return len(rows(read(client, f"/audit?{query}")))

    assert count("act=slide.received") == 4
    assert count("act=slide.received&until=2020-01-01") == 0
    assert count("act=slide.received&since=2020-01-01") == 4
    assert count("act=slide.registered&outcome=failed") == 1
    assert count(f"act=session.opened&person={world.centres.caen.lab_manager.id}") == 1
    assert count(f"act=session.opened&person={world.centres.caen.technician.id}") == 0
    assert count("act=nonsense&since=yesterday") > 4
    unknown = read(client, "/audit?case=26R00077")
    assert "26R00077" not in unknown.one(class_="empty").text
    assert "Aucun cas de Caen" in unknown.one(id="case-problem").text
    export = next(link for link in read(client, "/audit?act=slide.received").all("a") if "download" in link.attributes)
    assert export.get("href") == "/audit.csv?act=slide.received"


def test_the_journal_goes_on_over_pages(world):
    client = world.signed_in(MANAGER)
    for _ in range(101):
        client.get("/audit.csv?act=server.started")
    page = read(client, "/audit?act=audit.exported")
    assert len(rows(page)) == 100
    [older] = page.all("a", rel="next")
    second = read(client, older.get("href"))
    assert 0 < len(rows(second)) < 10
    assert not second.all("a", rel="next")
    assert "première page" in read(client, "/audit?cursor=nonsense", status=422).text


def test_the_export_is_the_journal_without_formulas(world):
    push(world, "4", stain="=1+1", block=None, file_name="+cmd.svs")
    answer = world.signed_in(MANAGER).get("/audit.csv?act=slide.received")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="iain-caen-')
    heads, line = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")), delimiter=";")
    told = dict(zip(heads, line, strict=True))
    assert (told["Qui"], told["Action"], told["Lame"]) == ("Scanner Caen 1", "Lame reçue", "'=1+1")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)


def test_the_chain_can_be_verified_from_the_page(world, shelf):
    chain.seal(world.database)
    client = world.signed_in(MANAGER)
    form = next(form for form in read(client, "/audit").all("form") if "verify" in form.get("action"))
    answer = client.post(form.get("action"), headers={"Referer": f"{world.url}/audit?act=slide.opened"})
    page = parse(answer.text)
    assert "Chaîne entière" in page.one(class_="chain").text
    assert {each.get("value") for each in page.all("input", name="next")} == {"/audit?act=slide.opened"}
    assert len(rows(read(client, "/audit?act=audit.verified"))) == 1


# ── Every page ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_other_centres_and_other_roles_see_none_of_it(world, shelf):
    paths = [f"/cases/{shelf.ready.case_id}", f"/slides/{shelf.ready.id}", f"/intake/{shelf.unmatched.id}"]
    for login in ("pathologiste.rouen", "technicien.rouen", "responsable.rouen"):
        client = world.signed_in(login)
        for path in paths:
            assert client.get(path).status_code in (403, 404), (login, path)
        for path in ("/cases", "/intake", "/audit", "/audit.csv"):
            text = client.get(path).text
            assert not any(secret in text for secret in ("26H0", "EXEMPLE", shelf.ready.id, "Scanner Caen"))
        answer = client.post(f"/intake/{shelf.unmatched.id}", data={"accession": "26R00077"})
        assert answer.status_code in (403, 404)
    assert stored(world, shelf.unmatched.id).case_id is None
    allowed = {PATHOLOGIST: (200, 403, 403), TECHNICIAN: (403, 200, 403), MANAGER: (200, 200, 200)}
    for login, statuses in allowed.items():
        client = world.signed_in(login)
        assert tuple(client.get(path).status_code for path in ("/cases", "/intake", "/audit")) == statuses


def test_every_page_is_well_formed_in_both_languages(world, shelf):
    """What the policy on content and a reader without eyes or mouse rely on, held for each page."""
    client = world.signed_in(MANAGER)
    paths = [
        "/cases",
        "/cases?q=nothing",
        f"/cases/{shelf.ready.case_id}",
        f"/slides/{shelf.ready.id}",
        f"/slides/{shelf.waiting.id}",
        f"/slides/{shelf.refused.id}",
        "/intake",
        f"/intake?done={shelf.ready.id}",
        f"/intake/{shelf.unmatched.id}",
        f"/intake/{shelf.unmatched.id}?accession=26H07777",
        f"/intake/{shelf.refused.id}",
        "/audit",
        "/audit?case=unknown",
        "/nowhere",
    ]
    for language in ("fr", "en"):
        client.post("/language", data={"language": language})
        for path in paths:
            check(parse(client.get(path).text), language)
        check(parse(world.client().get("/login", headers={"Accept-Language": language}).text), language)
