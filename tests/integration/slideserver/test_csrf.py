"""Who may have a browser change something: our own pages, nobody else."""

import pytest

# What the pages and the API tell is the same on both engines; what they ask is tried on both beside `sharing`.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

OURS = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "OWN"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
]
OTHERS = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "OWN"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "OWN.evil.example"},
    {"Origin": ""},
    {"Referer": "OWN/login"},
]


def sent(world, headers: dict[str, str]) -> dict[str, str]:
    return {name: value.replace("OWN", world.url) for name, value in headers.items()}


def test_requests_of_other_sites_change_nothing(world) -> None:
    browser = world.signed_in("pathologiste.caen")
    del browser.headers["Sec-Fetch-Site"]
    for headers in OTHERS:
        for path, data in (
            ("/logout", {}),
            ("/language", {"language": "en"}),
            ("/login", {"login": "x", "password": "y"}),
        ):
            answer = browser.post(path, data=data, headers=sent(world, headers))
            assert answer.status_code == 403, (path, headers)
            assert "set-cookie" not in answer.headers
    for method in ("PUT", "PATCH", "DELETE"):
        assert browser.request(method, "/api/cases").status_code == 403
    assert browser.get("/api/session").status_code == 200


@pytest.mark.parametrize("headers", OURS)
def test_requests_of_our_pages_are_heard(world, headers) -> None:
    browser = world.signed_in("pathologiste.caen")
    del browser.headers["Sec-Fetch-Site"]
    assert browser.post("/logout", headers=sent(world, headers)).status_code == 303


def test_reading_needs_no_proof(world) -> None:
    browser = world.signed_in("pathologiste.caen")
    del browser.headers["Sec-Fetch-Site"]
    for headers in OTHERS:
        assert browser.get("/api/session", headers=sent(world, headers)).status_code == 200


def test_a_scanners_upload_needs_a_key_instead(world) -> None:
    import httpx

    answer = httpx.post(f"{world.url}/api/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "3"})
    assert answer.status_code == 401


def test_a_witness_needs_its_signature_instead(world) -> None:
    browser = world.signed_in("pathologiste.caen")
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    answer = browser.put("/api/witness/logs/caen/cosignatures/1", content=b"x")
    assert answer.status_code == 401, "nothing is read there but the signature"
