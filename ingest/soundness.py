"""Whether it is a slide that cannot be read, or the store that does not have it any more.

A slide is refused for good, and its sender may have deleted it by then: before that is said, the store has to show that
it still has what it was given. Otherwise the work waits until somebody brings the bytes again.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import NotNowError
from ingest.scrub import look
from sharing import custody
from sharing.custody import Kept
from sharing.db.engine import Database
from sharing.slides import StoredFile
from sharing.vocabulary import SiteId
from tiler.errors import BlobNotFoundError, TilerError
from tiler.storage.base import BlobStore
from tiler.storage.proof import Damage


@contextmanager
def of_the_store() -> Iterator[None]:
    """What the block cannot find or read on the server's disks is a matter of time. Raises NotNowError; what a worker
    says of a slide, which may be an OSError as well, goes its own way."""
    try:
        yield
    except BlobNotFoundError as error:
        raise NotNowError(error.sentence) from error
    except OSError as error:
        if isinstance(error, TilerError):
            raise
        raise NotNowError(f"The server's disk cannot be read or written: {error.strerror}.") from error


def require_sound(database: Database, store: BlobStore, site_id: SiteId, files: Iterable[StoredFile]) -> None:
    """Returns when these files are as they were received, each read once more. Raises NotNowError when one is not, and
    puts on record which: then whoever has it may send it again."""
    with of_the_store():
        found = {file.sha256: look(store, Path(), Kept(site_id, file.sha256, file.length)) for file in files}
    with database.writing() as session:
        for sha256, damage in found.items():
            if damage is not Damage.MISSING:  # a disk that is away comes back with its files
                custody.record(session, site_id, sha256, damage)
    if any(found.values()):
        raise NotNowError("A stored file of the slide is damaged or missing. Send the slide again.")
