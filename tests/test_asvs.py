"""docs/asvs.csv: every requirement of OWASP ASVS 5.0.0 of levels 1 and 2, and what of it is true here.

The standard is not copied: an id, its level, and what we do, in words of our own.
"""

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "asvs.csv"
HEADS = ["id", "level", "applies", "status", "evidence", "how"]
PUBLISHED = {"1": 70, "2": 183}
"""How many requirements ASVS 5.0.0 has at these levels."""
TESTED, WRITTEN, UNMET = ("yes", "partly"), "documented", "no"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == HEADS
    return rows


def test_every_requirement_of_the_levels_stands_in_it_once_and_in_order(rows) -> None:
    ids = [row["id"] for row in rows]
    assert all(re.fullmatch(r"V(\d{1,2}\.){2}\d{1,2}", each) for each in ids)
    numbers = [tuple(map(int, each[1:].split("."))) for each in ids]
    assert numbers == sorted(set(numbers))
    levels = Counter(row["level"] for row in rows)
    assert {level: levels[level] for level in PUBLISHED} == PUBLISHED
    assert set(levels) <= {"1", "2", "3"}


def test_each_row_says_what_is_so(rows) -> None:
    for row in rows:
        assert len(row["how"]) >= 6, row
        if row["applies"] == "no":
            assert (row["status"], row["evidence"]) == ("", ""), row
        else:
            assert row["applies"] == "yes", row
            assert row["status"] in (*TESTED, WRITTEN, UNMET), row
            assert bool(row["evidence"]) == (row["status"] != UNMET), row


def test_what_is_met_is_held_by_a_test_and_what_is_written_stands_somewhere(rows) -> None:
    wrong = [row for row in rows if not stands(row["status"], row["evidence"])]
    assert wrong == []


def test_evidence_that_does_not_exist_is_noticed() -> None:
    assert stands("yes", "test_asvs.py::test_evidence_that_does_not_exist_is_noticed")
    for missing in ("test_asvs.py::test_of_nobody", "test_of_nobody.py::test_x", "test_asvs.py", ""):
        assert not stands("yes", missing)
    assert not stands("documented", "docs/nowhere.md")


def stands(status: str, evidence: str) -> bool:
    """Whether the test (`file::name`, below tests/) or the document is there."""
    if status in TESTED:
        file, _, name = evidence.partition("::")
        return bool(name) and name in _tests_of(file)
    return (ROOT / evidence).is_file() if status == WRITTEN else not evidence


@cache
def _tests_of(file: str) -> frozenset[str]:
    path = ROOT / "tests" / file
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)\(", source, re.MULTILINE))
