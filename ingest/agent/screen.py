"""What the technician sees: a bar with rate and time left while a slide travels, then one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    """A `Report` on a terminal; elsewhere (a log, a service) only the sentences are written."""

    def __init__(self, words: Words, out: Console, err: Console) -> None:
        self._words, self._out, self._err = words, out, err
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def showing(self, slide: str) -> Iterator[None]:
        """The bars of one slide, gone when the block ends."""
        name = slide if len(slide) <= NAME_CHARS else f"{slide[: NAME_CHARS - 1]}…"
        columns = (
            TextColumn("{task.fields[name]}", markup=False),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        visible = self._out.is_terminal
        with Progress(*columns, console=self._out, transient=True, disable=not visible) as progress:
            self._progress, self._name = progress, name
            try:
                yield
            finally:
                self._progress = None
                self._tasks.clear()

    def hashing(self, done: int, total: int) -> None:
        self._advance("hashing", done, total)

    def sending(self, done: int, total: int) -> None:
        self._advance("sending", done, total)

    def preparing(self) -> None:
        if self._progress and "preparing" not in self._tasks:
            task = self._progress.add_task(self._words("preparing"), name=self._name, total=None)
            self._tasks["preparing"] = task

    def retrying(self, problem: TransientError, pause_s: float) -> None:
        why = self._words.problem(problem.code, problem.detail)
        self.warn(self._words("retrying", why=why, seconds=pause_s))

    def say(self, sentence: str) -> None:
        self._print(self._out, sentence)

    def warn(self, sentence: str) -> None:
        self._print(self._err, sentence, "yellow")

    def problem(self, sentence: str) -> None:
        self._print(self._err, sentence, "bold red")

    def _print(self, console: Console, sentence: str, style: str | None = None) -> None:
        # Only a terminal has a width; a log keeps one sentence on one line.
        console.print(sentence, markup=False, highlight=False, style=style, soft_wrap=not console.is_terminal)

    def _advance(self, step: str, done: int, total: int) -> None:
        if not self._progress:
            return
        if step not in self._tasks:
            # What the server holds from an earlier run is there at once, and no part of this run's rate.
            description = self._words(step)
            self._tasks[step] = self._progress.add_task(description, name=self._name, total=total, completed=done)
        self._progress.update(self._tasks[step], completed=done)
