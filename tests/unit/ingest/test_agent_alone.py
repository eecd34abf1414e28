"""The agent beside a scanner: neither POSIX modules nor any package of the server is there, and every command works."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
OURS = ("ingest.agent", "ingest.heartbeat", "ingest.manifest", "ingest.protocol", "sharing.verifier")
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios", "syslog", "crypt"}

PROGRAM = """
import sys
ours, blocked, allowed = {ours!r}, {blocked!r}, {allowed!r}
class Door:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        mine = name in ("ingest", "sharing") or any(name == o or name.startswith(o + ".") for o in ours)
        python = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if top in blocked or not (mine or python or top in allowed):
            raise ModuleNotFoundError(f"{{name}} is not on a scanner's workstation", name=name)
sys.meta_path.insert(0, Door())
for name in [each for each in sys.modules if each.partition(".")[0] in blocked]:
    del sys.modules[name]
{statement}
"""


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The distributions that installing this one brings along, here, by their normalised names."""
    found: dict[str, frozenset[str]] = {}
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found and extras <= found[key]:
            continue
        found[key] = extras | found.get(key, frozenset())
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            environments = [{"extra": each} for each in (*extras, "")]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                todo.append((needed.name, frozenset(needed.extras)))
    return set(found)


def modules_of(distributions: set[str]) -> set[str]:
    return {
        module
        for module, names in metadata.packages_distributions().items()
        if any(re.sub(r"[-_.]+", "-", name).lower() in distributions for name in names)
    }


def of_the_server() -> set[str]:
    """Every module that the server's extra brings and the agent's does not, and our own packages."""
    agent, server = (closure("iain", frozenset({extra})) for extra in ("agent", "server"))
    return modules_of(server - agent) | {"tiler", "slideserver", "benchmarks", "tests"}


def run(statement: str, *arguments: object, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    allowed = modules_of(closure("iain", frozenset({"agent"})) - {"iain"}) - set(without)
    blocked = POSIX_ONLY | of_the_server()
    program = PROGRAM.format(ours=OURS, blocked=sorted(blocked), allowed=sorted(allowed), statement=statement)
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, env={"LANG": "en_GB.UTF-8"})


EVERY_MODULE = """
import pkgutil
import ingest.agent
names = [each.name for each in pkgutil.iter_modules(ingest.agent.__path__, "ingest.agent.")]
for name in names:
    __import__(name)
print(len(names))
"""
START = "import ingest.agent.cli; ingest.agent.cli.main()"


def test_every_command_starts_where_the_agents_own_extra_alone_is_installed() -> None:
    assert {"sqlalchemy", "pydantic_settings", "fastapi", "starlette", "numpy", "PIL", "jinja2"} <= of_the_server()
    done = run(START, "--help")
    assert done.returncode == 0, done.stderr
    for command in ("push", "watch", "status", "retry", "doctor", "witness", "version"):
        assert command in done.stdout


def test_no_module_of_the_agent_needs_pydantic_itself() -> None:
    """typer brings it along, and asks for it when a command is carried out; we do not rely on that."""
    done = run(EVERY_MODULE, without=("pydantic", "pydantic_core"))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 25


def test_a_doctor_looks_at_everything_there(tmp_path: Path) -> None:
    key = tmp_path / "scanner.key"
    key.write_text("iain_" + "a" * 26 + "_" + "b" * 43)
    key.chmod(0o600)
    config = tmp_path / "agent.toml"
    lines = {"server": "http://127.0.0.1:9", "key_file": key, "state_folder": tmp_path / "state"}
    folders = f"folders = ['{tmp_path}']\n"
    config.write_text(folders + "".join(f"{name} = '{value}'\n" for name, value in lines.items()))
    done = run(START, "doctor", "--config", config)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "Check the network cable" in done.stderr
    assert "readable" in done.stdout


def test_the_door_is_shut_for_everything_else() -> None:
    names = ["ingest.receive", "sqlalchemy", "numpy", "sharing.sites", "fcntl", "pytest"]
    tries = "".join(
        f"try:\n    import {name}\nexcept ModuleNotFoundError as error:\n    print(error)\n" for name in names
    )
    assert run(tries).stdout.count("is not on a scanner's workstation") == len(names)


def test_a_package_that_the_extra_does_not_name_is_missed() -> None:
    """The control of the closure: without one of its packages the agent does not start."""
    assert "rich is not on a scanner's workstation" in run(START, "--help", without=("rich",)).stderr
