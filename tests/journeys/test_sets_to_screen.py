"""A folder of slides that have several files each goes from the scanner to the screen, with the real programs."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openslide
import pytest
from fixtures.centres import Centres, found_centres
from fixtures.platform import Platform, push, running_platform, sign_in
from PIL import Image

from benchmarks.layouts import dicom, mrxs
from sharing.clock import SystemClock
from sharing.db.engine import open_database


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path) -> tuple[str, Centres]:
    """The address of a database, and who is in it."""
    path = tmp_path / "iain.db"
    shutil.copyfile(sqlite_template, path)
    database = open_database(f"sqlite:///{path}", SystemClock())
    with database.writing() as session:
        centres = found_centres(session)
    database.close()
    return f"sqlite:///{path}", centres


@pytest.fixture
def platform(tmp_path: Path, home: tuple[str, Centres]) -> Iterator[Platform]:
    with running_platform(tmp_path / "var", database_url=home[0], IAIN_PROCESSES="1") as platform:
        yield platform


def test_a_folder_is_pushed_and_each_slide_in_it_seen(platform: Platform, home, tmp_path: Path) -> None:
    centres, scans = home[1], tmp_path / "scans"
    (scans / "sous" / "dossier").mkdir(parents=True)
    mirax = mrxs.MAKERS["overlaps"](scans)
    dicom.MAKERS["jpeg"](scans / "sous" / "dossier")
    (scans / "lisez-moi.txt").write_text("Bonjour")
    key = tmp_path / "caen.key"
    key.touch(mode=0o600)
    key.write_text(centres.caen.scanner_key)
    sent = push(scans, platform, key, "--accession", "26H01234")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert sent.stdout.count("prête à être lue") == 2
    assert "lisez-moi.txt" in sent.stderr

    caen = sign_in(platform, "pathologiste.caen", centres.password)
    [case] = [case for case in caen.get("/api/cases").json() if case["accession"] == "26H01234"]
    described = [caen.get(f"/api/slides/{slide['id']}").raise_for_status().json() for slide in case["slides"]]
    assert len(described) == 2
    for slide in described:
        for number in range(len(slide["levels"])):
            assert tile(caen, slide, number, 0, 0).size[0] > 0
    with openslide.OpenSlide(mirax if mirax.is_file() else next(mirax.glob("*.mrxs"))) as reference:
        [slide] = [slide for slide in described if (slide["width"], slide["height"]) == reference.dimensions]
        level = slide["levels"][0]
        side = level["tile_width"]
        shown = np.asarray(tile(caen, slide, 0, 1, 1), dtype=float)
        wanted = reference.read_region((side, side), 0, shown.shape[1::-1])
    paper = Image.new("RGB", wanted.size, "white")
    paper.paste(wanted, mask=wanted.getchannel("A"))
    assert np.abs(shown - np.asarray(paper)).mean() < 2


def tile(client: httpx.Client, slide: dict, level: int, col: int, row: int) -> Image.Image:
    answer = client.get(slide["tile_url"].format(level=level, col=col, row=row)).raise_for_status()
    return Image.open(io.BytesIO(answer.content)).convert("RGB")
