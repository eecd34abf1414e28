"""The scanner's own program, run as a technician runs it, against a real server."""

import hashlib
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fixtures.centres import Centres
from fixtures.cutting_proxy import cutting_proxy
from fixtures.ports import free_port
from fixtures.server import running_server
from fixtures.upload_server import answers, make_uploads, program, serving
from fixtures.waiting import wait_until
from sqlalchemy import select

from ingest.agent.client import Client
from ingest.agent.upload import ChangingFileError, GaveUpError, Glass, Patience, Pusher
from sharing.db.engine import Database
from sharing.db.tables import SlideRow
from slideserver.settings import Settings

TESTS = Path(__file__).parents[3]
SCAN = TESTS / "data" / "CMU-1-Small-Region.svs"
TLS = TESTS / "data" / "tls"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("IAIN_", "LC_"))}


def agent(*arguments: object, language: str = "fr_FR.UTF-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ingest.agent.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env=ENVIRONMENT | {"LANG": language, "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture
def platform(database: Database, centres: Centres, var: Path, tmp_path: Path) -> Iterator[str]:
    with running_server(Settings(var=var, database_url=f"sqlite:///{tmp_path}/iain.db")) as url:
        yield url


def key_file(tmp_path: Path, key: str) -> Path:
    path = tmp_path / "scanner.key"
    path.write_text(key + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def key(tmp_path: Path, centres: Centres) -> Path:
    return key_file(tmp_path, centres.caen.scanner_key)


def test_a_slide_is_pushed_until_it_is_ready_and_the_second_push_sends_nothing(platform: str, key: Path) -> None:
    push = ("push", SCAN, "--server", platform, "--key-file", key, "--accession", "26H01234", "--stain", "HES")
    first = agent(*push)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == "CMU-1-Small-Region.svs : prête à être lue.\n"
    second = agent(*push, language="en_GB.UTF-8")
    assert (second.returncode, second.stderr) == (0, "")
    assert "already on the platform" in second.stdout
    assert "nothing was sent again" in second.stdout


def test_an_unknown_case_is_told_in_words_and_is_no_failure(platform: str, key: Path) -> None:
    done = agent("push", SCAN, "--server", platform, "--key-file", key, "--accession", "26H99999")
    assert done.returncode == 0
    assert "aucun cas ne porte le numéro 26H99999" in done.stderr
    assert "Réception" in done.stderr


def test_the_same_picture_for_another_case_is_told_and_goes_to_a_person(platform: str, key: Path) -> None:
    push = ("push", SCAN, "--server", platform, "--key-file", key, "--accession")
    assert agent(*push, "26H01234").stderr == ""
    other = agent(*push, "26H01235")
    assert other.returncode == 0
    assert "déjà sur la plateforme sous le numéro 26H01234, et vient d'être envoyée pour 26H01235" in other.stderr
    assert "rien n'a été renvoyé" in other.stdout


def test_a_refused_file_is_told_with_what_to_do_and_the_next_one_is_sent(platform, key, tmp_path) -> None:
    letter = tmp_path / "lettre.svs"
    letter.write_bytes(b"Cher collegue, ceci n'est pas une lame. " * 99)
    half = tmp_path / "moitié.svs"
    half.write_bytes(SCAN.read_bytes()[: SCAN.stat().st_size // 2])
    done = agent("push", letter, half, SCAN, "--server", platform, "--key-file", key, "--accession", "26H01234")
    assert done.returncode == 1
    assert "lettre.svs : refusée." in done.stderr
    assert "Choisissez le fichier que le scanner a écrit" in done.stderr
    assert "moitié.svs : refusée. Le fichier est incomplet ou abîmé." in done.stderr
    assert "(La lame est tronquée" in done.stderr, "the reason, too, in the language of the workstation"
    assert "slide" not in done.stderr
    assert "prête à être lue" in done.stdout


def test_a_key_that_is_not_accepted_stops_everything(platform: str, tmp_path: Path, var: Path) -> None:
    key = key_file(tmp_path, "iain_" + "a" * 26 + "_" + "b" * 43)
    done = agent("push", SCAN, SCAN, "--server", platform, "--key-file", key)
    assert done.returncode == 4
    assert done.stderr.count("refuse la clé de ce scanner") == 1
    assert not (var / "uploads").exists()


def test_files_that_cannot_be_slides_are_told_apart(tmp_path: Path, key: Path) -> None:
    empty = tmp_path / "vide.svs"
    empty.touch()
    for path, sentence, code in [
        (tmp_path / "absent.svs", "n'existe pas", 2),
        (tmp_path, "aucune lame d'un format connu", 1),
        (empty, "est vide", 2),
        (Path("/dev/null"), "fichier ordinaire", 2),
    ]:
        done = agent("push", path, "--server", "http://127.0.0.1:9", "--key-file", key)
        assert done.returncode == code
        assert sentence in done.stderr


def test_a_command_that_cannot_work_says_why(tmp_path: Path, key: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("not a key")
    for arguments, sentence in [
        (("--server", "127.0.0.1", "--key-file", key), "http://"),
        (("--server", "http://127.0.0.1:9", "--key-file", tmp_path / "none.key"), "fichier de la clé"),
        (("--server", "http://127.0.0.1:9", "--key-file", letter), "ne contient pas de clé"),
        (("--server", "https://127.0.0.1:9", "--key-file", key, "--ca-file", letter), "certificat"),
    ]:
        done = agent("push", SCAN, *arguments)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
    assert agent("push", SCAN).returncode == 2


def test_a_server_that_is_not_there_is_told_after_the_patience(key: Path) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    done = agent("push", SCAN, SCAN, "--server", server, "--key-file", key, "--patience", "0.5")
    assert done.returncode == 3
    assert "Vérifiez le câble réseau" in done.stderr
    assert "Nouvel essai dans" in done.stderr
    assert done.stderr.count("pas envoyée") == 1


def test_ctrl_c_ends_it_in_words(key: Path) -> None:
    command = [sys.executable, "-m", "ingest.agent.cli", "push", str(SCAN), "--key-file", str(key), "--server"]
    with subprocess.Popen(
        [*command, f"http://127.0.0.1:{free_port()}"], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stderr
        assert process.stderr.readline()  # the first sentence about a new try: it is at work
        process.send_signal(signal.SIGINT)
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert "relancez la même commande" in said
    assert process.returncode == 130


def test_a_key_that_others_can_read_is_warned_about(tmp_path: Path, key: Path) -> None:
    key.chmod(0o644)
    done = agent("push", tmp_path / "absent.svs", "--server", "http://192.0.2.1", "--key-file", key)
    assert "chmod 600" in done.stderr
    assert "n'est pas chiffré" in done.stderr


class NotOurs(BaseHTTPRequestHandler):
    """A web server that is none of ours, and would like to be sent the key."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://192.0.2.1/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_another_web_server_is_told_apart(key: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), NotOurs) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        done = agent("push", SCAN, "--server", f"http://127.0.0.1:{other.server_port}", "--key-file", key)
        other.shutdown()
    assert done.returncode == 3
    assert "(--server)" in done.stderr


@contextmanager
def tls_front(port: int) -> Iterator[int]:
    """The port on which TLS is ended before the server at `port`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except ssl.SSLError:
                continue  # a client that does not trust us
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_https_with_the_hospitals_own_authority(platform: str, key: Path) -> None:
    with tls_front(int(platform.rpartition(":")[2])) as port:
        push = ("push", SCAN, "--server", f"https://127.0.0.1:{port}", "--key-file", key)
        untrusted = agent(*push)
        assert untrusted.returncode == 3
        assert "N'envoyez rien" in untrusted.stderr
        trusted = agent(*push, "--ca-file", TLS / "certificate.pem")
        assert trusted.returncode == 0, trusted.stderr


def test_a_terminal_shows_rate_and_time_left(database, centres, var, key: Path, tmp_path: Path) -> None:
    big = tmp_path / "grande lame.svs"
    big.write_bytes(os.urandom(1024) * 60_000)
    with serving(make_uploads(database, var)) as url:
        parent, child = pty.openpty()
        command = [sys.executable, "-m", "ingest.agent.cli", "push", str(big), "--server", url, "--key-file", str(key)]
        environment = ENVIRONMENT | {"LANG": "fr_FR.UTF-8", "TERM": "xterm", "COLUMNS": "150"}
        process = subprocess.Popen([*command, "--wait", "0"], stdout=child, stderr=child, env=environment)
        os.close(child)
        screen = b""
        try:
            while data := os.read(parent, 65536):
                screen += data
        except OSError:  # Linux reports the end of a terminal so
            pass
        os.close(parent)
        assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode())
    assert re.search(r"grande lame\.svs Envoi +━.* [\d.]+/61\.4 MB +[\d.]+ MB/s +0:00:\d\d", text)
    assert "bien reçue" in text


class Notes:
    """A report that calls back when the sending has come to some point."""

    def __init__(self, at_bytes: int = 1, act=lambda: None) -> None:
        self.at_bytes, self.act, self.acted = at_bytes, act, False
        self.retries: list[str] = []

    def hashing(self, done: int, total: int) -> None:
        pass

    def sending(self, done: int, total: int) -> None:
        if done >= self.at_bytes and not self.acted:
            self.acted = True
            self.act()

    def preparing(self) -> None:
        pass

    def retrying(self, problem, pause_s: float) -> None:
        self.retries.append(problem.code)


def pusher(client: Client, notes: Notes, patience_s: float = 30, piece_bytes: int = 200_000) -> Pusher:
    return Pusher(client, notes, Patience(patience_s, 0), piece_bytes=piece_bytes)


@pytest.fixture
def lame(tmp_path: Path) -> Path:
    path = tmp_path / "lame.svs"
    path.write_bytes(os.urandom(3_000_000))
    return path


def blob(var: Path, path: Path) -> bytes:
    [found] = (var / "blobs").rglob(hashlib.sha256(path.read_bytes()).hexdigest())
    return found.read_bytes()


def test_a_network_that_cuts_everywhere_only_delays(database, centres, var, lame) -> None:
    cuts = [0, 100, 700, 5_000, 50_000, 150_000, 333_333, 700_000, 1_000_001]
    with serving(make_uploads(database, var)) as url, cutting_proxy(int(url.rpartition(":")[2]), cuts) as port:
        notes = Notes()
        with Client(f"http://127.0.0.1:{port}", centres.caen.scanner_key) as client:
            delivery = Pusher(client, notes, Patience(30, 0), piece_bytes=200_000, pause=lambda _: None).push(
                lame, Glass()
            )
    assert delivery.status.state == "received"
    assert len(notes.retries) >= 5
    assert blob(var, lame) == lame.read_bytes()


def test_a_server_that_is_killed_and_restarted_only_delays(database, centres, var, lame, tmp_path) -> None:
    port = free_port()
    command = program(f"sqlite:///{tmp_path}/iain.db", var, port)
    servers = [subprocess.Popen(command)]
    wait_until(lambda: answers(port), "the server process")

    def kill_and_restart() -> None:
        servers[-1].kill()
        servers[-1].wait()
        servers.append(subprocess.Popen(command))

    notes = Notes(1_500_000, kill_and_restart)
    try:
        with Client(f"http://127.0.0.1:{port}", centres.caen.scanner_key) as client:
            delivery = pusher(client, notes).push(lame, Glass())
    finally:
        for server in servers:
            server.kill()
            server.wait()
    assert delivery.sent_bytes == 3_000_000
    assert "unreachable" in notes.retries
    assert blob(var, lame) == lame.read_bytes()


def test_an_interrupted_push_goes_on_where_it_stopped(database, centres, var, lame) -> None:
    class Interrupted(Exception):
        pass

    def interrupt() -> None:
        raise Interrupted

    with serving(make_uploads(database, var)) as url, Client(url, centres.caen.scanner_key) as client:
        with pytest.raises(Interrupted):
            pusher(client, Notes(1_300_000, interrupt)).push(lame, Glass())
        delivery = pusher(client, Notes()).push(lame, Glass())
    assert delivery.sent_bytes < 2_000_000
    assert blob(var, lame) == lame.read_bytes()


def test_a_file_that_is_still_being_written_is_not_sent(database, centres, var, lame) -> None:
    class Growing(Notes):
        def sending(self, done: int, total: int) -> None:
            with lame.open("ab") as file:
                file.write(b"more")

    with (
        serving(make_uploads(database, var)) as url,
        Client(url, centres.caen.scanner_key) as client,
        pytest.raises(ChangingFileError),
    ):
        pusher(client, Growing()).push(lame, Glass())


def test_a_file_that_changed_unseen_is_found_out_by_the_server_and_sent_anew(database, centres, var, lame) -> None:
    def change() -> None:
        times = (lame.stat().st_atime_ns, lame.stat().st_mtime_ns)
        with lame.open("r+b") as file:
            file.seek(2_900_000)
            file.write(b"changed behind the agent's back")
        os.utime(lame, ns=times)

    with serving(make_uploads(database, var)) as url, Client(url, centres.caen.scanner_key) as client:
        delivery = pusher(client, Notes(1_000_000, change)).push(lame, Glass())
    assert delivery.status.state == "received"
    assert blob(var, lame) == lame.read_bytes()


def test_patience_is_counted_from_the_last_progress(centres, lame) -> None:
    moments = iter(range(0, 10_000, 50))
    pauses: list[float] = []
    with Client(f"http://127.0.0.1:{free_port()}", centres.caen.scanner_key) as client:
        notes = Notes()
        one = Pusher(client, notes, Patience(300, 0), pause=pauses.append, now=lambda: next(moments))
        with pytest.raises(GaveUpError):
            one.push(lame, Glass())
    assert 3 <= len(pauses) <= 6
    assert all(0 < pause <= 15 for pause in pauses)
    assert set(notes.retries) == {"unreachable"}


def test_a_file_name_that_is_no_text_is_no_obstacle(database, centres, var, tmp_path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lame \xff\n\x1b[31m.svs"))
    strange.write_bytes(b"x" * 1000)
    with serving(make_uploads(database, var)) as url, Client(url, centres.caen.scanner_key) as client:
        delivery = pusher(client, Notes()).push(strange, Glass())
    with database.reading() as session:
        [slide] = session.scalars(select(SlideRow))
    assert (slide.id, slide.file_name) == (delivery.status.slide, "lame ___[31m.svs")
