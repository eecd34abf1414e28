"""The command `doctor`: everything that has to be right before slides travel by themselves, looked at one by one."""

import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.agent.client import Client, KeyRefusedError, RefusedError, TransientError
from ingest.agent.clock import SiteClock
from ingest.agent.config import Config
from ingest.agent.connection import UsageError, connect, warnings
from ingest.agent.exits import Exit
from ingest.agent.messages import Words
from ingest.agent.pace import SitePace
from ingest.agent.queue import FILE_NAME
from ingest.agent.rules import After
from ingest.agent.screen import Screen

LOW_BYTES = 10_000_000_000
LOWEST_BYTES = 1_000_000_000
SKEW_MAX_S = 30
_NOBODY = "0" * 64


class Level(StrEnum):
    """FINE; WARN: works, but not well or not for long; BAD: slides do not travel until somebody does something."""

    FINE = "fine"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what to do about it, in one or two sentences."""

    level: Level
    sentence: str


def doctor(config: Config, config_path: Path, screen: Screen) -> Exit:
    """Tells every finding; REFUSED when one of them is bad."""
    words = screen.words
    bad = 0
    for finding in examine(config, config_path, words):
        match finding.level:
            case Level.FINE:
                screen.say(f"✓ {finding.sentence}")
            case Level.WARN:
                screen.warn(f"! {finding.sentence}")
            case Level.BAD:
                screen.problem(f"✗ {finding.sentence}")
                bad += 1
    screen.say(words("doctor-bad", number=bad) if bad else words("doctor-fine"))
    return Exit.REFUSED if bad else Exit.DONE


def examine(config: Config, config_path: Path, words: Words) -> Iterator[Finding]:
    """One finding after the other, as they come in."""
    is_there = config_path.is_file()
    yield Finding(Level.FINE, words("config-fine" if is_there else "config-none", path=config_path))
    for sentence in warnings(config, words):
        yield Finding(Level.WARN, sentence)
    yield from _server(config, words)
    yield from _hours(config, words)
    yield from _queue(config.state_folder, words)
    if not config.folders:
        yield Finding(Level.BAD, words("folders-none", path=config_path))
    for folder in config.folders:
        yield from _folder(folder, config.after, words)
    if config.after is After.MOVE and config.archive:
        yield from _archive(config.archive, words)
    for folder in dict.fromkeys((config.state_folder, *config.folders)):
        if folder.exists():  # that it is not there was told
            yield from _disk(folder, words)


def _server(config: Config, words: Words) -> Iterator[Finding]:
    """Address, certificate, key and clock: one question tells all four."""
    try:
        client = connect(config, words)
    except UsageError as error:
        yield Finding(Level.BAD, str(error))
        return
    with client:
        began = time.monotonic()
        try:
            client.known(_NOBODY)
        except KeyRefusedError as error:
            yield Finding(Level.BAD, words("key-bad", path=config.key_file, why=words.why(error.code, error.detail)))
        except (TransientError, RefusedError) as error:
            yield Finding(Level.BAD, words("server-bad", server=config.server, why=words.why(error.code, error.detail)))
        else:
            span_ms = round((time.monotonic() - began) * 1000)
            yield Finding(Level.FINE, words("server-fine", server=config.server, span_ms=span_ms))
            yield Finding(Level.FINE, words("key-fine", path=config.key_file))
        yield from _clock(client, words)


def _clock(client: Client, words: Words) -> Iterator[Finding]:
    if said_at := client.said_at():
        skew = round(time.time() - said_at.timestamp())
        level = Level.WARN if abs(skew) > SKEW_MAX_S else Level.FINE
        yield Finding(level, words("clock-fine" if level is Level.FINE else "clock-bad", skew=f"{skew:+d}"))


def _hours(config: Config, words: Words) -> Iterator[Finding]:
    clock = SiteClock(config.time_zone)
    now, closed_s = f"{clock.now():%H:%M}", SitePace(clock, config.quiet_hours).closed_s()
    name = "quiet-now" if closed_s else "quiet-not"
    yield Finding(Level.FINE, words(name, now=now, zone=config.time_zone.key, span=words.span(closed_s)))


def _queue(folder: Path, words: Words) -> Iterator[Finding]:
    if reason := _unwritable(folder):
        yield Finding(Level.BAD, words("state-unusable", path=folder, detail=reason))
        return
    path = folder / FILE_NAME
    try:
        if path.exists():
            with closing(sqlite3.connect(path)) as db:
                sound = db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            if not sound:
                raise sqlite3.DatabaseError
        yield Finding(Level.FINE, words("state-fine", path=path))
    except sqlite3.DatabaseError:
        yield Finding(Level.WARN, words("state-damaged", path=path))


def _folder(folder: Path, after: After, words: Words) -> Iterator[Finding]:
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except FileNotFoundError:
        yield Finding(Level.BAD, words("folder-bad", path=folder, why=words.why("folder-missing")))
        return
    except OSError as error:
        why = words.why("folder-unreadable", error.strerror or str(error))
        yield Finding(Level.BAD, words("folder-bad", path=folder, why=why))
        return
    if after is not After.KEEP and (reason := _unwritable(folder)):
        yield Finding(Level.BAD, words("folder-fixed", path=folder, detail=reason))
    else:
        yield Finding(Level.FINE, words("folder-fine", path=folder))


def _archive(folder: Path, words: Words) -> Iterator[Finding]:
    if reason := _unwritable(folder):
        yield Finding(Level.BAD, words("archive-bad", path=folder, detail=reason))


def _disk(folder: Path, words: Words) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    level = Level.BAD if free < LOWEST_BYTES else Level.WARN if free < LOW_BYTES else Level.FINE
    name = "disk-fine" if level is Level.FINE else "disk-low"
    yield Finding(level, words(name, path=folder, free=words.size(free)))


def _unwritable(folder: Path) -> str | None:
    """Why nothing can be made and removed in a folder, or in the one in which it would be made; found out by trying,
    because rights alone do not tell on every system. A watch of the folder passes over names that begin with a dot."""
    folder = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    probe = folder / f".iain-{secrets.token_hex(4)}"
    steps: tuple[Callable[[], object], ...] = (lambda: probe.write_bytes(b"iain"), probe.unlink)
    try:
        for step in steps:
            step()
    except OSError as error:
        return error.strerror or str(error)
    return None
