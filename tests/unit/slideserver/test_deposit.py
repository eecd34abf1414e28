"""What the page for a person's slides says is what its script and the server have to say."""

import re
from pathlib import Path

from ingest.protocol import Problem
from slideserver.pages import deposit

SCRIPTS = Path(deposit.__file__).parents[2] / "viewer" / "src" / "deposit"
# The script meets these by asking anew, or they would be a mistake in the script itself.
WITHOUT_WORDS = {
    Problem.TUS_VERSION,
    Problem.UNKNOWN_UPLOAD,
    Problem.UNKNOWN_SLIDE,
    Problem.WRONG_OFFSET,
    Problem.PIECE_DAMAGED,
    Problem.WRONG_CONTENT_TYPE,
    Problem.BODY_STALLED,
    Problem.KEY_REFUSED,
}


def test_every_problem_of_the_server_has_words():
    assert {str(problem) for problem in Problem} - deposit.PROBLEMS.keys() == {str(each) for each in WITHOUT_WORDS}


def test_every_saying_is_said_and_has_its_words():
    text = "\n".join(path.read_text() for path in SCRIPTS.glob("*.ts"))
    said = set(re.findall(r'say\(\s*"(\w+)"', text)) | set(re.findall(r'button\("(\w+)"', text))
    said |= {f"{key}_{number}" for key in re.findall(r'count\("(\w+)"', text) for number in ("one", "many")}
    chosen = {"queued", "to_send", "claim", "other_case", "unmatched", "unnamed", "hindered", "safe", "open", "attach"}
    assert {key for key in chosen if f'"{key}"' not in text} == set()
    assert said | chosen | {"failed", "refused", "ready"} == deposit.SAYINGS.keys()
