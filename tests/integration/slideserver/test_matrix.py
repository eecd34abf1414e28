"""Who may do what, asked of every route there is: each cell of route × who × how they stand to what they ask for.

The long form, every cell on both engines, is `make torture-sharing`.
"""

from dataclasses import fields, replace

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from fixtures.asgi import InProcess
from fixtures.ledger import Ledger
from fixtures.matrix.cells import Matrix
from fixtures.matrix.rights import HOME, ROLES, Relation
from fixtures.matrix.routes import METHODS, MatrixRoute, Policy, routes_of, tiles
from fixtures.matrix.scene import Scene
from starlette.types import Scope

from sharing import slides
from sharing.errors import NotFoundError
from sharing.subjects import System
from sharing.vocabulary import Action, SlideId
from slideserver import addresses
from slideserver.app import create_framework
from slideserver.deps import PUBLIC, MemberDep, SessionDep, requires
from slideserver.errors import Answers

SAMPLE_OF_THE_OTHER_ENGINE = 24
ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What no engine makes any difference to."""


def own_framework(stage: Scene) -> FastAPI:
    """The application of the scene, without what stands ahead of the framework; routes can be added."""
    framework = create_framework(stage.state, Answers(stage.state))
    stage.app = InProcess(framework, stage.app.runner)
    return framework


def test_every_cell_is_as_the_rules_say(matrix: Matrix, figure) -> None:
    """Also the record: one event for each act and each refusal, and none for what was not done."""
    routes = routes_of(create_framework(matrix.scene.state, Answers(matrix.scene.state)))
    cells, wrong, ledger = list(matrix.cells(routes)), [], Ledger()
    if matrix.scene.database.engine.dialect.name == "postgresql":
        cells = cells[::SAMPLE_OF_THE_OTHER_ENGINE]
    else:
        covered = {cell.route.name for cell in cells}
        figure("policy.routes_covered", len(covered) / len({route.name for route in routes}))
        assert covered == {route.name for route in routes}
    with matrix.scene.database.reading() as before:
        for cell in cells:
            played = matrix.play(cell)
            wrong += matrix.wrong(played)
            ledger.note(played, before)
    figure("policy.cells", len(cells), add=True)
    figure("policy.wrong", len(wrong), add=True)
    figure("audit.acts_checked", ledger.acts, add=True)
    figure("audit.acts_without_event", len(ledger.acts_without_event), add=True)
    figure("audit.events_without_act", len(ledger.events_without_act), add=True)
    assert "\n".join(wrong) == ""
    assert (ledger.acts_without_event, ledger.events_without_act) == ([], [])


@ONCE
def test_every_route_declares_what_the_table_knows(framework: FastAPI) -> None:
    routes = routes_of(framework)
    assert [route.name for route in routes if undeclared(route)] == []
    assert {route.path for route in routes} >= PUBLIC - {"/static"}, "what is no route any more is not public either"
    assert {action.value for action in Action} == HOME.keys()


@ONCE
def test_every_pattern_of_an_address_under_tiles_is_asked(framework: FastAPI) -> None:
    paths = [route.path.replace("{slide_id}", 26 * "a").replace("{version}", 16 * "0") for route in tiles()]
    scope: Scope = {"scheme": "http", "headers": []}
    assert all(addresses.find({**scope, "path": path}, "") for path in paths)
    rests = [path.split("/", 4)[4] for path in paths]
    patterns = (addresses.TILE, addresses.OTHER, addresses.DEEP_ZOOM, addresses.IIIF)
    assert all(any(pattern.fullmatch(text) for text in (*paths, *rests)) for pattern in patterns)
    assert len({route.action for route in tiles()}) == 2


@ONCE
def test_what_declares_nothing_or_what_nobody_knows_is_noticed(framework: FastAPI) -> None:
    """The control of the tests above: a socket too has to say what it is for."""

    @framework.websocket("/live/{slide_id}")
    async def live(socket: WebSocket) -> None: ...

    @framework.get("/forgotten")
    def forgotten() -> None: ...

    @framework.get("/printed", dependencies=[requires("slide.print")])  # type: ignore[arg-type]
    def printed() -> None: ...

    noticed = [route.name for route in routes_of(framework) if undeclared(route)]
    assert noticed == ["WEBSOCKET /live/{slide_id}", "GET /forgotten", "GET /printed"]


def undeclared(route: MatrixRoute) -> bool:
    return route.policy is None or (route.action is not None and route.action not in HOME)


@ONCE
def test_a_route_without_its_check_is_noticed(matrix: Matrix) -> None:
    """The control of the matrix: one that shows what it should not, and one that only tells that there is something."""
    framework = own_framework(matrix.scene)

    @framework.get("/unchecked/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
    def unchecked(session: SessionDep, slide_id: str) -> PlainTextResponse:
        return PlainTextResponse(repr(slides.get_slide(session, System(), SlideId(slide_id))))

    @framework.get("/telling/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
    def telling(session: SessionDep, member: MemberDep, slide_id: str) -> PlainTextResponse:
        found = slides.get_slide(session, System(), SlideId(slide_id))
        try:
            slides.get_slide(session, member, SlideId(slide_id))
        except NotFoundError as error:
            error.args = (f"This is of {found.site_id}.",)
            return PlainTextResponse("Not for you.", 404)
        return PlainTextResponse("Here.")

    routes = [route for route in routes_of(framework) if route.path.startswith(("/unchecked", "/telling"))]
    wrong = [line for cell in matrix.cells(routes) for line in matrix.wrong(matrix.play(cell))]
    unseen = [line for line in wrong if line.startswith("GET /unchecked") and "(third)" in line]
    assert any("200 where no is right" in line for line in unseen)
    assert any("tells of" in line for line in unseen)
    assert any(line.startswith("GET /telling") and "differs from what an invented id gets" in line for line in wrong)


@ONCE
def test_other_methods_are_no_way_round(matrix: Matrix, framework: FastAPI) -> None:
    """Of a path, only the methods that it declares are answered."""
    stage = matrix.scene
    declared: dict[str, set[str]] = {}
    for route in routes_of(framework):
        declared.setdefault(route.path, set()).add(route.method)
    rouen, anonymous = (stage.subjects[Relation.INVITED, role] for role in ("pathologist", "anonymous"))
    things = stage.things(Relation.INVITED, rouen)
    for path, methods in declared.items():
        if path.startswith("/static"):
            continue
        for number, method in enumerate(sorted(set(METHODS) - methods)):
            asked = MatrixRoute(method, path, Policy.PUBLIC, None).ask(things, home=False)
            with stage.undone():
                answer = stage.send((rouen, anonymous)[number % 2], method, asked.url)
            assert 400 <= answer.status_code < 500, f"{method} {path}: {answer.status_code}"
            said = answer.content + repr(answer.headers.raw).encode()
            assert stage.planted.found(said, but=things.typed()) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_route_breaks_for_a_byte_that_no_text_holds(stage: Scene, framework: FastAPI) -> None:
    """SQLite takes a NUL and finds nothing; PostgreSQL takes none."""
    texts = {each.name for each in fields(stage.nothing) if each.type is str} - {"sha256"}
    odd = replace(stage.nothing, **dict.fromkeys(texts, "\0"))
    for route in routes_of(framework):
        role = next((role for role in ROLES if role in HOME.get(route.action or "", ())), "pathologist")
        for subject in (stage.subjects[Relation.OWN, role], stage.subjects[Relation.OWN, "device"]):
            asked = route.ask(odd, home=True)
            with stage.undone():
                url = asked.url.replace("\0", "%00")
                answer = stage.send(subject, route.method, url, asked.headers, asked.body)
            assert answer.status_code < 500, f"{route.name} as {subject.role}: {answer.text[:300]}"
