"""What no source of ours does: evaluate text, unpickle, or hand a line to a shell."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("slideserver", "ingest", "sharing", "tiler")
EVALUATING = frozenset({"eval", "exec", "compile", "__import__"})
SHELLS = frozenset({"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"})
UNPICKLING = frozenset({"pickle", "marshal", "shelve", "dill", "joblib"})


def test_the_sources_evaluate_nothing_unpickle_nothing_and_run_no_shell() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(sources) > 150
    found = [f"{path.relative_to(ROOT)}: {what}" for path in sources for what in dangers(path.read_text())]
    assert found == []


def test_a_danger_is_noticed() -> None:
    for source in (
        "eval(x)",
        "import pickle",
        "subprocess.run('ls', shell=True)",
        "os.system(x)",
        "from pickle import *",
    ):
        assert list(dangers(source)), source


def dangers(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in EVALUATING | SHELLS:
                yield f"line {node.lineno}: {name}"
            if any(word.arg == "shell" and not is_false(word.value) for word in node.keywords):
                yield f"line {node.lineno}: a shell"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            yield from (f"line {node.lineno}: {each}" for each in modules if each.partition(".")[0] in UNPICKLING)


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
