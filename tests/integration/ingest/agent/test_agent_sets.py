"""Slides of several files, pushed by the scanner's own program."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.ports import free_port
from fixtures.upload_server import answers, make_uploads, program, serving
from fixtures.waiting import wait_until
from sqlalchemy import select

from ingest.agent.client import Client
from ingest.agent.parcels import Parcel, find
from ingest.agent.upload import Glass, Patience, Pusher
from sharing.db.engine import Database
from sharing.db.tables import SlideFileRow, SlideRow

INI = b"[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 2\nFILE_0 = Data0.dat\nFILE_1 = Data1.dat\n"
LARGE = 1_500_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a scanner left: one MIRAX slide."""
    data = tmp_path / "scans" / "lame"
    data.mkdir(parents=True)
    data.with_suffix(".mrxs").write_bytes(b"")
    (data / "Slidedat.ini").write_bytes(INI)
    (data / "Index.dat").write_bytes(b"index")
    for name in ("Data0.dat", "Data1.dat"):
        (data / name).write_bytes(os.urandom(LARGE))
    return data.parent


def parcel(folder: Path) -> Parcel:
    [found] = find(folder / "lame.mrxs").parcels
    return found


class Notes:
    """A report that acts once, when so many bytes have been sent."""

    def __init__(self, at_bytes: int = 0, act=None) -> None:
        self.at_bytes, self.act = at_bytes, act
        self.sent: list[tuple[int, int]] = []

    def hashing(self, done: int, total: int) -> None:
        assert 0 < done <= total

    def sending(self, done: int, total: int) -> None:
        assert done <= total
        self.sent.append((done, total))
        if self.act and done >= self.at_bytes:
            act, self.act = self.act, None
            act()

    def preparing(self) -> None:
        pass

    def retrying(self, problem, pause_s: float) -> None:
        pass


def push(url: str, centres: Centres, folder: Path, notes: Notes | None = None):
    with Client(url, centres.caen.scanner_key) as client:
        one = Pusher(client, notes or Notes(), Patience(30, 0), piece_bytes=400_000, pause=lambda _: None)
        return one.push_set(parcel(folder), Glass("26H01234", "HES", "A1"))


def held(database: Database, var: Path) -> dict[str, bytes]:
    """The files of the one slide, from the blobs of its rows."""
    with database.reading() as session:
        [slide] = session.scalars(select(SlideRow))
        files = session.scalars(select(SlideFileRow).order_by(SlideFileRow.number)).all()
    assert (slide.file_name, slide.accession, slide.stain) == ("lame.mrxs", "26H01234", "HES")
    return {file.name: next((var / "blobs").rglob(file.sha256)).read_bytes() for file in files}


def there(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in sorted(parcel(folder).files)}


def test_a_set_arrives_whole_and_is_not_sent_again(database, centres, var, folder) -> None:
    notes = Notes()
    with serving(make_uploads(database, var)) as url:
        first = push(url, centres, folder, notes)
        shutil.move(folder, folder.with_name("moved"))
        again = push(url, centres, folder.with_name("moved"))
    assert held(database, var) == there(folder.with_name("moved"))
    assert (first.already_known, again.already_known, again.sent_bytes) == (False, True, 0)
    assert again.status.slide == first.status.slide
    total = sum(map(len, there(folder.with_name("moved")).values()))
    assert first.sent_bytes == total
    assert notes.sent[-1] == (total, total)


def test_an_interrupted_set_goes_on_where_it_stopped(database, centres, var, folder) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> None:
        raise Interrupted

    with serving(make_uploads(database, var)) as url:
        with pytest.raises(Interrupted):
            push(url, centres, folder, Notes(LARGE + 800_000, interrupt))
        with database.reading() as session:
            assert session.scalars(select(SlideRow)).all() == []
        assert push(url, centres, folder).sent_bytes < LARGE
    assert held(database, var) == there(folder)


def test_a_server_that_is_killed_and_restarted_only_delays(database, centres, var, folder, tmp_path) -> None:
    port = free_port()
    command = program(f"sqlite:///{tmp_path}/iain.db", var, port)
    servers = [subprocess.Popen(command)]
    wait_until(lambda: answers(port), "the server process")

    def kill_and_restart() -> None:
        servers[-1].kill()
        servers[-1].wait()
        servers.append(subprocess.Popen(command))
        wait_until(lambda: answers(port), "the server process")

    try:
        push(f"http://127.0.0.1:{port}", centres, folder, Notes(LARGE + 200_000, kill_and_restart))
    finally:
        for server in servers:
            server.kill()
            server.wait()
    assert len(servers) == 2
    assert held(database, var) == there(folder)


def test_a_file_of_a_set_that_changes_is_read_anew(database, centres, var, folder) -> None:
    def change() -> None:
        (folder / "lame" / "Data1.dat").write_bytes(os.urandom(LARGE + 1))

    with serving(make_uploads(database, var)) as url:
        push(url, centres, folder, Notes(1, change))
    assert held(database, var) == there(folder)


def test_a_folder_is_pushed_slide_by_slide_and_the_rest_is_named(database, centres, var, folder, tmp_path) -> None:
    (folder / "autre.mrxs").write_bytes(b"")
    shutil.copytree(folder / "lame", folder / "autre")
    (folder / "autre" / "Data1.dat").unlink()
    (folder / "seule.svs").write_bytes(b"II*\0 and what follows")
    (folder / "lettre.txt").write_bytes(b"Bonjour")
    key = tmp_path / "scanner.key"
    key.touch(mode=0o600)
    key.write_text(centres.caen.scanner_key)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IAIN_", "LC_"))}
    with serving(make_uploads(database, var)) as url:
        command = [sys.executable, "-m", "ingest.agent.cli", "push", folder, "--server", url, "--key-file", key]
        done = subprocess.run(
            [*command, "--wait", "0"], capture_output=True, text=True, timeout=60, env=kept | {"LANG": "fr_FR.UTF-8"}
        )
    assert done.returncode == 1
    assert "autre.mrxs : pas envoyée. Il manque des fichiers de cette lame : autre/Data1.dat." in done.stderr
    assert "scans : ces fichiers ne font partie d'aucune lame et n'ont pas été envoyés : lettre.txt" in done.stderr
    assert done.stdout.count("bien reçue") == 2
    with database.reading() as session:
        slides = session.scalars(select(SlideRow)).all()
    digest = hashlib.sha256((folder / "seule.svs").read_bytes()).hexdigest()
    assert {slide.file_name: slide.sha256 == digest for slide in slides} == {"lame.mrxs": False, "seule.svs": True}
