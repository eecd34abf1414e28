"""A stored file is what its name promises, or it is said what is wrong with it."""

import hashlib
import os
import resource
from pathlib import Path

import pytest

from tiler.storage.proof import PIECE_BYTES, Damage, prove


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 4097, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 513])
@pytest.mark.parametrize("folder", ["disk", "memory"])  # one of which cannot be read directly on older kernels
def test_a_sound_file_of_any_length_is_proved(folder: str, length: int, tmp_path: Path) -> None:
    path = (tmp_path if folder == "disk" else Path("/dev/shm")) / f"iain-proof-{os.getpid()}-{length}"
    data = os.urandom(length)
    path.write_bytes(data)
    told: list[int] = []
    try:
        assert prove(path, digest(data), length, told.append) is None
        assert sum(told) == length
        assert prove(path, digest(data), None) is None
    finally:
        path.unlink()


@pytest.mark.parametrize("place", [0, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 99])
def test_a_single_bit_is_found(place: int, tmp_path: Path) -> None:
    data = bytearray(os.urandom(PIECE_BYTES + 100))
    path, promised = tmp_path / "blob", digest(data)
    data[place] ^= 1
    path.write_bytes(data)
    assert prove(path, promised, len(data)) is Damage.ALTERED


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path, promised = tmp_path / "blob", digest(b"abc")
    assert prove(path, promised, 3) is Damage.MISSING
    path.write_bytes(b"ab")
    assert prove(path, promised, 3) is Damage.CUT
    assert prove(path, promised, None) is Damage.ALTERED
    path.unlink()
    path.mkdir()
    assert prove(path, promised, 3) is Damage.ALTERED
    path.rmdir()
    os.mkfifo(path)  # to open it would wait for a writer for ever
    assert prove(path, promised, 0) is Damage.ALTERED
    path.unlink()
    path.symlink_to(path)
    assert prove(path, promised, 3) is Damage.UNREADABLE


def test_what_the_callback_raises_ends_the_reading(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(3 * PIECE_BYTES))
    told: list[int] = []

    def enough(count: int) -> None:
        told.append(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prove(tmp_path / "blob", digest(b""), None, enough)
    assert told == [PIECE_BYTES]


def test_too_many_open_files_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"sound")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            prove(tmp_path / "blob", digest(b"sound"), 5)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
