"""What its manager tells the platform at a terminal: which centres, people, scanners and cases there are."""

import re
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import filesize
from rich.markup import escape
from rich.table import Table

from sharing import cases, heartbeats, scanners, sites
from sharing.clock import SECOND_US
from sharing.share_figures import DAY_US
from sharing.subjects import System
from sharing.vocabulary import Role, SiteId
from slideserver.auth.passwords import Passwords, weakness
from slideserver.secret_file import write_secret
from slideserver.terminal import DatabaseUrl, Var, fail, out, reading, writing

sites_app = typer.Typer(help="The centres that take part.", no_args_is_help=True)
members_app = typer.Typer(help="The people who have an account.", no_args_is_help=True)
scanners_app = typer.Typer(help="The scanners whose agents may push slides.", no_args_is_help=True)
cases_app = typer.Typer(help="The cases that slides belong to.", no_args_is_help=True)


@sites_app.command("add")
def add_site(
    site: Annotated[str, typer.Argument(help="A short id: lower case letters, digits, hyphens.")],
    name: Annotated[str, typer.Argument(help="The name people know it by.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a centre."""
    with writing(var, database_url) as session:
        sites.add_site(session, SiteId(site), name)
    out.print(f"Added the site {name} ({site}).", markup=False)


@sites_app.command("quota")
def set_quota(
    site: Annotated[str, typer.Argument(help="The id of the site.")],
    size: Annotated[
        str | None, typer.Argument(help="Such as 500GB or 2TB; none for no limit. Without it, what it is now.")
    ] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """How much of the disk the slides of a site may take. What is there already stays, whatever its size."""
    if size is not None:
        with writing(var, database_url) as session:
            sites.set_quota(session, SiteId(site), _bytes(size))
    with reading(var, database_url) as session:
        quota = sites.quota(session, SiteId(site))
    limit = "no quota" if quota.limit_bytes is None else f"a quota of {filesize.decimal(quota.limit_bytes)}"
    out.print(f"{site} has {limit}; its slides take {filesize.decimal(quota.used_bytes)}.", markup=False)


@members_app.command("add")
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
    password = _ask_password((login, name, site))
    with writing(var, database_url) as session:
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


@scanners_app.command("add")
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
    with writing(var, database_url) as session:
        _, key = scanners.add_scanner(
            session, SiteId(site), name, manufacturer=manufacturer, model=model, serial=serial
        )
        if key_file is not None:
            write_secret(key_file, key)
    if key_file is not None:
        out.print(f"Added the scanner {name} of {site}; its key is in {key_file}.", markup=False)
    else:
        sys.stdout.write(f"{key}\n")


@scanners_app.command("list")
def list_scanners(
    site: Annotated[str, typer.Argument(help="The id of the scanners' site.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """The scanners in service at a site: when each was last heard, and how many of its keys hold."""
    with reading(var, database_url) as session:
        found = heartbeats.list_scanners(session, System(), SiteId(site))
    if not found:
        out.print(f"{site} has no scanner. Add one: iain scanner add {site} NAME", markup=False)
        return
    table = Table("Scanner", "Model", "Last heard", "Last slide", "Keys", "Newest key")
    for scanner in found:
        model = " ".join(filter(None, (scanner.manufacturer, scanner.model)))
        when = (_moment(each) for each in (scanner.heard_us, scanner.slide_us, scanner.key_us))
        heard, slide, key = when
        table.add_row(escape(scanner.name), escape(model), heard, slide, str(scanner.keys), key)
    out.print(table)


@scanners_app.command("rotate")
def rotate_key(
    site: Annotated[str, typer.Argument(help="The id of the scanner's site.")],
    name: Annotated[str, typer.Argument(help="The name people know it by.")],
    overlap: Annotated[
        float, typer.Option(min=0, max=90, help="For how many days the keys before this one hold on.")
    ] = 7,
    key_file: Annotated[Path | None, typer.Option(help="Write the key here, readable by you alone.")] = None,
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a new key for a scanner. It holds at once, and the former one for --overlap days: bring the new one to the
    agent in that time, and no slide waits."""
    with writing(var, database_url) as session:
        scanner_id = scanners.scanner_by_name(session, SiteId(site), name)
        key = scanners.rotate(session, scanner_id, overlap_us=round(overlap * DAY_US))
        ends = _moment(session.now_us + round(overlap * DAY_US))
    if key_file is not None:
        write_secret(key_file, key)
        out.print(f"The new key of {name} is in {key_file}.", markup=False)
    else:
        sys.stdout.write(f"{key}\n")
    typer.echo(
        f"The former keys of {name} hold until {ends}." if overlap else "The former keys hold no more.", err=True
    )


@scanners_app.command("withdraw")
def withdraw_scanner(
    site: Annotated[str, typer.Argument(help="The id of the scanner's site.")],
    name: Annotated[str, typer.Argument(help="The name people know it by.")],
    var: Var = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Take a scanner out of service: none of its keys holds any more. Its slides stay."""
    with writing(var, database_url) as session:
        scanners.disable_scanner(session, scanners.scanner_by_name(session, SiteId(site), name))
    out.print(f"{name} of {site} is withdrawn. Its agent is refused from now on.", markup=False)


@cases_app.command("add")
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
    with writing(var, database_url) as session:
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


def _bytes(size: str) -> int | None:
    """Decimal units, as disks are sold."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([MGT])B", size.strip(), re.ASCII | re.IGNORECASE)
    if size.strip().lower() == "none":
        return None
    if match is None:
        fail(f"{size} is no size. Give a number with its unit, such as 500GB or 2TB, or none.")
    return round(float(match[1]) * {"M": 10**6, "G": 10**9, "T": 10**12}[match[2].upper()])


def _moment(when_us: int | None) -> str:
    """In the time of this machine."""
    return "never" if when_us is None else f"{datetime.fromtimestamp(when_us / SECOND_US).astimezone():%Y-%m-%d %H:%M}"


def _ask_password(about: Iterable[str]) -> str:
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    if problem := weakness(password, about):
        fail(problem)
    return password
