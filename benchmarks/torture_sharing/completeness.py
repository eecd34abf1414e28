"""A server is killed in the midst of its work, a hundred times: every act has its event, every event its act.

People list cases, open them, make links, come in by them, ask for opinions, open what they are asked, meet refusals and
forget uploads, all at once; then all processes of the server, one or several, are gone (SIGKILL), and it is started
again. What the tables say was done is held against the journal (`books`). What only shows something leaves no row: of
that, every answer that arrived must have its event, and no event may be there for what nobody asked.

The control is a server that puts its acts on record a moment later (`late_record`).
"""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import httpx
from sqlalchemy import Connection, text

from benchmarks.tiles.processes import accepts, answers, free_port, tail
from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.books import balance
from benchmarks.torture_sharing.stage import ENGINES, Stage, founded, serving
from ingest.protocol import TUS_VERSION, UPLOADS_PATH
from sharing import cases, chain
from sharing.subjects import System
from sharing.vocabulary import new_id

KILLS, CONTROL_KILLS = 50, 4
START_S = 120.0
ACTS, AT_MOST_S, LATER_S = (3, 60), 30.0, 0.02
"""A server is killed when so many acts were answered, or after that time if it is slow, at a moment soon after."""
CASES = 40
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
LATE = ("-m", "benchmarks.torture_sharing.late_record")
PASSWORD = "pathologie-2026"


