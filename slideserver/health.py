"""Is it alive, is it ready: two addresses for whoever watches the server. They tell nothing about anybody's data."""

from fastapi import APIRouter
from starlette.responses import JSONResponse

from slideserver.deps import StateDep

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"alive": True})


@router.get("/readyz")
async def ready(state: StateDep) -> JSONResponse:
    """200 when pages, tiles and uploads work; otherwise 503, and which of them does not.

    `access`: the database was read within the last 750 ms. `ingest`: slides can be opened in a sandbox.
    """
    parts = {"access": not state.access.stale(), "ingest": state.sandbox_problem is None}
    return JSONResponse({"ready": all(parts.values()), **parts}, 200 if parts["access"] else 503)
