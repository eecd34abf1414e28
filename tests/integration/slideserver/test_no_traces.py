"""Where a reader looked is written down nowhere: no table, no file, no log knows it after a walk over a slide."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fixtures.server import World
from sqlalchemy import inspect, text

from sharing import drafts
from sharing.slides import Slide

TRACE = re.compile(r"/tiles/|\b[0-9]{1,2}/[0-9]+_[0-9]+\b|\b[0-9]+,[0-9]+,[0-9]+,[0-9]+\b|\bc=[0-9]+,[0-9]+")
"""An address of a tile, in any of the three ways there are, or a place in a view."""
NOT_OURS = ("httpx", "httpcore", "uvicorn.access")
"""The browser's own log, and one that is off (`serving.create_server`) and to which pytest listens all the same."""
MAY_CHANGE = {
    "reading": {"seen_us"},
    "session_token": {"used_us"},
    "epoch_seen": set(),
    "audit_pending": set(),
    "audit_seal": set(),
    "audit_tree": {"size", "edge"},
    "audit_checkpoint": set(),
}
"""What goes on by itself while somebody looks: that it is still so, and the sealing of what was on record before."""


@pytest.fixture
def slide(world: World) -> Slide:
    return world.add_slide(world.centres.caen, "26H01234")


def contents(world: World) -> dict[str, Counter[str]]:
    """Every row of every table, by table, without the columns that may change."""
    found = {}
    with world.database.reading() as session:
        connection = session.connection()
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f"SELECT * FROM {table}")).mappings()
            left_out = MAY_CHANGE.get(table, set())
            found[table] = Counter(
                str({name: value for name, value in row.items() if name not in left_out}) for row in rows
            )
    return found


def walk(world: World, slide: Slide, browser: httpx.Client) -> int:
    """Over every level by our own addresses, by Deep Zoom's and by IIIF's; some twice, some by HEAD, some that are not
    there. How many were shown."""
    below = f"/tiles/{slide.id}/{slide.version}"
    told = browser.get(f"/api/slides/{slide.id}").json()
    asked = []
    for number, level in enumerate(told["levels"]):
        cols, rows = -(-level["width"] // level["tile_width"]), -(-level["height"] // level["tile_height"])
        asked += [f"{below}/{number}/{col}_{row}" for col in range(min(cols, 12)) for row in range(min(rows, 6))]
    asked += [f"{below}/slide_files/{number}/0_0.jpeg" for number in range(8, 13)]
    asked += [f"{below}/iiif/full/max/0/default.jpg", f"{below}/iiif/0,0,240,240/240,240/0/default.jpg"]
    asked += [f"{below}/0/99_99", f"{below}/thumbnail", f"{below}/label"]
    shown = 0
    for number, address in enumerate(asked):
        answer = browser.head(address) if number % 7 == 0 else browser.get(address)
        shown += answer.status_code == 200
        browser.get(address, headers={"If-None-Match": answer.headers.get("ETag", '"x"')})
    return shown


def traces(texts: Iterator[str]) -> list[str]:
    return [told for told in texts if TRACE.search(told)]


def written(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> Iterator[str]:
    for table, rows in after.items():
        yield from (f"{table}: {row}" for row in rows - before.get(table, Counter()))


def files_of(var: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in var.rglob("*") if path.is_file()}


def test_a_walk_over_a_slide_leaves_no_trace_of_where_it_led(
    world: World, slide: Slide, caplog: pytest.LogCaptureFixture
) -> None:
    browser = world.signed_in("pathologiste.caen")
    assert browser.get(f"/slides/{slide.id}").status_code == 200
    assert browser.get(f"/tiles/{slide.id}/{slide.version}/label").status_code == 200
    before, files = contents(world), files_of(world.settings.var)
    with caplog.at_level(logging.DEBUG):
        assert walk(world, slide, browser) > 60
    after = contents(world)
    changed = {table for table, rows in after.items() if rows != before.get(table)}
    assert changed <= MAY_CHANGE.keys(), "one reading, which was on record before"
    assert traces(written({}, after)) == []
    logged = (record.getMessage() for record in caplog.records if not record.name.startswith(NOT_OURS))
    assert traces(logged) == []
    assert not logging.getLogger("uvicorn.access").propagate, "what pytest listens to, nobody else hears"
    touched = {path for path, at in files_of(world.settings.var).items() if files.get(path) != at}
    assert {path.name for path in touched if not path.name.startswith(("iain.db", "throttle.db"))} == set()


def test_a_trace_would_be_seen(world: World, slide: Slide, caplog: pytest.LogCaptureFixture) -> None:
    """The control: the same look at the same places finds what is put there."""
    before = contents(world)
    with world.database.writing() as session:
        drafts.save(session, world.centres.caen.pathologist, "ask.x", f"/tiles/{slide.id}/{slide.version}/0/3_4")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("slideserver.tiles").debug("0/3_4 was cut")
    assert len(traces(written(before, contents(world)))) == 1
    assert len(traces(record.getMessage() for record in caplog.records)) == 1
    for place in ("3/12_7", "0,0,240,240", "c=1110,1480&m=10"):
        assert TRACE.search(f"a reader was at {place}")