@dataclass
class Ledger:
    """What was asked and what was answered, by kind, of acts that leave no row."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, what: str, act: Callable[[], httpx.Response], *statuses: int) -> httpx.Response:
        with self.lock:
            self.asked[kind, what] += 1
        answer = act()
        if answer.status_code in (statuses or (200,)):
            with self.lock:
                self.answered[kind, what] += 1
        elif answer.status_code >= 500 and answer.status_code != 503:
            raise RuntimeError(f"{kind} was answered {answer.status_code}: {answer.text[:300]}")
        return answer


@dataclass
class Found:
    kills: int = 0
    acts: int = 0
    without_event: list[str] = field(default_factory=list)
    without_act: list[str] = field(default_factory=list)

    def __add__(self, other: "Found") -> "Found":
        return Found(
            self.kills + other.kills,
            self.acts + other.acts,
            self.without_event + other.without_event,
            self.without_act + other.without_act,
        )


def run(plan: Plan) -> Result:
    """All three at once: most of it is waiting for a server to start."""
    plays = [(engine, engine, plan.times(KILLS), ()) for engine in ENGINES]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_workers=len(plays) + 1) as pool:
        playing = [pool.submit(_play, plan, *each) for each in plays]
        control = pool.submit(_play, plan, "control", "sqlite", CONTROL_KILLS, LATE).result()
        found = Found()
        for each in playing:
            found += each.result()
    void = () if control.without_event else ("a server that puts its acts on record a moment later",)
    return Result(
        figures={
            "audit.kills": found.kills,
            "audit.acts_checked": found.acts,
            "audit.acts_without_event": len(found.without_event),
            "audit.events_without_act": len(found.without_act),
        },
        failed=bool(found.without_event or found.without_act),
        notes=(
            *(f"without event: {each}" for each in found.without_event[:20]),
            *(f"without act: {each}" for each in found.without_act[:20]),
            f"the control lost {len(control.without_event)} events in {control.kills} kills",
        ),
        void=void,
    )


def _play(plan: Plan, name: str, engine: str, kills: int, program: Sequence[str]) -> Found:
    found, ledger = Found(), Ledger()
    folder, chance = plan.folder / name, random.Random(f"{plan.seed} {name}")
    folder.mkdir()
    with founded(engine, folder) as on:
        with on.database.writing() as session:
            for number in range(CASES):
                cases.register_case(
                    session, System(), on.centres.caen.id, accession=f"26K{number:05}", patient_name=f"FICTIF {number}"
                )
        people: dict[str, httpx.Cookies] = {}
        for number in range(kills):
            port = free_port()
            server = _start(on, port, folder / f"{number}.log", program, processes=chance.choice("12"))
            try:
                _work(on, f"http://127.0.0.1:{port}", people, ledger, chance, server)
            finally:
                _kill(server)
            found.kills += 1
        chain.seal(on.database)
        with on.database.reading() as session:
            report = chain.verify(session)
            if not report.whole:
                found.without_act.append(f"{engine}: the chain is not whole: {report}")
            _hold(session.connection(), ledger, found)
    return found


def _start(on: Stage, port: int, log: Path, program: Sequence[str], *, processes: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "IAIN_PROCESSES": processes, "IAIN_SCRUB_BYTES_PER_S": "0"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            serving(on, port, program), stdout=output, stderr=output, env=environment, start_new_session=True
        )
    deadline = time.monotonic() + START_S
    while not accepts(port) or not answers(f"http://127.0.0.1:{port}/healthz"):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The server did not start:\n{tail(log)}")
        time.sleep(0.05)
    return server


def _kill(server: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _work(
    on: Stage,
    url: str,
    people: dict[str, httpx.Cookies],
    ledger: Ledger,
    chance: random.Random,
    server: subprocess.Popen[bytes],
) -> None:
    """Everybody at once, until the server is gone."""
    wrong: list[BaseException] = []
    answered = threading.Semaphore(0)

    def keep_on(act: Callable[[httpx.Client, random.Random], None], login: str, seed: int) -> None:
        own = random.Random(seed)
        with _browser(url) as browser:
            try:
                browser.cookies = people[login]
                while True:
                    act(browser, own)
                    answered.release()
            except httpx.TransportError:
                return
            except BaseException as error:
                wrong.append(error)

    acts: list[tuple[Callable[[httpx.Client, random.Random], None], str]] = [
        (lambda browser, own: _list(browser, ledger), "pathologiste.caen"),
        (lambda browser, own: _open_case(on, browser, ledger, own), "interne.caen"),
        (lambda browser, own: _share(on, url, browser), "pathologiste.caen"),
        (lambda browser, own: _ask(on, browser), "pathologiste.caen"),
        (lambda browser, own: _answer(browser), "pathologiste.rouen"),
        (lambda browser, own: _be_refused(on, browser, ledger), "pathologiste.lille"),
        (lambda browser, own: _forget(browser, ledger), "technicien.caen"),
    ]
    for login in {login for _, login in acts} - people.keys():
        with _browser(url) as browser:
            answer = browser.post("/login", data={"login": login, "password": PASSWORD})
            if answer.status_code != 303:
                raise RuntimeError(f"{login} could not sign in: {answer.status_code}")
            people[login] = browser.cookies
    threads = [threading.Thread(target=keep_on, args=(*act, chance.random())) for act in acts]
    for thread in threads:
        thread.start()
    until = time.monotonic() + AT_MOST_S
    for _ in range(chance.randint(*ACTS)):
        answered.acquire(timeout=max(0, until - time.monotonic()))
    time.sleep(chance.uniform(0, LATER_S))
    _kill(server)
    for thread in threads:
        thread.join(60)
    if wrong:
        raise wrong[0]


def _browser(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers=SAME_ORIGIN, timeout=30, trust_env=False)


def _list(browser: httpx.Client, ledger: Ledger) -> None:
    word = new_id()
    ledger.note("cases.listed", word, lambda: browser.get("/api/cases", params={"search": word}))


def _open_case(on: Stage, browser: httpx.Client, ledger: Ledger, own: random.Random) -> None:
    with on.database.reading() as session:
        ids = session.scalars(text("SELECT id FROM case_ WHERE accession LIKE '26K%' ORDER BY id")).all()
    case_id = own.choice(ids)
    ledger.note("case.opened", case_id, lambda: browser.get(f"/cases/{case_id}"))


def _share(on: Stage, url: str, browser: httpx.Client) -> None:
    wanted = {
        "case_id": on.slide.case_id,
        "slides": [on.slide.id],
        "slide_id": on.slide.id,
        "reason": "torture",
        "expires_in_s": 3600,
        "max_uses": 1,
    }
    made = browser.post("/api/links", json=wanted)
    if made.status_code != 201:
        return
    link = made.json()
    secret = link["url"].partition("#")[2]
    with _browser(url) as guest:
        on.redeem(guest, link["id"], secret)
        guest.get(on.tile())
    browser.post(f"/api/links/{link['id']}/revoke")


def _ask(on: Stage, browser: httpx.Client) -> None:
    asked = {
        "case_id": on.slide.case_id,
        "to_member": on.centres.rouen.pathologist.id,
        "question": "Invasion ?",
        "slide_id": on.slide.id,
    }
    browser.post("/api/consultations", json=asked)


def _answer(browser: httpx.Client) -> None:
    """Looks at the inbox, opens the first that waits, and declines it."""
    page = browser.get("/consultations").text
    waiting = page.partition('href="/consultations/')[2][:26]
    if len(waiting) == 26:
        browser.get(f"/api/consultations/{waiting}")
        browser.post(f"/api/consultations/{waiting}/moves", json={"move": "decline", "note": "Absent."})


def _be_refused(on: Stage, browser: httpx.Client, ledger: Ledger) -> None:
    case_id = on.slide.case_id
    ledger.note("access.refused", case_id, lambda: browser.get(f"/api/cases/{case_id}"), 404)


def _forget(browser: httpx.Client, ledger: Ledger) -> None:
    tus = {"Tus-Resumable": TUS_VERSION}
    name = "ZmljdGlmLnN2cw=="  # fictif.svs
    announced = browser.post(
        UPLOADS_PATH, headers={**tus, "Upload-Length": "1000", "Upload-Metadata": f"filename {name}"}
    )
    if announced.status_code == 201:
        place = announced.headers["Location"]
        ledger.note("upload.forgotten", place.rpartition("/")[2], lambda: browser.delete(place, headers=tus), 204)


def _hold(connection: Connection, ledger: Ledger, found: Found) -> None:
    """The books, and what leaves no row."""
    held = balance(connection)
    found.acts += held.acts + ledger.answered.total()
    found.without_event += held.without_event
    found.without_act += held.without_act
    told = _told(connection)
    once = {"case.opened"}  # a reading that goes on
    for key, count in ledger.answered.items():
        if told[key] < (1 if key[0] in once else count):
            found.without_event.append(f"{' '.join(key)}: {count} answers, {told[key]} events")
    for key, count in told.items():
        if count > ledger.asked[key]:
            found.without_act.append(f"{' '.join(key)}: {count} events, asked {ledger.asked[key]} times")


def _told(connection: Connection) -> Counter[tuple[str, str]]:
    """The events of what leaves no row, by act and by what was asked."""
    found: Counter[tuple[str, str]] = Counter()
    listed = "SELECT p.body FROM audit_event e JOIN audit_personal p ON p.event_id = e.id WHERE e.act = 'cases.listed'"
    for body in connection.scalars(text(listed)):
        if word := json.loads(body).get("search"):
            found["cases.listed", word] += 1
    opened = (
        "SELECT e.case_id FROM audit_event e JOIN member m ON m.id = e.agent_id "
        "WHERE e.act = 'case.opened' AND m.login = 'interne.caen'"
    )
    for case_id in connection.scalars(text(opened)):
        found["case.opened", case_id] += 1
    for case_id in connection.scalars(text("SELECT case_id FROM audit_event WHERE act = 'access.refused'")):
        found["access.refused", str(case_id)] += 1
    for entities in connection.scalars(text("SELECT entities FROM audit_event WHERE act = 'upload.forgotten'")):
        found["upload.forgotten", json.loads(entities)[0]["id"]] += 1
    return found
