"""What the agent says: both languages whole, and a sentence with something to do for whatever can go wrong."""

import ast
import re
import string
from pathlib import Path

import pytest

import ingest.agent
from ingest.agent.messages import SENTENCES, Language, Words, language_from
from ingest.agent.reasons import REASONS
from ingest.heartbeat import Pause
from ingest.protocol import Problem
from tiler import errors as tiler_errors

ALIKE = re.compile(r"[\s:,%/]|\{\w+\}|s|min|h|Configuration")
# Mistakes of a program, or met by asking for the offset and going on; the server's own words do for them.
OF_PROGRAMS = {
    Problem.BAD_REQUEST, Problem.TUS_VERSION, Problem.UNKNOWN_UPLOAD, Problem.UNKNOWN_SLIDE, Problem.WRONG_OFFSET,
    Problem.UPLOAD_BUSY, Problem.PIECE_DAMAGED, Problem.WRONG_CONTENT_TYPE, Problem.BODY_STALLED,
}  # fmt: skip


def test_both_languages_say_the_same_things() -> None:
    for key, said in SENTENCES.items():
        fields = [{name for _, name, _, _ in string.Formatter().parse(said[each]) if name} for each in Language]
        assert set(said) == set(Language), key
        assert fields[0] == fields[1], key
        assert said["fr"] != said["en"] or not ALIKE.sub("", said["fr"]), key


def test_every_problem_that_a_person_can_meet_has_a_sentence() -> None:
    assert {f"problem-{problem}" for problem in set(Problem) - OF_PROGRAMS} <= REASONS.keys()


def test_every_reason_to_refuse_a_file_has_a_sentence() -> None:
    assert {f"refusal-{code}" for code in tiler_errors.REFUSALS} <= REASONS.keys()


def test_every_pause_has_a_sentence() -> None:
    assert {f"pause-{pause}" for pause in Pause} <= SENTENCES.keys()


def test_every_code_of_the_watch_has_a_sentence() -> None:
    found = set()
    for name in ("completeness", "courier", "queue", "search", "settling", "watching", "weather"):
        tree = ast.parse(Path(ingest.agent.__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        found |= {each for each in said if re.fullmatch(r"[a-z]+(-[a-z]+)+", each)}
    assert len(found) >= 14
    assert found <= {name.partition("-")[2] for name in REASONS}


def test_every_code_has_one_sentence_only() -> None:
    codes = [name.partition("-")[2] for name in REASONS if not name.endswith("-other")]
    assert len(codes) == len(set(codes))


def test_every_code_is_told_with_its_detail_or_without() -> None:
    for name in REASONS:
        for language in Language:
            words = Words(language)
            assert "{" not in words.why(name.partition("-")[2], "here") + words.why(name.partition("-")[2])


def test_an_unknown_code_is_told_in_the_servers_own_words() -> None:
    words = Words(Language.EN)
    assert "the moon is wrong" in words.why("moon", "the moon is wrong")
    assert "moon" in words.why("moon")
    assert "of cheese" in words.refusal("moon", "of cheese")
    assert words.refusal(None, None)


def test_the_servers_reason_stands_behind_what_to_do_when_it_gave_one() -> None:
    words = Words(Language.FR)
    assert words.refusal("damaged", "Il manque une table.").endswith("de nouveau. (Il manque une table.)")
    assert words.refusal("damaged", None).endswith("de nouveau.")
    assert words.why("damaged", "Il manque une table.") == words.refusal("damaged", "Il manque une table.")


@pytest.mark.parametrize(
    ("count", "fr", "en"),
    [
        (0, "0 o", "0 B"),
        (999, "999 o", "999 B"),
        (999_600, "1 Mo", "1 MB"),
        (1_234_567, "1,23 Mo", "1.23 MB"),
        (61_440_000_000, "61,4 Go", "61.4 GB"),
        (5e15, "5000 To", "5000 TB"),
    ],
)
def test_sizes_have_three_digits(count: float, fr: str, en: str) -> None:
    assert (Words(Language.FR).size(count), Words(Language.EN).size(count)) == (fr, en)


def test_spans_are_round() -> None:
    words = Words(Language.FR)
    assert [words.span(each) for each in (12.4, 89, 600, 7300)] == ["12 s", "89 s", "10 min", "2 h"]


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, Language.FR),
        ({"LANG": "C.UTF-8"}, Language.FR),
        ({"LANG": "fr_FR.UTF-8"}, Language.FR),
        ({"LANG": "en_GB.UTF-8"}, Language.EN),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "en_US"}, Language.EN),
        ({"LANG": "de_DE.UTF-8"}, Language.FR),
    ],
)
def test_french_unless_the_workstation_says_english(environ, language) -> None:
    assert language_from(environ) is language
