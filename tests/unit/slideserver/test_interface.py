"""What the explanation of the interface says is what the pages do."""

import re
from pathlib import Path

from slideserver.pages.navigation import PLACES
from slideserver.rendering import TEMPLATES

DOCUMENT = Path(__file__).parents[3] / "docs" / "explanations" / "interface.md"
SCRIPT = Path(__file__).parents[3] / "viewer" / "src" / "pages" / "keys.ts"


def documented_keys() -> set[str]:
    text = DOCUMENT.read_text()
    table = text[text.index("On the pages:") : text.index("In the viewer:")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    return {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}


def test_every_key_that_a_page_shows_is_explained():
    shown = {
        key for page in TEMPLATES.glob("*.html") for key in re.findall(r"<kbd[^>]*>([^<{]+)</kbd>", page.read_text())
    }
    shown |= {place.key for place in PLACES}
    assert shown == documented_keys() - {"↓", "↑"}


def test_every_key_that_the_script_knows_is_explained():
    known = set(re.findall(r'case "(.)":', SCRIPT.read_text()))
    assert known | {"g", "↵", "↓", "↑"} | {place.key for place in PLACES} == documented_keys()


def test_every_page_of_the_head_is_explained():
    text = DOCUMENT.read_text()
    assert all(f"`{place.path}`" in text for place in PLACES)
