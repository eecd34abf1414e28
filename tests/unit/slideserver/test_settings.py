import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from slideserver.settings import Settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def _no_settings_around_us(monkeypatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"IAIN_{name.upper()}", raising=False)


def test_every_setting_is_documented_with_its_default_and_nothing_else_is() -> None:
    documented = dict(
        re.findall(r"^\| `IAIN_([A-Z_]+)` \| `([^`]*)`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    )
    defaults = {name.upper(): field.get_default() for name, field in Settings.model_fields.items()}
    assert documented == {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in defaults.items()
    }


def test_settings_come_from_the_environment_and_the_command_line_wins(monkeypatch) -> None:
    monkeypatch.setenv("IAIN_PORT", "9000")
    monkeypatch.setenv("IAIN_SANDBOX", "weak")
    assert Settings().port == 9000
    assert Settings(port=9001) == Settings(port=9001, sandbox="weak")


def test_nonsense_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("IAIN_SANDBOX", "off")
    with pytest.raises(ValidationError, match="sandbox"):
        Settings()


def test_without_an_address_the_database_is_a_file_in_the_data_directory(tmp_path) -> None:
    assert Settings(var=tmp_path).database == f"sqlite:///{tmp_path}/iain.db"
    assert Settings(database_url="postgresql://x/y").database == "postgresql://x/y"
