"""What the agent says, and to whom it can say it: both languages whole, and no server package in sight."""

import string
import subprocess
import sys

import pytest

from ingest.agent.messages import SENTENCES, Language, Words, language_from
from ingest.protocol import Problem
from tiler import errors as tiler_errors

BLOCKED = [
    "fcntl", "pwd", "grp", "resource", "termios",
    "sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "numpy", "PIL", "openslide", "jinja2",
    "sharing", "tiler", "slideserver", "ingest.receive", "ingest.arrival", "ingest.parts", "ingest.jobs",
    "ingest.register", "ingest.worker", "ingest.errors", "ingest.sets",
]  # fmt: skip

PROGRAM = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if any(name == blocked or name.startswith(blocked + ".") for blocked in {BLOCKED!r}):
            raise ModuleNotFoundError(f"{{name}} is not on a scanner's workstation", name=name)
sys.meta_path.insert(0, Block())
for name in {BLOCKED!r}:
    sys.modules.pop(name, None)
import ingest.agent.cli
sys.argv = ["iain-agent", "push", "--help"]
ingest.agent.cli.main()
"""


def test_the_agent_starts_without_server_packages_and_without_posix_modules() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--accession" in done.stdout


def test_the_block_above_bites() -> None:
    blocked = PROGRAM.replace("import ingest.agent.cli\n", "import ingest.receive\n")
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60)
    assert "is not on a scanner's workstation" in done.stderr


@pytest.mark.parametrize("key", SENTENCES)
def test_both_languages_say_the_same_things(key: str) -> None:
    fields = {
        language: {name for _, name, _, _ in string.Formatter().parse(text) if name}
        for language, text in SENTENCES[key].items()
    }
    assert set(fields) == set(Language)
    assert fields[Language.FR] == fields[Language.EN]
    assert SENTENCES[key][Language.FR] != SENTENCES[key][Language.EN]


def test_every_problem_that_a_technician_can_meet_has_a_sentence() -> None:
    # The others are mistakes of a program, or are met by waiting; the server's own words do for them.
    met_by_people = {
        Problem.KEY_REFUSED, Problem.TOO_LARGE, Problem.TOO_MANY_UPLOADS, Problem.FILE_DAMAGED, Problem.DISK_FULL,
        Problem.STORE_FAILED,
    }  # fmt: skip
    assert {f"problem-{problem}" for problem in met_by_people} <= SENTENCES.keys()


def test_every_reason_to_refuse_a_file_has_a_sentence() -> None:
    assert {f"refusal-{code}" for code in tiler_errors.REFUSALS} <= SENTENCES.keys()


def test_an_unknown_code_is_told_in_the_servers_own_words() -> None:
    words = Words(Language.EN)
    assert "the moon is wrong" in words.problem("moon", "the moon is wrong")
    assert "of cheese" in words.refusal("moon", "of cheese")
    assert words.refusal(None, None)


def test_the_servers_reason_stands_behind_what_to_do_when_it_gave_one() -> None:
    words = Words(Language.FR)
    assert words.refusal("damaged", "Il manque une table.").endswith("de nouveau. (Il manque une table.)")
    assert words.refusal("damaged", None).endswith("de nouveau.")


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
