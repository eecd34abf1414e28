"""The slides that are open for serving: which they are, and how one is opened from what registration left behind."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest.directory import PROFILE, shown
from sharing import slides
from sharing.db.engine import Database
from sharing.slides import Slide
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import TileIndex, file_name
from tiler.source import TileSource
from tiler.storage.base import BlobStore, ByteSource


@dataclass(frozen=True, slots=True)
class OpenSlide:
    """One slide at one version, ready to give tiles. `directory` holds its thumbnail, label, macro and ICC profile."""

    source: TileSource
    directory: Path
    etag: bytes
    has_profile: bool
    files: int
    """How many it holds open."""


class Sources:
    """Up to `max_open` slides, and twice as many files, least recently used first out. Safe to use from several
    threads."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        cutters: CutterPool,
        cache: TileCache,
        directory: Path,
        *,
        max_open: int,
    ) -> None:
        self._database = database
        self._store = store
        self._cutters = cutters
        self._cache = cache
        self._directory = directory
        self._max_open = max_open
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[str, str], OpenSlide] = OrderedDict()
        self.closed = 0
        """How many slides were closed so far. As long as it stays the same, what was found open is still open."""

    def find(self, slide: Slide) -> OpenSlide | None:
        """The slide, at the generation of its index that the caller knows of, if it is open already; never waits."""
        key = (slide.id, slide.index_digest or "")
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
            return found

    def open(self, slide: Slide) -> OpenSlide:
        """The slide, opened if need be. Raises BadIndexError or BlobNotFoundError if it is not as it was registered."""
        found = self.find(slide)
        if found is not None:
            return found
        opened = self._open_from_disk(slide)
        with self._lock:
            # Two threads may have opened it at once; the first stays, the other is dropped.
            kept = self._open.setdefault((slide.id, slide.index_digest or ""), opened)
            while len(self._open) > self._max_open or (len(self._open) > 1 and self._files > 2 * self._max_open):
                self._open.popitem(last=False)
                self.closed += 1
        return kept

    def forget(self, slide: Slide) -> None:
        """After an error, the next request starts from the disk again."""
        with self._lock:
            self._open.pop((slide.id, slide.index_digest or ""), None)
            self.closed += 1

    def close(self) -> None:
        with self._lock:
            self._open.clear()
            self.closed += 1

    def _open_from_disk(self, slide: Slide) -> OpenSlide:
        directory = self._directory / slide.id
        digest = slide.index_digest or ""
        index = TileIndex.open(directory / file_name(digest), digest=digest)
        decodes = any(level.native and not level.placed for level in index.levels)
        with self._database.reading() as session:
            files = slides.files_of(session, slide.id)
            received = slides.files_of(session, slide.id, received_only=True) if decodes else ()
        blobs: dict[int, ByteSource] = {}
        try:
            # A later generation may have come since the caller looked: its files come after those of this one.
            for number in index.used_blobs:
                blobs[number] = self._store.open(slide.site_id, files[number].sha256)
        except BaseException:
            _close(blobs.values())
            raise
        decodable = shown(self._store, slide.site_id, received) if decodes else {}
        source = TileSource(index, blobs, self._cutters, self._cache, slide.id, decodable)
        if not all(level.placed for level in index.levels):
            self._cutters.prepare()
        # Not closed when evicted but when the last reader lets go: a descriptor closed under a reader could by then
        # belong to another slide.
        weakref.finalize(source, _close, [*blobs.values()])
        etag, has_profile = f'"{index.version}"'.encode(), (directory / PROFILE).exists()
        return OpenSlide(source, directory, etag, has_profile, len(blobs))

    @property
    def _files(self) -> int:
        return sum(opened.files for opened in self._open.values())


def _close(blobs: Iterable[ByteSource]) -> None:
    for blob in blobs:
        blob.close()
