"""The agent as a service beside a scanner: it watches, tells how it is, and answers those who ask it why."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fixtures.centres import Centres
from fixtures.ports import free_port
from fixtures.server import running_server
from fixtures.waiting import wait_until
from sqlalchemy import select
from typer.testing import CliRunner, Result

from ingest.agent.cli import app
from ingest.agent.client import Client, KeyRefusedError
from ingest.agent.clock import SiteClock
from ingest.agent.config import load
from ingest.agent.connection import connect
from ingest.agent.heart import Disks, Heart, read_pulse
from ingest.agent.messages import Language, Words
from ingest.agent.pace import SitePace, parse_quiet
from ingest.agent.queue import Queue
from ingest.heartbeat import REPORT_MAX_BYTES, Heartbeat, Pause, Trouble, parse_heartbeat
from sharing.db.engine import Database
from sharing.db.tables import HeartbeatRow, SlideRow
from slideserver.settings import Settings

SCAN = Path(__file__).parents[3] / "data" / "CMU-1-Small-Region.svs"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("IAIN_", "LC_"))}


class Workplace:
    """A scanner's workstation: a folder that is watched, a key, a configuration, and the program's commands."""

    def __init__(self, folder: Path, key: str, server: str) -> None:
        self.folder, self.scans, self.state = folder, folder / "scans", folder / "state"
        self.scans.mkdir()
        self.key, self.config, self.log = folder / "scanner.key", folder / "agent.toml", folder / "agent.log"
        self.key.write_text(key)
        self.key.chmod(0o600)
        self.configure(server)

    def configure(self, server: str, **more: object) -> None:
        said = {
            "server": server,
            "key_file": "scanner.key",
            "state_folder": "state",
            "log_file": "agent.log",
            "folders": ["scans"],
            "rest_s": 1,
            **more,
        }
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in said.items()))

    def scan(self, name: str, data: bytes) -> None:
        """As a scanner does that takes its time at another place, and puts the file there in one go."""
        (self.folder / name).write_bytes(data)
        (self.folder / name).rename(self.scans / name)

    def run(self, command: str, *arguments: object) -> Result:
        """Carries out a command in this process, which takes a tenth of the time of one of its own."""
        said = [command, *map(str, arguments), "--config", str(self.config)]
        environment = {"LC_ALL": "fr_FR.UTF-8", "COLUMNS": "300", "IAIN_SERVER": None, "IAIN_KEY_FILE": None}
        return CliRunner().invoke(app, said, env=environment)

    @contextmanager
    def watching(self) -> Iterator[subprocess.Popen]:
        program = [sys.executable, "-m", "ingest.agent.cli", "watch", "--config", str(self.config)]
        process = subprocess.Popen(
            program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT | {"LANG": "fr"}
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=60)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, sentence: str) -> None:
        wait_until(lambda: sentence in self.said(), f"“{sentence}” in the log:\n{self.said()}")


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """Where no server answers."""
    return Workplace(tmp_path, "iain_" + "a" * 26 + "_" + "b" * 43, f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def place(database: Database, centres: Centres, tmp_path: Path) -> Iterator[Workplace]:
    settings = Settings(var=tmp_path / "var", database_url=f"sqlite:///{tmp_path}/iain.db")
    (tmp_path / "workstation").mkdir()
    with running_server(settings) as url:
        yield Workplace(tmp_path / "workstation", centres.caen.scanner_key, url)


def test_a_day_beside_a_scanner(place: Workplace, database: Database) -> None:
    assert "Aucune lame n'est encore passée" in place.run("status").stdout
    place.scan("26H01234_A1_HES.svs", SCAN.read_bytes())
    place.scan("lettre.svs", b"II*\0" + b"Cher collegue" * 99)
    with place.watching() as watch:
        place.wait_for("26H01234_A1_HES.svs : prête à être lue.")
        wait_until(lambda: heard(database) is not None, "the first heartbeat")
        other = place.run("watch")
        assert (other.exit_code, "Une autre surveillance" in other.stderr) == (2, True)
        status = place.run("status")
        assert "La surveillance est en marche" in status.stdout
        assert "Envoyées aujourd'hui" in status.stdout
        assert "26H01234_A1_HES.svs" in status.stdout
        watch.send_signal(signal.SIGTERM)
        said, _ = watch.communicate(timeout=60)
        assert watch.returncode == 0
    assert "Surveillance commencée" in said
    assert "Surveillance arrêtée" in said
    assert "\x1b" not in said
    with database.reading() as session:
        [slide] = session.scalars(select(SlideRow))
    assert (slide.accession, slide.block, slide.stain, slide.state) == ("26H01234", "A1", "HES", "ready")
    report = heard(database)
    assert report
    assert (report.system, report.pause) == (f"{os.uname().sysname} {os.uname().release}", None)
    assert report.free_bytes


def heard(database: Database) -> Heartbeat | None:
    with database.reading() as session:
        rows = list(session.scalars(select(HeartbeatRow).order_by(HeartbeatRow.minute_us.desc())))
    return parse_heartbeat(rows[0].report) if rows else None


def test_a_refused_slide_is_told_with_what_to_do_and_can_be_sent_again(workplace: Workplace) -> None:
    workplace.scan("lettre.czi", b"ZISRAWFILE" + bytes(2000))
    workplace.configure("http://127.0.0.1:9", after="move", archive="sent")
    with Queue(workplace.state) as queue:
        entry = queue.add("lettre.czi", workplace.scans, [])
        assert entry
        queue.refuse(entry, "damaged", "Il manque\u202f: la\u00a0fin\x1b[31m.")
    status = workplace.run("status")
    assert status.exit_code == 1
    assert "Refusées, à reprendre" in status.stdout
    assert "lettre.czi : Le fichier est incomplet ou abîmé." in status.stderr
    assert "(Il manque : la fin�[31m.)" in status.stderr
    assert "numérisez la lame de nouveau" in status.stderr
    assert workplace.run("retry").exit_code == 2
    assert workplace.run("retry", "autre.czi").exit_code == 2
    again = workplace.run("retry", "lettre.czi")
    assert (again.exit_code, again.stdout) == (0, "Lames remises dans la file : 1.\n")
    assert "Lames remises dans la file : 0." in workplace.run("retry", "--all").stdout


def test_a_doctor_finds_everything_right(place: Workplace) -> None:
    place.configure(json.loads(place.config.read_text().splitlines()[0].partition("=")[2]), after="delete")
    done = place.run("doctor")
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    for sentence in ("Configuration :", "répond en", "acceptée par le serveur", "à l'heure", "l'envoi est permis",
                     "en bon état", "lisible", "libres", "Tout va bien"):  # fmt: skip
        assert sentence in done.stdout
    assert not list(place.scans.iterdir()), "what it tried there is gone"


def test_a_doctor_names_each_ill_with_its_remedy(place: Workplace) -> None:
    place.key.write_text("iain_" + "a" * 26 + "_" + "b" * 43)
    place.key.chmod(0o644)
    server = json.loads(place.config.read_text().splitlines()[0].partition("=")[2])
    (place.folder / "taken").write_text("a file where a folder should be")
    place.configure(server, folders=["scans", "absent"], after="move", archive="taken", quiet_hours=["00:00-23:59"])
    place.state.mkdir()
    (place.state / "queue.db").write_bytes(b"no database at all " * 99)
    done = place.run("doctor")
    assert done.exit_code == 1
    for sentence in ("chmod 600", "demandez une nouvelle clé", "partage réseau", "Donnez ce droit au compte",
                     "mise de côté"):  # fmt: skip
        assert sentence in done.stderr, sentence
    assert "À faire : 3." in done.stdout
    place.configure(f"http://127.0.0.1:{free_port()}", state_folder="taken/state", folders=[])
    done = place.run("doctor")
    for sentence in ("Vérifiez le câble réseau", "dossier d'état", "Aucun dossier n'est surveillé"):
        assert sentence in done.stderr, sentence


def test_a_mistake_in_the_configuration_ends_every_command_in_words(workplace: Workplace) -> None:
    workplace.config.write_text("parallel = 99\n")
    for command in ("watch", "status", "doctor"):
        done = workplace.run(command)
        assert (done.exit_code, "nombre entier de 1 à 8" in done.stderr) == (2, True)
    workplace.configure("http://127.0.0.1:9", folders=[])
    done = workplace.run("watch")
    assert (done.exit_code, "Aucun dossier n'est surveillé" in done.stderr) == (2, True)
    assert "ERROR Aucun dossier n'est surveillé" in workplace.said()
    workplace.configure("http://127.0.0.1:9", log_file="scanner.key/agent.log")
    assert "journal" in workplace.run("watch").stderr


def test_a_key_written_in_place_of_its_file_is_not_told(workplace: Workplace) -> None:
    workplace.configure("http://127.0.0.1:9", key_file=workplace.key.read_text())
    for command in ("watch", "doctor"):
        done = workplace.run(command)
        assert "iain_…" in done.stderr
        assert "b" * 43 not in done.output + workplace.said()


class Listener(BaseHTTPRequestHandler):
    """A server that hears heartbeats, at a time of its own."""

    heard: list[Heartbeat]
    now_us: Callable[[], float]
    headers_more: Mapping[str, str]

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert len(body) <= REPORT_MAX_BYTES
        self.heard.append(parse_heartbeat(body))
        answer = json.dumps({"now_us": type(self).now_us()}).encode()
        self.send_response(200)
        for name, value in self.headers_more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(now_us: Callable[[], float], **more: str) -> Iterator[tuple[str, list[Heartbeat]]]:
    """`more`: headers of every answer."""
    heard: list[Heartbeat] = []
    handler = type("Handler", (Listener,), {"heard": heard, "now_us": staticmethod(now_us), "headers_more": more})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", heard
        finally:
            server.shutdown()
            thread.join()


class Standing:
    """A watch that stands still and has much to tell."""

    def __init__(self, pause: Pause | None, troubles: tuple[Trouble, ...] = ()) -> None:
        self._pause, self._troubles = pause, troubles

    def pause(self) -> Pause | None:
        return self._pause

    def troubles(self) -> tuple[Trouble, ...]:
        return self._troubles


@contextmanager
def beating(url: str, folder: Path, watch: Standing, clock: SiteClock, pace: SitePace) -> Iterator[list[Pause | None]]:
    """The changes of pause that it tells."""
    pauses: list[Pause | None] = []
    stop = threading.Event()
    with Queue(folder) as queue:
        heart = Heart(
            lambda: Client(url, "iain_key"), queue, watch, pace, clock, [folder], folder, 0.05,
            lambda pause, _: pauses.append(pause),
        )  # fmt: skip
        thread = threading.Thread(target=heart.run, args=(stop,))
        thread.start()
        try:
            yield pauses
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()


def test_a_heart_beats_while_nothing_may_be_sent_and_learns_the_servers_time(tmp_path: Path) -> None:
    clock = SiteClock(ZoneInfo("Europe/Paris"))
    pace = SitePace(clock, [parse_quiet("00:00-23:59")])
    troubles = tuple(Trouble(f"é{number}" * 90, "incomplete-set", "\udcff" + "日" * 300, 5) for number in range(99))
    with (
        listening(lambda: clock.wall_us() - 90_000_000) as (url, heard),
        beating(url, tmp_path, Standing(Pause.QUIET_HOURS, troubles), clock, pace) as pauses,
    ):
        wait_until(lambda: len(heard) >= 1, "a heartbeat")
        pace.spend(5_000_000, threading.Event())
        wait_until(lambda: len(heard) >= 4, "heartbeats")
    assert heard[0].pause is Pause.QUIET_HOURS
    assert pauses == [Pause.QUIET_HOURS], "told once"
    assert 10 < len(heard[0].troubles) <= 50, "as many as the server takes"
    assert clock.skew_ms is not None
    assert 89_000 < clock.skew_ms < 91_000
    assert heard[-1].skew_ms is not None
    assert sum(each.sent_bytes for each in heard) == 5_000_000, "told once each"
    assert heard[-1].bytes_per_s > 0
    pulse = read_pulse(tmp_path)
    assert pulse
    assert (pulse.failure, pulse.pause) == (None, Pause.QUIET_HOURS)


def test_a_heart_goes_on_when_nobody_hears_it(tmp_path: Path) -> None:
    clock = SiteClock(ZoneInfo("Europe/Paris"))
    pace = SitePace(clock)
    port = free_port()
    pace.spend(1000, threading.Event())
    with beating(f"http://127.0.0.1:{port}", tmp_path, Standing(None), clock, pace):
        wait_until(lambda: read_pulse(tmp_path) is not None, "a pulse")
    pulse = read_pulse(tmp_path)
    assert pulse
    assert (pulse.failure, pulse.heard_us, clock.skew_ms) == ("unreachable", None, None)
    with listening(clock.wall_us) as (url, heard), beating(url, tmp_path, Standing(None), clock, pace):
        wait_until(lambda: bool(heard), "a heartbeat")
        assert heard[0].sent_bytes == 1000, "what nobody heard of is told when somebody does"


@pytest.mark.parametrize(
    ("now_us", "more"),
    [(float("inf"), {}), (-1, {}), (1 << 70, {}), (1, {"Content-Encoding": "gzip"})],
    ids=["no number", "negative", "no date", "another encoding"],
)
def test_a_heart_survives_answers_that_make_no_sense(now_us: float, more: dict[str, str], tmp_path: Path) -> None:
    clock = SiteClock(ZoneInfo("Europe/Paris"))
    with (
        listening(lambda: now_us, **more) as (url, heard),
        beating(url, tmp_path, Standing(None), clock, SitePace(clock)),
    ):
        wait_until(lambda: len(heard) >= 3, "heartbeats")
    assert clock.skew_ms is None
    pulse = read_pulse(tmp_path)
    assert pulse
    assert pulse.failure in ("not-our-server", "unreachable")


def test_a_share_that_does_not_answer_holds_up_no_heartbeat(tmp_path: Path) -> None:
    back = threading.Event()

    def ask(folder: Path) -> int:
        if folder == tmp_path / "share":
            assert back.wait(60)
        return 7

    disks = Disks([tmp_path, tmp_path / "share"], ask)
    assert [disks.free_bytes(0.01), disks.free_bytes(0.01)] == [None, None]
    back.set()
    wait_until(lambda: disks.free_bytes(0.01) == 7, "the share to answer")


def test_a_watch_that_cannot_begin_for_now_is_worth_being_started_again(workplace: Workplace) -> None:
    """2 is for mistakes in the configuration, with which no service is started again."""
    workplace.state.write_text("a file where the folder should be, or a disk that is full")
    done = workplace.run("watch")
    assert (done.exit_code, "ne peut pas être utilisé" in done.stderr) == (1, True)


def test_a_watch_whose_heart_stands_still_ends(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would know whether it lives; its service starts it again."""

    def fail() -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("platform.release", fail)
    done = workplace.run("watch")
    assert isinstance(done.exception, ZeroDivisionError)


def test_a_key_that_was_exchanged_is_used_from_then_on(place: Workplace) -> None:
    good = place.key.read_text()
    place.key.write_text(good[:-1])
    config, words = load(place.config), Words(Language.FR)
    with connect(config, words) as client:
        for broken in (good[:-1], "no key at all"):
            place.key.write_text(broken)
            with pytest.raises(KeyRefusedError):
                client.known("0" * 64)
        place.key.write_text(good)
        with pytest.raises(KeyRefusedError):  # the request that finds out is not sent again by itself
            client.known("0" * 64)
        assert client.known("0" * 64) is None


def test_a_pulse_that_is_no_pulse_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"pause": "coffee"}', "\udcff"):
        (tmp_path / "now.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert read_pulse(tmp_path) is None
