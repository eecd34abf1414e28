"""`iain demo`: the platform with something in it, for a first look.

The first start adds three sites with their people and scanners, then pushes slides to the running server with the very
agent a scanner would use; when they are there, Caen asks Rouen for an opinion and makes a link for a guest. From then
on an agent watches a folder beside the scanner of Caen. What is done is noted in the data directory, so that an
interrupted start is carried on by the next one, and a finished one is not repeated.
"""

import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from rich.console import Console
from rich.table import Table

from sharing import cases, scanners, sites
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.subjects import System
from sharing.vocabulary import Role, SiteId
from slideserver import demo_exchange, serving
from slideserver.auth.passwords import Passwords
from slideserver.secret_file import write_secret
from slideserver.settings import Settings

PASSWORD = "demo-iain-2026"  # noqa: S105 - printed for everybody to see
SMALLER = 6
SCAN = Path(__file__).parents[1] / "tests" / "data" / "CMU-1-Small-Region.svs"

SITES = {"caen": "Caen", "rouen": "Rouen", "lille": "Lille"}
ROLES = {
    "pathologiste": Role.PATHOLOGIST,
    "interne": Role.TRAINEE,
    "technicien": Role.TECHNICIAN,
    "responsable": Role.LAB_MANAGER,
    "dpo": Role.DATA_PROTECTION_OFFICER,
    "administrateur": Role.SITE_ADMINISTRATOR,
}
# All invented, and looking so.
NAMES = {
    "caen": ("Dr Anne Lambert", "Léo Bertin", "Julien Morel", "Claire Vasseur", "Maud Hébert", "Yanis Roche"),
    "rouen": ("Dr Paul Renard", "Aya Colin", "Sofia Marchand", "Hugo Delorme", "Éric Vallois", "Lina Fabre"),
    "lille": ("Dr Inès Caron", "Noé Legrand", "Théo Lefèvre", "Nadia Wattel", "Rose Duhem", "Karim Blondel"),
}
EXPERTS = ("experts", "Experts extérieurs", "Pr Simon Perrault")
"""A site of their own for those whom any centre may ask by name."""


@dataclass(frozen=True, slots=True)
class DemoCase:
    site: str
    accession: str
    patient: str
    sex: str
    birth_year: int
    organ: str


@dataclass(frozen=True, slots=True)
class DemoSlide:
    """One file to push. `drawing`: how `tiler.synthetic` makes it; without, it is the real scan of the sources."""

    file_name: str
    site: str
    accession: str
    stain: str
    block: str
    drawing: tuple[str, ...] = ()


CASES = (
    DemoCase("caen", "26H01234", "EXEMPLE Camille", "F", 1961, "Sein"),
    DemoCase("caen", "26H01251", "FICTIVE Dominique", "M", 1954, "Rein"),
    DemoCase("caen", "26H01263", "INVENTÉE Andrea", "F", 1979, "Peau"),
    DemoCase("caen", "26H01270", "SUPPOSÉ Morgan", "M", 1966, "Prostate"),
    DemoCase("caen", "26H01288", "IMAGINAIRE Alix", "F", 1983, "Thyroïde"),
    DemoCase("rouen", "26R00417", "MODÈLE Sacha", "F", 1972, "Côlon"),
    DemoCase("lille", "26L02050", "INVENTÉ Claude", "M", 1948, "Poumon"),
)

SLIDES = (
    DemoSlide("CMU-1-Small-Region.svs", "caen", "26H01234", "HES", "A1"),
    DemoSlide("26H01234-A2.svs", "caen", "26H01234", "PAS", "A2", ("9000", "7000", "11", "svs")),
    DemoSlide("26H01251-B1.tiff", "caen", "26H01251", "HES", "B1", ("7000", "5500", "12", "tiff")),
    DemoSlide("26H01263-A1.svs", "caen", "26H01263", "HES", "A1", ("4000", "3000", "16", "svs")),
    DemoSlide("26H01270-A1.tiff", "caen", "26H01270", "HES", "A1", ("4200", "3200", "17", "tiff")),
    DemoSlide("26H01270-A2.svs", "caen", "26H01270", "PAS", "A2", ("3600", "3000", "18", "svs")),
    DemoSlide("26H01288-A1.svs", "caen", "26H01288", "HES", "A1", ("4400", "3300", "19", "svs")),
    DemoSlide("26R00417-A1.svs", "rouen", "26R00417", "HES", "A1", ("6000", "4500", "13", "svs")),
    DemoSlide("26L02050-A1.tiff", "lille", "26L02050", "HES", "A1", ("6000", "4500", "14", "tiff")),
    # Of a case nobody has registered: it waits at reception for somebody to say whose it is.
    DemoSlide("26H01300-C1.svs", "caen", "26H01300", "HES", "C1", ("6000", "4500", "15", "svs")),
)


