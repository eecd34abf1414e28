"""Every route, asked by everybody for things to which they stand in every way; and what a walk through the whole
interface asked, asked once more by people of another site.

The walk is one of a real browser against a real server; beside it, every page's forms and every route of programs. The
controls are a route whose check was taken out, and the owner's own people, who must see what others must not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Error as BrowserError

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, Stage, founded, stage
from benchmarks.torture_sharing.xss import chromium, kind_of, sign_in
from sharing import slides
from sharing.clock import FrozenClock, SystemClock
from sharing.scanners import add_scanner, authenticate_scanner
from sharing.subjects import System
from sharing.vocabulary import Action, Purpose, SlideId
from slideserver.app import create_framework
from slideserver.deps import SessionDep, requires
from slideserver.errors import Answers
from tiler.sandbox import Sandbox

from fixtures.asgi import InProcess  # type: ignore[import-not-found]  # isort: skip
from fixtures.ledger import Ledger  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.cells import Matrix  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.routes import MatrixRoute, routes_of  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.scene import Scene, scene  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.things import Maker, Planted  # type: ignore[import-not-found]  # isort: skip
from fixtures.server import SAME_ORIGIN  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.walking import Request, asked_by, names, told  # type: ignore[import-not-found]  # isort: skip

WALKERS = ("pathologiste", "interne", "technicien", "responsable", "dpo")
STRANGERS = ("pathologiste.lille", "responsable.lille", "dpo.lille")
PAGES_OF_A_WALK, OF_A_KIND = 80, 2
REPLAYS = 500
READY_MS = 30_000


@dataclass
class Tally:
    cells: int = 0
    wrong: list[str] = field(default_factory=list)
    routes: set[str] = field(default_factory=set)
    covered: set[str] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    replayed: int = 0
    betrayed: list[str] = field(default_factory=list)
    void: list[str] = field(default_factory=list)


def run(plan: Plan) -> Result:
    tally = Tally()
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with founded(engine, plan.folder / engine) as on, ground(on) as found:
            play(found, tally, every=max(1, round(1 / plan.share)))
            if not unchecked(found):
                tally.void.append(f"a route with its check removed, on {engine},")
    (plan.folder / "walk").mkdir()
    with stage("sqlite", plan.folder / "walk") as on, chromium() as browser:
        swap(on, browser, tally, plan)
    figures = {
        "policy.routes_covered": len(tally.covered) / len(tally.routes),
        "policy.cells": tally.cells,
        "policy.wrong": len(tally.wrong),
        "policy.foreign_ids_replayed": tally.replayed,
        "policy.foreign_bytes": len(tally.betrayed),
        "audit.acts_checked": tally.ledger.acts,
        "audit.acts_without_event": len(tally.ledger.acts_without_event),
        "audit.events_without_act": len(tally.ledger.events_without_act),
    }
    amiss = [*tally.wrong, *tally.betrayed, *tally.ledger.acts_without_event, *tally.ledger.events_without_act]
    short = tally.replayed < plan.times(REPLAYS) or tally.covered != tally.routes
    notes = (
        f"{len(tally.routes)} routes; of 0 in {tally.cells}, the 95 % bound is {3 / max(1, tally.cells):.1g} a cell",
        *amiss[:40],
    )
    return Result(figures, failed=bool(amiss) or short, notes=notes, void=tuple(tally.void))


@contextmanager
def ground(on: Stage) -> Iterator[Scene]:
    clock = FrozenClock(SystemClock().now_us())
    settings = on.settings
    with scene(settings.database, on.centres, settings.var, on.world.indexed, Sandbox(), clock) as found:
        yield found


def play(found: Scene, tally: Tally, *, every: int) -> None:
    """Each cell; or, `every` so many, those that follow the first ones of each route."""
    matrix = Matrix(found)
    routes = routes_of(create_framework(found.state, Answers(found.state)))
    tally.routes |= {route.name for route in routes}
    with found.database.reading() as before:
        for route in routes:
            for cell in list(matrix.cells([route], long=True))[::every]:
                played = matrix.play(cell)
                tally.wrong += matrix.wrong(played)
                tally.ledger.note(played, before)
                tally.cells += 1
                tally.covered.add(route.name)


def unchecked(found: Scene) -> list[str]:
    """What the matrix finds wrong with a route that shows a slide to whoever knows its id."""
    framework = create_framework(found.state, Answers(found.state))

    @framework.get("/unchecked/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
    def show(session: SessionDep, slide_id: str) -> str:
        return repr(slides.get_slide(session, System(), SlideId(slide_id)))

    found.app = InProcess(framework, found.app.runner)
    matrix = Matrix(found)
    routes: list[MatrixRoute] = [route for route in routes_of(framework) if route.path.startswith("/unchecked")]
    return [line for cell in matrix.cells(routes) for line in matrix.wrong(matrix.play(cell))]


def swap(on: Stage, browser: Browser, tally: Tally, plan: Plan) -> None:
    """Caen's people walk; what their browsers asked is asked by Lille's, and by nobody."""
    planted, caen = Planted(), on.centres.caen
    with on.database.writing() as session:
        scanner_id, key = add_scanner(session, caen.id, f"Scanner {planted.word('scanner')}")
        scanner = authenticate_scanner(session, key)
    assert scanner is not None
    planted.mark(scanner_id, "scanner's id")
    maker = Maker(on.database, on.settings.var, on.world.indexed, planted)
    asker, purpose = caen.pathologist, Purpose.CARE
    for number in range(plan.times(3)):
        name = f"walk {number}"
        maker.share(name, caen, scanner, maker=asker, to=[None], purpose=purpose, senders=[scanner, asker])
    recorded: dict[Request, None] = {}
    for role in WALKERS[: plan.times(len(WALKERS))]:
        recorded |= dict.fromkeys(walk(on, browser, f"{role}.caen"))
    swapped = [request for request in recorded if names(planted, request)]
    for login in STRANGERS:
        for request, answer in asked(on, login, swapped):
            tally.replayed += 1
            if words := told(planted, request, answer):
                tally.betrayed.append(f"{request.method} {request.url} as {login} tells of {', '.join(words)}")
    reading = [request for request in swapped if request.method == "GET"]
    if not any(told(planted, request, answer) for request, answer in asked(on, "pathologiste.caen", reading)):
        tally.void.append("the owner's own people, who see everything,")


def walk(on: Stage, browser: Browser, login: str) -> list[Request]:
    """What one person's browser asked on the way, and what the forms of the pages would have."""
    url = on.urls[0]
    context = browser.new_context(locale="fr-FR", viewport={"width": 1440, "height": 900})
    context.set_default_timeout(READY_MS)
    found: dict[Request, None] = {}

    def note(request: Any) -> None:
        address = request.url.removeprefix(url).partition("#")[0]
        if request.url.startswith(url) and not address.startswith("/static/"):
            body = (request.post_data or "").encode()
            found[Request(request.method, address, request.headers.get("content-type", ""), body)] = None

    context.on("request", note)
    try:
        sign_in(context, url, login, on.centres.password)
        _pages(context, url, found)
    finally:
        context.close()
    return list(found)


