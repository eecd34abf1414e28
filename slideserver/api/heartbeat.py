"""What an agent says of itself every few seconds, by its scanner's key."""

from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync
from sqlalchemy.exc import DatabaseError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingest.errors import IngestError, StoreFailedError, TooLargeError
from ingest.heartbeat import HEARTBEAT_PATH, REPORT_MAX_BYTES, Heartbeat, parse_heartbeat
from ingest.protocol import Problem, ProtocolError
from sharing import heartbeats
from sharing.db.engine import Database
from sharing.subjects import Agent
from slideserver.api.uploads import problem

THREADS = 2
STALL_S = 10.0


def routes(database: Database, authenticate: Callable[[str], Agent], *, stall_s: float = STALL_S) -> list[Route]:
    """`authenticate` finds out whose key it is, or raises an IngestError. A body that takes `stall_s` seconds is cut.

    The answer tells the time of the server, so that a workstation can see by how much its clock is wrong.
    """
    # Threads of their own: a word of a scanner waits for the database behind nobody who reads a page.
    limiter = anyio.CapacityLimiter(THREADS)

    def hear(agent: Agent, said: Heartbeat) -> int:
        with database.writing() as session:
            heartbeats.hear(session, agent, sent_bytes=said.sent_bytes, report=said.to_json())
            return session.now_us

    async def endpoint(request: Request) -> Response:
        try:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            agent = await run_sync(authenticate, key if scheme.lower() == "bearer" else "", limiter=limiter)
            with anyio.fail_after(stall_s):
                body = await _body(request)
            now_us = await run_sync(hear, agent, parse_heartbeat(body), limiter=limiter)
        except ProtocolError as error:
            return problem(Problem.BAD_REQUEST, str(error))
        except IngestError as error:
            return problem(error.code, str(error))
        except DatabaseError:  # no space, or no connection: the next heartbeat finds it mended
            refusal = StoreFailedError()
            return problem(refusal.code, str(refusal))
        except (TimeoutError, ClientDisconnect):
            return problem(Problem.BODY_STALLED, "The heartbeat was cut. The next one tells it anew.")
        return JSONResponse({"now_us": now_us}, headers={"Cache-Control": "no-store"})

    return [Route(HEARTBEAT_PATH, endpoint, methods=["PUT"])]


async def _body(request: Request) -> bytes:
    """Raises TooLargeError before more of it is held than a heartbeat has."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > REPORT_MAX_BYTES:
            raise TooLargeError(REPORT_MAX_BYTES)
    return bytes(body)
