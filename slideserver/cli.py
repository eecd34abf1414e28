"""`iain`: starting the server, and what its manager does at a terminal. Composition; the work is elsewhere."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from sharing.db import privileges
from sharing.db.engine import Database
from sharing.db.migrations import downgrade, upgrade
from sharing.errors import InvalidError, SchemaError
from slideserver import demo as demonstration
from slideserver import proof, registry, serving
from slideserver.operations import backup as backups
from slideserver.operations import doctor as doctors
from slideserver.operations import restore as restores
from slideserver.operations import verification
from slideserver.operations import work as workers
from slideserver.operations.manifest import BackupError
from slideserver.settings import Settings
from slideserver.supervision import ChildError
from slideserver.terminal import DatabaseUrl, Var, fail, opened, out, owner_of, settings_of

app = typer.Typer(
    help="IAIN: whole-slide images shared between pathologists. Settings are also read from IAIN_… in the environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(proof.audit_app, name="audit")
app.add_typer(proof.witnesses_app, name="witness")
app.add_typer(registry.sites_app, name="site")
app.add_typer(registry.members_app, name="member")
app.add_typer(registry.scanners_app, name="scanner")
app.add_typer(registry.cases_app, name="case")

Port = Annotated[int | None, typer.Option("--port", help="The port to listen on.")]
Host = Annotated[str | None, typer.Option("--host", help="The address to listen on.")]


def main() -> None:
    """The program `iain`."""
    app()


@app.command()
def serve(var: Var = None, port: Port = None, host: Host = None, database_url: DatabaseUrl = None) -> None:
    """Start the server. It brings its database up to date first; Ctrl-C ends it."""
    settings = settings_of(var=var, port=port, host=host, database_url=database_url)
    serving.configure_log()
    try:
        listener = serving.bind(settings.host, settings.port)
    except serving.PortTakenError as error:
        fail(str(error))
    with listener:
        settings.var.mkdir(parents=True, exist_ok=True)
        with opened(settings) as database:
            try:
                upgrade(database)
            except ProgrammingError:
                fail(
                    "The database is older than this version, and the server's role may not change its tables. "
                    "Run iain migrate with IAIN_DATABASE_OWNER_URL, then start the server again."
                )
        typer.echo(f"http://{settings.host}:{settings.port}  (Ctrl-C stops it)")
        try:
            serving.run(settings, listener)
        except ChildError as error:
            fail(str(error))


@app.command()
def demo(
    small: Annotated[bool, typer.Option("--small", help="Draw small slides: for a machine that takes long.")] = False,
    var: Var = None,
    port: Port = None,
) -> None:
    """Start the server with three sites, their people, and slides that a real agent pushes at the first start."""
    settings = settings_of(var=var, port=port)
    serving.configure_log(logging.WARNING)
    try:
        demonstration.run(settings, out, small=small)
    except (serving.PortTakenError, demonstration.DemoError) as error:
        fail(str(error))


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
    settings = settings_of(var=var, database_url=database_url)
    settings.var.mkdir(parents=True, exist_ok=True)
    with opened(owner_of(settings)) as database:
        if back_to is None:
            upgrade(database)
            if settings.database_owner_url:
                _share_out(settings, database)
            out.print("The database is up to date.")
            return
        try:
            downgrade(database, back_to)
        except SchemaError as error:
            fail(f"There is no way back to {back_to}: {error}")
    out.print(f"The database has the schema {back_to}. Start the version that belongs to it, not this one.")


def _share_out(settings: Settings, database: Database) -> None:
    """Gives the server's role what it needs, and no more."""
    with opened(settings) as server, server.engine.connect() as connection:
        role = str(connection.scalar(text("SELECT current_user")))
    try:
        with database.connect_for_schema() as connection:
            privileges.grant(connection, role)
    except InvalidError as error:
        fail(str(error))
    out.print(f"The role {role} may use it, and can change nothing that is sealed.")


@app.command()
def work(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """Register slides beside the server, IAIN_WORKERS at a time. Ctrl-C ends it."""
    settings = settings_of(var=var, database_url=database_url)
    serving.configure_log()
    with opened(settings) as database:
        workers.work(settings, database)


@app.command()
def doctor(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """Try every part the platform stands on, and say what to do. Exit code 1 when one of them fails."""
    settings = settings_of(var=var, database_url=database_url)
    with opened(settings) as database:
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
    settings = settings_of(var=var, database_url=database_url)
    try:
        with opened(settings) as database, Progress(console=out, transient=True) as progress:
            bar = progress.add_task("Copying")
            taken = backups.take(
                database,
                settings.var,
                directory,
                previous=previous,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    except (BackupError, OSError) as error:
        fail(str(error))
    told = taken.manifest
    out.print(f"{directory}: {told.files} files, {told.bytes / 1e9:.2f} GB, {taken.linked} shared with the one before.")
    out.print(f"The SHA-256 of its manifest, to be kept elsewhere: {taken.sha256}", highlight=False)
    if told.flaws:
        for flaw in told.flaws:
            typer.echo(f"NOT BACKED UP: {flaw}", err=True)
        fail(f"{len(told.flaws)} files were missing or damaged before the backup. Look for them in an earlier one.")


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="A backup.")], var: Var = None, database_url: DatabaseUrl = None
) -> None:
    """Give a backup back into an empty data directory and an empty database, every digest proved."""
    settings = settings_of(var=var, database_url=database_url)
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
        fail(str(error))
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
    settings = settings_of(var=var, database_url=database_url)
    columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with opened(settings) as database, Progress(*columns, console=out, transient=True) as progress:
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
