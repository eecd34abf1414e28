"""One conformance suite for every blob store, and what only files can get wrong."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiler.errors import BlobMismatchError, BlobNotFoundError, DamagedSlideError
from tiler.storage.base import BlobStore
from tiler.storage.local import LocalBlobStore, LocalByteSource
from tiler.storage.memory import MemoryBlobStore

DATA = bytes(range(256)) * 100
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    if request.param == "local":
        yield LocalBlobStore(tmp_path / "var" / "blobs")
    else:
        memory = MemoryBlobStore()
        yield memory
        memory.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was synced, in the order of it."""
    paths: list[Path] = []
    fsync = os.fsync

    def spy(descriptor: int) -> None:
        paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    return paths


def put(store: BlobStore, site: str = "caen") -> None:
    writer = store.begin(site)
    writer.write(DATA[:1000])
    writer.write(DATA[1000:])
    writer.commit(DIGEST)


def test_what_was_committed_is_read_back(store: BlobStore) -> None:
    put(store)
    source = store.open("caen", DIGEST)
    assert source.length == len(DATA)
    assert source.read_at(0, len(DATA)) == DATA
    assert source.read_at(300, 7) == DATA[300:307]
    assert source.read_at(len(DATA), 0) == b""
    assert store.path("caen", DIGEST).read_bytes() == DATA
    source.close()


def test_reading_behind_the_end_is_an_error(store: BlobStore) -> None:
    put(store)
    source = store.open("caen", DIGEST)
    for offset, length in ((0, len(DATA) + 1), (len(DATA), 1), (-1, 2), (2**63, 1)):
        with pytest.raises(DamagedSlideError):
            source.read_at(offset, length)
    source.close()


def test_resident_bytes_are_the_same_bytes_or_none(store: BlobStore) -> None:
    put(store)
    source = store.open("caen", DIGEST)
    source.read_at(0, len(DATA))
    assert source.resident_at(300, 7) in (DATA[300:307], None)
    assert source.resident_at(len(DATA) - 3, 7) is None
    source.close()


def test_nothing_is_readable_before_commit(store: BlobStore) -> None:
    writer = store.begin("caen")
    writer.write(DATA)
    assert not store.holds("caen", DIGEST)
    writer.abort()
    with pytest.raises(BlobNotFoundError):
        store.open("caen", DIGEST)


def test_other_bytes_than_promised_are_not_kept(store: BlobStore) -> None:
    writer = store.begin("caen")
    writer.write(DATA + b"!")
    with pytest.raises(BlobMismatchError):
        writer.commit(DIGEST)
    assert not store.holds("caen", DIGEST)


def test_another_site_does_not_see_it(store: BlobStore) -> None:
    put(store)
    assert store.holds("caen", DIGEST)
    assert not store.holds("rouen", DIGEST)
    with pytest.raises(BlobNotFoundError):
        store.path("rouen", DIGEST)


def test_committing_twice_is_harmless(store: BlobStore) -> None:
    put(store)
    put(store)
    assert store.path("caen", DIGEST).read_bytes() == DATA


def test_an_adopted_file_is_moved_in_once(store: BlobStore, tmp_path: Path) -> None:
    for _ in range(2):
        part = tmp_path / "part"
        part.write_bytes(DATA)
        store.adopt(part, "caen", DIGEST)
        assert not part.exists()
    assert store.path("caen", DIGEST).read_bytes() == DATA


def test_what_is_held_can_be_settled_and_nothing_else(store: BlobStore) -> None:
    put(store)
    store.settle("caen", DIGEST)
    with pytest.raises(BlobNotFoundError):
        store.settle("rouen", DIGEST)


@pytest.mark.parametrize("damage", [DATA[:-1], DATA[:-1] + b"!"])
def test_adopting_mends_a_blob_that_was_damaged(tmp_path: Path, damage: bytes) -> None:
    store = LocalBlobStore(tmp_path / "blobs")
    put(store)
    blob = store.path("caen", DIGEST)
    blob.chmod(0o640)
    blob.write_bytes(damage)
    part = tmp_path / "part"
    part.write_bytes(DATA)
    store.adopt(part, "caen", DIGEST)
    assert blob.read_bytes() == DATA
    assert stat.S_IMODE(blob.stat().st_mode) == 0o440


def test_the_name_of_a_blob_is_durable_before_adopting_returns(tmp_path: Path, synced: list[Path]) -> None:
    """As is that of the directory it is in; also when a killed process had moved the file, and got no further."""
    store = LocalBlobStore(tmp_path / "blobs")
    for _ in range(2):
        part = tmp_path / "part"
        part.write_bytes(DATA)
        synced.clear()
        store.adopt(part, "caen", DIGEST)
        folder = store.path("caen", DIGEST).parent
        assert synced[-2:] == [folder, folder.parent]
    assert part not in synced, "what was held already need not be written again"


def test_a_writer_that_the_disk_fails_leaves_nothing(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    writer = store.begin("caen")
    writer.write(DATA)
    (tmp_path / "caen" / DIGEST[:2]).write_text("a file where a directory must be")
    with pytest.raises(OSError, match=r"exists|directory"):
        writer.commit(DIGEST)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST[:2]]


@pytest.mark.parametrize("site", ["", "..", "a/b", "Caen", "a" * 65, "caen\n"])
def test_a_site_is_never_a_path(tmp_path: Path, site: str) -> None:
    with pytest.raises(BlobNotFoundError):
        LocalBlobStore(tmp_path).begin(site)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", DIGEST.upper(), DIGEST[:-1], DIGEST + "\n"])
def test_a_digest_is_never_a_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(BlobNotFoundError):
        LocalBlobStore(tmp_path).path("caen", digest)


def test_a_blob_cannot_be_written_by_accident(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    put(store)
    assert stat.S_IMODE(store.path("caen", DIGEST).stat().st_mode) == 0o440


def test_no_part_is_left_behind(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path)
    put(store)
    store.begin("caen").abort()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [DIGEST]


def test_a_part_that_cannot_be_moved_stays_mendable(tmp_path: Path) -> None:
    store = LocalBlobStore(tmp_path / "blobs")
    part = tmp_path / "part"
    part.write_bytes(DATA)
    blocker = store._root / "caen" / DIGEST[:2]
    blocker.parent.mkdir(parents=True)
    blocker.write_text("a file where a directory must be")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        store.adopt(part, "caen", DIGEST)
    assert part.stat().st_mode & stat.S_IWUSR


def test_a_file_cut_short_behind_our_back_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    source = LocalByteSource(path)
    os.truncate(path, 100)
    with pytest.raises(DamagedSlideError, match="shorter"):
        source.read_at(0, 200)
    assert source.resident_at(0, 200) is None
    source.close()
    source.close()
