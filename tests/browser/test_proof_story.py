"""A case that is shown, taken back and objected to, and the record of it that anybody can check.

Caen asks Rouen and makes links for guests, who come in by a code that goes to their mail; one link is revoked, the
other falls to the patient's objection, care goes on. A witness at Rouen countersigns the log. Its export is checked by
one file in an empty folder, and a copy that somebody has altered is found out, in its place.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.desk import Desk, Desks
from fixtures.figures import Figure
from fixtures.platform import PROGRAMS, Platform, clean_environment, new_world
from fixtures.smtp import MailServer, mail_server
from fixtures.waiting import last_shown_s
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

ANNE, PAUL, CLAIRE, DANIEL = "pathologiste.caen", "pathologiste.rouen", "responsable.caen", "dpo.caen"
QUESTION = "Invasion au bord inférieur ?"
GONE_WITHIN_S = 1.0
CODE = re.compile(r"^ +(\d{4} \d{4})", re.MULTILINE)


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def world(mail: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Centres]]:
    """A platform of its own that sends mail."""
    post = {"IAIN_SMTP_HOST": "127.0.0.1", "IAIN_SMTP_PORT": str(mail.port), "IAIN_SMTP_STARTTLS": "false"}
    with new_world(tmp_path_factory.mktemp("proof"), **post) as world:
        yield world


@dataclass
class Guest:
    """Somebody without an account, before the slides of a link."""

    desk: Desk
    page: Page
    tile: str

    def gone_after_s(self, since: float) -> float:
        """How long after `since` (of the monotonic clock) the last tile was asked for that still came."""
        return last_shown_s(lambda: self.page.request.get(self.tile).status, since)[0]


def test_what_was_shown_is_taken_back_and_the_record_of_it_proves_itself(
    desk: Desks, platform: Platform, mail: MailServer, figure: Figure, tmp_path: Path
) -> None:
    witness = Witness(tmp_path / "witness", platform)
    witness.signs()
    anne = desk()
    page = anne.sign_in(ANNE, "/cases")
    page.get_by_role("row", name=re.compile("26H01234")).get_by_title(re.compile("HES")).first.click()
    page.wait_for_selector("iain-viewer[data-ready][data-sharp]")

    # A colleague is asked, for care.
    page.keyboard.press("c")
    page.locator("iain-request label", has_text="Pathologiste de Rouen").first.click()
    page.locator("iain-request [name=question]").fill(QUESTION)
    page.locator("[data-act=send]").click()
    expect(page.locator("[data-sent]")).to_contain_text("Rouen")
    paul = desk()
    view = paul.sign_in(PAUL, "/consultations").locator("a[href*='/slides/']").first.get_attribute("href") or ""
    rouen = paul.open(view)
    rouen.wait_for_selector("iain-viewer[data-ready][data-sharp]")

    # Two guests come in by codes, one of them for research.
    taught = guest_of(desk, mail, make_link(page, "tumour_board", "pr.martin@hopital.example"), "proof-code")
    page.locator("[data-act=another-link]").click()
    studied = guest_of(desk, mail, make_link(page, "research", "dr.petit@institut.example"))
    anne.picture(page, "proof-link")
    anne.expected.append("status of 403")

    # The first link is revoked.
    links = anne.open("/links")
    row = links.locator("tr.row", has_text="pr.martin@hopital.example")
    expect(row).to_contain_text(re.compile("code", re.IGNORECASE))
    with links.expect_navigation():
        row.get_by_role("button", name="Fermer l’accès de l’invité").click()
    revoked_s = taught.gone_after_s(time.monotonic())
    anne.picture(links, "proof-links")
    assert revoked_s <= GONE_WITHIN_S
    assert studied.page.request.get(studied.tile).status == 200, "the other link lives"

    # The patient objects to research: four clicks, the effects before the last.
    daniel = desk()
    register = daniel.sign_in(DANIEL, "/")
    register.wait_for_url("**/objections")
    clicks = enter_objection(daniel, register)
    objected_s = studied.gone_after_s(time.monotonic())
    figure("objection.clicks", clicks)
    assert clicks <= 4
    assert objected_s <= GONE_WITHIN_S
    figure("proof.gone_after_ms", round(max(0, revoked_s, objected_s) * 1000))
    assert rouen.request.get(tile_of(rouen)).status == 200, "care is untouched"

    # The lab manager finds it all, and takes the log away.
    claire = desk()
    journal = claire.sign_in(CLAIRE, "/audit")
    for act in ("Lien créé", "Code", "Lien ouvert", "Lien révoqué", "Opposition"):
        expect(journal.locator("table")).to_contain_text(act)
    claire.picture(journal, "proof-journal")
    witness.signs()
    empty = tmp_path / "empty"
    empty.mkdir()
    log = download(journal, journal.locator("a[href='/api/audit/log']"), empty)
    program = download(journal, journal.locator("a[href='/api/audit/verifier.py']"), empty)
    check_the_log(empty, log, program, witness.record)


def make_link(page: Page, purpose: str, recipient: str) -> str:
    if page.locator("[data-tab=link]").count():
        page.locator("[data-tab=link]").click()
    form = page.locator("iain-guest-link")
    form.locator("[name=reason]").fill("RCP de mardi")
    form.locator("[name=mail]").fill(recipient)
    form.locator(f"label:has(input[name='purpose'][value='{purpose}'])").click()
    page.locator("[data-act=make-link]").click()
    return page.locator("[data-link-url]").input_value()


def guest_of(desk: Desks, mail: MailServer, url: str, picture: str = "") -> Guest:
    """Presses the link's button, types the code of the mail, and looks."""
    guest, before = desk(), len(mail.mails)
    guest.expected += ["status of 410", "status of 404", "status of 401", "status of 403"]
    page = guest.open(url)
    page.get_by_role("button", name="Ouvrir les lames").click()
    field = page.get_by_label("Code", exact=True)
    expect(field).to_be_focused()
    (letter,) = [found for each in mail.wait_for(before + 1) if (found := CODE.search(each.get_content()))][-1:]
    field.fill("0000 0000")
    page.get_by_role("button", name="Ouvrir les lames").click()
    expect(page.get_by_role("alert")).to_be_visible()
    if picture:
        guest.picture(page, picture)
    field.fill(letter[1])
    page.get_by_role("button", name="Ouvrir les lames").click()
    page.wait_for_url("**/g/**")
    page.wait_for_selector("iain-viewer[data-ready][data-sharp]")
    return Guest(guest, page, tile_of(page))


