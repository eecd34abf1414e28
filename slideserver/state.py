"""Everything that lives as long as the server, in one typed value, and the threads that work beside the requests."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from anyio import CapacityLimiter, Semaphore

from ingest.arrival import REGISTER
from ingest.build import Builder
from ingest.jobs import JobQueue
from ingest.queues import job_queue
from ingest.receive import Limits, Uploads
from ingest.register import Register
from ingest.scrub import Scrub
from ingest.worker import Worker
from sharing import audit, chain, checkpoints, link_refusals, members
from sharing.alarm import Alarm
from sharing.checkpoints import Signer
from sharing.clock import Clock
from sharing.db.engine import Database, open_database
from sharing.subjects import System
from sharing.vocabulary import PLATFORM, Act
from slideserver.access import Access
from slideserver.admissions import Admitting
from slideserver.assets import Assets
from slideserver.auth.cookies import Credentials, GuestCookie, SessionCookie
from slideserver.auth.passwords import Passwords
from slideserver.auth.throttle import Throttle
from slideserver.i18n import Catalogue, Language, load_catalogues
from slideserver.mail import Mailer
from slideserver.recorder import Recorder, recorder
from slideserver.rendering import Install, Renderer
from slideserver.settings import Settings
from slideserver.signing import open_signer
from slideserver.sources import Sources
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.sandbox import Sandbox
from tiler.storage.base import BlobStore
from tiler.storage.local import LocalBlobStore

SEAL_EVERY_S = 0.5
SWEEP_EVERY_S = 3600.0
# A worker may be in the middle of a slide when the server stops. The job is taken up again when its lease has run out.
STOP_WITHIN_S = 5

# Hashing a password costs a core and 19 MiB for tens of milliseconds: two at a time leave room for everything else.
LOGIN_THREADS = 2

# Downloads that wait for a disk at once; between two pieces none of them holds a thread.
DOWNLOAD_THREADS = 4

# Walks along a whole chain that members ask for: each takes a core and a connection for seconds. And how many members
# are let in to it, or to wait for it.
VERIFICATIONS, VERIFIERS = 1, 3

# Requests that write at once on PostgreSQL, and that read. They hold a connection while they wait for a thread: some
# must be left for threads that wait for one.
WRITERS, READERS = 8, 16

# Runs in a thread until the event is set.
Work = Callable[[threading.Event], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    settings: Settings
    database: Database
    signer: Signer
    """Signs checkpoints of the audit log."""
    store: BlobStore
    sandbox: Sandbox
    sandbox_problem: str | None
    """Why slides cannot be opened on this machine; None when they can."""
    cutters: CutterPool
    uploads: Uploads
    queue: JobQueue
    access: Access
    recorder: Recorder
    sources: Sources
    cookie: SessionCookie
    guest_cookie: GuestCookie
    shown: Credentials
    """Reads both cookies."""
    passwords: Passwords
    throttle: Throttle
    logins: CapacityLimiter
    downloads: CapacityLimiter
    """Taken by a download while it waits for a disk."""
    verifications: CapacityLimiter
    """Taken by who has a chain verified; the others wait in no thread and with no connection."""
    verifiers: Semaphore
    """Taken by who has a chain verified, or waits for that. Who goes away meanwhile is not noticed: whoever asks again
    and again would keep a core at work for hours."""
    writers: Semaphore
    """Taken by a request for each writing transaction. SQLite gives one turn at a time, and requests that waited for it
    in threads would hold every thread that the one in front needs to go on."""
    readers: Semaphore
    """Taken by a request that reads."""
    catalogues: dict[Language, Catalogue]
    assets: Assets
    renderer: Renderer

    def close(self) -> None:
        self.sources.close()
        self.cutters.close()
        self.throttle.close()
        self.database.close()


def open_state(
    settings: Settings,
    install: Install,
    clock: Clock | None = None,
    sandbox: Sandbox | None = None,
    admitting: Admitting | None = None,
) -> State:
    """The parts of a server on the data directory and database of `settings`. Starts no thread. A sandbox that has been
    tried saves trying it; `admitting` decides in another process who may see what."""
    database = open_database(settings.database, clock)
    store = LocalBlobStore(settings.var / "blobs")
    sandbox = sandbox or Sandbox(settings.sandbox)
    cutters = CutterPool(sandbox, settings.workers + 1)  # one may hang for a moment and hold up nobody
    cache = TileCache(settings.tile_cache_bytes)
    queue = job_queue(database)
    cookie = SessionCookie(secure=settings.secure_cookies)
    guest_cookie = GuestCookie(secure=settings.secure_cookies)
    catalogues = load_catalogues()
    assets = Assets()
    return State(
        settings=settings,
        database=database,
        signer=open_signer(settings),
        store=store,
        sandbox=sandbox,
        sandbox_problem=sandbox.probe(),
        cutters=cutters,
        uploads=Uploads(database, store, queue, settings.var, Limits(max_upload_bytes=settings.max_upload_bytes)),
        queue=queue,
        access=Access(database, admitting),
        recorder=recorder(database),
        sources=Sources(database, store, cutters, cache, settings.var / "slides", max_open=settings.open_slides),
        cookie=cookie,
        guest_cookie=guest_cookie,
        shown=Credentials(cookie, guest_cookie),
        passwords=Passwords(),
        throttle=Throttle(database.clock, settings.var / "throttle.db"),
        logins=CapacityLimiter(LOGIN_THREADS),
        downloads=CapacityLimiter(DOWNLOAD_THREADS),
        verifications=CapacityLimiter(VERIFICATIONS),
        verifiers=Semaphore(VERIFIERS),
        writers=Semaphore(1 if database.engine.dialect.name == "sqlite" else WRITERS),
        readers=Semaphore(READERS),
        catalogues=catalogues,
        assets=assets,
        renderer=Renderer(catalogues, assets, database.clock, ZoneInfo(settings.timezone), install),
    )


@contextmanager
def running(state: State) -> Iterator[None]:
    """All threads of a server that is one process, from start to end."""
    with watching(state), working(state):
        yield


@contextmanager
def watching(state: State) -> Iterator[None]:
    """What every process that answers requests needs beside them: the watcher of the access epoch, and the sealer, who
    also writes down which strangers this process refused."""
    state.access.read_epoch()
    with _threads(
        {
            "access-epoch": state.access.watch,
            "epochs-seen": state.access.epochs_seen.run,
            "sealer": lambda stop: _seal(state.database, state.signer, stop),
        }
    ):
        yield


@contextmanager
def working(state: State) -> Iterator[None]:
    """What is done once, however many processes answer requests: registering and building slides, reading them again,
    mail."""
    if state.sandbox_problem:
        log.warning("Slides that arrive are kept, and none can be opened: %s", state.sandbox_problem)
    elif state.settings.sandbox == "weak":
        log.warning("The sandbox is weak: a crafted slide is held back by limits and a system-call filter only")
    log.info("Serving %s (sandbox: %s)", state.settings.var, state.settings.sandbox)
    handlers = {REGISTER: Register(state.database, state.queue, state.store, state.sandbox, state.settings.var)}
    builder = Builder(state.database, state.queue, state.store, state.sandbox, state.settings.var)
    work: dict[str, Work] = {"builder": builder.run, "sweeper": lambda stop: _sweep(state, stop)}
    if rate := state.settings.scrub_bytes_per_s:
        work["scrub"] = Scrub(state.database, state.store, state.settings.var / "slides", rate).run
    if state.settings.smtp_host:
        work["mail"] = Mailer(state.database, state.settings).run
    for number in range(state.settings.workers):
        name = f"worker-{number}"
        work[name] = Worker(state.database, state.queue, handlers, name).run
    state.uploads.sweep()
    with state.database.writing() as session:
        members.note_run_out(session)
        audit.record(session, site_id=PLATFORM, act=Act.SERVER_STARTED, subject=System())
    with _threads(work):
        yield


@contextmanager
def _threads(work: Mapping[str, Work]) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=run, args=(stop,), name=name, daemon=True) for name, run in work.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(STOP_WITHIN_S)
            if thread.is_alive():
                log.warning("%s is still busy; its work is taken up again at the next start", thread.name)


def _sweep(state: State, stop: threading.Event) -> None:
    """Looks now and then for what nobody came back to, until `stop` is set: uploads that scanners left unfinished, and
    first passwords."""
    while not stop.wait(SWEEP_EVERY_S):
        try:
            state.uploads.sweep()
            with state.database.writing() as session:
                members.note_run_out(session)
        except Exception:  # the edge of the thread: what was left lies there until the next turn
            log.exception("What was left unfinished could not be tidied up; the next try is in %s s", SWEEP_EVERY_S)


def _seal(database: Database, signer: Signer, stop: threading.Event) -> None:
    """Seals what the last half second brought, and signs it now and then, until `stop` is set, and once more then."""
    stopping = caught_up = False
    stuck, failing = Alarm(), Alarm()
    while not stopping:
        stopping = stop.wait(SEAL_EVERY_S)
        try:
            link_refusals.write_down(database)
            chain.seal(database, stuck)
            if not caught_up:  # chains that are older than their trees
                chain.catch_up(database)
                caught_up = True
            checkpoints.sign(database, signer)
            if failing.due("", database.clock.now_us()):
                log.warning("The audit log is sealed again")
        except Exception as error:  # the edge of the thread: unsealed events wait in their table for the next turn
            if failing.due(type(error).__name__, database.clock.now_us()):
                log.exception("The audit log could not be sealed; it is tried again every %s s", SEAL_EVERY_S)
