"""Slides of several files: each arrives by an upload of its own and is put aside, proved; then all become one slide.

The commitment names every file by its SHA-256. Bytes that the site holds already, for whatever slide, need not be sent.
Files are moved into the blob store first, then one transaction writes slide, files, job and audit event: a crash
between the two is mended by committing again. What is put aside and never committed goes after a while.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import delete

from ingest.arrival import Home, Received, disk_error, settled
from ingest.errors import BadManifestError, FilesMissingError
from ingest.manifest import EMPTY_SHA256, Manifest
from ingest.protocol import UploadRequest
from sharing import custody, slides
from sharing.db.engine import Database
from sharing.db.tables import UploadRow
from sharing.slides import StoredFile
from sharing.subjects import Sender
from sharing.vocabulary import SiteId
from tiler.errors import BlobNotFoundError
from tiler.storage.base import BlobStore
from tiler.storage.local import sync_path


def commit(home: Home, sender: Sender, manifest: Manifest, glass: UploadRequest) -> Received:
    """The slide of these files, durable; the same one however often it is asked for.

    Raises FilesMissingError, BadManifestError, DiskFullError, StoreFailedError.
    """
    with home.database.reading() as session:
        known = slides.by_digest(session, sender.site_id, manifest.sha256)
    digests = {file.sha256 for file in manifest.files}
    lost = home.lost(sender.site_id, digests)
    if known and not lost:
        with home.database.writing() as session:
            return home.received(session, sender, glass, manifest.sha256, [])
    with _disk():
        empty = any(file.length == 0 for file in manifest.files)
        if empty and (EMPTY_SHA256 in lost or not home.store.holds(sender.site_id, EMPTY_SHA256)):
            home.store.begin(sender.site_id).commit(EMPTY_SHA256)  # an upload of no bytes cannot be announced
        for digest in digests:
            home.keep_aside(sender.site_id, digest)
        _require_all((home.aside, home.store), sender.site_id, manifest, lost - {EMPTY_SHA256})
        for digest in digests:
            _take(home, sender.site_id, digest)
        _require_all((home.store,), sender.site_id, manifest)
        # Whoever moved a file there, maybe this moment, may not have come to making that durable.
        for folder in {home.store.path(sender.site_id, digest).parent for digest in digests}:
            sync_path(folder)
    files = [StoredFile(file.name, file.sha256, file.length) for file in manifest.files]

    def become_slide() -> Received:
        with home.database.writing() as session:
            custody.mended(session, sender, lost)
            return home.received(session, sender, glass, manifest.sha256, files)

    return settled(become_slide)


def forget(database: Database, aside: Path, before_us: int) -> None:
    """Removes what was put aside and asked for last before this time, and the rows of such uploads."""
    for path in aside.glob("*/*/*"):
        try:
            if path.stat().st_mtime_ns // 1000 <= before_us:
                path.unlink()
        except FileNotFoundError:  # committed this moment
            continue
    with database.writing() as session:
        done = UploadRow.of_set, UploadRow.completed_us <= before_us
        session.execute(delete(UploadRow).where(*done))


def _require_all(
    places: tuple[BlobStore, ...], site_id: SiteId, manifest: Manifest, lost: frozenset[str] = frozenset()
) -> None:
    """Raises FilesMissingError for those that are in none of these places, and BadManifestError when a file's length is
    not what is said of it. In the order of the places: what is moved on meanwhile is found in the later one. What is
    `lost` counts in the first place alone."""
    missing = []
    for file in manifest.files:
        length = _length(places[:1] if file.sha256 in lost else places, site_id, file.sha256)
        if length is None:
            missing.append(file.name)
        elif length != file.length:
            raise BadManifestError(f"The manifest says {file.length:,} bytes of {file.name}; it has {length:,}.")
    if missing:
        raise FilesMissingError(tuple(missing))


def _length(places: tuple[BlobStore, ...], site_id: SiteId, sha256: str) -> int | None:
    for place in places:
        try:
            return place.path(site_id, sha256).stat().st_size
        except (BlobNotFoundError, FileNotFoundError):
            continue
    return None


def _take(home: Home, site_id: SiteId, sha256: str) -> None:
    """From aside into the store. What is nowhere is found out afterwards."""
    with suppress(BlobNotFoundError, FileNotFoundError):  # in the store, or taken by another commitment this moment
        home.store.adopt(home.aside.path(site_id, sha256), site_id, sha256)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_error(error) from error
