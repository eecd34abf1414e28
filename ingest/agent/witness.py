"""What a watch of folders tells on a screen: bars for slides on their way, a sentence for whatever happened."""

import threading
from collections.abc import Callable

from ingest.agent.client import TransientError
from ingest.agent.entries import Entry
from ingest.agent.screen import Screen
from ingest.agent.upload import Delivery, Glass
from ingest.heartbeat import Pause, Trouble


class WatchScreen:
    """A `Witness`. A server that is away for a night is told once, and once that it is back."""

    def __init__(self, screen: Screen, glass: Callable[[str], Glass]) -> None:
        self._screen, self._words, self._glass = screen, screen.words, glass
        self._lock, self._retried = threading.Lock(), ""

    def found(self, entry: Entry) -> None:
        self._screen.say(self._words("found", name=entry.name, size=self._words.size(entry.length)))

    def hashing(self, entry: Entry, done: int, total: int) -> None:
        self._screen.advance((entry.id, "hashing"), entry.name, "hashing", done, total)

    def sending(self, entry: Entry, done: int, total: int) -> None:
        self._screen.remove((entry.id, "hashing"))
        self._screen.advance((entry.id, "sending"), entry.name, "sending", done, total)
        self._recovered()

    def retrying(self, entry: Entry, problem: TransientError, pause_s: float) -> None:
        with self._lock:
            told, self._retried = self._retried, problem.code
        if told != problem.code:
            why = self._words.why(problem.code, problem.detail)
            self._screen.warn(self._words("retrying", why=why, seconds=pause_s))

    def put_back(self, entry: Entry) -> None:
        self._end(entry)
        why = self._words.why(entry.code, entry.detail)
        self._screen.warn(self._words("put-back", name=entry.name, why=why))

    def arrived(self, entry: Entry, delivery: Delivery) -> None:
        self._end(entry)
        self._recovered()
        status, accession = delivery.status, self._glass(entry.name).accession
        self._screen.say(self._words("arrived-known" if delivery.already_known else "arrived", name=entry.name))
        if status.claimed and accession:
            other = status.accession or "?"
            self._screen.warn(self._words("claimed", name=entry.name, accession=accession, other=other))

    def ready(self, entry: Entry) -> None:
        self._end(entry)
        self._screen.say(self._words("ready", name=entry.name))

    def refused(self, entry: Entry) -> None:
        self._end(entry)
        why = self._words.why(entry.code, entry.detail)
        self._screen.problem(self._words("refused", name=entry.name, why=why))

    def trouble(self, trouble: Trouble) -> None:
        why = self._words.why(trouble.code, trouble.detail)
        self._screen.problem(self._words("trouble", name=trouble.name, why=why))

    def cleared(self, trouble: Trouble) -> None:
        self._screen.say(self._words("trouble-over", name=trouble.name))

    def paused(self, pause: Pause | None, span_s: float) -> None:
        """Told when it changes why nothing is sent; `span_s`: for how long it lasts, as far as that is known."""
        if pause:
            self._screen.warn(self._words(f"pause-{pause}", span=self._words.span(span_s)))
        else:
            self._screen.say(self._words("pause-over"))

    def _end(self, entry: Entry) -> None:
        for step in ("hashing", "sending"):
            self._screen.remove((entry.id, step))

    def _recovered(self) -> None:
        with self._lock:
            told, self._retried = self._retried, ""
        if told:
            self._screen.say(self._words("goes-on"))
