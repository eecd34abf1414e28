import json
from pathlib import Path

import pytest

from slideserver.assets import Assets


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / ".vite").mkdir()
    manifest = {
        "_shared.js": {"file": "assets/shared-1.js", "css": ["assets/tokens-1.css"]},
        "src/pages.ts": {"file": "assets/pages-1.js", "css": ["assets/pages-1.css"], "imports": ["_shared.js"]},
        "src/viewer.ts": {"file": "assets/viewer-1.js", "imports": ["_shared.js", "src/pages.ts"]},
    }
    (tmp_path / ".vite" / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_an_entry_brings_its_script_and_the_styles_of_all_it_imports_once(static) -> None:
    asset = Assets(static)("src/viewer.ts")
    assert asset.script == "/static/assets/viewer-1.js"
    assert asset.styles == ("/static/assets/tokens-1.css", "/static/assets/pages-1.css")


def test_an_entry_that_was_not_built_is_named(tmp_path) -> None:
    with pytest.raises(KeyError, match=r"src/pages\.ts"):
        Assets(tmp_path)("src/pages.ts")
