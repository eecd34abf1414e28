"""What the documents say of the project is so: links lead somewhere, commands exist, words are those of the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *(ROOT / "docs").rglob("*.md")])
DOCUMENTS = [path for path in DOCUMENTS if not {".venv", ".build", "node_modules"} & set(path.parts)]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)\s]*)?\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_in_code_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```\n(.*?)```|`([^`\n]+)`", document.read_text(), re.DOTALL)
    named = {
        target for block, inline in code for target in re.findall(r"^make ([a-z-]+)", block or inline, re.MULTILINE)
    }
    assert named <= targets


def test_the_readme_shows_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "make run" in readme
    assert "make test" in readme


def test_types_of_the_glossary_exist() -> None:
    """A single capitalised word in the first column is the name of a class."""
    glossary = (ROOT / "GLOSSARY.md").read_text()
    words = {word for row in re.findall(r"^\| ([^|]+) \|", glossary, re.MULTILINE) for word in row.strip().split(", ")}
    sources = "\n".join(
        path.read_text()
        for folder in ("tiler", "sharing", "ingest", "slideserver")
        for path in (ROOT / folder).rglob("*.py")
    )
    classes = set(re.findall(r"^class (\w+)|^(?:type )?([A-Z]\w+)(?:: \w+)? =", sources, re.MULTILINE))
    names = {name for pair in classes for name in pair if name}
    camel = {word for word in words if re.fullmatch(r"([A-Z][a-z]+){2,}", word)}
    plain = {"Site", "Member", "Agent", "Subject", "Scanner", "Case", "Slide", "Level", "Decision"} & words
    assert plain, "the glossary's table could not be read"
    unknown = {word for word in plain | camel if word not in names and f"{word}Row" not in names}
    assert not unknown


def test_decisions_are_numbered_once_and_in_order() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


LOCKS = ["requirements/run.lock", "requirements/dev.lock", "requirements/node.lock", "benchmarks/requirements.lock"]


@pytest.mark.parametrize("lock", [*LOCKS, "viewer/package-lock.json"])
def test_lock_files_name_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "sha512-" in text or "--hash=sha256:" in text
    assert "://" not in text