def tile_of(page: Page) -> str:
    """A tile that the page has loaded."""
    names = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    return next(name for name in names if re.search(r"/tiles/.*/\d+_\d+$", name))


def enter_objection(daniel: Desk, register: Page) -> int:
    """From the page where the officer's day begins; how many clicks it took."""
    register.keyboard.insert_text("26H01234")
    register.keyboard.press("Enter")
    effects = register.locator("form.objection")
    research = effects.locator(".purpose", has=register.locator("[value=research]"))
    expect(research.locator(".endings")).to_contain_text("institut.example")
    daniel.picture(register, "proof-effects")
    research.locator("label").first.click()
    effects.locator("label:has([value=letter])").click()
    effects.locator("button.primary").click()
    expect(register.get_by_role("status")).to_contain_text("en vigueur")
    daniel.picture(register, "proof-objection")
    return 4


def download(page: Page, link: Locator, folder: Path) -> Path:
    with page.expect_download() as found:
        link.click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def check_the_log(folder: Path, log: Path, program: Path, record: Path) -> None:
    """By Python alone, in a folder that holds nothing else; then one copy of each alteration."""
    assert sorted(path.name for path in folder.iterdir()) == sorted((log.name, program.name))
    sound = verify(folder, program, log, record)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    lines = log.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if '"objection.registered"' in line)
    seq = json.loads(lines[place])["seq"]
    altered = folder / "altered.jsonl"
    altered.write_text("".join([*lines[:place], lines[place].replace('"success"', '"refused"'), *lines[place + 1 :]]))
    found = verify(folder, program, altered, record)
    assert found.returncode == 1
    assert f"l'entrée {seq} n'est pas celle qui a été scellée" in found.stdout
    altered.write_text("".join([*lines[:place], *lines[place + 1 :]]))
    found = verify(folder, program, altered, record)
    assert found.returncode == 1
    assert f"à la place de l'entrée {seq} se trouve l'entrée {seq + 1}" in found.stdout


def verify(folder: Path, program: Path, log: Path, record: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", program.name, log.name, "--witness", str(record), "--language", "fr"]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)


class Witness:
    """The witness of Rouen: the agent's program, and a folder of its own that the server never sees."""

    def __init__(self, folder: Path, platform: Platform) -> None:
        self._command = ["--server", platform.url, "--state-folder", str(folder), "--name", "temoin.rouen"]
        key = self._agent("--show-key").strip().splitlines()[-1].strip()
        at = ["--var", str(platform.var), "--database-url", platform.database_url or ""]
        self._run("iain", "witness", "add", "rouen", key, *at)
        self.record = folder / "witness" / "record.jsonl"

    def signs(self) -> None:
        self._agent()

    def _agent(self, *more: str) -> str:
        return self._run("iain-agent", "witness", *self._command, *more)

    def _run(self, program: str, *command: str) -> str:
        done = subprocess.run(
            [str(PROGRAMS / program), *command],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
