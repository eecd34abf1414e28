"""What the commands of `iain` share: their options, the database they work on, and how they end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from sharing.db.engine import Database, Session, open_database
from sharing.errors import SharingError
from slideserver.settings import Settings

Var = Annotated[Path | None, typer.Option("--var", help="The data directory.")]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database-url", help="The database; without it, a SQLite file in the data directory.")
]

out = Console(soft_wrap=True)


def settings_of(**given: Any) -> Settings:
    """The settings of the environment, with what was given on the command line above them."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


def owner_of(settings: Settings) -> Settings:
    """The same settings, for who changes the tables themselves."""
    return settings.model_copy(update={"database_url": settings.database_owner_url or settings.database_url})


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def reading(var: Path | None, database_url: str | None) -> Iterator[Session]:
    """As `writing`, to look only."""
    try:
        with opened(settings_of(var=var, database_url=database_url)) as database, database.reading() as session:
            yield session
    except SharingError as error:
        fail(str(error))


@contextmanager
def writing(var: Path | None, database_url: str | None) -> Iterator[Session]:
    """One transaction; a refusal of the platform ends the program with its sentence."""
    try:
        with opened(settings_of(var=var, database_url=database_url)) as database, database.writing() as session:
            yield session
    except SharingError as error:
        fail(str(error))


def fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)
