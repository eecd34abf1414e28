"""How the agent is set up: what a file may say, what stands above it, and how a mistake is told."""

import re
from dataclasses import fields
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from ingest.agent.config import TIME_ZONE, Config, ConfigError, glass_of, load, places
from ingest.agent.messages import Language, Words
from ingest.agent.rules import After
from ingest.agent.upload import Glass

ROOT = Path(__file__).parents[3]
WHOLE = """
server = "https://slides.example.org"
key_file = "scanner.key"
ca_file = "~/ca.pem"
folders = ['/srv/scans', 'more']
after = "move"
archive = "/srv/scans/sent"
names = "{accession}-{stain}"
parallel = 3
bandwidth_mbit = 50
quiet_hours = ["mon-fri 08:00-18:00"]
time_zone = "America/Guadeloupe"
rest_s = 60
tell_after_s = 600
language = "en"
state_folder = "state"
log_file = "agent.log"
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("IAIN_AGENT_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "agent.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_whole_file_is_read(home: Path) -> None:
    config = load(written(home, WHOLE))
    assert (config.key_file, config.ca_file) == (home / "scanner.key", home / "ca.pem")
    assert config.folders == (Path("/srv/scans"), home / "more")
    assert (config.after, config.archive, config.parallel) == (After.MOVE, Path("/srv/scans/sent"), 3)
    assert (config.time_zone.key, config.language) == ("America/Guadeloupe", Language.EN)
    assert config.glass("26H01234-HES.svs") == Glass("26H01234", "HES")


def test_without_a_file_there_is_what_stands_where_nothing_is_said(home: Path) -> None:
    config = load()
    assert (config.server, config.folders, config.after) == (None, (), After.KEEP)
    assert config.time_zone.key == "Europe/Paris"
    assert config.state_folder == home / ".local/state/iain-agent"


def test_options_stand_above_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home / "..")
    config = load(written(home, WHOLE), {"server": "http://localhost", "after": After.DELETE, "log_file": "x.log"})
    assert (config.server, config.after, config.parallel) == ("http://localhost", After.DELETE, 3)
    assert config.log_file == Path.cwd() / "x.log"


def test_the_file_is_found_at_its_usual_place_and_where_the_environment_says(home: Path, monkeypatch) -> None:
    usual = home / ".config" / "iain"
    usual.mkdir(parents=True)
    written(usual, "parallel = 4")
    assert load().parallel == 4
    monkeypatch.setenv("IAIN_AGENT_CONFIG", str(written(home, "parallel = 5")))
    assert load().parallel == 5
    monkeypatch.setenv("IAIN_AGENT_CONFIG", str(home / "none.toml"))
    with pytest.raises(ConfigError):
        load()


def test_the_mark_of_an_editor_on_windows_is_no_obstacle(home: Path) -> None:
    assert load(written(home, "﻿parallel = 4\r\nfolders = ['D:\\Lames']\r\n")).parallel == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("parallel = 0", "nombre entier de 1 à 8"),
        ("parallel = 2.5", "nombre entier de 1 à 8"),
        ("parallel = true", "nombre entier de 1 à 8"),
        ("rest_s = -1", "nombre de secondes"),
        ("rest_s = nan", "nombre de secondes"),
        ("bandwidth_mbit = '10'", "Mbit/s"),
        ("folders = 'D:\\Lames'", "liste de chemins"),
        ("folders = [1]", "liste de chemins"),
        ("after = 'burn'", "keep, move ou delete"),
        ("after = 'move'", "un dossier autre que ceux qui sont surveillés"),
        ("after = 'move'\nfolders = ['/a/b']\narchive = '/a/b'", "un dossier autre"),
        ("after = 'move'\nfolders = ['/a/b']\narchive = '/a'", "un dossier autre"),
        ("quiet_hours = ['8h-18h']", "liste d'heures"),
        ("quiet_hours = ['00:00-24:00']", "une heure au moins dans la semaine"),
        ("time_zone = 'Paris'", "Europe/Paris"),
        ("time_zone = '/etc/passwd'", "Europe/Paris"),
        ("language = 'de'", "fr ou en"),
        ("names = '{patient}'", "{accession}, {block} et {stain}"),
        ("names = '{block}{stain}'", "{accession}, {block} et {stain}"),
        ("names = '{block}_{block}'", "{accession}, {block} et {stain}"),
        ("server = ''", "un texte"),
        ("serveur = 'x'", "« serveur », qui n'existe pas"),
        ('folders = ["D:\\Lames"]', "entre apostrophes"),
        (b"\xff\xfeserver", "UTF-8"),
    ],
    ids=str,
)
def test_a_mistake_is_told_in_words(home: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(home, text))
    assert told in Words(Language.FR).configured(caught.value.sentence, caught.value.values)
    assert Words(Language.EN).configured(caught.value.sentence, caught.value.values)


def test_a_file_that_is_named_has_to_be_there(home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(home / "none.toml")
    assert "none.toml" in Words(Language.FR).configured(caught.value.sentence, caught.value.values)


@pytest.mark.parametrize(
    ("name", "pattern", "glass"),
    [
        ("26H01234_A1_HES.svs", "{accession}_{block}_{stain}", Glass("26H01234", "HES", "A1")),
        ("26H01234_A1.svs", "{accession}_{block}_{stain}", Glass("26H01234", None, "A1")),
        ("26H01234.svs", "{accession}_{block}_{stain}", Glass("26H01234")),
        ("26H01234_A1_HES_2.svs", "{accession}_{block}_{stain}", Glass("26H01234", "HES_2", "A1")),
        ("26H01234__HES", "{accession}_{block}_{stain}", Glass("26H01234", "HES")),
        ("26H01234_A1 - 2026-01-02.svs", "{accession}_{block} - ", Glass("26H01234", None, "A1")),
        ("26H01234 HES.svs", "{accession} {stain}", Glass("26H01234", "HES")),
        ("26H01234_A1.svs", "", Glass()),
        ("x" * 65 + "_A1.svs", "{accession}_{block}", Glass(None, None, "A1")),
        ("26H\x1b01_A1.svs", "{accession}_{block}", Glass(None, None, "A1")),
    ],
)
def test_the_name_of_a_slide_says_whose_it_is(name: str, pattern: str, glass: Glass) -> None:
    assert glass_of(name, pattern) == glass


def test_each_system_has_its_places() -> None:
    assert places("win32", {"PROGRAMDATA": r"D:\Data"}) == (
        PureWindowsPath(r"D:\Data\IAIN\agent.toml"),
        PureWindowsPath(r"D:\Data\IAIN\agent"),
    )
    assert places("linux", {"HOME": "/home/s", "XDG_STATE_HOME": "/var/s"}) == (
        PurePosixPath("/home/s/.config/iain/agent.toml"),
        PurePosixPath("/var/s/iain-agent"),
    )
    assert places("linux", {"STATE_DIRECTORY": "/var/lib/iain-agent"})[1] == PurePosixPath("/var/lib/iain-agent")


def test_every_setting_is_documented_with_its_default_and_nothing_else_is(home: Path) -> None:
    page = (ROOT / "docs" / "reference" / "agent-settings.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", page, re.MULTILINE))
    values = {each.name: getattr(load(), each.name) for each in fields(Config)} | {"time_zone": TIME_ZONE}
    shown = {
        name: "none" if value is None else f"`{list(value) if isinstance(value, tuple) else value}`"
        for name, value in values.items()
    }
    assert documented == shown | {"state_folder": "see below"}


def test_the_example_can_be_used_as_it_is() -> None:
    config = load(ROOT / "deploy" / "agent" / "agent.toml")
    assert config.folders == (Path("/srv/scans"),)
