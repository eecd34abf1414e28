"""The main job over HTTP, with the real programs, on both databases: a slide goes from the scanner to the screen."""

import io
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openslide
import pytest
from fixtures.centres import Centres
from fixtures.platform import SCAN, Platform, push, running_platform, sign_in, visitor
from PIL import Image

from sharing import chain
from sharing.clock import SystemClock
from sharing.db.engine import Database, open_database

SLIDE_ID = re.compile(r"/slides/([a-z2-7]{26})")


@pytest.fixture
def clock() -> SystemClock:
    """The programs of a journey live in today's time, so what is written before they start must too."""
    return SystemClock()


@pytest.fixture
def platform(tmp_path: Path, database: Database, database_url: str, centres: Centres) -> Iterator[Platform]:
    with running_platform(tmp_path / "var", database_url=database_url) as platform:
        yield platform


@pytest.fixture
def key_file(tmp_path: Path, centres: Centres) -> Path:
    path = tmp_path / "caen.key"
    path.touch(mode=0o600)
    path.write_text(centres.caen.scanner_key)
    return path


def case_of(client: httpx.Client, accession: str) -> dict:
    listed = client.get("/api/cases").raise_for_status().json()
    return next(case for case in listed if case["accession"] == accession)


def test_a_slide_goes_from_the_scanner_to_the_screen_and_nowhere_else(
    platform: Platform, key_file: Path, centres: Centres, database_url: str
) -> None:
    sent = push(SCAN, platform, key_file, "--accession", "26H01234", "--stain", "HES", "--block", "A1")
    assert sent.returncode == 0, sent.stderr
    again = push(SCAN, platform, key_file, "--accession", "26H01234")
    assert again.returncode == 0
    assert "rien n'a été renvoyé" in again.stdout.replace("\n", " ") + again.stderr.replace("\n", " ")

    caen = sign_in(platform, "pathologiste.caen", centres.password)
    (slide,) = case_of(caen, "26H01234")["slides"]
    described = caen.get(f"/api/slides/{slide['id']}").raise_for_status().json()
    assert described["case"]["patient"]["name"] == "EXEMPLE Camille"
    assert (described["width"], described["height"]) == (2220, 2967)
    assert described["mpp_x"] == pytest.approx(0.499)
    assert_tiles_are_the_scanners(caen, described)
    assert caen.get(described["thumbnail_url"]).headers["content-type"] == "image/jpeg"

    page = caen.get(f"/slides/{slide['id']}")
    assert page.status_code == 200
    assert "26H01234" in page.text

    for stranger in (sign_in(platform, "pathologiste.rouen", centres.password), visitor(platform)):
        assert "26H01234" not in stranger.get("/cases", follow_redirects=True).text
        for path in (
            f"/api/slides/{slide['id']}",
            f"/slides/{slide['id']}",
            f"/cases/{described['case']['id']}",
            described["thumbnail_url"],
            described["label_url"],
            described["macro_url"],
            described["tile_url"].format(level=0, col=0, row=0),
        ):
            refused = stranger.get(path)
            assert refused.status_code in (401, 404) or refused.headers["location"].startswith("/login"), path
            assert b"EXEMPLE" not in refused.content
            assert not refused.headers.get("content-type", "").startswith("image/"), path

    manager = sign_in(platform, "responsable.caen", centres.password)
    journal = manager.get("/audit").raise_for_status().text
    assert "Scanner Caen 1" in journal
    assert "Pathologiste de Caen" in journal
    assert manager.get("/audit?person=nobody").status_code == 200
    assert sign_in(platform, "pathologiste.caen", centres.password).get("/audit").status_code in (403, 404)

    assert platform.end() == 0
    database = open_database(database_url)
    chain.seal(database)
    with database.reading() as session:
        assert chain.verify(session).whole
    database.close()


