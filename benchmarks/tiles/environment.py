"""The peers' own Python environment, from the lock file beside the benchmarks; nothing of the project is in it."""

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.tiles.processes import ServerError

APPLICATIONS = Path(__file__).parent / "apps"
LOCK = Path(__file__).parents[1] / "requirements.lock"


def peers_environment(directory: Path) -> Path:
    """The `bin` directory of the environment in `directory`, made once per lock file. Raises ServerError."""
    stamp = directory / f"lock-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        python = directory / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCK)
        installed = subprocess.run(pip, capture_output=True, text=True, check=False)
        if installed.returncode:
            raise ServerError(f"The peers could not be installed:\n{installed.stderr.strip()}")
        stamp.touch()
    return directory / "bin"
