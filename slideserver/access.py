"""May this session see this slide? Answered from memory, and true to within a second of any right being taken away.

Whatever takes a right away adds one to the *access epoch* in its own transaction. A thread of every server process
reads that number every 250 ms; a decision made under an older epoch is asked for again, and when the number could not
be read for 750 ms nothing is answered from memory at all (503). So no process need tell another anything.

`decide` and `holds` are for the event loop and never wait; `ask` is the miss (`slideserver.admissions`). It goes to one
of two counters, and all who wait at a counter are answered together, by one transaction: who continues a reading that
is on record is found out by reading alone, and never waits for who begins one, which is written down first.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from contextlib import closing
from dataclasses import replace

from sharing import audit, epoch
from sharing.clock import MINUTE_US
from sharing.db.engine import Database
from sharing.vocabulary import SlideId
from slideserver.admissions import Admissions, Admitting, Decision, Key, Look, Verdict
from slideserver.counter import Counter
from slideserver.epochs_seen import EpochsSeen

READ_EVERY_S = 0.25
STALE_AFTER_S = 0.75
MAX_DECISIONS = 20_000
# That somebody reads, or downloads, on is noted at most this often, and nobody waits for it: it keeps a session alive.
NOTED_US = MINUTE_US
GOES_ON = (Look.TILE, Look.FILE)
# How many of those who wait are answered together: what they take must not keep others waiting.
TOGETHER = 32
# A transaction costs as much as the answers to fifteen more: who asks while many do waits for company. Nobody notices.
APART_S = 0.02
# Transactions at once: a second one that writes, lest all wait for a lock that one of them waits for.
READERS, WRITERS = 1, 2
TURNS = READERS + WRITERS

log = logging.getLogger(__name__)


class Access:
    def __init__(self, database: Database, admitting: Admitting | None = None) -> None:
        """`admitting` answers the misses; without it threads of this process do."""
        self._database = database
        self._now_us = database.clock.now_us
        self._decisions: OrderedDict[Key, Decision] = OrderedDict()
        self._pending: dict[Key, asyncio.Task[Decision]] = {}
        self._epoch = -1
        self._read_at = -STALE_AFTER_S
        self.epochs_seen = EpochsSeen(database)
        """What other processes, and the audit, are told of the epochs that this one has seen."""
        admitting = admitting or Admissions(database)
        self._reading = Counter(admitting.look, turns=READERS, together=TOGETHER, apart_s=APART_S)
        self._writing = Counter(admitting.admit, turns=WRITERS, together=TOGETHER, apart_s=APART_S)
        self._noting: set[asyncio.Task[None]] = set()

    def watch(self, stop: threading.Event) -> None:
        """Reads the epoch until `stop` is set. Runs in a thread of its own."""
        failing = False
        with closing(epoch.Watch(self._database)) as watched:
            while True:
                try:
                    self._learn(watched)
                    failing = False
                except Exception:
                    # Whatever it is, the next try is 250 ms away. Said once, not four times a second.
                    if not failing:
                        log.exception("The access epoch cannot be read; no tile is served until it can")
                    failing = True
                if stop.wait(READ_EVERY_S):
                    return

    def read_epoch(self) -> None:
        with closing(epoch.Watch(self._database)) as once:
            self._learn(once)

    def _learn(self, watched: epoch.Watch) -> None:
        asked_at = time.monotonic()
        found = watched.read()
        if found != self._epoch:
            self._epoch = found
            self.epochs_seen.add(found)
        self._read_at = asked_at

    def stale(self) -> bool:
        return time.monotonic() - self._read_at > STALE_AFTER_S

    def count_stranger(self) -> None:
        """Somebody asked who shows nothing that could be looked up."""
        audit.count_stranger(self._database, "not signed in")

    def holds(self, decision: Decision) -> bool:
        """Whether the decision may be acted upon now."""
        return decision.epoch >= self._epoch and decision.expires_us > self._now_us() and not self.stale()

    def decide(self, credential: str, slide_id: str, look: Look) -> Decision | None:
        """The decision in memory, if there is one that holds."""
        decision = self._decisions.get((credential, slide_id, look))  # type: ignore[arg-type]
        return decision if decision is not None and self.holds(decision) else None

    async def ask(self, credential: str, slide_id: str, look: Look) -> Decision:
        """A fresh decision, from the database. Tiles of one viewport that arrive together share it."""
        key = (credential, SlideId(slide_id), look)
        future = self._pending.get(key)
        if future is None:
            future = self._pending[key] = asyncio.ensure_future(self._find(key))
            future.add_done_callback(lambda _: self._pending.pop(key))
        return await asyncio.shield(future)

    async def _find(self, key: Key) -> Decision:
        former = self._decisions.get(key)
        decision = await self._reading.ask(key) or await self._writing.ask(key)
        if decision.verdict is Verdict.ALLOWED and key[2] in GOES_ON:
            noted_us = max(decision.noted_us, former.noted_us if former else 0)
            decision = replace(decision, noted_us=noted_us)
            if noted_us <= self._now_us() - NOTED_US:
                self._note(key)
        elif decision.verdict is Verdict.SIGNED_OUT:
            audit.count_stranger(self._database, "unknown session")
        self._keep(key, decision)
        return decision

    def _note(self, key: Key) -> None:
        """Has it written down that the reading goes on. Nobody waits for that."""
        task = asyncio.ensure_future(self._write(key))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _write(self, key: Key) -> None:
        try:
            decision = await self._writing.ask(key)
        except Exception:
            log.exception("That somebody still reads could not be noted; it will be tried again")
        else:
            self._keep(key, decision)

    def _keep(self, key: Key, decision: Decision) -> None:
        if decision.verdict is Verdict.SIGNED_OUT:
            return
        self._decisions[key] = decision
        self._decisions.move_to_end(key)
        if len(self._decisions) > MAX_DECISIONS:
            self._decisions.popitem(last=False)
