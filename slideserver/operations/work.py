"""Workers without a server: for registering many slides at a time, or on another machine that sees the same data."""

import logging
import signal
import threading
from types import FrameType

from ingest.arrival import REGISTER
from ingest.build import Builder
from ingest.queues import job_queue
from ingest.register import Register
from ingest.worker import Worker
from sharing.db.engine import Database
from sharing.vocabulary import new_id
from slideserver.settings import Settings
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalBlobStore

log = logging.getLogger(__name__)


def work(settings: Settings, database: Database) -> None:
    """Registers slides, `settings.workers` at a time, and builds their derived levels, until SIGINT or SIGTERM; slides
    in hand are finished first, a build goes on another time."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    queue, store, sandbox = job_queue(database), LocalBlobStore(settings.var / "blobs"), Sandbox(settings.sandbox)
    handlers = {REGISTER: Register(database, queue, store, sandbox, settings.var)}
    name = new_id()[:8]
    threads = [
        threading.Thread(target=Worker(database, queue, handlers, f"{name}-{number}").run, args=(stop,))
        for number in range(settings.workers)
    ]
    builder = Builder(database, queue, store, sandbox, settings.var, f"{name}-builder")
    threads.append(threading.Thread(target=builder.run, args=(stop,)))
    for thread in threads:
        thread.start()
    if problem := sandbox.probe():
        log.warning("Slides wait until they can be opened: %s", problem)
    log.info("Registering slides of %s, %s at a time", settings.var, settings.workers)
    for thread in threads:
        thread.join()
    log.info("Stopped")
