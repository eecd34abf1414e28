"""What a technician sees of a watch: a line for each slide on its way, and what happened told once."""

import errno
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from ingest.agent.client import TransientError
from ingest.agent.entries import Entry, State
from ingest.agent.messages import Language, Words
from ingest.agent.screen import Screen
from ingest.agent.upload import Delivery, Glass
from ingest.agent.witness import WatchScreen
from ingest.heartbeat import Pause, Trouble
from ingest.protocol import SlideStatus


class Seen:
    """A screen whose output can be read."""

    def __init__(self, *, terminal: bool) -> None:
        self.file, self.logged = io.StringIO(), list[tuple[str, str]]()
        console = Console(file=self.file, force_terminal=terminal, width=160, force_interactive=terminal)
        self.screen = Screen(Words(Language.FR), console, console, lambda *said: self.logged.append(said))
        self.witness = WatchScreen(self.screen, lambda name: Glass(name.partition("_")[0]))

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.file.getvalue())


@pytest.fixture
def service() -> Seen:
    return Seen(terminal=False)


def entry(number: int, name: str = "", **more: object) -> Entry:
    return Entry(number, name or f"lame {number}.svs", State.SENDING, (), Path("/"), 5_000_000, 0, 0, 0, **more)


def test_each_slide_on_its_way_has_one_line_on_a_terminal() -> None:
    seen = Seen(terminal=True)
    with seen.screen.showing():
        for done in (0, 2_000_000, 4_000_000):
            for number in (1, 2):
                seen.witness.hashing(entry(number), 5_000_000, 5_000_000)
                seen.witness.sending(entry(number), done, 5_000_000)
        seen.file.truncate(0)
        seen.screen._progress.refresh()  # type: ignore[union-attr]
        lines = [line for line in seen.text().splitlines() if "━" in line]
        assert [line.split()[:3] for line in lines] == [["lame", "1.svs", "Envoi"], ["lame", "2.svs", "Envoi"]]
        assert all("4.0/5.0 MB" in line for line in lines)
        seen.witness.ready(entry(1))
        seen.file.truncate(0)
        seen.screen._progress.refresh()  # type: ignore[union-attr]
        assert "lame 1.svs" not in seen.text()


def test_a_service_writes_sentences_and_nothing_else(service: Seen) -> None:
    with service.screen.showing():
        service.witness.found(entry(1))
        service.witness.hashing(entry(1), 1, 2)
        service.witness.sending(entry(1), 1, 2)
        service.witness.ready(entry(1))
    assert service.file.getvalue() == "lame 1.svs : trouvée, 5 Mo.\nlame 1.svs : prête à être lue.\n"
    assert service.logged[0] == ("info", "lame 1.svs : trouvée, 5 Mo.")


def test_a_server_that_is_away_is_told_once_and_that_it_is_back(service: Seen) -> None:
    for _ in range(50):
        service.witness.retrying(entry(1), TransientError("unreachable"), 5)
        service.witness.retrying(entry(2), TransientError("unreachable"), 5)
    service.witness.sending(entry(1), 1, 2)
    service.witness.sending(entry(1), 2, 2)
    said = service.text().splitlines()
    assert len(said) == 2
    assert "Vérifiez le câble réseau" in said[0]
    assert "répond de nouveau" in said[1]


def test_what_happens_is_told_with_what_to_do(service: Seen) -> None:
    witness = service.witness
    witness.refused(entry(1, code="damaged", detail="Il manque la fin."))
    witness.put_back(entry(2, code="quota-exceeded"))
    witness.trouble(Trouble("/srv/scans", "folder-missing"))
    witness.cleared(Trouble("/srv/scans", "folder-missing"))
    witness.paused(Pause.QUIET_HOURS, 7200)
    witness.paused(None, 0)
    told = (
        "numérisez la lame de nouveau. (Il manque la fin.)",
        "Gardez la lame sur ce poste",
        "partage réseau",
        "c'est réglé",
        "partiront dans 2 h",
        "reprend",
    )
    for sentence in told:
        assert sentence in service.text()


def test_a_slide_that_came_for_another_case_is_told_when_it_arrives(service: Seen) -> None:
    status = SlideStatus("s", "ready", matched=True, accession="26H1", claimed=True)
    service.witness.arrived(entry(1, "26H2_A.svs"), Delivery(status, True, 0))
    service.witness.arrived(entry(1, "26H3_A.svs"), Delivery(SlideStatus("s", "received"), False, 9))
    said = service.text()
    assert "26H2_A.svs : déjà sur la plateforme" in said
    assert "sous le numéro 26H1, et vient d'être envoyée pour 26H2" in said
    assert "26H3_A.svs : reçue et vérifiée" in said


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), BrokenPipeError()])
def test_what_cannot_be_printed_ends_no_upload(error: OSError) -> None:
    """A log on a full disk, or one that nobody reads any more."""

    class Unwritable(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    console = Console(file=Unwritable(), width=80)
    logged: list[tuple[str, str]] = []
    screen = Screen(Words(Language.FR), console, console, lambda *said: logged.append(said))
    screen.say("a")
    screen.problem("b")
    assert logged == [("info", "a"), ("error", "b")]
