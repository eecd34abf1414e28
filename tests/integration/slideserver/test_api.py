"""The API for programs: shapes, refusals, languages."""

from dataclasses import asdict, replace

import pytest
from fixtures.levels import BARCODE, BOUNDS, WINDOW, mixed
from fixtures.server import World

from sharing import slides
from sharing.vocabulary import new_id
from tiler.index import TileIndex


def test_a_slide_is_described_as_the_viewer_needs_it(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    said = world.signed_in("pathologiste.caen").get(f"/api/slides/{slide.id}").json()
    address = f"/tiles/{slide.id}/{slide.version}"
    levels = said.pop("levels")
    assert said == {
        "id": slide.id,
        "version": slide.version,
        "case": {
            "id": world.centres.caen.cases["26H01234"],
            "accession": "26H01234",
            "site": "Caen",
            "patient": {"name": "EXEMPLE Camille", "sex": "F", "birth_year": 1957, "age": None},
            "organ": "Sein",
        },
        "stain": "HES",
        "block": "A1",
        "width": 2220,
        "height": 2967,
        "mpp_x": 0.499,
        "mpp_y": 0.499,
        "objective_power": 20.0,
        "bounds": {"x": 0, "y": 0, "width": 2220, "height": 2967},
        "display_window": None,
        "focal_plane": None,
        "tile_url": address + "/{level}/{col}_{row}",
        "thumbnail_url": f"{address}/thumbnail",
        "label_url": f"{address}/label",
        "macro_url": f"{address}/macro",
        "file": {"url": f"/api/slides/{slide.id}/file", "length": slide.length},
        "slides_of_case": [
            {"id": slide.id, "stain": "HES", "block": "A1", "thumbnail_url": f"{address}/thumbnail", "state": "ready"}
        ],
        "context": {
            "kind": "own",
            "role": None,
            "consultation_id": None,
            "reference": None,
            "may_ask": True,
            "may_link": True,
            "may_answer": False,
            "expires_us": None,
            "pinned": None,
            "objections": [],
        },
    }
    assert levels[0] == {"width": 2220, "height": 2967, "tile_width": 240, "tile_height": 240}
    assert levels[-1]["width"] <= levels[-1]["tile_width"]


def test_what_the_scanner_found_and_how_it_is_shown_is_told_and_a_barcode_to_nobody(world: World, indexed) -> None:
    world.indexed = replace(indexed, index_bytes=mixed(TileIndex(indexed.index_bytes)))
    slide = world.add_slide(world.centres.caen, "26H01234")
    world.ask(slide, world.centres.rouen)
    readers = [world.signed_in(f"pathologiste.{site}") for site in ("caen", "rouen")] + [world.guest(world.link(slide))]
    for reader in readers:
        answer = reader.get(f"/api/slides/{slide.id}")
        said = answer.json()
        assert said["bounds"] == asdict(BOUNDS)
        assert (said["display_window"], said["focal_plane"]) == (WINDOW, "2 of 3")
        assert BARCODE not in answer.text
        assert BARCODE not in reader.get(f"/tiles/{slide.id}/{slide.version}/slide.json").text


def test_a_slide_nobody_has_attached_to_a_case_has_none(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H99999")
    said = world.signed_in("technicien.caen").get(f"/api/slides/{slide.id}").json()
    assert said["case"] is None
    assert [sibling["id"] for sibling in said["slides_of_case"]] == [slide.id]


def test_a_slide_that_cannot_be_shown_says_why(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234", ready=False)
    browser = world.signed_in("pathologiste.caen")
    waiting = browser.get(f"/api/slides/{slide.id}")
    assert waiting.status_code == 409
    with world.database.writing() as session:
        slides.mark_refused(session, slide.id, code="damaged", reason="The file ends in the middle of a tile.")
    refused = browser.get(f"/api/slides/{slide.id}")
    assert refused.status_code == 409
    assert refused.json()["detail"] == "The file ends in the middle of a tile."
    assert waiting.json()["detail"] != refused.json()["detail"]


def test_cases_are_listed_searched_and_opened(world: World) -> None:
    browser = world.signed_in("pathologiste.caen")
    assert {case["accession"] for case in browser.get("/api/cases").json()} == {"26H01234", "26H01235", "26H01236"}
    assert [case["accession"] for case in browser.get("/api/cases?search=colon").json()] == ["26H01235"]
    case = browser.get(f"/api/cases/{world.centres.caen.cases['26H01234']}").json()
    assert case["patient"] == {"name": "EXEMPLE Camille", "sex": "F", "birth_year": 1957, "age": None}


@pytest.mark.parametrize(("role", "status"), [("pathologiste", 403), ("technicien", 403), ("responsable", 200)])
def test_the_audit_log_is_for_the_lab_manager(world: World, role, status) -> None:
    assert world.signed_in(f"{role}.caen").get("/api/audit").status_code == status


def test_the_audit_log_comes_in_pages_and_says_who_was_refused(world: World) -> None:
    world.signed_in("pathologiste.caen").get("/api/audit")
    manager = world.signed_in("responsable.caen")
    [refusal] = manager.get("/api/audit", params={"outcome": "refused"}).json()["rows"]
    assert (refusal["act"], refusal["agent_id"]) == ("access.refused", world.centres.caen.pathologist.id)
    assert refusal["detail"]["asked"] == "audit.read"
    first = manager.get("/api/audit?limit=2").json()
    second = manager.get("/api/audit", params={"limit": 2, "cursor": first["next"]}).json()
    assert len(first["rows"]) == len(second["rows"]) == 2
    assert not {row["id"] for row in first["rows"]} & {row["id"] for row in second["rows"]}
    assert first["rows"][0]["recorded_us"] >= second["rows"][0]["recorded_us"]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_problems_speak_the_language_of_who_asks(world: World, language) -> None:
    browser = world.signed_in("pathologiste.caen")
    answer = browser.get(f"/api/cases/{new_id()}", headers={"Accept-Language": language})
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", 404)
    assert ("Check" in problem["detail"]) == (language == "en")


def test_the_api_describes_itself(world: World) -> None:
    paths = world.client().get("/api/openapi.json").json()["paths"]
    assert {"/api/session", "/api/cases", "/api/cases/{case_id}", "/api/slides/{slide_id}", "/api/audit"} <= set(paths)
    assert not any(path.startswith("/cases") for path in paths), "pages are not part of the API"
    assert world.client().get("/docs").status_code == 404
