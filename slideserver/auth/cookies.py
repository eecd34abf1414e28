"""The session cookie: its name, how it is written, and how it is found in raw request headers."""

from collections.abc import Iterable

from starlette.responses import Response


class SessionCookie:
    """`secure`: the site is served over TLS; then the name binds the cookie to this very host (RFC 6265bis §4.1.3)."""

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        self.name = "__Host-iain" if secure else "iain_session"
        self._prefix = f"{self.name}=".encode()

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The token in the headers of an ASGI scope, or None. The first wins, as it does in browsers' order."""
        for name, value in headers:
            if name == b"cookie":
                for pair in value.split(b";"):
                    pair = pair.strip()
                    if pair.startswith(self._prefix):
                        return pair[len(self._prefix) :].decode("latin-1")
        return None

    def write(self, response: Response, token: str) -> None:
        """A cookie that ends with the browser; the server ends the session earlier."""
        response.set_cookie(self.name, token, path="/", secure=self.secure, httponly=True, samesite="lax")

    def clear(self, response: Response) -> None:
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")
