"""Files that hold a secret, such as a scanner's key."""

import os
from pathlib import Path


def write_secret(path: Path, secret: str) -> None:
    """A file that its owner alone can read, from its first byte on, and that a power cut leaves whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())
