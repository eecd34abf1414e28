"""What leaves the site: identifiers are planted in every field, then every byte that others are served is searched."""

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from fixtures.canaries import LABEL_COLOUR, MACRO_COLOUR, Canaries, pixels_of, planted_slide
from fixtures.centres import Centre
from fixtures.server import World
from fixtures.tus import Tus

from ingest.protocol import UploadRequest
from sharing import cases, scanners, slides
from sharing.slides import Slide
from sharing.subjects import System
from sharing.vocabulary import SlideId, SlideState

# What is told does not depend on the database; who is told does, which other tests ask of both.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PICTURES = ("thumbnail", "label", "macro")
DOCUMENTS = ("slide.json", "slide.dzi", "iiif/info.json", "profile.icc")
# Addresses that a page may lead to: in a link, a form, a picture, or in the description of a slide.
ADDRESS = re.compile(r'(?:href|src|action|url|path)"?[=:]\s*"(/[^"#]*)', re.IGNORECASE)


@dataclass
class Planted:
    """A case of Caen full of canaries, one of whose slides is shown to Rouen and to a guest."""

    canaries: Canaries
    shown: Slide
    hidden: Slide
    consultation: str
    other: str
    link: dict
    ids: dict[str, list[str]] = field(default_factory=dict)
    """What fills the places in an address."""


@pytest.fixture
def planted(world: World, tmp_path: Path) -> Planted:
    canaries, caen = Canaries(), world.centres.caen
    plant = canaries.plant
    file = tmp_path / "planted.svs"
    planted_slide(file, canaries)
    scan = file.read_bytes()
    assert set(canaries.found_in(scan)) == set(canaries.words), "every one is in the file"
    accession, family = plant("accession number"), plant("patient's family name")
    with world.database.writing() as session:
        scanner_id, key = scanners.add_scanner(
            session,
            caen.id,
            plant("scanner's name"),
            manufacturer=plant("scanner's manufacturer"),
            model=plant("scanner's model"),
            serial=plant("scanner's serial number"),
        )
        case_id = cases.register_case(
            session,
            System(),
            caen.id,
            accession=accession,
            patient_name=f"{family} {plant('patient’s given name')}",
            patient_birth_year=1931,
            patient_sex="F",
            organ=f"Sein de {family}",
        )
    with httpx.Client(timeout=60) as http:
        scanner = Tus(world.url, key, http)
        shown = push(scanner, scan, plant("file name") + ".svs", accession, "HES", f"B1 {accession}")
        hidden = push(
            scanner, scan + b"\0", plant("file name of a slide that is not shown") + ".svs", accession,
            plant("stain of a slide that is not shown"), plant("block of a slide that is not shown"),
        )  # fmt: skip
        broken = push(scanner, b"no slide", plant("file name of a slide that was refused") + ".svs", accession, "", "")
    ready, other = (await_slide(world, slide_id) for slide_id in (shown, hidden))
    await_slide(world, broken)
    for where, slide in (("the slide", ready), ("the hidden slide", other)):
        canaries.add(f"SHA-256 of {where}", slide.sha256)
        canaries.add(f"digest of the index of {where}", str(slide.index_digest))
    canaries.add("id of the case", case_id)
    canaries.add("id of the hidden slide", hidden)
    canaries.add("id of the refused slide", broken)
    canaries.add("id of the scanner", scanner_id)

    asked = world.ask(ready, world.centres.rouen, slides=[ready.id])
    elsewhere = world.ask(other, world.centres.lille, plant("question to a third centre"), slides=[other.id])
    canaries.add("id of a consultation with a third centre", elsewhere["id"])
    canaries.add("reference of a consultation with a third centre", elsewhere["reference"])
    link = world.link(ready, reason=plant("why the link was made"), max_uses=9)
    unused = world.link(other, slides=[other.id], reason=plant("why another link was made"))
    canaries.add("id of another link", unused["id"])
    world.signed_in("pathologiste.caen").put("/api/drafts/ask.a", json={"body": plant("a draft of the requester's")})
    ids = {
        "case_id": [case_id],
        "slide_id": [ready.id, other.id, broken],
        "consultation_id": [asked["id"], elsewhere["id"]],
        "link_id": [link["id"], unused["id"]],
        "share_id": [asked["id"], link["id"]],
        "kind": ["consultation", "link"],
        "key": ["ask.a"],
        "slide_sha256": [ready.sha256],
    }
    return Planted(canaries, ready, other, asked["id"], elsewhere["id"], link, ids)


