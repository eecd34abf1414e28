"""Hostile texts in every field, and the pages that show them, in Chromium: the short form of the torture's part."""

from pathlib import Path

import pytest
from fixtures.platform import new_world
from playwright.sync_api import Browser
from sqlalchemy import select

from benchmarks.torture_sharing.planting import plant
from benchmarks.torture_sharing.xss import Walk, control, sign_in, visitor, walk_pages
from sharing.db.engine import open_database
from sharing.db.tables import SlideRow

pytestmark = pytest.mark.browser

TEXTS = 62
WALKS = {
    "pathologiste.caen": ("fr-FR", ("/cases", "/consultations", "/links")),
    "technicien.caen": ("en-GB", ("/intake", "/scanners")),
    "responsable.caen": ("en-GB", ("/audit", "/shares", "/links/open")),
    "administrateur.caen": ("fr-FR", ("/members",)),
}
"""Pages that show many texts at once."""


def test_no_text_of_others_runs_on_any_page(browser: Browser, tmp_path: Path, figure) -> None:
    walk, guarded, loose = Walk(), Walk(), Walk()
    with new_world(tmp_path) as (platform, centres):
        assert platform.database_url
        database = open_database(platform.database_url)
        with database.reading() as session:
            slide_id = session.scalars(select(SlideRow.id).where(SlideRow.state == "ready").limit(1)).one()
        plant(database, centres, slide_id, TEXTS)
        database.close()
        for login, (language, pages) in WALKS.items():
            # Without the policy on content: what escaping leaves to it would run.
            with visitor(browser, walk, language, guarded=login == "pathologiste.caen") as context:
                sign_in(context, platform.url, login, centres.password)
                walk_pages(context, platform.url, pages, walk, language, follow=False)
        # The control: a page whose texts are put in as they are, under the policy and without it.
        for noticed, with_policy in ((guarded, True), (loose, False)):
            with visitor(browser, noticed, "fr-FR", guarded=with_policy) as context:
                sign_in(context, platform.url, "administrateur.caen", centres.password)
                control(context, platform.url, "/members", noticed)
    assert not walk.unreached
    figure("xss.cells", len(walk.cells))
    figure("xss.executed", len(walk.executed))
    figure("csp.violations", len(walk.violations))
    assert len(walk.cells) >= 1000
    assert (walk.executed, walk.violations) == ([], [])
    assert guarded.violations, "the policy on content was not asked"
    assert loose.executed, "what is not escaped was not noticed"
