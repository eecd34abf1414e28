"""A scanner's key opens the door for slides of its own site, and no other route there is."""

import pytest
from fastapi.routing import RouteContext, iter_route_contexts
from fixtures.server import World

from slideserver.deps import PUBLIC

UPLOADS = "/api/uploads"


@pytest.fixture
def routes(framework) -> list[RouteContext]:
    return list(iter_route_contexts(framework.routes))


def test_with_a_key_every_other_route_is_as_closed_as_without(world: World, routes) -> None:
    slide = world.add_slide(world.centres.caen, "26H01236")
    fill = {"{slide_id}": slide.id, "{case_id}": str(slide.case_id), "{version}": str(slide.version)}
    stranger = world.client()
    key = {"Authorization": f"Bearer {world.centres.caen.scanner_key}"}
    asked = 0
    for route in routes:
        path = route.path or ""
        if path in PUBLIC or path.startswith((UPLOADS, "/static")):
            continue
        for placeholder, value in fill.items():
            path = path.replace(placeholder, value)
        for method in set(route.methods or ()) - {"HEAD", "OPTIONS"}:
            without, by_key = stranger.request(method, path), stranger.request(method, path, headers=key)
            assert by_key.status_code == without.status_code, f"{method} {path}"
            assert by_key.status_code in (303, 401, 404, 405, 422), f"{method} {path}"
            assert "26H01236" not in by_key.text
            asked += 1
    assert asked > 40
    for tile in ("0/0_0", "thumbnail", "slide.json"):
        assert stranger.get(f"/tiles/{slide.id}/{slide.version}/{tile}", headers=key).status_code == 401


def test_of_the_door_for_slides_it_opens_what_is_of_its_site(world: World) -> None:
    """The control of the test above, and its other half."""
    slide = world.add_slide(world.centres.caen, "26H01236")
    for centre, status in ((world.centres.caen, 200), (world.centres.rouen, 404)):
        key = {"Authorization": f"Bearer {centre.scanner_key}"}
        for path in (f"{UPLOADS}/slides/{slide.id}", f"{UPLOADS}/known/{slide.sha256}"):
            assert world.client().get(path, headers=key).status_code == status, path