def push(scanner: Tus, data: bytes, name: str, accession: str, stain: str, block: str) -> SlideId:
    """As the centre's own agent does it."""
    digest = hashlib.sha256(data).hexdigest()
    location = scanner.create(UploadRequest(name, len(data), digest, accession, stain, block))
    answer = scanner.patch(location, 0, data)
    assert answer.status_code == 204, answer.text
    return SlideId(answer.headers["IAIN-Slide"])


def await_slide(world: World, slide_id: SlideId) -> Slide:
    deadline = time.monotonic() + 60
    while True:
        with world.database.reading() as session:
            slide = slides.get_slide(session, System(), slide_id)
        if slide.state in (SlideState.READY, SlideState.REFUSED):
            return slide
        assert time.monotonic() < deadline, slide.state
        time.sleep(0.05)


@pytest.fixture
def addresses(planted: Planted, framework) -> list[str]:
    """Every address that can be asked for: each route with each known id, and every picture of both slides."""
    filled = [
        path
        for route in iter_route_contexts(framework.routes)
        if "GET" in (route.methods or ())
        for path in fillings(route.path or "", planted.ids)
    ]
    assert len(filled) > 20
    return [*filled, *tiles(planted.shown), *tiles(planted.hidden), "/nowhere", "/api/nowhere", "/shares?person=x"]


def fillings(path: str, ids: dict[str, list[str]]) -> list[str]:
    match = re.search(r"\{(\w+)(?::\w+)?\}", path)
    if match is None:
        return [path]
    values = ids.get(match[1], ["a"])
    return [full for value in values for full in fillings(path.replace(match[0], value, 1), ids)]


def tiles(slide: Slide) -> list[str]:
    """Everything under /tiles/ of a slide of 960 × 720: levels 0 to 2, what is beside them, how other viewers ask for
    the same, and another version."""
    addresses = [f"{level}/{col}_{row}" for level in range(4) for col in range(5 >> level) for row in range(4 >> level)]
    theirs = [f"slide_files/{z}/{col}_{row}.jpeg" for z in (0, 7, 8, 9, 10) for col in range(2) for row in range(2)]
    theirs += [
        f"iiif/{what}/0/default.jpg" for what in ("full/max", "full/240,180", "0,0,240,240/240,240", "1,1,2,2/2,2")
    ]
    return [f"/tiles/{slide.id}/{slide.version}/{what}" for what in (*addresses, *theirs, *DOCUMENTS, *PICTURES)] + [
        f"/tiles/{slide.id}/{'0' * 16}/0/0_0"
    ]


@dataclass
class Reader:
    """Somebody who asks for everything, follows every address, and notes what is in what comes back."""

    canaries: Canaries
    client: httpx.Client
    leaked: dict[str, str] = field(default_factory=dict)
    """Where it was planted → where it came out."""
    seen: dict[str, httpx.Response] = field(default_factory=dict)

    def read(self, addresses: list[str]) -> None:
        waiting = list(addresses)
        while waiting:
            address = waiting.pop()
            if address in self.seen or address.startswith(("/static/", "//")):
                continue
            answer = self.seen[address] = self.ask("GET", address)
            self.ask("HEAD", address)
            if answer.headers.get("content-type", "").startswith(("text/html", "application/json")):
                waiting += [found.replace("&amp;", "&") for found in ADDRESS.findall(answer.text) if "{" not in found]
            waiting += [answer.headers["location"]] if "location" in answer.headers else []

    def ask(self, method: str, address: str, **more: object) -> httpx.Response:
        answer = self.client.request(method, address, **more)
        head = b"".join(name + b": " + value + b"\r\n" for name, value in answer.headers.raw)
        for where in self.canaries.found_in(head + answer.content):
            if self.canaries.words[where] not in address:  # which an error page may repeat to who typed it
                self.leaked.setdefault(where, f"{method} {address} → {answer.status_code}")
        return answer

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        for address, answer in self.seen.items():
            if answer.headers.get("content-type") == "image/jpeg":
                yield address, answer.content


