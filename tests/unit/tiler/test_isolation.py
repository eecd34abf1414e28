"""The sandbox wherever Python lives and whoever runs it."""

import subprocess
import sys
from pathlib import Path

import PIL
import pytest
from fixtures.slides import SCAN

import tiler
from tiler import isolation
from tiler.slide import ALONE

CODE = """
import sys
from pathlib import Path
from tiler.sandbox import Sandbox
print(Sandbox("strict").probe(), len(Sandbox("strict").index_slide(Path(sys.argv[1])).index_bytes) > 1000)
"""


def interpreters() -> list[str]:
    """This one, as it is called here and without its virtual environment, and the system's if it is of the same
    version."""
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    return sorted({sys.executable, str(isolation._executable()), *([str(system)] if system.exists() else [])})


def index_with(interpreter: str, prefix: list[str]) -> str:
    places = {Path(tiler.__file__).parent.parent, Path(PIL.__file__).parent.parent}
    environment = {"PYTHONPATH": ":".join(map(str, places)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, interpreter, "-c", CODE, str(SCAN)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("interpreter", interpreters())
def test_it_works_with_every_interpreter(interpreter: str) -> None:
    assert index_with(interpreter, []) == "None True"


def test_it_works_for_somebody_who_is_not_root() -> None:
    """Everything of this machine, but as user 1000 without any privilege."""
    bubblewrap = str(next(isolation.bubblewraps()))
    nobody = [bubblewrap, "--unshare-user", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/", "--"]
    assert index_with(sys.executable, nobody) == "None True"


def test_a_link_to_a_slide_is_followed_before_it_is_shown(tmp_path: Path) -> None:
    link = tmp_path / "link.svs"
    link.symlink_to(SCAN)
    command = isolation.isolated(next(isolation.bubblewraps()), {ALONE: link}, [])
    assert str(SCAN.resolve()) in command
    assert str(link) not in command
