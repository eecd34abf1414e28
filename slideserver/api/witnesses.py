"""What a witness of the audit log asks, by its key: the logs there are, their checkpoints, times and hashes of entries.

Nothing of it says anything of a patient. Whoever is no witness in service gets one and the same answer to everything.
"""

import hashlib
import re
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync
from sqlalchemy.exc import DatabaseError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingest.errors import StoreFailedError
from ingest.protocol import Problem
from sharing import audit, checkpoints, contradictions, witnesses
from sharing.checkpoints import Signer
from sharing.db.engine import Database, Session
from sharing.errors import SharingError
from sharing.vocabulary import SiteId
from sharing.witnesses import UnknownWitnessError, Witness
from slideserver.api.uploads import problem

LOGS_PATH = "/api/witness/logs"
THREADS = 2
STALL_S = 10.0
LINE_MAX_BYTES = 1000
SIZE_MAX_DIGITS = 15
_UNKNOWN = "This is no witness in service. Register its key with: iain witness add; and check the clock of its machine."
_SITE = re.compile(r"[a-z0-9-]{1,64}")
_NO_STORE = {"Cache-Control": "no-store"}

Act = Callable[[Witness, Request, bytes], Response]


def routes(database: Database, signer: Signer, *, stall_s: float = STALL_S) -> list[Route]:
    """A body that takes `stall_s` seconds is cut."""
    # Threads of their own: whoever reads a page waits for no witness.
    limiter = anyio.CapacityLimiter(THREADS)

    def endpoint(act: Act, method: str, path: str) -> Route:
        def answer(request: Request, body: bytes) -> Response:
            with database.reading() as session:
                witness = _authenticated(session, request, body)
            return act(witness, request, body)

        async def handle(request: Request) -> Response:
            try:
                with anyio.fail_after(stall_s):
                    body = await _body(request)
                return await run_sync(answer, request, body, limiter=limiter)
            except UnknownWitnessError:
                audit.count_stranger(database, "witness-refused")
                return problem(Problem.KEY_REFUSED, _UNKNOWN)
            except (SharingError, ValueError) as error:
                return problem(Problem.BAD_REQUEST, str(error))
            except DatabaseError:  # no connection, or a busy database: the next round finds it mended
                refusal = StoreFailedError()
                return problem(refusal.code, str(refusal))
            except (TimeoutError, ClientDisconnect):
                return problem(Problem.BODY_STALLED, "The request was cut. Send it again.")

        return Route(LOGS_PATH + path, handle, methods=[method])

    def logs(witness: Witness, _: Request, __: bytes) -> Response:
        with database.reading() as session:
            told = [
                {
                    "site": log.site_id,
                    "key": str(signer.key(log.site_id)),
                    "cosigned": log.cosigned,
                    "refused": log.refused,
                }
                for log in witnesses.logs(session, witness)
            ]
        return JSONResponse({"logs": told}, headers=_NO_STORE)

    def checkpoint(_: Witness, request: Request, __: bytes) -> Response:
        """Of all that is sealed by now."""
        with database.reading() as session:
            made = checkpoints.current(session, _site(request))
        if made is None:
            with database.writing() as session:
                made = checkpoints.sign_now(session, signer, _site(request))
        if made is None:
            raise ValueError("There is no such log.")
        return PlainTextResponse(made.note, headers=_NO_STORE)

    def entries(_: Witness, request: Request, __: bytes) -> Response:
        after, until = (_number(request.query_params.get(name)) for name in ("after", "until"))
        with database.reading() as session:
            told = witnesses.hashes(session, _site(request), after, until)
        return Response(told, media_type="application/octet-stream", headers=_NO_STORE)

    def cosign(witness: Witness, request: Request, body: bytes) -> Response:
        size = _number(request.path_params["size"])
        with database.writing() as session:
            witnesses.keep(session, witness, _site(request), size, body.decode())
            contradictions.settle(session, witness, _site(request))
        return Response(status_code=204, headers=_NO_STORE)

    def refuse(witness: Witness, request: Request, body: bytes) -> Response:
        with database.writing() as session:
            contradictions.report(session, witness, _site(request), body.decode())
        return Response(status_code=204, headers=_NO_STORE)

    return [
        endpoint(logs, "GET", ""),
        endpoint(checkpoint, "GET", "/{site}/checkpoint"),
        endpoint(entries, "GET", "/{site}/entries"),
        endpoint(cosign, "PUT", "/{site}/cosignatures/{size}"),
        endpoint(refuse, "PUT", "/{site}/refusal"),
    ]


def _authenticated(session: Session, request: Request, body: bytes) -> Witness:
    scope = request.scope
    target = b"?".join(filter(None, (scope["raw_path"], scope["query_string"]))).decode("latin-1")
    digest = hashlib.sha256(body).hexdigest()
    return witnesses.authenticate(session, request.headers.get("Authorization", ""), request.method, target, digest)


def _site(request: Request) -> SiteId:
    site = request.path_params["site"]
    if not _SITE.fullmatch(site):
        raise ValueError("There is no such log.")
    return SiteId(site)


def _number(told: str | None) -> int:
    if told is None or not told.isascii() or not told.isdigit() or len(told) > SIZE_MAX_DIGITS:
        raise ValueError("This is no number of an entry.")
    return int(told)


async def _body(request: Request) -> bytes:
    """Raises UnknownWitnessError for more than a witness ever sends."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LINE_MAX_BYTES:
            raise UnknownWitnessError
    return bytes(body)
