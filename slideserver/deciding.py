"""Decisions about pictures, made in a process of their own.

What a miss of `slideserver.access` costs is computing, most of it; done in a thread of a process that answers requests,
it holds up everybody's tiles there, which need the same interpreter. So where several processes answer, one more
decides for all of them, and lets them go first (docs/adr/0026).

Each asks by lines that were laid before any process was started. One that takes the place of a dead one finds them in
its hands, with whatever its predecessor did not read: every question has a number, and only its own answer counts.
"""

import logging
import os
import queue
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import TypeAdapter

from sharing.db.engine import BUSY
from sharing.errors import BusyError
from slideserver.admissions import Admitting, Decision, Key
from slideserver.counter import CONCERNS_ALL

# Longer than anybody waits for a turn to write.
ANSWERED_WITHIN_S = 20.0
# Thirty decisions take twenty thousand bytes; a question, with credentials no longer than ours, less.
MOST_BYTES = 1 << 19
# So much later than those who answer requests, when all want a processor.
NICE = 5

Line = tuple[socket.socket, socket.socket]
"""The end that asks, and the end that decides."""

log = logging.getLogger(__name__)


class UndecidedError(Exception):
    """Deciding failed, in words for the log."""


@dataclass(frozen=True, slots=True)
class Question:
    number: str
    admit: bool
    """Whether who is not on record is to be put there, or only those are asked about who are."""
    keys: Sequence[Key]


@dataclass(frozen=True, slots=True)
class Told:
    number: str
    """Of the question; empty when a process begins to decide, and knows of no question that was asked before."""
    decisions: Sequence[Decision | None] = ()
    """In the order of the keys."""
    busy: bool = False
    """The database cannot be had."""
    problem: str = ""


QUESTION, TOLD = TypeAdapter(Question), TypeAdapter(Told)
"""How they look on a line."""


def lay(count: int) -> list[Line]:
    """So many questions can be under way at once."""
    lines = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    for each in (end for line in lines for end in line):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
    return lines


class Elsewhere:
    """Asks the process that decides. What `Admissions` does, it does."""

    def __init__(self, lines: Sequence[Line], within_s: float = ANSWERED_WITHIN_S) -> None:
        self._within_s = within_s
        self._free: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        for asking, _ in lines:
            self._free.put(asking)

    def look(self, keys: Sequence[Key]) -> Mapping[Key, Decision | None]:
        return dict(zip(keys, self._ask(keys, admit=False), strict=True))

    def admit(self, keys: Sequence[Key]) -> Mapping[Key, Decision]:
        decisions = zip(keys, self._ask(keys, admit=True), strict=True)
        return {key: decision for key, decision in decisions if decision is not None}

    def _ask(self, keys: Sequence[Key], *, admit: bool) -> Sequence[Decision | None]:
        """Raises BusyError when the database, or the process, cannot be had; UndecidedError when deciding failed."""
        line = self._free.get()
        try:
            told = self._answer(line, Question(secrets.token_hex(8), admit, keys))
        except TimeoutError as error:
            raise BusyError(BUSY) from error
        finally:
            self._free.put(line)
        if told.busy:
            raise BusyError(BUSY)
        if told.problem:
            raise UndecidedError(told.problem)
        return told.decisions

    def _answer(self, line: socket.socket, question: Question) -> Told:
        line.setblocking(False)
        with suppress(BlockingIOError):
            while line.recv(MOST_BYTES):  # what nobody waits for any more
                pass
        line.settimeout(self._within_s)
        packet = QUESTION.dump_json(question)
        if len(packet) > MOST_BYTES:  # the other end would get a part of it
            raise UndecidedError("the question is too long")
        line.sendall(packet)
        while True:
            told = TOLD.validate_json(line.recv(MOST_BYTES))
            if told.number == question.number:
                return told
            if not told.number:  # whoever was deciding is dead; who was put on record before stays on record
                line.sendall(packet)


def decide(lines: Sequence[Line], admissions: Admitting) -> None:
    """Starts to answer at the other end of each line, for as long as the process lives."""
    os.nice(NICE)
    for number, (_, deciding) in enumerate(lines):
        threading.Thread(target=serve, args=(deciding, admissions), name=f"decisions-{number}", daemon=True).start()


def serve(line: socket.socket, admissions: Admitting) -> None:
    """Answers what is asked at a line, until its other end is closed. Who asked before has to ask again."""
    line.sendall(TOLD.dump_json(Told("")))
    while packet := line.recv(MOST_BYTES):
        try:
            question = QUESTION.validate_json(packet)
        except ValueError:  # who asked it waits in vain; the line is for the others, too
            log.exception("A question cannot be read")
            continue
        line.sendall(TOLD.dump_json(_decided(question, admissions)))


def _decided(question: Question, admissions: Admitting) -> Told:
    try:
        found = admissions.admit(question.keys) if question.admit else admissions.look(question.keys)
        return Told(question.number, [found[key] for key in question.keys])
    except CONCERNS_ALL as error:
        log.warning("Nothing can be decided at the moment: %s", type(error).__name__)
        return Told(question.number, busy=True)
    except Exception as error:  # told to who asked; the next question may fare better
        log.exception("A decision failed")
        return Told(question.number, problem=type(error).__name__)
