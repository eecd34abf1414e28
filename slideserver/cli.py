"""`iain`: starting the server, and what its manager does at a terminal. Composition; the work is elsewhere."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from sharing import cases, chain, scanners, sites
from sharing.db.engine import Database, Session, open_database
from sharing.db.migrations import downgrade, upgrade
from sharing.errors import SchemaError, SharingError
from sharing.subjects import System
from sharing.vocabulary import Role, SiteId
from slideserver import demo as demonstration
from slideserver import serving
from slideserver.auth.passwords import MAX_LENGTH, Passwords
from slideserver.operations import backup as backups
from slideserver.operations import doctor as doctors
from slideserver.operations import restore as restores
from slideserver.operations import verification
from slideserver.operations import work as workers
from slideserver.operations.manifest import BackupError
from slideserver.secret_file import write_secret
from slideserver.settings import Settings
from slideserver.supervision import ChildError

app = typer.Typer(
    help="IAIN: whole-slide images shared between pathologists. Settings are also read from IAIN_… in the environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
audit_app = typer.Typer(help="The audit log.", no_args_is_help=True)
site_app = typer.Typer(help="The centres that take part.", no_args_is_help=True)
member_app = typer.Typer(help="The people who have an account.", no_args_is_help=True)
scanner_app = typer.Typer(help="The scanners whose agents may push slides.", no_args_is_help=True)
case_app = typer.Typer(help="The cases that slides belong to.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
app.add_typer(site_app, name="site")
app.add_typer(member_app, name="member")
app.add_typer(scanner_app, name="scanner")
app.add_typer(case_app, name="case")

Var = Annotated[Path | None, typer.Option("--var", help="The data directory.")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="The database; without it, a SQLite file in the data directory.")
]
Port = Annotated[int | None, typer.Option("--port", help="The port to listen on.")]
Host = Annotated[str | None, typer.Option("--host", help="The address to listen on.")]

out = Console(soft_wrap=True)
MIN_PASSWORD_LENGTH = 12


def main() -> None:
    """The program `iain`."""
    app()


@app.command()
def serve(var: Var = None, port: Port = None, host: Host = None, database_url: DatabaseUrl = None) -> None:
    """Start the server. It brings its database up to date first; Ctrl-C ends it."""
    settings = _settings(var=var, port=port, host=host, database_url=database_url)
    serving.configure_log()
    try:
        listener = serving.bind(settings.host, settings.port)
    except serving.PortTakenError as error:
        _fail(str(error))
    settings.var.mkdir(parents=True, exist_ok=True)
    with _database(settings) as database:
        upgrade(database)
    with listener:
        typer.echo(f"http://{settings.host}:{settings.port}  (Ctrl-C stops it)")
        try:
            serving.run(settings, listener)
        except ChildError as error:
            _fail(str(error))


@app.command()
def demo(var: Var = None, port: Port = None) -> None:
    """Start the server with three sites, their people, and slides that a real agent pushes at the first start."""
    settings = _settings(var=var, port=port)
    serving.configure_log(logging.WARNING)
    try:
        demonstration.run(settings, out)
    except (serving.PortTakenError, demonstration.DemoError) as error:
        _fail(str(error))


@app.command()
def migrate(
    back_to: Annotated[
        str | None,
        typer.Option(
            help="An older schema, such as 0001, to go back to. What it has no room for is lost: back up first."
        ),
    ] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database up to date. May be called at any time, also while servers run; going back may not."""
    settings = _settings(var=var, database_url=database_url)
    settings.var.mkdir(parents=True, exist_ok=True)
    with _database(settings) as database:
        if back_to is None:
            upgrade(database)
            out.print("The database is up to date.")
            return
        try:
            downgrade(database, back_to)
        except SchemaError as error:
            _fail(f"There is no way back to {back_to}: {error}")
    out.print(f"The database has the schema {back_to}. Start the version that belongs to it, not this one.")