def _pages(context: BrowserContext, url: str, found: dict[Request, None]) -> None:
    page, waiting, kinds, looked_at = context.new_page(), ["/"], dict[str, int](), 0
    while waiting and looked_at < PAGES_OF_A_WALK:
        path = waiting.pop(0)
        kind = kind_of(path)
        if kinds.get(kind, 0) >= OF_A_KIND:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        looked_at += 1
        try:
            page.goto(url + path, wait_until="load")
            if page.locator("iain-viewer").count():
                page.wait_for_selector("iain-viewer[data-ready]")
                page.keyboard.press("c")
                page.keyboard.press("+")
        except BrowserError:  # a file that is downloaded; what was asked is noted
            continue
        text = httpx.Response(200, headers={"content-type": "text/html"}, text=page.content())
        for request in asked_by(path, text):
            found.setdefault(request)
            if request.method == "GET" and not request.url.startswith(("/api/", "/tiles/")):
                waiting.append(request.url)


def asked(on: Stage, login: str, requests: list[Request]) -> Iterator[tuple[Request, httpx.Response]]:
    with httpx.Client(base_url=on.urls[1], headers=SAME_ORIGIN, timeout=60, trust_env=False) as client:
        answer = client.post("/login", data={"login": login, "password": on.centres.password})
        if answer.status_code != 303:
            raise RuntimeError(f"{login} cannot sign in: {answer.status_code}")
        for request in requests:
            yield request, client.request(request.method, request.url, headers=request.headers, content=request.body)
