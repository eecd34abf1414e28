"""The session cookies: their names, how they are written, and how they are found in raw request headers."""

from collections.abc import Iterable

from starlette.responses import Response

# Ours have 43 characters. What is longer is nobody's, and goes no further: not into a memory, not to another process.
LONGEST = 200


class SessionCookie:
    """`secure`: the site is served over TLS; then the name binds the cookie to this very host (RFC 6265bis §4.1.3)."""

    plain_name = "iain_session"
    secure_name = "__Host-iain"

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        self.name = self.secure_name if secure else self.plain_name
        self._prefix = f"{self.name}=".encode()

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The token in the headers of an ASGI scope, or None. The first wins, as it does in browsers' order. One that
        is too long to be any is none."""
        for name, value in headers:
            if name == b"cookie":
                for pair in value.split(b";"):
                    pair = pair.strip()
                    if pair.startswith(self._prefix):
                        token = pair[len(self._prefix) :]
                        return token.decode("latin-1") if len(token) <= LONGEST else None
        return None

    def write(self, response: Response, token: str) -> None:
        """A cookie that ends with the browser; the server ends the session earlier."""
        response.set_cookie(self.name, token, path="/", secure=self.secure, httponly=True, samesite="lax")

    def clear(self, response: Response) -> None:
        response.delete_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="lax")


class GuestCookie(SessionCookie):
    """Of somebody whom a link admitted. It stands beside a member's: a member may follow a link too."""

    plain_name = "iain_guest"
    secure_name = "__Host-iain-guest"


class Credentials:
    """What of both cookies a browser shows, in one string: what a decision about a tile is remembered under."""

    def __init__(self, member: SessionCookie, guest: SessionCookie) -> None:
        self._member = member
        self._guest = guest

    def find(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """`member;guest`, either of which may be empty (no cookie's value holds a semicolon); None without both."""
        headers = list(headers)
        member, guest = self._member.find(headers), self._guest.find(headers)
        return f"{member or ''};{guest or ''}" if member or guest else None
