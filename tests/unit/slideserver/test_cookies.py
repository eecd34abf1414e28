import pytest
from starlette.responses import Response

from slideserver.auth.cookies import LONGEST, Credentials, GuestCookie, SessionCookie


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ([], None),
        ([(b"cookie", b"iain_session=abc")], "abc"),
        ([(b"cookie", b"iain_language=fr; iain_session=abc; x=y")], "abc"),
        ([(b"cookie", b"x=y"), (b"cookie", b"iain_session=abc")], "abc"),
        ([(b"cookie", b"xiain_session=abc")], None),
        ([(b"cookie", b"iain_session")], None),
        ([(b"x-cookie", b"iain_session=abc")], None),
        ([(b"cookie", b"iain_session=\xff\xfe")], "ÿþ"),
        ([(b"cookie", b"iain_session=" + b"a" * LONGEST)], "a" * LONGEST),
        ([(b"cookie", b"iain_session=" + b"a" * (LONGEST + 1))], None),
    ],
)
def test_the_token_is_found_in_raw_headers(headers, token) -> None:
    assert SessionCookie(secure=False).find(headers) == token


def test_over_tls_the_cookie_is_bound_to_the_host() -> None:
    response = Response()
    SessionCookie(secure=True).write(response, "abc")
    parts = response.headers["set-cookie"].split("; ")
    assert parts[0] == "__Host-iain=abc"
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(parts)
    assert not any(part.startswith("Domain") for part in parts)


def test_without_tls_scripts_still_cannot_read_it() -> None:
    response = Response()
    SessionCookie(secure=False).write(response, "abc")
    assert set(response.headers["set-cookie"].split("; ")) == {"iain_session=abc", "HttpOnly", "Path=/", "SameSite=lax"}


@pytest.mark.parametrize(
    ("cookies", "credential"),
    [
        (b"", None),
        (b"iain_session=abc", "abc;"),
        (b"iain_guest=xyz", ";xyz"),
        (b"iain_guest=xyz; iain_session=abc", "abc;xyz"),
        (b"iain_session=abc; iain_guest=", "abc;"),
        (b"iain_session=; iain_guest=", None),
        (b"iain_session=;xyz", None),
    ],
)
def test_what_a_browser_shows_is_told_apart_whatever_it_holds(cookies, credential) -> None:
    both = Credentials(SessionCookie(secure=False), GuestCookie(secure=False))
    assert both.find([(b"cookie", cookies)]) == credential


def test_a_guests_cookie_is_bound_to_the_host_as_well() -> None:
    assert GuestCookie(secure=True).name == "__Host-iain-guest"
