"""May this session see this slide? Answered from memory, and true to within a second of any right being taken away.

Whatever takes a right away adds one to the *access epoch* in its own transaction. A thread of every server process
reads that number every 250 ms; a decision made under an older epoch is asked for again, and when the number could not
be read for 750 ms nothing is answered from memory at all (503). So no process need tell another anything.

`decide` and `holds` are for the event loop and never wait; `ask` is the miss: one transaction in a thread that finds
out who asks (a member, a guest whom a link admitted, or both in one browser), asks the policy, and puts the reading on
record. No tile without a row in the audit log.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from anyio import CapacityLimiter, to_thread

from sharing import audit, epoch, links, policy, readings, sessions, slides
from sharing.clock import SECOND_US
from sharing.db.engine import Database, Session
from sharing.errors import NotFoundError, Refusal, RefusedError
from sharing.links import GuestSession
from sharing.slides import Slide
from sharing.subjects import Guest, Member
from sharing.vocabulary import Action, Entity, LinkState, SlideId, SlideState

READ_EVERY_S = 0.25
STALE_AFTER_S = 0.75
# A decision is asked for anew once a minute, which also keeps the session and the reading alive; a refusal soon, since
# giving a right moves no epoch.
KEPT_US = 60 * SECOND_US
REFUSAL_KEPT_US = 2 * SECOND_US
MAX_DECISIONS = 20_000
# Misses wait for a database, not for a core; they must not queue behind each other for long, nor drain its pool.
THREADS = 8

log = logging.getLogger(__name__)


class Look(StrEnum):
    """What of a slide is asked for."""

    TILE = "tile"
    THUMBNAIL = "thumbnail"
    LABEL = "label"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    ABSENT = "absent"
    ENDED = "ended"
    """To a guest whose link is over: the holder of what once was the right is told so."""
    SIGNED_OUT = "signed_out"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, under which epoch, and until when it may be believed. `slide` is there when it is ALLOWED."""

    verdict: Verdict
    epoch: int
    expires_us: int
    slide: Slide | None = None
    own: bool = False
    """Whether it is a slide of the reader's own site, of which the browser may keep pictures."""
    end: LinkState | None = None
    """Why the link is over, when it is ENDED."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One of those whom the browser proves to be."""

    subject: Member | Guest
    expires_us: int

    def owns(self, slide: Slide) -> bool:
        return isinstance(self.subject, Member) and self.subject.site_id == slide.site_id


# Credential (see `auth.cookies.Credentials`), slide, picture.
Key = tuple[str, str, Look]


class Access:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._now_us = database.clock.now_us
        self._decisions: OrderedDict[Key, Decision] = OrderedDict()
        self._pending: dict[Key, asyncio.Future[Decision]] = {}
        self._limiter = CapacityLimiter(THREADS)
        self._epoch = 0
        self._read_at = -STALE_AFTER_S

    def watch(self, stop: threading.Event) -> None:
        """Reads the epoch until `stop` is set. Runs in a thread of its own."""
        failing = False
        while True:
            try:
                self.read_epoch()
                failing = False
            except Exception:
                # Whatever it is, the next try is 250 ms away. Said once, not four times a second.
                if not failing:
                    log.exception("The access epoch cannot be read; no tile is served until it can")
                failing = True
            if stop.wait(READ_EVERY_S):
                return

    def read_epoch(self) -> None:
        asked_at = time.monotonic()
        with self._database.reading() as session:
            self._epoch = epoch.read(session)
        self._read_at = asked_at

    def stale(self) -> bool:
        return time.monotonic() - self._read_at > STALE_AFTER_S

    def holds(self, decision: Decision) -> bool:
        """Whether the decision may be acted upon now."""
        return decision.epoch >= self._epoch and decision.expires_us > self._now_us() and not self.stale()

    def decide(self, credential: str, slide_id: str, look: Look) -> Decision | None:
        """The decision in memory, if there is one that holds."""
        decision = self._decisions.get((credential, slide_id, look))
        return decision if decision is not None and self.holds(decision) else None

    async def ask(self, credential: str, slide_id: str, look: Look) -> Decision:
        """A fresh decision, from the database. Tiles of one viewport that arrive together share one transaction."""
        key = (credential, slide_id, look)
        future = self._pending.get(key)
        if future is None:
            future = asyncio.ensure_future(
                to_thread.run_sync(self._load, credential, SlideId(slide_id), look, limiter=self._limiter)
            )
            self._pending[key] = future
            future.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(future)

    def _loaded(self, key: Key, done: asyncio.Future[Decision]) -> None:
        del self._pending[key]
        if done.cancelled() or done.exception() is not None or done.result().verdict is Verdict.SIGNED_OUT:
            return
        self._decisions[key] = done.result()
        self._decisions.move_to_end(key)
        if len(self._decisions) > MAX_DECISIONS:
            self._decisions.popitem(last=False)

    def _load(self, credential: str, slide_id: SlideId, look: Look) -> Decision:
        with self._database.reading() as session:
            # Read first: if a right goes while we look, the decision is of an older epoch and will not be believed.
            under = epoch.read(session)
            known, over = _readers(session, credential)
        if not known and over is None:  # strangers do not get a turn to write
            audit.count_stranger(self._database, "unknown session")
            return Decision(Verdict.SIGNED_OUT, under, self._now_us())
        refusal: Refusal | None = None
        with self._database.writing() as session:
            readers, over = _readers(session, credential)
            if not readers and over is None:
                return Decision(Verdict.SIGNED_OUT, under, session.now_us)
            kept_us = session.now_us + REFUSAL_KEPT_US
            for reader in readers:
                try:
                    slide = _admit(session, reader, slide_id, look)
                except (NotFoundError, RefusedError) as error:
                    refusal = refusal or error.refusal
                    continue
                expires_us = min(reader.expires_us, session.now_us + KEPT_US)
                return Decision(Verdict.ALLOWED, under, expires_us, slide, reader.owns(slide))
        if over is not None and not readers:
            entities = (Entity("link", over.guest.link_id), Entity("slide", slide_id))
            why = f"the link is over: {over.state}"
            audit.record_refusal(
                self._database, Refusal(over.guest, Action.VIEW_SLIDE, over.guest.site_id, why, entities)
            )
            return Decision(Verdict.ENDED, under, kept_us, end=over.state)
        if refusal is not None:
            audit.record_refusal(self._database, refusal)
        return Decision(Verdict.ABSENT, under, kept_us)


def _readers(session: Session, credential: str) -> tuple[list[Reader], GuestSession | None]:
    """Whom the credential proves, the member first; and the guest's session if that is over, whatever the slide."""
    member, _, guest = credential.partition(";")
    readers: list[Reader] = []
    login = sessions.resolve(session, member) if member else None
    if login is not None:
        readers.append(Reader(login.member, login.expires_us))
    admitted = links.guest(session, guest) if guest else None
    if admitted is None:
        return readers, None
    if admitted.state not in links.ADMITTED:
        return readers, admitted
    return [*readers, Reader(admitted.guest, admitted.expires_us)], None


def _admit(session: Session, reader: Reader, slide_id: SlideId, look: Look) -> Slide:
    """The slide, if it is ready and the reader may see it; the reading is then on record."""
    slide = slides.get_slide(session, reader.subject, slide_id)
    if slide.state is not SlideState.READY:
        raise policy.absent("slide")
    if look is Look.LABEL:
        policy.require(session, reader.subject, Action.VIEW_LABEL, slide, Entity("slide", slide.id))
    if look is Look.TILE:
        readings.open_reading(session, reader.subject, slide)
    return slide
