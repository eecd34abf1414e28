"""``python -m tiler``: what a person sees of a slide."""

from pathlib import Path

import pytest

from tiler import jpeg
from tiler.__main__ import main
from tiler.geometry import Size
from tiler.index import TileIndex


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["tiler", *map(str, arguments)])
    return main()


def test_info_shows_facts_and_levels(
    monkeypatch: pytest.MonkeyPatch, svs_slide: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "info", svs_slide) == 0
    shown = capsys.readouterr().out
    for part in ("aperio", "0.499", "│ 2560 × 1728", "stored", "cut"):
        assert part in shown


@pytest.mark.parametrize("action", ["info", "tile", "index", "verify"])
def test_each_action_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(monkeypatch, action, "--help")
    assert f"tiler {action}" in capsys.readouterr().out


def test_a_tile_and_an_index_are_written(monkeypatch: pytest.MonkeyPatch, svs_slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(monkeypatch, "tile", svs_slide, 1, 5, 3, "--out", out) == 0
    assert jpeg.frame_size(out.read_bytes()) == Size(80, 144)
    assert run(monkeypatch, "index", svs_slide, "--out", out) == 0
    assert TileIndex(out.read_bytes()).metadata.vendor == "aperio"


def test_verify_says_what_is_there(
    monkeypatch: pytest.MonkeyPatch, tiff_slide: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "verify", tiff_slide) == 0
    assert "sound 52 stored tiles, without label" in capsys.readouterr().out


def test_a_refusal_is_a_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.svs"
    text.write_text("hello")
    assert run(monkeypatch, "verify", text) == 1
    assert "refused The file is not a slide" in capsys.readouterr().err.replace("\n", " ")
