"""The command `witness`: rounds of `ingest.agent.cosigner`, once or again and again, until somebody ends it."""

import re
import secrets
import ssl
import time
from pathlib import Path
from threading import Event

from ingest.agent.client import KeyRefusedError, NotOurServerError, TransientError, UntrustedError
from ingest.agent.config import Config
from ingest.agent.connection import UsageError, server_of
from ingest.agent.cosigner import UNNAMED, Looked, look
from ingest.agent.cosigner_client import PlatformLogs
from ingest.agent.cosigner_record import Cosigner, RecordError, open_cosigner
from ingest.agent.exits import Exit
from ingest.agent.messages import Words
from ingest.agent.screen import Screen
from ingest.agent.service import ended_by_signals
from sharing.verifier import NoteError, parse_key

FOLDER = "witness"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")


def witness(
    config: Config, screen: Screen, *, name: str | None, every_min: float | None, platform_key: str | None
) -> Exit:
    """Looks at the logs of the platform once, or every so many minutes until a signal ends it. Raises UsageError."""
    server = server_of(config, screen.words)
    trusted = _public(platform_key, screen.words)
    cosigner = opened(config, screen.words, name)
    stop = Event()
    with _connected(config, screen.words, server, cosigner) as platform, ended_by_signals(stop):
        code = _round(cosigner, platform, screen, trusted)
        while every_min is not None:
            screen.say(screen.words("witness-next", span=screen.words.span(every_min * 60)))
            if stop.wait(every_min * 60):
                return Exit.INTERRUPTED
            code = _round(cosigner, platform, screen, trusted)
    return code


def show_key(config: Config, screen: Screen, *, name: str | None) -> Exit:
    """Prints the public key; makes it at the first call. Raises UsageError."""
    key = opened(config, screen.words, name).key
    screen.warn(screen.words("witness-key"))
    print(key)
    return Exit.DONE


def accept(config: Config, screen: Screen, *, name: str | None, site: str) -> Exit:
    """Begins anew with the log of a site, on a person's word that a backup was restored. Raises UsageError."""
    cosigner = opened(config, screen.words, name)
    origins = [origin for origin in cosigner.logs if origin.rpartition("/")[2] == site]
    if not origins:
        known = ", ".join(sorted(origin.rpartition("/")[2] for origin in cosigner.logs)) or "-"
        raise UsageError(screen.words("witness-no-log", site=site, known=known))
    for origin in origins:
        cosigner.begin_anew(origin, int(time.time()))
    screen.say(screen.words("witness-accepted", site=site))
    return Exit.DONE


def opened(config: Config, words: Words, name: str | None) -> Cosigner:
    """The witness of this machine, which keeps the name it was made with. Raises UsageError."""
    called = name or f"witness-{secrets.token_hex(4)}"
    if not _NAME.fullmatch(called):
        raise UsageError(words("witness-bad-name", name=called))
    folder: Path = config.state_folder / FOLDER
    try:
        cosigner = open_cosigner(folder, called)
    except RecordError as error:
        raise UsageError(words(error.sentence, **error.values)) from error
    except OSError as error:
        raise UsageError(words("state-unusable", path=folder, detail=error.strerror or error)) from error
    if name and cosigner.key.name != name:
        raise UsageError(words("witness-other-name", name=cosigner.key.name, asked=name, path=folder))
    return cosigner


def _connected(config: Config, words: Words, server: str, cosigner: Cosigner) -> PlatformLogs:
    try:
        return PlatformLogs(server, cosigner, lambda: int(time.time()), config.ca_file)
    except (OSError, ssl.SSLError) as error:
        detail = error.strerror or str(error)
        raise UsageError(words("bad-ca-file", path=config.ca_file, detail=detail)) from error


def _public(platform_key: str | None, words: Words) -> bytes | None:
    try:
        return parse_key(platform_key).public if platform_key else None
    except NoteError as error:
        raise UsageError(words("witness-bad-platform-key", key=platform_key)) from error


def _round(cosigner: Cosigner, platform: PlatformLogs, screen: Screen, trusted: bytes | None) -> Exit:
    words, worst, count = screen.words, Exit.DONE, 0
    refused: list[Looked] = []
    try:
        for looked in look(cosigner, platform, now_s=int(time.time()), platform_key=trusted):
            count += 1
            sentence = words(looked.sentence, **looked.values)
            if looked.contradiction:
                screen.problem(sentence)
                worst = Exit.REFUSED
                refused.append(looked)
            else:
                screen.say(sentence)
    except KeyRefusedError:
        screen.problem(words("witness-unknown", key=cosigner.key))
        return Exit.KEY_REFUSED
    except (TransientError, NotOurServerError, UntrustedError) as error:
        screen.problem(words("witness-unreachable", detail=error.detail))
        return max(worst, Exit.UNREACHABLE)
    _tell(platform, refused, screen)
    if not count:
        screen.say(words("witness-none"))
    return worst


def _tell(platform: PlatformLogs, refused: list[Looked], screen: Screen) -> None:
    """The people of the platform, after all logs were looked at: a platform that does not want to hear it stops
    nothing."""
    for looked in refused:
        if looked.site == UNNAMED:
            continue
        try:
            platform.refuse(looked.site, looked.sentence)
        except (TransientError, KeyRefusedError, NotOurServerError, UntrustedError) as error:
            screen.warn(screen.words("witness-untold", site=looked.site, detail=error.detail))
