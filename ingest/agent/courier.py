"""One slide after the other is taken from the queue and sent, by as many couriers as are to send at once.

The server's word is what counts: a slide is ARRIVED when the server says that it has one with these bytes.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from ingest.agent.client import Client, RefusedError, TransientError
from ingest.agent.entries import Entry, Stamp
from ingest.agent.parcels import Parcel
from ingest.agent.queue import GONE, Queue
from ingest.agent.rules import Pace, Rules, Witness
from ingest.agent.upload import ChangingFileError, Delivery, GaveUpError, Patience, Pusher
from ingest.agent.weather import NOT_OUR_SERVER, UNREACHABLE, Weather, code_of
from ingest.manifest import EMPTY_SHA256, ManifestError
from ingest.protocol import Problem

Answer = TypeVar("Answer")
HoldUp = Callable[[Exception], bool]
"""Hears that the queue cannot be written, waits for a while, and says whether to try again."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 600.0
IDLE_S = 0.5
SLICE_MAX_BYTES = 1 << 20
# A person lifts these on the server; the slide then goes without anybody's asking.
_LATER = frozenset({Problem.QUOTA_EXCEEDED, Problem.TOO_MANY_UPLOADS, Problem.FILES_MISSING})
# These are about the connection or this one file, not about the server.
_OF_THE_FILE = frozenset(
    {
        Problem.WRONG_OFFSET,
        Problem.PIECE_DAMAGED,
        Problem.FILE_DAMAGED,
        Problem.UPLOAD_BUSY,
        Problem.QUOTA_EXCEEDED,
    }
)


class StoppedError(Exception):
    """Nothing is to be sent now: the program ends, or the hours are quiet. What was sent is kept by the server."""