class DemoError(Exception):
    """Why the demonstration cannot start."""


def run(settings: Settings, out: Console, *, small: bool = False) -> None:
    """Serves until Ctrl-C; `small` slides are drawn a sixth as wide and high. Raises PortTakenError, or DemoError
    when a part of the demonstration is missing.
    """
    listener = serving.bind(settings.host, settings.port)
    settings.var.mkdir(parents=True, exist_ok=True)
    database = open_database(settings.database)
    try:
        upgrade(database)
        seed(database, settings.var / "demo")
    finally:
        database.close()
    server = serving.create_server(settings)
    stop = threading.Event()
    guide = threading.Thread(target=_guide, args=(server, settings, out, stop, small), name="demo", daemon=True)
    guide.start()
    with listener:
        serving.serve(server, listener)
    stop.set()
    guide.join(timeout=5)
    out.print("Stopped.")


def seed(database: Database, demo: Path) -> None:
    """Adds sites, people, scanners and cases, all at once, unless they are there. The scanners' keys go to `demo`."""
    with database.reading() as session:
        if sites.list_sites(session):
            return
    password_hash = Passwords().hash(PASSWORD)
    with database.writing() as session:
        for site, name in SITES.items():
            site_id = SiteId(site)
            sites.add_site(session, site_id, name)
            for (title, role), person in zip(ROLES.items(), NAMES[site], strict=True):
                sites.add_member(
                    session, site_id, login=f"{title}.{site}", name=person, role=role, password_hash=password_hash
                )
            _, key = scanners.add_scanner(
                session, site_id, f"Scanner {name} 1", manufacturer="IAIN", model="Demonstration"
            )
            # Before the commit: a key without its scanner is harmless, a scanner whose key is lost is not.
            write_secret(_key_file(demo, site), key)
        site, name, person = EXPERTS
        sites.add_site(session, SiteId(site), name)
        expert = Role.EXTERNAL_EXPERT
        sites.add_member(
            session, SiteId(site), login=f"expert.{site}", name=person, role=expert, password_hash=password_hash
        )
        for case in CASES:
            cases.register_case(
                session,
                System(),
                SiteId(case.site),
                accession=case.accession,
                patient_name=case.patient,
                patient_birth_year=case.birth_year,
                patient_sex=case.sex,
                organ=case.organ,
            )


def _guide(
    server: uvicorn.Server, settings: Settings, out: Console, stop: threading.Event, small: bool = False
) -> None:
    """Once the server answers: prints where it is and who may sign in, then pushes what has not been pushed, and shows
    where the sites talk to one another."""
    address, demo = settings.address, settings.var / "demo"
    while not server.started:
        if stop.wait(0.05):
            return
    out.print(_welcome(address))
    missing = [slide for slide in SLIDES if not _mark(demo, slide).exists()]
    for number, slide in enumerate(missing, 1):
        if stop.is_set():
            return
        site = SITES[slide.site]
        out.print(f"[dim]Slide {number} of {len(missing)} for {site}: {slide.file_name} ({slide.stain})[/]")
        if not _push(slide, address, demo, stop, small=small):
            if not stop.is_set():
                out.print(
                    f"{slide.file_name} was not pushed; the next start tries again.", style="yellow", markup=False
                )
            continue
        _mark(demo, slide).parent.mkdir(parents=True, exist_ok=True)
        _mark(demo, slide).touch()
    _show_doors(settings, demo, out)
    if missing:
        out.print(f"[bold green]Ready.[/] {address}   (Ctrl-C stops it)")
    if not stop.is_set():
        _watch(address, demo, out, stop)


