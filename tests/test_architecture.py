"""What the folders promise each other, beyond the import contracts in `pyproject.toml`: what an import costs."""

import subprocess
import sys

import pytest

SERVER_PACKAGES = {
    "fastapi",
    "starlette",
    "sqlalchemy",
    "pydantic",
    "numpy",
    "PIL",
    "openslide",
    "sharing",
    "slideserver",
    "alembic",
}
POSIX_ONLY = {"fcntl", "resource", "pwd", "grp", "termios"}


def modules_after(statement: str, *, blocked: set[str] = frozenset()) -> set[str]:
    """Top-level modules loaded by `statement` in a fresh interpreter in which importing a `blocked` one fails."""
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(blocked)!r}))\n"
        f"{statement}\n"
        "names = {name.partition('.')[0] for name, module in sys.modules.items() if module is not None}\n"
        "print(*sorted(names), sep='\\n')"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_agent_starts_where_no_server_package_is_installed() -> None:
    packages = SERVER_PACKAGES - {"sharing"}  # of which it sees one file: tests/unit/ingest/test_agent_alone.py
    loaded = modules_after("import ingest.agent.cli", blocked=packages | POSIX_ONLY)
    assert not loaded & packages


def test_importing_the_tiler_loads_no_codec() -> None:
    assert not modules_after("import tiler") & {"PIL", "numpy", "openslide", "tifffile"}


def test_the_probe_itself_sees_a_forbidden_import() -> None:
    """The control: without it, a probe that saw nothing would pass the two tests above."""
    assert "sqlalchemy" in modules_after("import sharing.db.engine")
    with pytest.raises(AssertionError, match="sqlalchemy"):
        modules_after("import sqlalchemy", blocked={"sqlalchemy"})
