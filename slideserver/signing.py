"""The file with the key that signs checkpoints of the audit log: made at the first start, then only read."""

import os
from pathlib import Path

from sharing.checkpoints import Signer
from slideserver.secret_file import write_secret
from slideserver.settings import Settings

FILE_NAME = "checkpoint.key"


class SigningKeyError(Exception):
    """The file holds no key."""


def open_signer(settings: Settings) -> Signer:
    """Raises OSError and SigningKeyError."""
    path = settings.checkpoint_key_file or settings.var / FILE_NAME
    if not path.exists():
        _make(path)
    try:
        return Signer.from_text(path.read_text())
    except ValueError as error:
        raise SigningKeyError(
            f"{path} holds no key for checkpoints. Put it back from where the platform's secrets are kept; without it "
            "every witness takes the journal for another one."
        ) from error


def _make(path: Path) -> None:
    """Of several processes that start at once, one makes the key."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    write_secret(new, Signer.new().to_text())
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()