def _show_doors(settings: Settings, demo: Path, out: Console) -> None:
    """Prints a consultation that waits for its answer, and a guest's link. A database of its own: this is a thread."""
    database = open_database(settings.database)
    try:
        doors = demo_exchange.begin(database, demo, settings.address)
    finally:
        database.close()
    if doors is not None:
        out.print(f"Waits for pathologiste.rouen: {doors.consultation}", markup=False, highlight=False)
        out.print(f"For a guest without account:  {doors.guest}", markup=False, highlight=False)


def _push(slide: DemoSlide, address: str, demo: Path, stop: threading.Event, *, small: bool) -> bool:
    """Has the agent push one slide, drawn first if it is not a real scan."""
    if not slide.drawing:
        return _agent(slide, SCAN, address, demo, stop)
    drawn = demo / slide.file_name
    *sides, seed, layout = slide.drawing
    width, height = (int(side) // (SMALLER if small else 1) for side in sides)
    draw = [sys.executable, "-m", "tiler.synthetic", str(drawn), "--texture", str(SCAN)]
    draw += ["--width", str(width), "--height", str(height), "--seed", seed, "--layout", layout]
    try:
        return _finish(draw, stop) and _agent(slide, drawn, address, demo, stop)
    finally:
        drawn.unlink(missing_ok=True)


def _agent(slide: DemoSlide, file: Path, address: str, demo: Path, stop: threading.Event) -> bool:
    push = [_program(), "push", str(file), "--server", address, "--key-file", str(_key_file(demo, slide.site))]
    push += ["--accession", slide.accession, "--stain", slide.stain, "--block", slide.block]
    return _finish(push, stop)


def _program() -> str:
    """The agent's. Raises DemoError."""
    beside = Path(sys.executable).with_name("iain-agent")
    program = str(beside) if beside.exists() else shutil.which("iain-agent")
    if program is None:
        raise DemoError(
            "The program iain-agent is not installed. Install IAIN with its agent: pip install iain[agent]."
        )
    return program


def _watch(address: str, demo: Path, out: Console, stop: threading.Event) -> None:
    """Has a real agent stand beside the scanner of Caen until the end; those of the others were never heard."""
    folder = demo / "scanner"
    folder.mkdir(parents=True, exist_ok=True)
    out.print(f"The scanner of Caen writes to {folder}: copy a slide there, and it is sent.", markup=False)
    watch = [_program(), "watch", str(folder), "--server", address, "--key-file", str(_key_file(demo, "caen"))]
    _finish([*watch, "--state-folder", str(demo / "agent"), "--rest-s", "5"], stop, stdout=subprocess.DEVNULL)


def _finish(command: list[str], stop: threading.Event, *, stdout: int | None = None) -> bool:
    """Whether the program ended well. It is ended with us."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stdout) as process:
        while process.poll() is None:
            if stop.wait(0.1):
                process.terminate()
        return process.returncode == 0


def _welcome(address: str) -> Table:
    others = " and ".join(f".{site}" for site in list(SITES)[1:])
    caption = f"The same end in {others}. Password of all: {PASSWORD}"
    table = Table(title=f"IAIN  {address}", title_style="bold", caption=caption)
    table.add_column("Login", no_wrap=True)
    table.add_column("Name")
    table.add_column("Does")
    does = {
        Role.PATHOLOGIST: "reads, asks and answers",
        Role.TRAINEE: "reads",
        Role.TECHNICIAN: "receives slides",
        Role.LAB_MANAGER: "sees who did what",
        Role.DATA_PROTECTION_OFFICER: "enters objections",
        Role.SITE_ADMINISTRATOR: "looks after accounts",
    }
    home = next(iter(SITES))
    for (title, role), person in zip(ROLES.items(), NAMES[home], strict=True):
        table.add_row(f"{title}.{home}", person, does[role])
    site, _, person = EXPERTS
    table.add_row(f"expert.{site}", person, "answers, asked by name")
    return table


def _key_file(demo: Path, site: str) -> Path:
    return demo / "keys" / f"{site}.key"


def _mark(demo: Path, slide: DemoSlide) -> Path:
    return demo / "pushed" / slide.file_name
