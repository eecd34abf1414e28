"""The security headers stand on every answer, whatever it is."""

import pytest
from sqlalchemy import text

from slideserver.csp import security_headers

REQUIRED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def check(answer) -> None:
    where = f"{answer.request.method} {answer.request.url.path} → {answer.status_code}"
    assert {name: answer.headers.get(name) for name in REQUIRED} == REQUIRED, where
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'", where
    assert policy["frame-ancestors"] == "'none'", where
    assert not any("unsafe" in part or "*" in part or "http" in part for part in policy.values()), where
    assert answer.headers["permissions-policy"]
    assert "server" not in answer.headers
    assert answer.headers["cache-control"], where


def test_on_everything_that_answers(world) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    tile = f"/tiles/{slide.id}/{slide.version}/0/0_0"
    browser, stranger = world.signed_in("pathologiste.caen"), world.client()
    script = next(path for path in (world_static() / "assets").iterdir() if path.suffix == ".js")
    etag = browser.get(tile).headers["etag"]
    guest, link = world.client(), world.link(slide)
    requests = [
        (200, browser.get("/api/cases")),
        (200, browser.get("/cases")),
        (200, browser.get(f"/slides/{slide.id}")),
        (200, browser.get(tile)),
        (200, browser.head(tile)),
        (304, browser.get(tile, headers={"If-None-Match": etag})),
        (404, browser.get(tile.replace("0_0", "999_0"))),
        (405, browser.post(tile)),
        (401, stranger.get(tile)),
        (200, stranger.get("/login")),
        (200, stranger.get("/healthz")),
        (200, stranger.get(f"/static/assets/{script.name}")),
        (404, stranger.get("/static/assets/absent.js")),
        (404, stranger.get("/static/.vite/manifest.json")),
        (404, stranger.get("/static/../settings.py")),
        (303, stranger.get("/cases")),
        (401, stranger.get("/api/cases")),
        (401, stranger.post("/api/uploads", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1"})),
        (404, browser.get("/nowhere")),
        (404, browser.get("/api/nowhere")),
        (405, browser.delete("/api/cases")),
        (405, browser.put("/login")),
        (403, browser.post("/logout", headers={"Sec-Fetch-Site": "cross-site"})),
        (413, browser.post("/language", content=b"x" * (2 << 20))),
        (413, browser.post("/language", content=(b"language=" + b"x" * 65536 for _ in range(40)), headers=FORM)),
        (422, browser.get("/api/cases?limit=none")),
        (422, browser.post("/language", data={"language": "xx"})),
        (200, stranger.get("/l/x")),
        (404, stranger.post("/l/x", data={"secret": "x"})),
        (200, stranger.get("/api/guest")),
        (401, stranger.get("/g/x")),
        (303, guest.post(f"/l/{link['id']}", data={"secret": link["url"].partition("#")[2]})),
        (200, guest.get(tile)),
        (404, guest.get(tile.replace("0/0_0", "label"))),
        (200, guest.get(f"/g/{slide.id}")),
        (303, browser.post("/logout")),
    ]
    for status, answer in requests:
        assert answer.status_code == status, (answer.request.method, answer.request.url, answer.text[:300])
        check(answer)


def test_on_a_failure_nobody_foresaw(world) -> None:
    browser = world.signed_in("pathologiste.caen")
    with world.database.writing() as session:
        session.execute(text("DROP TABLE session_token"))
    for path in ("/api/cases", "/cases"):
        answer = browser.get(path)
        assert answer.status_code == 500
        check(answer)
        assert "session_token" not in answer.text, "what broke is for the log"
        assert "Traceback" not in answer.text
    assert browser.get("/api/cases").json()["reference"]


def test_a_page_that_is_not_there_knows_who_asked(world) -> None:
    browser, stranger = world.signed_in("pathologiste.caen"), world.client()
    assert "Pathologiste de Caen" in browser.get("/nowhere").text
    assert "Pathologiste de Caen" not in stranger.get("/nowhere").text


def test_patient_data_is_never_stored_and_hashed_files_for_ever(world) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    browser = world.signed_in("pathologiste.caen")
    for path in ("/cases", "/api/cases", f"/api/slides/{slide.id}", f"/slides/{slide.id}"):
        assert browser.get(path).headers["cache-control"] == "no-store", path
    script = next((world_static() / "assets").iterdir())
    assert "immutable" in browser.get(f"/static/assets/{script.name}").headers["cache-control"]


@pytest.mark.parametrize("secure", [True, False])
def test_tls_is_insisted_upon_where_there_is_tls(secure) -> None:
    names = [name for name, _ in security_headers(secure=secure)]
    assert (b"strict-transport-security" in names) is secure


def world_static():
    from slideserver.assets import STATIC

    return STATIC
