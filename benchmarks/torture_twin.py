"""How not to do it: an upload server that keeps its offset in a record beside the file, and appends.

It looks right, and passes every test without a kill. Killed in the middle of a piece it forgets bytes that it has, is
sent them again, and appends them twice. It exists to show that `benchmarks.torture_ingest.kills` can tell.

`python -m benchmarks.torture_twin FOLDER PORT`
"""

import json
import secrets
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.protocol import SLIDE_HEADER, parse_count


def twin(folder: Path) -> Starlette:
    """The application, with its files in `folder`."""

    def record(name: str) -> Path:
        return folder / f"{name}.json"

    async def create(request: Request) -> Response:
        name = secrets.token_hex(8)
        length = parse_count(request.headers.get("Upload-Length"), "Upload-Length")
        record(name).write_text(json.dumps({"offset": 0, "length": length}))
        return Response(status_code=201, headers={"Location": f"/api/uploads/{name}"})

    def answer(status: int, state: dict[str, int]) -> Response:
        done = {SLIDE_HEADER: "done"} if state["offset"] == state["length"] else {}
        return Response(status_code=status, headers={"Upload-Offset": str(state["offset"]), **done})

    async def status(request: Request) -> Response:
        return answer(200, json.loads(record(request.path_params["name"]).read_text()))

    async def append(request: Request) -> Response:
        name = request.path_params["name"]
        state = json.loads(record(name).read_text())
        with (folder / name).open("ab") as file:
            async for data in request.stream():
                file.write(data)
                state["offset"] += len(data)
        record(name).write_text(json.dumps(state))
        return answer(204, state)

    return Starlette(
        routes=[
            Route("/api/uploads", create, methods=["POST"]),
            Route("/api/uploads/{name}", status, methods=["HEAD"]),
            Route("/api/uploads/{name}", append, methods=["PATCH"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(twin(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
