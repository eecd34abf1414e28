"""What the technician sees: on a terminal a bar with rate and time left for each slide that travels, and one sentence
for whatever happened; elsewhere (a log, a service) the sentences alone."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ingest.agent.client import TransientError
from ingest.agent.messages import Words

NAME_CHARS = 32


class Screen:
    """Bars and sentences; may be used from several threads."""

    def __init__(self, words: Words, out: Console, err: Console, log: Callable[[str, str], None] | None = None) -> None:
        """`log` is handed every sentence, too, after the name of its level: info, warning or error."""
        self.words, self._out, self._err, self._log = words, out, err, log
        self._progress: Progress | None = None
        self._tasks: dict[Hashable, TaskID] = {}

    @property
    def is_terminal(self) -> bool:
        return self._out.is_terminal

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Bars may be shown while the block runs, and are gone when it ends."""
        columns = (
            TextColumn("{task.fields[name]}", markup=False),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._out, transient=True, disable=not self.is_terminal) as progress:
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None
                self._tasks.clear()

    def advance(self, bar: Hashable, name: str, step: str, done: int | None = None, total: int | None = None) -> None:
        """Moves a bar of this slide, a new one when there is none; `step`: the sentence that names it."""
        progress = self._progress
        if progress is None:
            return
        if bar not in self._tasks:
            name = name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
            # What the server holds from an earlier run is there at once, and no part of this run's rate.
            self._tasks[bar] = progress.add_task(self.words(step), name=_plain(name), total=total, completed=done or 0)
        if done is not None:
            progress.update(self._tasks[bar], completed=done)

    def remove(self, bar: Hashable) -> None:
        if self._progress and (task := self._tasks.pop(bar, None)) is not None:
            with suppress(KeyError):
                self._progress.remove_task(task)

    def say(self, sentence: str) -> None:
        self._print(self._out, sentence, "info")

    def warn(self, sentence: str) -> None:
        self._print(self._err, sentence, "warning", "yellow")

    def problem(self, sentence: str) -> None:
        self._print(self._err, sentence, "error", "bold red")

    def _print(self, console: Console, sentence: str, level: str, style: str | None = None) -> None:
        sentence = _plain(sentence)
        # Only a terminal has a width; a log keeps one sentence on one line.
        # A full disk, or a reader that is gone, for which rich ends the thread, must not end an upload.
        with suppress(OSError, SystemExit):
            console.print(
                sentence, markup=False, emoji=False, highlight=False, style=style, soft_wrap=not console.is_terminal
            )
        if self._log:
            self._log(level, sentence)


class PushScreen:
    """A `Report` about one slide."""

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen, self._name = screen, name

    def hashing(self, done: int, total: int) -> None:
        self._screen.advance("hashing", self._name, "hashing", done, total)

    def sending(self, done: int, total: int) -> None:
        self._screen.advance("sending", self._name, "sending", done, total)

    def preparing(self) -> None:
        self._screen.advance("preparing", self._name, "preparing")

    def retrying(self, problem: TransientError, pause_s: float) -> None:
        words = self._screen.words
        self._screen.warn(words("retrying", why=words.why(problem.code, problem.detail), seconds=pause_s))


def _plain(text: str) -> str:
    """Without characters that move a cursor, or that no console can write; French narrow spaces as plain ones."""
    return "".join(each if each.isprintable() else " " if each.isspace() else "�" for each in text)
