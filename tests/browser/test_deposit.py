"""A person with slides on a disk: drops them, names their case, pulls the plug, comes back and goes on."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.desk import PHONE, Desks
from fixtures.platform import SCAN, Platform
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import select

from benchmarks.layouts import mrxs
from ingest.agent.parcels import find
from ingest.manifest import SetFile, manifest_of
from sharing.db.engine import Session, open_database
from sharing.db.tables import SlideRow, UploadRow

pytestmark = pytest.mark.browser

LOGIN, CASE = "technicien.lille", "26L00410"
FILES, FOLDER = "input[multiple]", "input[webkitdirectory]"
# Long enough for a piece to have arrived and another one to be missing.
MORE_BYTES = 3_000_000
# What takes a moment may take many on a busy machine.
LONG_MS = 20_000


@contextmanager
def asking(platform: Platform) -> Iterator[Session]:
    database = open_database(platform.database_url or "")
    with database.reading() as session:
        yield session
    database.close()


def scan(folder: Path, name: str, more: int = 100) -> Path:
    """A slide that nobody has sent before: the real one, with bytes behind its end."""
    path = folder / name
    path.write_bytes(SCAN.read_bytes() + os.urandom(more))
    return path


def row(page: Page, name: str) -> Locator:
    return page.locator(".deposit-row", has=page.get_by_role("heading", name=name))


def send(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Déposer")).click()


def drop(page: Page, path: Path) -> None:
    """From the file manager onto the middle of the window, as the hand does it."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": step, "x": 600, "y": 500, "data": data})
    session.detach()


class Line:
    """The network of a page: it lets so many pieces through, and cuts all that follow until it is mended."""

    def __init__(self, page: Page, pieces: int) -> None:
        self.left = pieces
        self.offsets: list[int] = []
        page.context.route("**/api/uploads/*", self._pass)

    def _pass(self, route: Route) -> None:
        if route.request.method == "PATCH":
            self.left -= 1
            if self.left < 0:
                return route.abort()
            self.offsets.append(int(route.request.headers["upload-offset"]))
        return route.continue_()


