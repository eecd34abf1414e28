"""A backup given back, into an empty data directory and an empty database, every digest proved on the way.

Files first and the database last: a restore that stops half-way leaves nothing that a server would start on.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from sharing import audit, chain
from sharing.clock import SECOND_US
from sharing.db.engine import Database, open_database
from sharing.db.migrations import upgrade
from sharing.errors import SchemaError
from sharing.subjects import System
from sharing.vocabulary import PLATFORM, Act
from slideserver.operations import manifest, snapshots
from slideserver.operations.manifest import BackupError, Manifest
from slideserver.signing import FILE_NAME

# As the store and the registration make them.
BLOB_MODE, FILE_MODE, KEY_MODE, DIRECTORY_MODE = 0o440, 0o640, 0o600, 0o750
# What was taken away after the backup must not come back with it: people sign in again, guests ask for a new link.
END_ACCESS = {
    "session_token": "DELETE FROM session_token",
    "guest": "UPDATE guest SET expires_us = :now_us WHERE expires_us > :now_us",
    "link": "UPDATE link SET revoked_us = :now_us WHERE revoked_us IS NULL",
}


class DamagedBackupError(BackupError):
    """`mismatches`: a sentence for each file or table that is not what the manifest says."""

    def __init__(self, directory: Path, mismatches: list[str]) -> None:
        self.mismatches = mismatches
        listed = "".join(f"\n  {line}" for line in mismatches[:20])
        super().__init__(
            f"{len(mismatches)} parts of {directory} are not what the manifest says; nothing was restored.{listed}\n"
            "Choose another backup."
        )


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    files: int
    tables: int
    broken_chains: tuple[str, ...]
    """Sites whose audit chain is not whole. It was not before the backup either: the contents were proved equal."""

    @property
    def notes(self) -> list[str]:
        """What the operator should know and do before starting the server."""
        taken = datetime.fromtimestamp(self.manifest.taken_us / SECOND_US, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        notes = [
            f"Everything is as it was on {taken}. Later slides come again from the scanners: have their agents push.",
            "Everybody signs in again; guest links no longer open, whoever needs one makes a new one.",
            "Accounts and scanners that were closed after the backup are open again: close them before you start.",
            "Objections of patients entered after the backup are gone: have them entered again at once. An export of "
            "the journal that is newer than the backup tells which: iain audit missing FILE",
            "Witnesses will say that the journal has shrunk: tell the people at each of them that it was you.",
            *(f"NOT IN THE BACKUP: {flaw}" for flaw in self.manifest.flaws),
            *(f"The journal of {site} is not whole: iain audit verify" for site in self.broken_chains),
        ]
        return [*notes, "Give the data directory to the user the server runs as, then: iain doctor"]


def put_back(
    directory: Path, var: Path, database_url: str, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Restored:
    """Fill `var` and the database from the backup in `directory`. Raises BackupError, leaving `var` empty."""
    told, sums = manifest.read(directory)
    if var.exists() and (not var.is_dir() or any(var.iterdir())):
        raise BackupError(f"{var} is not empty. Give the restored platform a new data directory with --var.")
    snapshots.require_empty(database_url, told.engine)
    var.mkdir(parents=True, exist_ok=True)
    var.chmod(DIRECTORY_MODE)
    try:
        mismatches = _copy_files(directory, var, told, sums, progress)
        if mismatches:
            raise DamagedBackupError(directory, mismatches)
        manifest.sync_tree(var)
        snapshots.put_back(database_url, directory, told.engine)
        mismatches = _compare(told, snapshots.contents(database_url))
        if mismatches:
            raise DamagedBackupError(directory, mismatches)
    except BaseException:
        _empty(var)
        raise
    with closing(open_database(database_url)) as database:
        _bring_up_to_date(database, told)
        return Restored(told, len(sums), len(told.tables), _broken_chains(database))


def _copy_files(
    directory: Path, var: Path, told: Manifest, sums: dict[str, str], progress: Callable[[int, int], None]
) -> list[str]:
    """The mismatches. The database's file is proved and stays where it is."""
    mismatches = []
    for number, (path, expected) in enumerate(sorted(sums.items()), 1):
        source = directory / path
        try:
            if path == told.database:
                found = manifest.digest(source)
            else:
                mode = BLOB_MODE if path.startswith("blobs/") else KEY_MODE if path == FILE_NAME else FILE_MODE
                found = manifest.copy(source, var / path, mode=mode)
        except FileNotFoundError:
            mismatches.append(f"{path} is missing")
            continue
        if found != expected:
            mismatches.append(f"{path} has the SHA-256 {found}, not {expected}")
        progress(number, len(sums))
    return mismatches


def _compare(told: Manifest, found: dict[str, manifest.TableContents]) -> list[str]:
    return [
        f"the table {name} has other contents"
        for name in sorted(told.tables.keys() | found.keys())
        if told.tables.get(name) != found.get(name)
    ]


def _bring_up_to_date(database: Database, told: Manifest) -> None:
    """Migrate, end the access of then, and put on record that what happened since the backup is not here."""
    try:
        upgrade(database)
    except SchemaError as error:
        raise BackupError(
            f"The backup is of a newer version ({told.program}, schema {told.schema}). It is restored; start that "
            "version on it, not this one."
        ) from error
    with database.writing() as session:
        for table, statement in END_ACCESS.items():
            if table in told.tables:
                session.execute(text(statement), {"now_us": session.now_us} if ":now_us" in statement else {})
        detail = {"taken_us": str(told.taken_us), "files": str(told.files)}
        audit.record(session, site_id=PLATFORM, act=Act.BACKUP_RESTORED, subject=System(), detail=detail)
    chain.seal(database)


def _broken_chains(database: Database) -> tuple[str, ...]:
    with database.reading() as session:
        return tuple(site.site_id for site in chain.verify(session).sites if not site.whole)


def _empty(var: Path) -> None:
    for entry in var.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
