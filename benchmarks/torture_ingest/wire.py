"""The upload routes without a network: one event loop in which requests can be held open for as long as one likes."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def count(self, header: str) -> int:
        return int(self.headers[header.lower()])


class Exchange:
    """One request on its way. What is `given` arrives; the answer is there once the server has made up its mind."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, app: ASGIApp, method: str, path: str, headers: dict[str, str]
    ) -> None:
        self.answer = Answer()
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._wants = asyncio.Event()
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        self._task = loop.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._messages.empty():
            self._wants.set()
        return await self._messages.get()

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}

    async def give(self, body: bytes) -> bool:
        """A part of the body that is not the last; whether the server took it and waits for more."""
        self._wants.clear()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": True})
        wants = asyncio.ensure_future(self._wants.wait())
        await asyncio.wait((self._task, wants), return_when=asyncio.FIRST_COMPLETED)
        wants.cancel()
        return not self._task.done()

    async def end(self, body: bytes = b"") -> Answer:
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        await self._task
        return self.answer

    async def cut(self) -> Answer:
        """The connection is gone; what the server would have answered."""
        self._messages.put_nowait({"type": "http.disconnect"})
        with suppress(asyncio.CancelledError):
            await self._task
        return self.answer