class Courier:
    """Sends what it takes from the queue. One for each thread."""

    def __init__(
        self,
        rules: Rules,
        queue: Queue,
        client: Client,
        pace: Pace,
        weather: Weather,
        witness: Witness,
        hold_up: HoldUp,
    ) -> None:
        self._rules, self._queue, self._client = rules, queue, client
        self._pace, self._weather, self._witness, self._hold_up = pace, weather, witness, hold_up

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises sqlite3.Error when the queue cannot be read."""
        while not stop.is_set():
            wait_s = max(self._pace.closed_s(), self._weather.wait_s())
            if wait_s or not self._is_heard() or not self.carry_one(stop):
                stop.wait(min(wait_s or IDLE_S, IDLE_S, self._rules.poll_s))

    def _is_heard(self) -> bool:
        """Whether the server answers this scanner, asked after a trouble: before a large file is read in vain."""
        if self._weather.code is None:
            return True
        try:
            self._client.known(EMPTY_SHA256)
        except TransientError as error:
            self._weather.worsen(UNREACHABLE, error.detail)
        except RefusedError as error:
            self._weather.worsen(code_of(error) or NOT_OUR_SERVER, error.detail)
        else:
            self._weather.answered()
            return True
        return False

    def carry_one(self, stop: Event) -> bool:
        """Sends the slide whose turn it is; False when there is none."""
        entry = self._queue.take()
        if entry is None:
            return False
        try:
            if not self._is_as_found(entry):
                return True
            delivery = self._push(entry, stop)
            if _is_changed(entry):  # what is on the platform is one thing, what lies here another
                self._note(lambda: self._queue.drop(entry))
            else:
                self._deliver(entry, delivery)
        except StoppedError:
            self._note(lambda: self._queue.release(entry))
        except ChangingFileError:
            if self._is_as_found(entry):
                self._put_back(entry, Problem.FILE_DAMAGED)
        except GaveUpError as error:
            if error.last.code in _OF_THE_FILE:
                self._put_back(entry, error.last.code, error.last.detail)
            else:
                self._weather.worsen(error.last.code, error.last.detail)
                self._note(lambda: self._queue.release(entry, behind=True))
        except ManifestError as error:
            self._refuse(entry, "unfit-set", str(error))
        except RefusedError as error:
            self._meet(entry, error)
        except OSError as error:
            self._put_back(entry, "unreadable-file", error.strerror or str(error))
        return True

    def _push(self, entry: Entry, stop: Event) -> Delivery:
        ears = _Ears(entry, self._pace, self._weather, self._witness, stop)
        patience = Patience(self._rules.unreachable_s, preparing_s=0)
        pusher = Pusher(self._client, ears, patience, pause=ears.pause)
        parcel = Parcel(entry.name, tuple((file.name, file.path) for file in entry.files))
        glass = self._rules.glass(entry.name)
        return pusher.push(parcel.alone, glass) if parcel.alone else pusher.push_set(parcel, glass)

    def _is_as_found(self, entry: Entry) -> bool:
        """Whether the files are what was found. Others are forgotten, to be found anew; files that went away are a
        person's doing, who is told, unless their whole folder is away."""
        gone = next((file.path for file in entry.files if not os.path.exists(file.path)), None)
        if gone and not os.path.isdir(entry.root):
            self._put_back(entry, "folder-missing", str(entry.root))
        elif gone:
            self._refuse(entry, GONE, str(gone))
        elif _is_changed(entry):
            self._note(lambda: self._queue.drop(entry))
        else:
            return True
        return False

    def _deliver(self, entry: Entry, delivery: Delivery) -> None:
        self._weather.clear()
        status = delivery.status
        self._witness.arrived(entry, delivery)
        if status.state == "refused":
            self._refuse(entry, status.refusal_code or "other", status.refusal_reason or "")
        else:
            self._note(lambda: self._queue.arrive(entry, status.slide))

    def _meet(self, entry: Entry, error: RefusedError) -> None:
        if code := code_of(error):
            self._weather.worsen(code, error.detail)
            self._note(lambda: self._queue.release(entry, behind=True))
        elif error.code in _LATER:
            self._put_back(entry, error.code or "other", error.detail)
        else:
            self._refuse(entry, error.code or "other", error.detail)

    def _put_back(self, entry: Entry, code: str, detail: str = "") -> None:
        """Later again: after a pause that doubles with each failure in a row, with jitter."""
        limit = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(entry.attempts, 16))
        pause_s = limit * (0.5 + secrets.randbelow(1000) / 2000)
        self._witness.put_back(self._note(lambda: self._queue.put_back(entry, code, detail, pause_s)))

    def _refuse(self, entry: Entry, code: str, detail: str) -> None:
        self._witness.refused(self._note(lambda: self._queue.refuse(entry, code, detail)))

    def _note(self, change: Callable[[], Answer]) -> Answer:
        """Writes down how it ended, however long the disk is full: nobody else would take the slide up."""
        while True:
            try:
                return change()
            except sqlite3.OperationalError as error:
                if not self._hold_up(error):
                    raise


def _is_changed(entry: Entry) -> bool:
    """Whether a file is there and is not what was found."""
    return any(os.path.exists(file.path) and Stamp.of(file.path) != file.stamp for file in entry.files)


class _Ears:
    """Hears how far a push is (`ingest.agent.upload.Report`), tells it on, and ends it when it has to end."""

    def __init__(self, entry: Entry, pace: Pace, weather: Weather, witness: Witness, stop: Event) -> None:
        self._entry, self._pace, self._weather = entry, pace, weather
        self._witness, self._stop = witness, stop
        self._sent: int | None = None

    def hashing(self, done: int, total: int) -> None:
        self._check()
        self._witness.hashing(self._entry, done, total)

    def sending(self, done: int, total: int) -> None:
        self._check()
        self._weather.answered()  # a push that had difficulties comes here again once the server has answered
        if self._sent is None:  # what the server holds already takes no time
            self._sent = done
        # A step further than one slice is what the server held of the next file.
        self._pace.spend(max(0, min(done - self._sent, SLICE_MAX_BYTES)), self._stop)
        self._sent = done
        self._witness.sending(self._entry, done, total)

    def preparing(self) -> None:
        """The queue waits for that, and no courier."""

    def retrying(self, problem: TransientError, pause_s: float) -> None:
        if problem.code not in _OF_THE_FILE:
            self._weather.doubt(problem.code, problem.detail)
        self._witness.retrying(self._entry, problem, pause_s)

    def pause(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._stop.is_set() or self._pace.closed_s():
            raise StoppedError
