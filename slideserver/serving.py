"""The server as a running program: its socket, its HTTP protocol, its log, its end."""

import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial
from itertools import chain
from types import FrameType

import uvicorn

from sharing.clock import Clock
from sharing.db.engine import open_database
from slideserver import deciding
from slideserver.access import TURNS
from slideserver.admissions import Admissions, Admitting
from slideserver.app import Beside, assemble
from slideserver.deciding import Elsewhere, Line
from slideserver.fastpath import tile_protocol
from slideserver.pages import words
from slideserver.settings import Settings
from slideserver.state import open_state, running, watching
from slideserver.supervision import Program, supervise
from tiler.sandbox import Sandbox

# A viewer that rests between two looks at a slide should find its connections open.
KEEP_ALIVE_S = 75
# How long an upload or a page may take to end by itself when the server is told to stop.
GRACEFUL_S = 5
BACKLOG = 2048
# How long a thread that computes may keep the interpreter while the event loop, which sends tiles, waits for it. A tile
# needs it several times; with Python's 5 ms those who look on feel it when many others open a slide.
TURN_S = 0.0005

log = logging.getLogger(__name__)


class PortTakenError(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} is taken by another program. Stop that one, or choose another port, "
            f"for instance PORT={port + 1} with make, --port {port + 1} without."
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortTakenError, before anything else has been started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening at once keeps a second start from binding too (SO_REUSEADDR allows it until somebody listens).
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(port) from error
        raise
    listener.set_inheritable(False)
    return listener


def run(settings: Settings, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM, in as many processes as the settings say, and comes back when all is put away.
    Raises ChildError.

    Several processes accept from the one listening socket, and none of them does anything but answer: who may see what
    is decided in a process of its own (`slideserver.deciding`), and so is done what is to be done once
    (`state.working`). Those end last, so that all that was recorded is sealed.
    """
    count = settings.answering
    if count == 1:
        serve(create_server(settings), listener)
    else:
        each = settings.model_copy(update={"tile_cache_bytes": settings.tile_cache_bytes // count})
        sandbox = Sandbox(settings.sandbox)
        sandbox.probe()  # once for all
        lines = [deciding.lay(TURNS) for _ in range(count)]

        def answer(number: int) -> None:
            serve(create_server(each, beside=watching, sandbox=sandbox, admitting=Elsewhere(lines[number])), listener)

        supervise(
            [
                *(Program(f"web {number}", partial(answer, number)) for number in range(count)),
                Program("decisions", lambda: _decide(each, [*chain.from_iterable(lines)]), stage=1),
                Program("jobs", lambda: _work(each, sandbox), stage=1),
            ]
        )
    log.info("Stopped")


def create_server(
    settings: Settings,
    clock: Clock | None = None,
    beside: Beside = running,
    sandbox: Sandbox | None = None,
    admitting: Admitting | None = None,
) -> uvicorn.Server:
    """The server for these settings, not yet running. Its database must be up to date."""
    state = open_state(settings, words.install, clock, sandbox, admitting)
    config = uvicorn.Config(
        assemble(state, beside),
        http=tile_protocol(state.access, state.sources, state.shown, secure=settings.secure_cookies),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_S,
    )
    return uvicorn.Server(config)


def serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Runs until SIGINT or SIGTERM, and comes back when all is put away."""
    sys.setswitchinterval(TURN_S)
    # uvicorn raises the signal again when it has stopped, for whoever waits outside; the program ends normally instead.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    server.run(sockets=[listener])


def configure_log(level: int = logging.INFO) -> None:
    """One line an event on standard error. No request is logged: who read what is for the audit log alone."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _decide(settings: Settings, lines: Sequence[Line]) -> None:
    """Decides who may see what, until SIGTERM."""
    stop = _told_to_stop()
    database = open_database(settings.database)
    deciding.decide(lines, Admissions(database))
    stop.wait()


def _work(settings: Settings, sandbox: Sandbox) -> None:
    """Does what is done once, until SIGTERM."""
    stop = _told_to_stop()
    state = open_state(settings, words.install, sandbox=sandbox)
    with running(state):
        stop.wait()
    state.close()


def _told_to_stop() -> threading.Event:
    """Is set by SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    return stop


def _ignore(_number: int, _frame: FrameType | None) -> None:
    return
