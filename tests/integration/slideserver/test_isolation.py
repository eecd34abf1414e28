"""What one site has, another does not see: asked of every route there is."""

import re

import pytest
from fastapi.routing import RouteContext, iter_route_contexts
from fixtures.server import World

from sharing.vocabulary import new_id
from slideserver.deps import PUBLIC, Requires

UPLOADS = "/api/uploads"
UNDER_TILES = (
    "0/0_0",
    "thumbnail",
    "label",
    "macro",
    "slide.json",
    "slide.dzi",
    "slide_files/8/0_0.jpeg",
    "iiif/info.json",
    "iiif/full/max/0/default.jpg",
    "profile.icc",
)
ROLES = ("pathologiste", "technicien", "responsable")


@pytest.fixture
def routes(framework) -> list[RouteContext]:
    return list(iter_route_contexts(framework.routes))


def test_every_route_says_what_it_is_for_or_that_it_is_public(routes) -> None:
    others = [route.path for route in routes if route.path not in PUBLIC and not declares(route)]
    assert [path for path in others if not path.startswith(UPLOADS)] == []
    assert others, "uploads ask for a scanner's key, before the first byte of the body"
    paths = {route.path for route in routes}
    assert paths >= {"/cases", "/api/cases/{case_id}", "/api/slides/{slide_id}", "/api/audit", "/login"}
    assert paths >= PUBLIC, "what is no route any more is not public either"


def test_a_route_that_forgot_is_noticed(framework) -> None:
    """The control of the test above."""

    @framework.get("/forgotten")
    def forgotten() -> None: ...

    [route] = [route for route in iter_route_contexts(framework.routes) if route.path == "/forgotten"]
    assert not declares(route)


def declares(route: RouteContext) -> bool:
    return any(isinstance(depends.dependency, Requires) for depends in getattr(route, "dependencies", ()))


def test_another_site_gets_what_a_stranger_to_the_thing_gets(world: World, routes) -> None:
    """Each address of Caen's case and slide, as each role of Rouen: the very answer an invented id gives."""
    slide = world.add_slide(world.centres.caen, "26H01236")
    case_id = world.centres.caen.cases["26H01236"]
    version = str(slide.version)
    invented = new_id()
    paths = {route.path for route in routes if re.search(r"\{(case_id|slide_id)\}", route.path or "")}
    paths |= {f"/tiles/{{slide_id}}/{version}/{what}" for what in UNDER_TILES}
    assert len(paths) >= 4 + len(UNDER_TILES)

    def fill(path: str, case: str, slide: str) -> str:
        return path.replace("{case_id}", case).replace("{slide_id}", slide)

    for role in ROLES:
        foreign = world.signed_in(f"{role}.rouen")
        for path in sorted(paths):
            asked, absent = (foreign.get(fill(path, *ids)) for ids in ((case_id, slide.id), (invented, invented)))
            where = f"{role} {path}"
            assert (asked.status_code, absent.status_code) in {(404, 404), (405, 405), (403, 403)}, where
            assert asked.text.replace(case_id, "").replace(slide.id, "") == absent.text.replace(invented, ""), where
            assert_nothing_of_caen(asked)  # but the id that was typed, in the address


def test_nothing_of_a_site_stands_in_another_sites_lists(world: World, routes) -> None:
    slide = world.add_slide(world.centres.caen, "26H01236")
    case_id = world.centres.caen.cases["26H01236"]
    lists = [route.path for route in routes if "{" not in route.path and "GET" in (route.methods or ())]
    assert {"/cases", "/api/cases", "/intake", "/audit", "/api/audit"} <= set(lists)
    for role in ROLES:
        foreign, own = world.signed_in(f"{role}.rouen"), world.signed_in(f"{role}.caen")
        for path in lists:
            assert_nothing_of_caen(foreign.get(path), slide.id, case_id)
        listing = "/intake" if role == "technicien" else "/cases"
        assert "26H01236" in own.get(listing).text, "the control: its own people do see it"


def assert_nothing_of_caen(answer, *ids: str) -> None:
    said = answer.text + str(answer.headers)
    for word in (*ids, "26H01236", "MODÈLE", "Sacha"):
        assert word not in said, f"{word} in {answer.request.url}"
