"""The tile path, over HTTP."""

import threading

import pytest
from fixtures.server import World

from sharing import audit_search
from sharing.slides import Slide
from sharing.vocabulary import Act, Outcome


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, "26H01234")


def tile(slide: Slide, address: str = "0/0_0") -> str:
    return f"/tiles/{slide.id}/{slide.version}/{address}"


def acts(world: World, act: Act, outcome: Outcome | None = None) -> list[audit_search.AuditRow]:
    with world.database.writing() as session:
        filters = audit_search.Filters(act=act, outcome=outcome)
        return list(audit_search.query(session, world.centres.caen.lab_manager, filters).rows)


def test_a_tile_is_the_scanners_own_bytes(world, slide) -> None:
    answer = world.signed_in("pathologiste.caen").get(tile(slide))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"
    assert answer.content[-2:] == b"\xff\xd9"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "x-content-type-options" in answer.headers


def test_a_browser_that_has_it_is_told_to_keep_it(world, slide) -> None:
    browser = world.signed_in("pathologiste.caen")
    etag = browser.get(tile(slide)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        again = browser.get(tile(slide), headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert browser.get(tile(slide), headers={"If-None-Match": '"other"'}).status_code == 200


def test_head_says_what_get_would_send(world, slide) -> None:
    browser = world.signed_in("pathologiste.caen")
    whole, head = browser.get(tile(slide)), browser.head(tile(slide))
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    "address",
    [
        "0/999_0",
        "0/0_999",
        "9/0_0",
        "99/0_0",
        "0/-1_0",
        "0/0",
        "0/0_0/",
        "0/0_0.jpg",
        "0/٣_0",
        "0/1_0_0",
        "picture",
        "",
    ],
)
def test_what_is_not_there_is_said_in_words(world, slide, address) -> None:
    answer = world.signed_in("pathologiste.caen").get(tile(slide, address))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_another_version_is_not_there(world, slide) -> None:
    browser = world.signed_in("pathologiste.caen")
    assert browser.get(f"/tiles/{slide.id}/{'0' * 16}/0/0_0").status_code == 404
    assert browser.get(f"/tiles/{'a' * 26}/{slide.version}/0/0_0").status_code == 404


def test_other_methods_are_refused(world, slide) -> None:
    answer = world.signed_in("pathologiste.caen").put(tile(slide))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("picture", ["thumbnail", "label", "macro"])
def test_the_small_pictures_come_the_same_way(world, slide, picture) -> None:
    answer = world.signed_in("pathologiste.caen").get(tile(slide, picture))
    assert answer.status_code == 200
    assert answer.content[:2] == b"\xff\xd8"


def test_without_a_session_nothing_is_told_of_any_slide(world, slide) -> None:
    stranger = world.client()
    absent = f"/tiles/{'a' * 26}/{slide.version}/0/0_0"
    answers = [stranger.get(path) for path in (tile(slide), tile(slide, "thumbnail"), absent)]
    stranger.cookies.set("iain_session", "x" * 43)
    answers += [stranger.get(path) for path in (tile(slide), absent)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


def test_a_reading_is_on_record_once_however_many_tiles_and_threads(world, slide) -> None:
    browser = world.signed_in("pathologiste.caen")
    assert browser.get("/cases").status_code == 200
    assert browser.get(tile(slide, "thumbnail")).status_code == 200
    assert acts(world, Act.SLIDE_OPENED) == [], "looking at a thumbnail in a list is not reading"
    statuses: list[int] = []

    def look(col: int) -> None:
        statuses.append(browser.get(tile(slide, f"0/{col}_0")).status_code)

    threads = [threading.Thread(target=look, args=(col,)) for col in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    [event] = acts(world, Act.SLIDE_OPENED)
    assert (event.agent_id, event.slide_id) == (world.centres.caen.pathologist.id, slide.id)


def test_a_refused_reader_is_on_record_at_the_owners_site(world, slide) -> None:
    answer = world.signed_in("pathologiste.rouen").get(tile(slide))
    absent = world.signed_in("pathologiste.rouen").get(f"/tiles/{'a' * 26}/{slide.version}/0/0_0")
    assert (answer.status_code, answer.content) == (404, absent.content)
    [event] = acts(world, Act.ACCESS_REFUSED)
    assert (event.agent_id, event.slide_id) == (world.centres.rouen.pathologist.id, slide.id)
    assert acts(world, Act.SLIDE_OPENED) == []


def test_a_slide_that_is_not_ready_has_no_tiles(world) -> None:
    slide = world.add_slide(world.centres.caen, ready=False)
    answer = world.signed_in("pathologiste.caen").get(f"/tiles/{slide.id}/{'0' * 16}/0/0_0")
    assert answer.status_code == 404


def test_an_index_changed_on_disk_is_not_believed(world, slide) -> None:
    path = world.settings.var / "slides" / slide.id / f"{slide.index_digest}.index"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    browser = world.signed_in("pathologiste.caen")
    answer = browser.get(tile(slide))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    data[-1] ^= 1
    path.write_bytes(data)
    assert browser.get(tile(slide)).status_code == 200, "the next request starts afresh"


def test_every_tile_of_every_level_comes_and_is_a_jpeg(world, slide) -> None:
    browser = world.signed_in("pathologiste.caen")
    levels = browser.get(f"/api/slides/{slide.id}").json()["levels"]
    for number, level in enumerate(levels):
        last_col = (level["width"] - 1) // level["tile_width"]
        last_row = (level["height"] - 1) // level["tile_height"]
        for col, row in {(0, 0), (last_col, 0), (0, last_row), (last_col, last_row)}:
            answer = browser.get(tile(slide, f"{number}/{col}_{row}"))
            assert answer.status_code == 200, answer.text
            assert answer.content[:2] == b"\xff\xd8"
        assert browser.get(tile(slide, f"{number}/{last_col + 1}_0")).status_code == 404
