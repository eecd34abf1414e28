"""From what is configured to a client: the address, the key and the certificate, each checked before it is used."""

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ingest.agent.client import SLICE_BYTES, Client
from ingest.agent.config import Config, default_path
from ingest.agent.messages import Words

KEY_MAX_BYTES, KEY_BEGINS = 1024, "iain_"
_HOSTS_AT_HOME = frozenset({"localhost", "127.0.0.1", "::1"})


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is a whole sentence in the user's language."""


def connect(config: Config, words: Words, slice_bytes: int = SLICE_BYTES) -> Client:
    """A client of the configured server; nothing is asked of it yet. Raises UsageError."""
    server, key = server_of(config, words), key_of(config, words)

    def renewed_key() -> str:
        """A new key may have been put into the file: no service has to be started anew for it."""
        try:
            return key_of(config, words)
        except UsageError:
            return key

    try:
        return Client(server, key, config.ca_file, words.language, slice_bytes, renewed_key)
    except (OSError, ssl.SSLError) as error:
        detail = error.strerror or str(error)
        raise UsageError(words("bad-ca-file", path=config.ca_file, detail=detail)) from error


def server_of(config: Config, words: Words) -> str:
    """The server's address. Raises UsageError."""
    if config.server is None:
        raise UsageError(words("config-missing", key="server", option="server", path=default_path()))
    try:
        address = urlsplit(config.server)
        sound = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(words("bad-server", server=config.server))
    return config.server


def key_of(config: Config, words: Words) -> str:
    """The scanner's key. Raises UsageError."""
    path = config.key_file
    if path is None:
        raise UsageError(words("config-missing", key="key_file", option="key-file", path=default_path()))
    try:
        with path.open("rb") as file:
            key = file.read(KEY_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        # Whoever wrote the key itself in place of its file does not want to read it in a log.
        path = path.with_name(f"{KEY_BEGINS}…") if path.name.startswith(KEY_BEGINS) else path
        raise UsageError(words("key-file-missing", path=path, detail=error.strerror or type(error).__name__)) from error
    if not key.startswith(KEY_BEGINS) or not key.isprintable() or not key.isascii() or " " in key:
        raise UsageError(words("key-file-bad", path=path))
    return key


def warnings(config: Config, words: Words) -> Iterator[str]:
    """What is unwise about the connection, in sentences."""
    if config.server:
        address = urlsplit(config.server)
        if address.scheme == "http" and address.hostname not in _HOSTS_AT_HOME:
            yield words("clear-text", server=config.server)
    if config.key_file and _is_open(config.key_file):
        yield words("key-file-open", path=config.key_file)


def _is_open(path: Path) -> bool:
    """Whether other accounts can read the file; Windows does not say so in the mode of a file."""
    try:
        return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False
