"""What its manager does at a terminal with the audit log and its witnesses."""

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from sharing import audit, chain, checkpoints, logfile, redoing, verifier, witnesses
from sharing.checkpoints import Signer
from sharing.clock import SECOND_US
from sharing.db.engine import Database
from sharing.subjects import System
from sharing.verifier import NoteError, Record, read_record
from sharing.vocabulary import Act, SiteId
from slideserver.settings import Settings
from slideserver.signing import SigningKeyError, open_signer
from slideserver.terminal import DatabaseUrl, Var, fail, opened, out, reading, settings_of, writing

audit_app = typer.Typer(help="The audit log.", no_args_is_help=True)
witnesses_app = typer.Typer(help="The witnesses that countersign the audit log.", no_args_is_help=True)

OneSite = Annotated[str | None, typer.Option("--site", help="Only the chain of this site.")]


@audit_app.command("verify")
def verify(
    site: OneSite = None,
    witness: Annotated[
        list[Path] | None, typer.Option(help="The record of a witness, or a file with its public key; may be repeated.")
    ] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Walk the chains of the audit log. Exit code 1, and the first bad entry named, when one was altered. With the
    records of witnesses, a rewritten or shortened log is told, too."""
    settings = settings_of(var=var, database_url=database_url)
    with opened(settings) as database:
        # Processes are started for a long chain alone.
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool, database.reading() as session:
            reports = [report for report in chain.verify(session, pool).sites if site in (None, report.site_id)]
        if not reports:
            fail(f"There is no chain of a site {site}." if site else "The audit log is empty.")
        whole = _tell(reports)
        if witness:
            whole = _hold_against(database, _signer(settings), reports, witness) and whole
    if not whole:
        raise typer.Exit(1)


@audit_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="A new file, to be checked with verifier.py.")],
    site: OneSite = None,
    persons: Annotated[bool, typer.Option(help="With the names that entries hold apart, or without.")] = True,
    to_redo: Annotated[
        bool,
        typer.Option("--to-redo", help="Only what would be to do again after a restore; it proves nothing."),
    ] = False,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the log into a file that proves itself, anywhere and offline; `iain audit verifier` gives the program that
    checks it. The export is itself on record."""
    settings = settings_of(var=var, database_url=database_url)
    signer = _signer(settings)
    with opened(settings) as database:
        with database.writing() as session:
            site_ids = [each for each in logfile.sites(session) if site in (None, each)]
            for each in site_ids:
                checkpoints.sign_now(session, signer, each)
                detail = {"form": "to-redo" if to_redo else "proof", "persons": "yes" if persons or to_redo else "no"}
                audit.record(session, site_id=each, act=Act.AUDIT_EXPORTED, subject=System(), detail=detail)
        if not site_ids:
            fail(f"There is no sealed log of a site {site}." if site else "Nothing is sealed yet.")
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            fail(f"{file}: {error.strerror}. Give a new file in a folder that exists.")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as written:
            with database.reading() as session:
                written.writelines(
                    redoing.lines(session, site_ids)
                    if to_redo
                    else logfile.lines(session, signer, site_ids, persons=persons)
                )
            written.flush()
            os.fsync(written.fileno())
    then = "After a restore" if to_redo else "Check it anywhere with"
    command = f"iain audit missing {file.name}" if to_redo else f"python3 verifier.py {file.name}"
    out.print(f"{file}: {', '.join(site_ids)}. {then}: {command}", markup=False)


@audit_app.command("missing")
def missing(
    file: Annotated[Path, typer.Argument(help="What `iain audit export` wrote before the loss, whole or --to-redo.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """After a restore: what an export holds and this platform does not, and of it what has to be done again, such as
    the objections of patients. Exit code 1 when something is missing."""
    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as lines, reading(var, database_url) as session:
            found = redoing.missing(session, lines)
    except OSError as error:
        fail(f"{file}: {error.strerror}. Give a file that `iain audit export` wrote.")
    if not found.entries:
        out.print(f"Everything that {file} holds is on record here.", markup=False)
        return
    out.print(f"{found.entries} entries of {file} are not on record here.", markup=False)
    heads = ("Chain", "Entry", "When", "To be done again", "About", "Who did it", "Done")
    table = Table(*(Column(head, overflow="fold") for head in heads))
    for each in found.acts:
        purpose = f" ({each.purpose})" if each.purpose else ""
        what = f"{each.act.value}{purpose}"
        done = "yes" if each.done else ""
        row = (each.site_id, f"{each.seq}", _moment(each.recorded_us), what, each.about, each.who, done)
        table.add_row(*map(escape, row))
    out.print(table if found.acts else "Nothing of it has to be done again.")
    raise typer.Exit(1)


@audit_app.command("verifier")
def give_verifier(
    file: Annotated[Path, typer.Argument(help="Where to put it, such as verifier.py.")] = Path("verifier.py"),
) -> None:
    """Write the program that checks exported logs: one file, that needs Python alone."""
    try:
        with file.open("xb") as written:
            written.write(Path(verifier.__file__).read_bytes())
    except OSError as error:
        fail(f"{file}: {error.strerror}. Give a new file in a folder that exists.")
    out.print(f"python3 {file} LOG --witness RECORD", markup=False, highlight=False)


@audit_app.command("key")
def key(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """The public keys of the logs, to be told to whoever verifies them or stands witness."""
    settings = settings_of(var=var, database_url=database_url)
    signer = _signer(settings)
    with opened(settings) as database, database.reading() as session:
        for site_id in logfile.sites(session):
            typer.echo(str(signer.key(site_id)))


@witnesses_app.command("add")
def add_witness(
    site: Annotated[str, typer.Argument(help="The id of the site where the witness stands.")],
    public_key: Annotated[str, typer.Argument(help="What `iain-agent witness --show-key` prints there.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a witness into service. It watches the logs of all sites."""
    with writing(var, database_url) as session:
        added = witnesses.add(session, SiteId(site), public_key)
    out.print(f"{added.name} of {site} is a witness from now on.", markup=False)


@witnesses_app.command("list")
def list_witnesses(var: Var = None, database_url: DatabaseUrl = None) -> None:
    """The witnesses there are, and when each last signed."""
    with reading(var, database_url) as session:
        found = witnesses.listed(session)
    if not found:
        out.print("There is no witness. Add one: iain witness add SITE KEY", markup=False)
        return
    heads = ("Witness", "Site", "Last signed", "In service", "Key")
    table = Table(*(Column(head, overflow="fold") for head in heads))
    for each in found:
        service = "yes" if each.disabled_us is None else f"until {_moment(each.disabled_us)}"
        table.add_row(escape(each.name), each.site_id, _moment(each.signed_us), service, str(each.key))
    out.print(table)


@witnesses_app.command("withdraw")
def withdraw_witness(
    name: Annotated[str, typer.Argument(help="The name of the witness.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Believe a witness no more. What it has signed stays."""
    with writing(var, database_url) as session:
        witnesses.withdraw(session, name)
    out.print(f"{name} is withdrawn. What it signed stays.", markup=False)


def _tell(reports: list[chain.SiteReport]) -> bool:
    """Whether all of it is whole."""
    table = Table("Chain", "Whole", "Entries", "Waiting", "Erased", "Head")
    for report in reports:
        whole = "[green]yes[/]" if report.whole else "[bold red]NO[/]"
        table.add_row(
            report.site_id, whole, f"{report.entries}", f"{report.waiting}", f"{report.erased}", report.head[:16]
        )
    out.print(table)
    for report in reports:
        if bad := report.first_bad:
            where = f"entry {bad.seq}" if bad.seq is not None else "an event outside the chain"
            out.print(f"{report.site_id}: {where} (event {bad.event_id or 'unknown'}): {bad.what}", markup=False)
    return all(report.whole for report in reports)


def _hold_against(database: Database, signer: Signer, reports: list[chain.SiteReport], files: list[Path]) -> bool:
    """Whether the log is what witnesses signed."""
    records = [_record(path) for path in files]
    with database.reading() as session:
        lines = logfile.lines(session, signer, [report.site_id for report in reports])
        found = verifier.verify(lines, records)
    for report in found:
        out.print("\n".join(verifier.told(report, "en")), markup=False, highlight=False)
    return all(report.whole for report in found)


def _record(path: Path) -> Record:
    try:
        return read_record(path)
    except (OSError, NoteError) as error:
        fail(f"{path}: {error}")


def _signer(settings: Settings) -> Signer:
    try:
        return open_signer(settings)
    except (SigningKeyError, OSError) as error:
        fail(str(error))


def _moment(when_us: int | None) -> str:
    """In the time of this machine."""
    if when_us is None:
        return "never"
    return f"{datetime.fromtimestamp(when_us / SECOND_US).astimezone():%Y-%m-%d %H:%M %Z}"