def assert_tiles_are_the_scanners(client: httpx.Client, described: dict) -> None:
    """Every level answers; level 0 shows the pixels that OpenSlide shows, at the corner and at the padded edge."""
    with openslide.OpenSlide(SCAN) as reference:
        level = described["levels"][0]
        size = level["tile_width"], level["tile_height"]
        last = (level["width"] - 1) // size[0], (level["height"] - 1) // size[1]
        for col, row in ((0, 0), (3, 5), last):
            answer = client.get(described["tile_url"].format(level=0, col=col, row=row)).raise_for_status()
            width = min(size[0], level["width"] - col * size[0])
            height = min(size[1], level["height"] - row * size[1])
            ours = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))[:height, :width]
            theirs = reference.read_region((col * size[0], row * size[1]), 0, (width, height)).convert("RGB")
            assert np.array_equal(ours, np.asarray(theirs)), (col, row)
    for number in range(len(described["levels"])):
        assert client.get(described["tile_url"].format(level=number, col=0, row=0)).status_code == 200
    coarsest = described["levels"][-1]
    assert coarsest["width"] <= coarsest["tile_width"]
    beyond = described["tile_url"].format(level=0, col=last[0] + 1, row=0)
    assert client.get(beyond).status_code == 404


def test_an_unknown_accession_waits_for_a_human_who_names_the_case(
    platform: Platform, key_file: Path, centres: Centres
) -> None:
    sent = push(SCAN, platform, key_file, "--accession", "26H99999")
    assert sent.returncode == 0, sent.stderr
    assert "Réception" in sent.stdout + sent.stderr

    technician = sign_in(platform, "technicien.caen", centres.password)
    waiting = technician.get("/intake?state=unmatched").raise_for_status().text
    assert "26H99999" in waiting
    match = SLIDE_ID.search(waiting) or re.search(r"/intake/([a-z2-7]{26})", waiting)
    assert match, waiting
    named = technician.post(f"/intake/{match[1]}", data={"accession": "26H01235", "stain": "HES", "block": "B2"})
    assert named.status_code == 303, named.text

    pathologist = sign_in(platform, "pathologiste.caen", centres.password)
    (slide,) = case_of(pathologist, "26H01235")["slides"]
    assert slide["id"] == match[1]


def test_a_file_that_is_no_slide_is_refused_in_words_and_hurts_nobody(
    platform: Platform, key_file: Path, centres: Centres, tmp_path: Path
) -> None:
    letter = tmp_path / "lettre.svs"
    letter.write_text("Chère collègue, veuillez trouver ci-joint…")
    cut = tmp_path / "coupee.svs"
    cut.write_bytes(SCAN.read_bytes()[:900_000])
    for file in (letter, cut):
        sent = push(file, platform, key_file, "--accession", "26H01234")
        assert sent.returncode == 1, sent.stdout
        assert "refusée" in sent.stdout + sent.stderr
    assert push(SCAN, platform, key_file, "--accession", "26H01234").returncode == 0

    pathologist = sign_in(platform, "pathologiste.caen", centres.password)
    assert len(case_of(pathologist, "26H01234")["slides"]) == 1, "a refused file shows in no case"
    reception = sign_in(platform, "technicien.caen", centres.password).get("/intake?state=refused").text
    assert "lettre.svs" in reception
    assert "coupee.svs" in reception


def test_a_wrong_key_sends_nothing_and_is_told_so(platform: Platform, centres: Centres, tmp_path: Path) -> None:
    key = tmp_path / "wrong.key"
    key.touch(mode=0o600)
    key.write_text(centres.caen.scanner_key[:-4] + "aaaa")
    sent = push(SCAN, platform, key, "--accession", "26H01234")
    assert sent.returncode == 4
    uploads = platform.var / "uploads"
    assert not uploads.exists() or not list(uploads.iterdir())


def test_what_was_acknowledged_survives_a_killed_server(platform: Platform, key_file: Path, centres: Centres) -> None:
    assert push(SCAN, platform, key_file, "--accession", "26H01234").returncode == 0
    platform.end(signal.SIGKILL)
    platform.start()
    known = push(SCAN, platform, key_file, "--accession", "26H01234")
    assert known.returncode == 0
    assert "rien n'a été renvoyé" in (known.stdout + known.stderr).replace("\n", " ")
    pathologist = sign_in(platform, "pathologiste.caen", centres.password)
    assert len(case_of(pathologist, "26H01234")["slides"]) == 1
