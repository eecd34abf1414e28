"""Tiles of one slide as Kitware's large_image gives them, in its strongest form, as a plain ASGI application.

Runs under uvicorn in an environment of its own (requirements.lock); imports nothing of the project. With colour
correction off, the TIFF source passes stored JPEG tiles on as they are; everything else stands as it is shipped, its
cache of tiles in memory included. A tile is made on the event loop: handing it to a thread would cost more than it
takes.
"""

import os
import re
from collections.abc import Awaitable, Callable
from typing import Any

import large_image.config  # type: ignore[import-not-found]

large_image.config.setConfig("icc_correction", False)
import large_image_source_tiff  # type: ignore[import-not-found]  # noqa: E402 - reads the setting above
from large_image.exceptions import TileSourceError  # type: ignore[import-not-found]  # noqa: E402

PATH = re.compile(r"/(\d{1,2})/(\d{1,6})/(\d{1,6})")

source = large_image_source_tiff.open(os.environ["SLIDE"], encoding="JPEG")


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """GET /{level}/{column}/{row}; level 0 is the coarsest."""
    if scope["type"] != "http":
        return
    match = PATH.fullmatch(scope["path"])
    try:
        if match is None:
            raise TileSourceError(scope["path"])
        level, column, row = (int(number) for number in match.groups())
        status, kind, body = 200, b"image/jpeg", bytes(source.getTile(column, row, level))
    except TileSourceError:
        status, kind, body = 404, b"text/plain", b""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
