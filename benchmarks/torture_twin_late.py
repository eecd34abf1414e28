"""How not to do it: an upload server that writes the body of a request and then looks who sent it.

It refuses every stranger, and every stranger fills its disk. It exists to show that
`benchmarks.torture_ingest.strangers` can tell.

`python -m benchmarks.torture_twin_late FOLDER PORT KEY`
"""

import secrets
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def twin(folder: Path, key: str) -> Starlette:
    """The application, with its files in `folder`."""

    def verdict(request: Request, allowed: int, headers: dict[str, str] | None = None) -> Response:
        known = request.headers.get("Authorization") == f"Bearer {key}"
        return Response(status_code=allowed if known else 401, headers=headers)

    async def create(request: Request) -> Response:
        return verdict(request, 201, {"Location": f"/api/uploads/{secrets.token_hex(8)}"})

    async def append(request: Request) -> Response:
        with (folder / request.path_params["name"]).open("ab") as file:
            async for data in request.stream():
                file.write(data)
        return verdict(request, 204)

    return Starlette(
        routes=[
            Route("/api/uploads", create, methods=["POST"]),
            Route("/api/uploads/{name}", append, methods=["PATCH"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(twin(Path(sys.argv[1]), sys.argv[3]), host="127.0.0.1", port=int(sys.argv[2]), log_level="critical")