def test_slides_of_a_disk_arrive_with_their_case(desk: Desks, platform: Platform, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    named, other = scan(disk, f"{CASE}-B1.svs"), scan(disk, "autre.svs")
    mirax = mrxs.make(disk, overlap=16) / "slide.mrxs"
    (disk / "lisez-moi.txt").write_text("…")
    paul = desk()
    page = paul.sign_in(LOGIN, "/deposit")
    paul.picture(page, "deposit-empty")
    drop(page, disk)
    expect(page.locator(".deposit-row")).to_have_count(3)
    expect(page.locator(".notice.waits")).to_contain_text("disk/lisez-moi.txt")
    # The number stands in the name of one file; for another it is typed, and the case is told by its patient.
    expect(row(page, named.name)).to_contain_text("ÉCHANTILLON Claude · Thyroïde")
    expect(row(page, named.name).get_by_label("N° de cas")).to_have_value(CASE)
    field = row(page, other.name).get_by_label("N° de cas")
    field.press_sequentially("26l0")
    expect(row(page, other.name).locator("datalist option")).to_have_attribute("value", CASE)
    field.fill("26L99999")
    expect(row(page, other.name)).to_contain_text("Aucun cas n’a encore ce numéro")
    row(page, named.name).get_by_label("Coloration").fill("HES")
    row(page, named.name).get_by_label("Bloc").fill("B1")
    expect(row(page, mirax.name)).to_contain_text("Prête à partir")
    paul.picture(page, "deposit-named")
    send(page)
    expect(row(page, named.name).locator(".state.ready")).to_be_visible(timeout=LONG_MS)
    expect(row(page, other.name)).to_contain_text("Aucun cas n’a le numéro 26L99999", timeout=LONG_MS)
    expect(row(page, mirax.name)).to_contain_text("Prête, sans cas", timeout=LONG_MS)
    expect(page.locator(".deposit-foot")).to_contain_text("Les 3 lames sont arrivées", timeout=LONG_MS)
    paul.picture(page, "deposit-arrived")
    with page.context.expect_page() as opened:
        row(page, named.name).get_by_role("link").click()
    expect(opened.value.locator(".case-banner")).to_contain_text("ÉCHANTILLON Claude")
    # The same bytes once more: nothing is sent again, and another number is for a person to decide.
    copy, disputed = tmp_path / "copie.svs", tmp_path / "dispute.svs"
    for path in (copy, disputed):
        path.write_bytes(named.read_bytes())
    page.set_input_files(FILES, [str(copy), str(disputed)])
    row(page, disputed.name).get_by_label("N° de cas").fill("26L00411")
    send(page)
    expect(row(page, copy.name)).to_contain_text("Elle était déjà là : rien n’a été renvoyé", timeout=LONG_MS)
    expect(row(page, disputed.name)).to_contain_text(
        f"Cette image est déjà là, comme lame de {CASE}. La Réception", timeout=LONG_MS
    )
    # What the browser sends is, byte for byte and name for name, what the agent beside a scanner would send.
    (parcel,) = find(mirax).parcels
    files = [
        SetFile(name, len(data := path.read_bytes()), hashlib.sha256(data).hexdigest()) for name, path in parcel.files
    ]
    with asking(platform) as session:
        sent = session.scalars(select(SlideRow).where(SlideRow.sha256 == manifest_of(files).sha256)).one()
        attached = session.scalars(select(SlideRow).where(SlideRow.block == "B1", SlideRow.accession == CASE)).one()
    assert (sent.state, attached.stain) == ("ready", "HES")


def test_a_closed_tab_loses_nothing(desk: Desks, platform: Platform, tmp_path: Path) -> None:
    file = scan(tmp_path, "coupee.svs", MORE_BYTES)
    paul = desk()
    paul.expected += ["ERR_FAILED"]
    page = paul.sign_in(LOGIN, "/deposit")
    line = Line(page, pieces=1)
    page.set_input_files(FILES, str(file))
    row(page, file.name).get_by_label("N° de cas").fill(CASE)
    send(page)
    expect(row(page, file.name)).to_contain_text("En attente du serveur", timeout=LONG_MS)
    paul.picture(page, "deposit-hindered")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.close(run_before_unload=True)
    page = paul.open("/deposit")
    assert asked == ["beforeunload"]
    begun = page.locator("[data-unfinished]")
    expect(begun).to_contain_text(file.name)
    expect(begun).to_contain_text(CASE)
    expect(begun).to_contain_text(re.compile(r"sur 4,9 Mo sont arrivés"))
    paul.picture(page, "deposit-unfinished")
    line.left = 1000
    page.set_input_files(FILES, str(file))
    expect(begun).to_be_hidden()
    # Its number is remembered.
    expect(row(page, file.name).get_by_label("N° de cas")).to_have_value(CASE)
    before = list(line.offsets)
    send(page)
    expect(row(page, file.name).locator(".state.ready")).to_be_visible(timeout=LONG_MS)
    again = line.offsets[len(before) :]
    assert before == [0]
    assert again[0] > 0, "it went on from what had arrived"


def test_a_slide_is_stopped_goes_on_and_is_forgotten(desk: Desks, platform: Platform, tmp_path: Path) -> None:
    file = scan(tmp_path, "arretee.svs", MORE_BYTES)
    paul = desk()
    paul.expected += ["ERR_FAILED"]
    page = paul.sign_in(LOGIN, "/deposit")
    line = Line(page, pieces=1)
    page.set_input_files(FILES, str(file))
    send(page)
    expect(row(page, file.name)).to_contain_text("En attente du serveur", timeout=LONG_MS)
    row(page, file.name).get_by_role("button", name="Arrêter").click()
    expect(row(page, file.name)).to_contain_text("Ce qui est arrivé est gardé")
    line.left = 1
    row(page, file.name).get_by_role("button", name="Continuer").click()
    expect(row(page, file.name)).to_contain_text("Reprise à", timeout=LONG_MS)
    row(page, file.name).get_by_role("button", name="Arrêter").click()
    with page.expect_response(lambda answer: answer.request.method == "DELETE" and answer.status == 204):
        row(page, file.name).get_by_role("button", name="Retirer").click()
    expect(page.locator(".deposit-row")).to_have_count(0)
    with asking(platform) as session:
        assert session.scalars(select(UploadRow).where(UploadRow.file_name == file.name)).all() == []


def test_what_cannot_be_sent_says_why_and_what_to_do(desk: Desks, tmp_path: Path, centres: Centres) -> None:
    text, empty, good = tmp_path / "notes.svs", tmp_path / "vide.svs", scan(tmp_path, "bonne.svs")
    text.write_text("Ceci n'est pas une lame. " + tmp_path.name)
    empty.touch()
    (tmp_path / "lame").mkdir()
    mirax = mrxs.make(tmp_path / "lame", overlap=16) / "slide.mrxs"
    paul = desk(viewport=PHONE)
    paul.expected += ["status of 401"]
    page = paul.sign_in(LOGIN, "/deposit")
    page.set_input_files(FILES, [str(text), str(empty), str(mirax)])
    expect(row(page, empty.name)).to_contain_text("Ce fichier est vide")
    expect(row(page, mirax.name)).to_contain_text("Slidedat.ini. Déposez aussi ces fichiers")
    send(page)
    expect(row(page, text.name)).to_contain_text("Ce fichier n’est pas une lame", timeout=LONG_MS)
    expect(page.locator(".deposit-foot")).to_contain_text("Gardez le disque")
    paul.picture(page, "deposit-refused")
    page.set_input_files(FOLDER, str(mirax.parent / "slide"))
    expect(row(page, mirax.name)).to_contain_text("5 fichiers", timeout=LONG_MS)
    row(page, mirax.name).get_by_role("button", name="Retirer").click()
    # Nobody is signed in any more: after signing in elsewhere it goes on.
    cookies = paul.context.cookies()
    paul.context.clear_cookies()
    page.set_input_files(FILES, str(good))
    send(page)
    expect(row(page, good.name)).to_contain_text("Votre session est terminée", timeout=LONG_MS)
    paul.context.add_cookies(cookies)
    row(page, good.name).get_by_role("button", name="Continuer").click()
    expect(row(page, good.name)).to_contain_text("Prête", timeout=LONG_MS)