@app.command()
def work(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """Register slides beside the server, IAIN_WORKERS at a time. Ctrl-C ends it."""
    settings = _settings(var=var, database_url=database_url)
    serving.configure_log()
    with _database(settings) as database:
        workers.work(settings, database)


@app.command()
def doctor(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """Try every part the platform stands on, and say what to do. Exit code 1 when one of them fails."""
    settings = _settings(var=var, database_url=database_url)
    with _database(settings) as database:
        findings = doctors.examine(settings, database)
    signs = {doctors.State.FINE: "[green]fine[/]", doctors.State.WARNING: "[yellow]look[/]"}
    for finding in findings:
        out.print(signs.get(finding.state, "[bold red]FAILS[/]"), f"{finding.part}:", end=" ")
        out.print(finding.sentence, markup=False, highlight=False)
        if finding.remedy:
            out.print(f"      → {finding.remedy}", markup=False, highlight=False)
    if any(finding.state is doctors.State.FAILED for finding in findings):
        raise typer.Exit(1)


@app.command()
def backup(
    directory: Annotated[Path, typer.Argument(help="A new directory for this backup.")],
    previous: Annotated[
        Path | None, typer.Option(help="An earlier backup on the same disk: what it has is linked, not copied.")
    ] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Back up everything, while the platform runs. Exit code 1 when something that should be there is not."""
    settings = _settings(var=var, database_url=database_url)
    try:
        with _database(settings) as database, Progress(console=out, transient=True) as progress:
            bar = progress.add_task("Copying")
            taken = backups.take(
                database,
                settings.var,
                directory,
                previous=previous,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    except (BackupError, OSError) as error:
        _fail(str(error))
    told = taken.manifest
    out.print(f"{directory}: {told.files} files, {told.bytes / 1e9:.2f} GB, {taken.linked} shared with the one before.")
    out.print(f"The SHA-256 of its manifest, to be kept elsewhere: {taken.sha256}", highlight=False)
    if told.flaws:
        for flaw in told.flaws:
            typer.echo(f"NOT BACKED UP: {flaw}", err=True)
        _fail(f"{len(told.flaws)} files were missing or damaged before the backup. Look for them in an earlier one.")


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="A backup.")], var: Var = None, database_url: DatabaseUrl = None
) -> None:
    """Give a backup back into an empty data directory and an empty database, every digest proved."""
    settings = _settings(var=var, database_url=database_url)
    try:
        with Progress(console=out, transient=True) as progress:
            bar = progress.add_task("Copying")
            restored = restores.put_back(
                directory,
                settings.var,
                settings.database,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    except (BackupError, OSError) as error:
        _fail(str(error))
    out.print(f"Restored {restored.files} files and {restored.tables} tables, every digest equal.")
    for line in restored.notes:
        out.print(f"  → {line}", markup=False, highlight=False)


@app.command("verify")
def verify_files(
    threads: Annotated[int, typer.Option(min=1, max=64, help="How many files to read at once.")] = 2,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Read every stored file and compare it with its digest, while the platform runs. Exit code 1, and each file named
    with its slide and case, when one is missing or damaged."""
    settings = _settings(var=var, database_url=database_url)
    columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _database(settings) as database, Progress(*columns, console=out, transient=True) as progress:
        bar = progress.add_task("Reading")
        report = verification.verify(
            database,
            settings.var,
            threads=threads,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    for line in verification.lines(report):
        out.print(line, markup=False, highlight=False)
    if not report.sound:
        raise typer.Exit(1)


@audit_app.command("verify")
def verify(
    site: Annotated[str | None, typer.Option("--site", help="Only the chain of this site.")] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Walk the chains of the audit log. Exit code 1, and the first bad entry named, when one was altered."""
    with _database(_settings(var=var, database_url=database_url)) as database, database.reading() as session:
        reports = [report for report in chain.verify(session).sites if site in (None, report.site_id)]
    if not reports:
        _fail(f"There is no chain of a site {site}." if site else "The audit log is empty.")
    table = Table("Chain", "Whole", "Entries", "Waiting", "Erased", "Head")
    for report in reports:
        whole = "[green]yes[/]" if report.whole else "[bold red]NO[/]"
        table.add_row(
            report.site_id, whole, f"{report.entries}", f"{report.waiting}", f"{report.erased}", report.head[:16]
        )
    out.print(table)
    broken = [report for report in reports if report.first_bad is not None]
    for report in broken:
        bad = report.first_bad
        assert bad is not None  # noqa: S101 - filtered one line above
        where = f"entry {bad.seq}" if bad.seq is not None else "an event outside the chain"
        out.print(f"{report.site_id}: {where} (event {bad.event_id or 'unknown'}): {bad.what}", markup=False)
    if broken:
        raise typer.Exit(1)


@site_app.command("add")
def add_site(
    site: Annotated[str, typer.Argument(help="A short id: lower case letters, digits, hyphens.")],
    name: Annotated[str, typer.Argument(help="The name people know it by.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a centre."""
    with _writing(var, database_url) as session:
        sites.add_site(session, SiteId(site), name)
    out.print(f"Added the site {name} ({site}).", markup=False)


@member_app.command("add")
def add_member(
    site: Annotated[str, typer.Argument(help="The id of the member's site.")],
    login: Annotated[str, typer.Argument(help="What the member types to sign in.")],
    name: Annotated[str, typer.Argument(help="First and last name.")],
    role: Annotated[Role, typer.Argument(help="What the member may do.")],
    language: Annotated[str, typer.Option(help="fr or en.")] = "fr",
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add an account. The password is asked for, or read from standard input when that is not a terminal."""
    password = _ask_password()
    with _writing(var, database_url) as session:
        sites.add_member(
            session,
            SiteId(site),
            login=login,
            name=name,
            role=role,
            password_hash=Passwords().hash(password),
            language=language,
        )
    out.print(f"Added {name} ({login}) as {role.value} of {site}.", markup=False)


@scanner_app.command("add")
def add_scanner(
    site: Annotated[str, typer.Argument(help="The id of the scanner's site.")],
    name: Annotated[str, typer.Argument(help="The name people know it by.")],
    manufacturer: Annotated[str | None, typer.Option(help="DICOM (0008,0070)")] = None,
    model: Annotated[str | None, typer.Option(help="DICOM (0008,1090)")] = None,
    serial: Annotated[str | None, typer.Option(help="DICOM (0018,1000)")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Write the key here, readable by you alone.")] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Register a scanner. Its agent's key is shown this once, or written to --key-file."""
    with _writing(var, database_url) as session:
        _, key = scanners.add_scanner(
            session, SiteId(site), name, manufacturer=manufacturer, model=model, serial=serial
        )
        if key_file is not None:
            write_secret(key_file, key)
    if key_file is not None:
        out.print(f"Added the scanner {name} of {site}; its key is in {key_file}.", markup=False)
    else:
        sys.stdout.write(f"{key}\n")


@case_app.command("add")
def add_case(
    site: Annotated[str, typer.Argument(help="The id of the site the case belongs to.")],
    accession: Annotated[str, typer.Argument(help="The accession number on the labels.")],
    patient: Annotated[str, typer.Argument(help="The patient's name.")],
    birth_year: Annotated[int | None, typer.Option(help="Year of birth.")] = None,
    sex: Annotated[str | None, typer.Option(help="F, M or O.")] = None,
    organ: Annotated[str | None, typer.Option(help="Where the tissue is from.")] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Register a case, so that slides find it by their accession number."""
    with _writing(var, database_url) as session:
        cases.register_case(
            session,
            System(),
            SiteId(site),
            accession=accession,
            patient_name=patient,
            patient_birth_year=birth_year,
            patient_sex=sex,
            organ=organ,
        )
    out.print(f"Registered the case {accession} of {site}.", markup=False)


def _settings(**given: Any) -> Settings:
    """The settings of the environment, with what was given on the command line above them."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _writing(var: Path | None, database_url: str | None) -> Iterator[Session]:
    """One transaction; a refusal of the platform ends the program with its sentence."""
    try:
        with _database(_settings(var=var, database_url=database_url)) as database, database.writing() as session:
            yield session
    except SharingError as error:
        _fail(str(error))


def _ask_password() -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_LENGTH:
        _fail(f"A password has at least {MIN_PASSWORD_LENGTH} characters, and at most {MAX_LENGTH}.")
    return password


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
