"""The page for a person with slides on a disk, over HTTP: whose case a number is, what is begun, and forgetting it."""

import hashlib
import json

import httpx
import pytest
from fixtures.pages import check, read
from fixtures.server import World

from ingest.protocol import OFFSET_CONTENT_TYPE, SLIDE_HEADER, TUS_VERSION, UploadRequest

TECHNICIAN, PATHOLOGIST = "technicien.caen", "pathologiste.caen"


def announce(client: httpx.Client, name: str, data: bytes, *, of_set: bool = False) -> str:
    """The address of an upload of which the first byte has arrived."""
    request = UploadRequest(name, len(data), hashlib.sha256(data).hexdigest(), "26H01234", "HES", "A1", of_set)
    tus = {"Tus-Resumable": TUS_VERSION}
    headers = tus | {"Upload-Length": str(request.length), "Upload-Metadata": request.metadata()}
    answer = client.post("/api/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    append(client, answer.headers["Location"], 0, data[:1])
    return answer.headers["Location"]


def append(client: httpx.Client, address: str, offset: int, data: bytes) -> httpx.Response:
    headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(offset), "Content-Type": OFFSET_CONTENT_TYPE}
    answer = client.patch(address, headers=headers, content=data)
    assert answer.status_code == 204, answer.text
    return answer


def begun(client: httpx.Client) -> list[dict]:
    page = read(client, "/deposit")
    return [json.loads(row.get("data-unfinished")) for row in page.all("li") if row.get("data-unfinished")]


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_page_has_a_place_to_drop_slides(world: World, language: str) -> None:
    client = world.signed_in(TECHNICIAN)
    client.cookies["iain_language"] = language
    page = read(client, "/deposit")
    check(page, language)
    assert len(page.all("input", type="file")) == 2
    words = json.loads(page.one("script", id="deposit-words").raw_text)
    assert words["language"] == language
    assert words["refusals"]["damaged"] != words["refusals"]["other"]


def test_a_number_is_known_by_its_beginning_at_the_own_centre_alone(world: World) -> None:
    for login in (TECHNICIAN, PATHOLOGIST, "responsable.caen"):
        client = world.signed_in(login)

        def cases(typed: str, client: httpx.Client = client) -> list[str]:
            answer = client.get("/api/deposit/cases", params={"q": typed})
            assert answer.status_code == 200, answer.text
            return [case["accession"] for case in answer.json()]

        assert cases("26h0123") == ["26H01234", "26H01235", "26H01236"]
        assert cases(" 26H01235 ") == ["26H01235"]
        assert cases("26") == cases("   ") == cases("26R00077") == cases("%26H") == []
    known = client.get("/api/deposit/cases", params={"q": "26H01234"}).json()
    assert known == [{"accession": "26H01234", "patient": "EXEMPLE Camille", "organ": "Sein"}]
    assert world.client().get("/api/deposit/cases", params={"q": "26H01234"}).status_code == 401


def test_what_is_begun_is_told_to_who_began_it_and_can_be_forgotten(world: World) -> None:
    julien, anne = world.signed_in(TECHNICIAN), world.signed_in(PATHOLOGIST)
    address = announce(julien, "lame.svs", b"abc")
    (told,) = begun(julien)
    facts = {name: told[name] for name in ("file_name", "held", "length", "accession", "stain", "block")}
    assert list(facts.values()) == ["lame.svs", 1, 3, "26H01234", "HES", "A1"]
    assert begun(anne) == []
    forget = f"/deposit/{told['upload']}/forget"
    assert anne.post(forget).status_code == 303
    assert len(begun(julien)) == 1, "nobody forgets what somebody else has begun"
    assert julien.post(forget).status_code == 303
    assert begun(julien) == []
    assert julien.head(address, headers={"Tus-Resumable": TUS_VERSION}).status_code == 404
    assert julien.post(forget).status_code == 303, "what is gone is gone"


def test_the_files_of_one_slide_are_told_as_one(world: World) -> None:
    client = world.signed_in(TECHNICIAN)
    first = announce(client, "lame.mrxs", b"first", of_set=True)
    announce(client, "lame.mrxs", b"second", of_set=True)
    append(client, first, 1, b"irst")
    (told,) = begun(client)
    assert (told["held"], told["length"], told["upload"]) == (6, None, None)


def test_a_slide_that_has_arrived_is_not_told_as_begun(world: World) -> None:
    client = world.signed_in(TECHNICIAN)
    address = announce(client, "lame.svs", b"abc")
    assert SLIDE_HEADER in append(client, address, 1, b"bc").headers
    assert begun(client) == []
