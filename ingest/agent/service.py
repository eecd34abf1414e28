"""The command `watch`: folders are watched, slides sent, and the server told how it goes, until somebody ends it."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import Event

from ingest.agent.client import Client
from ingest.agent.clock import SiteClock
from ingest.agent.config import Config, ConfigError, default_path
from ingest.agent.connection import UsageError, connect, server_of
from ingest.agent.exits import Exit
from ingest.agent.heart import Heart
from ingest.agent.pace import SitePace
from ingest.agent.queue import Queue
from ingest.agent.rules import Rules
from ingest.agent.screen import Screen
from ingest.agent.watching import OtherWatchError, Watch
from ingest.agent.witness import WatchScreen

LOG_BYTES, LOGS = 2_000_000, 5
BITS = 8
MBIT = 1_000_000


def watch(config: Config, screen: Screen) -> Exit:
    """Watches until a signal ends it. Raises UsageError."""
    words = screen.words
    if not config.folders:
        raise UsageError(words("folders-none", path=default_path()))
    server = server_of(config, words)
    clock = SiteClock(config.time_zone)
    limit = config.bandwidth_mbit * MBIT / BITS if config.bandwidth_mbit else None
    pace = SitePace(clock, config.quiet_hours, limit)

    def client() -> Client:
        return connect(config, words, pace.slice_bytes)

    client().close()  # a key or a certificate that cannot be read is told at once
    stop = Event()
    try:
        queue = Queue(config.state_folder)
    except OSError as error:  # a full disk, perhaps, and no mistake in the configuration: it may be started again
        screen.problem(words("state-unusable", path=config.state_folder, detail=error.strerror or error))
        return Exit.REFUSED
    failures: list[Exception] = []
    with queue, ended_by_signals(stop), screen.showing():
        folders = ", ".join(map(str, config.folders))
        screen.say(words("watching", server=server, names=folders))
        witness = WatchScreen(screen, config.glass)
        watching = Watch(_rules(config), queue, client, pace, witness)
        heart = Heart(client, queue, watching, pace, clock, config.folders, config.state_folder, paused=witness.paused)

        def beat() -> None:
            """A watch of which nobody hears is one that somebody has to start again."""
            try:
                heart.run(stop)
            except Exception as error:  # the edge of the thread: its end is the end of the watch
                failures.append(error)
                stop.set()

        beating = threading.Thread(target=beat, name="heart")
        beating.start()
        try:
            watching.run(stop)
        except OtherWatchError as error:
            raise UsageError(words("watch-other", path=config.state_folder)) from error
        except (OSError, UsageError) as error:  # all was well when it began
            screen.problem(str(error))
            return Exit.REFUSED
        finally:
            stop.set()
            beating.join()
    if failures:
        raise failures[0]
    screen.say(words("watch-ends"))
    return Exit.DONE


@contextmanager
def logging_to(path: Path | None) -> Iterator[Callable[[str, str], None] | None]:
    """Writes sentences into a file, each with its time; five files of two megabytes are kept. Raises ConfigError."""
    if path is None:
        yield None
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            path, maxBytes=LOG_BYTES, backupCount=LOGS - 1, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise ConfigError("log-unusable", path=path, detail=error.strerror or error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.Logger("iain-agent")
    logger.addHandler(handler)
    levels = logging.getLevelNamesMapping()
    try:
        yield lambda level, sentence: logger.log(levels[level.upper()], "%s", sentence)
    finally:
        handler.close()


def _rules(config: Config) -> Rules:
    return Rules(
        folders=config.folders,
        after=config.after,
        archive=config.archive,
        parallel=config.parallel,
        rest_s=config.rest_s,
        poll_s=min(5.0, config.rest_s),
        tell_after_s=config.tell_after_s,
        glass=config.glass,
    )


@contextmanager
def ended_by_signals(stop: Event) -> Iterator[None]:
    """Ctrl-C, the end of a service, and on Windows Ctrl-Break set `stop`; a second one ends the program at once."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGBREAK"):
        numbers.append(signal.SIGBREAK)
    before = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
