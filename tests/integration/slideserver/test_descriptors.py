"""What other viewers and programs ask of a slide, over HTTP: descriptions, cropped tiles, whole pictures, colours."""

import io
import socket
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, replace
from urllib.parse import urlsplit

import httpx
import pytest
from fixtures.levels import BOUNDS, mixed
from fixtures.profiles import matrix_profile
from fixtures.server import World
from fixtures.slides import one_level
from PIL import Image, ImageCms

from sharing import audit_search
from sharing.slides import Slide
from sharing.vocabulary import Act
from slideserver import access, sentences
from tiler.descriptor import NOT_HALVES, NOT_JPEG, NOT_SQUARE
from tiler.geometry import Size
from tiler.icc import rebuilt
from tiler.index import TileIndex

DOCUMENTS = {
    "slide.json": "application/json",
    "slide.dzi": "application/xml",
    "iiif/info.json": "application/json",
    "profile.icc": "application/vnd.iccprofile",
}
WORD = b"CANARY"
# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def slide(world: World) -> Slide:
    """The real scan, 2220 × 2967 pixels in tiles of 240, as if it had a colour profile."""
    slide = world.add_slide(world.centres.caen, "26H01234")
    (world.settings.var / "slides" / slide.id / "profile.icc").write_bytes(rebuilt(matrix_profile(2, WORD)))
    return slide


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine under load may read the access epoch late; what is answered then is another test's matter."""
    monkeypatch.setattr(access, "STALE_AFTER_S", 60)


@pytest.fixture
def browser(world: World) -> httpx.Client:
    return world.signed_in("pathologiste.caen")


def below(slide: Slide, what: str) -> str:
    return f"/tiles/{slide.id}/{slide.version}/{what}"


def picture(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_documents_describe_the_slide(browser, slide) -> None:
    answers = {name: browser.get(below(slide, name)) for name in DOCUMENTS}
    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == DOCUMENTS
    said = answers["slide.json"].json()
    assert (said["width"], said["height"], said["version"]) == (2220, 2967, slide.version)
    assert {said[name] for name in ("deep_zoom", "iiif", "icc_profile")} == set(DOCUMENTS) - {"slide.json"}
    [size] = ElementTree.fromstring(answers["slide.dzi"].text)
    assert size.attrib == {"Width": "2220", "Height": "2967"}
    info = answers["iiif/info.json"]
    assert info.json()["id"] == str(info.url).removesuffix("/info.json")
    assert 'rel="profile"' in info.headers["link"]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(answers["profile.icc"].content))
    assert profile.profile.xcolor_space.strip() == "RGB"
    assert WORD not in answers["profile.icc"].content


def test_reading_a_document_is_not_yet_reading_the_slide(world, browser, slide) -> None:
    def readings() -> list:
        with world.database.writing() as session:
            found = audit_search.query(
                session, world.centres.caen.lab_manager, audit_search.Filters(act=Act.SLIDE_OPENED)
            )
            return list(found.rows)

    assert browser.get("/cases").status_code == 200
    for name in DOCUMENTS:
        assert browser.get(below(slide, name)).status_code == 200
    assert readings() == [], "they belong to the page that was asked for before"
    assert browser.get(below(slide, "slide_files/8/0_0.jpeg")).status_code == 200
    assert len(readings()) == 1


def test_conditional_requests_and_head(browser, slide) -> None:
    for what in (*DOCUMENTS, "slide_files/12/9_12.jpeg", "iiif/full/max/0/default.jpg"):
        whole, head = browser.get(below(slide, what)), browser.head(below(slide, what))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert whole.headers["cache-control"] == "private, no-cache"
        etag = whole.headers["etag"]
        again = browser.get(below(slide, what), headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        other = browser.get(below(slide, what), headers={"If-None-Match": '"other"'})
        assert (other.status_code, other.content) == (200, whole.content)


def test_a_description_that_says_something_else_is_another(world, browser, slide) -> None:
    """The same version, asked under two names of the site: the address in it differs, and so does the tag."""
    here = browser.get(below(slide, "iiif/info.json"))
    there = browser.get(below(slide, "iiif/info.json"), headers={"Host": "slides.example.org"})
    assert there.json()["id"].startswith("http://slides.example.org/tiles/")
    assert here.headers["etag"] != there.headers["etag"]


def test_inside_the_bytes_are_those_of_our_own_tiles(browser, slide) -> None:
    ours = browser.get(below(slide, "0/3_4")).content
    for theirs in (
        "slide_files/12/3_4.jpeg",
        "slide_files/12/3_4.jpg",
        "iiif/720,960,240,240/240,240/0/default.jpg",
        "iiif/720,960,240,240/max/0/default.jpg",
    ):
        assert browser.get(below(slide, theirs)).content == ours
    half = browser.get(below(slide, "1/2_3")).content
    assert browser.get(below(slide, "slide_files/11/2_3.jpeg")).content == half
    assert browser.get(below(slide, "iiif/960,1440,480,480/240,240/0/default.jpg")).content == half


def test_pictures_have_the_size_that_was_asked_for(browser, slide) -> None:
    for what, size in {
        "slide_files/12/9_12.jpeg": (60, 87),
        "slide_files/9/1_1.jpeg": (38, 131),
        "slide_files/7/0_0.jpeg": (70, 93),
        "slide_files/0/0_0.jpeg": (1, 1),
        "iiif/2160,2880,60,87/60,87/0/default.jpg": (60, 87),
        "iiif/full/max/0/default.jpg": (278, 371),
        "iiif/full/278,371/0/default.jpg": (278, 371),
        "iiif/full/139,186/0/default.jpg": (139, 186),
        "iiif/0,0,2220,2967/70,93/0/default.jpg": (70, 93),
    }.items():
        assert picture(browser.get(below(slide, what))).size == size, what


NOT_LISTED = [
    "slide_files/13/0_0.jpeg",
    "slide_files/12/10_0.jpeg",
    "slide_files/0/1_0.jpeg",
    "slide_files/12/0_0.png",
    "slide_files/12/0_0",
    "slide.dzi/",
    "iiif",
    "iiif/",
    "iiif/full/max/90/default.jpg",
    "iiif/full/max/0/default.png",
    "iiif/full/max/0/gray.jpg",
    "iiif/full/2220,2967/0/default.jpg",
    "iiif/full/100,100/0/default.jpg",
    "iiif/full/139,/0/default.jpg",
    "iiif/1,1,240,240/240,240/0/default.jpg",
    "iiif/0,0,240,240/239,240/0/default.jpg",
    "iiif/0,0,0,0/0,0/0/default.jpg",
    "iiif/pct:0,0,50,50/max/0/default.jpg",
    "profile.icc/x",
    "index.bin",
]


def test_what_is_not_listed_is_not_given(browser, slide) -> None:
    for what in NOT_LISTED:
        answer = browser.get(below(slide, what))
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), what