def test_nothing_that_names_the_patient_leaves(world: World, planted: Planted, addresses: list[str], figure) -> None:
    rouen, guest = reader(world, planted, world.centres.rouen), Reader(planted.canaries, world.guest(planted.link))
    others = [
        *(Reader(planted.canaries, world.signed_in(f"{role}.rouen")) for role in ("responsable", "technicien")),
        Reader(planted.canaries, world.client()),
    ]
    for one in (rouen, guest, *others):
        one.read(addresses)
        provoke(one, planted)
    shown = {address for address in tiles(planted.shown) if rouen.seen[address].status_code == 200}
    assert len(shown) > 30, "it is the slide that was searched, not the absence of one"
    assert {address for address in tiles(planted.shown) if address.endswith(DOCUMENTS)} <= shown
    assert {address for address in tiles(planted.shown) if guest.seen[address].status_code == 200} == shown
    assert not any(address.endswith(("label", "macro")) for address in shown)
    assert rouen.seen[f"/consultations/{planted.consultation}"].status_code == 200
    assert guest.seen[f"/g/{planted.shown.id}"].status_code == 200
    leaked = {where: place for one in (rouen, guest, *others) for where, place in one.leaked.items()}
    for one in (rouen, guest):
        for address, picture in one.pictures():
            for name, colour in (("label", LABEL_COLOUR), ("macro", MACRO_COLOUR)):
                if pixels_of(picture, colour):
                    leaked[f"pixels of the {name}"] = address
    figure("deid.canaries_planted", len(planted.canaries.words) + 2)
    figure("deid.canaries_leaked", len(leaked))
    assert leaked == {}
    assert len(planted.canaries.words) >= 40


def test_the_owners_do_see_what_was_planted(world: World, planted: Planted, addresses: list[str]) -> None:
    """The control: the same search, at home, finds them."""
    found: set[str] = set()
    pixels: set[str] = set()
    for role in ("pathologiste", "responsable"):
        own = Reader(planted.canaries, world.signed_in(f"{role}.caen"))
        own.read(addresses)
        found |= set(own.leaked)
        for _, picture in own.pictures():
            for name, colour in (("label", LABEL_COLOUR), ("macro", MACRO_COLOUR)):
                pixels |= {name} if pixels_of(picture, colour) > 1000 else set()
    assert pixels == {"label", "macro"}
    assert found >= {
        "accession number",
        "patient's family name",
        "file name",
        "scanner's name",
        "stain of a slide that is not shown",
        "id of the case",
        "id of the hidden slide",
        "question to a third centre",
        "why the link was made",
        "a draft of the requester's",
    }


def test_what_is_told_is_what_a_colleague_needs(world: World, planted: Planted) -> None:
    told = world.signed_in("pathologiste.rouen").get(f"/api/slides/{planted.shown.id}").json()
    assert told["case"]["patient"] | {"age": 0} == {"name": "", "sex": "F", "birth_year": None, "age": 0}
    assert told["case"]["patient"]["age"] == 90, "the very old are few enough to be recognised"
    assert (told["stain"], told["block"], told["case"]["organ"]) == ("HES", None, None)
    assert [slide["id"] for slide in told["slides_of_case"]] == [planted.shown.id]


def reader(world: World, planted: Planted, centre: Centre) -> Reader:
    return Reader(planted.canaries, world.signed_in(f"pathologiste.{centre.id}"))


def provoke(one: Reader, planted: Planted) -> None:
    """Answers to what goes wrong: they say in words what it was, and no more."""
    path = f"/api/consultations/{planted.consultation}"
    for body in ({"move": "close"}, {"move": "reply", "note": "x"}, {"move": "nonsense"}, {}):
        one.ask("POST", f"{path}/moves", json=body)
    one.ask("POST", f"{path}/answer", json={"agreement": "agree", "text": ""})
    one.ask("POST", f"{path}/answer", json={"agreement": "agree", "text": "x" * 30_000})
    asked = {"case_id": planted.ids["case_id"][0], "slide_id": planted.shown.id, "question": "?", "to_site": "lille"}
    one.ask("POST", "/api/consultations", json=asked)
    one.ask("POST", "/api/links", json={**asked, "reason": "x", "expires_in_s": 100})
    for link_id in planted.ids["link_id"]:
        one.ask("POST", f"/l/{link_id}", data={"secret": "x"})
        one.ask("POST", f"/api/links/{link_id}/revoke")
    for name in ("If-None-Match", "Range", "Accept"):
        one.ask("GET", tiles(planted.shown)[0], headers={name: "bytes=0-9"})