def test_a_slide_without_a_profile_says_so(world, browser) -> None:
    slide = world.add_slide(world.centres.caen, "26H01235")
    assert browser.get(below(slide, "slide.json")).json()["icc_profile"] is None
    assert browser.get(below(slide, "profile.icc")).status_code == 404


def test_a_slide_that_cannot_be_told_so_says_why(world, browser, sandbox, tmp_path) -> None:
    path = tmp_path / "oblong.tif"
    path.write_bytes(one_level(tile=Size(128, 64)))
    world.indexed = sandbox.index_slide(path)
    slide = world.add_slide(world.centres.caen)
    said = browser.get(below(slide, "slide.json")).json()
    assert (said["deep_zoom"], said["iiif"]) == (None, "iiif/info.json")
    for what in ("slide.dzi", "slide_files/9/0_0.jpeg"):
        for language, word in (("en", "not square"), ("fr", "carrées")):
            answer = browser.get(below(slide, what), headers={"Accept-Language": language})
            assert answer.status_code == 404
            assert word in answer.json()["detail"]
    assert {NOT_HALVES, NOT_SQUARE, NOT_JPEG} <= set(sentences.FIXED)


def test_a_slide_of_webp_tiles_is_told_as_it_is_and_not_as_jpeg(world, browser, indexed) -> None:
    world.indexed = replace(indexed, index_bytes=mixed(TileIndex(indexed.index_bytes)))
    slide = world.add_slide(world.centres.caen)
    said = browser.get(below(slide, "slide.json")).json()
    assert (said["deep_zoom"], said["iiif"]) == (None, None)
    assert said["bounds"] == asdict(BOUNDS)
    assert said["focal_planes"] == 3
    assert [(level["kind"], level["media_type"]) for level in said["levels"][:3]] == [
        ("stored", "image/jpeg"),
        ("stored", "image/webp"),
        ("derived", "image/jpeg"),
    ]
    for what in ("slide.dzi", "iiif/info.json", "slide_files/11/0_0.jpeg"):
        answer = browser.get(below(slide, what), headers={"Accept-Language": "fr"})
        assert answer.status_code == 404
        assert "WebP" in answer.json()["detail"]
    for address, media_type in (("0/0_0", "image/jpeg"), ("0/1_0", "image/jpeg"), ("1/2_3", "image/webp")):
        answer = browser.get(below(slide, address))
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert picture(browser.get(below(slide, "0/1_0"))).getextrema() == (255, 255)


def test_another_centre_keeps_nothing_of_what_it_is_shown(world, slide) -> None:
    world.ask(slide, world.centres.rouen)
    rouen = world.signed_in("pathologiste.rouen")
    for what in (*DOCUMENTS, "slide_files/12/9_12.jpeg"):
        answer = rouen.get(below(slide, what))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


class Slow:
    """Requests on a plain socket, whose answers are not read."""

    def __init__(self, world: World, browser: httpx.Client) -> None:
        parts = urlsplit(world.url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())

    def ask(self, path: str, *, window: int | None = None) -> socket.socket:
        connection = socket.socket()
        if window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.connect(self._address)
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {self._cookies}\r\n\r\n"
        connection.sendall(head.encode())
        return connection


def test_a_reader_who_does_not_read_stops_nobody(world, browser, slide) -> None:
    slow = Slow(world, browser)
    lazy = [slow.ask(below(slide, "iiif/full/max/0/default.jpg"), window=1024) for _ in range(20)]
    wanted = browser.get(below(slide, "iiif/full/max/0/default.jpg")).content
    started = time.monotonic()
    assert browser.get(below(slide, "0/0_0")).status_code == 200
    assert time.monotonic() - started < 30
    [data] = {whole(connection, len(wanted)) for connection in lazy}
    assert data == wanted, "late, and whole"


def whole(connection: socket.socket, length: int) -> bytes:
    connection.settimeout(60)
    with connection, connection.makefile("rb") as answer:
        while answer.readline() not in (b"\r\n", b""):
            pass
        return answer.read(length)
