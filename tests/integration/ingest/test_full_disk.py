"""A disk that is really full: the server runs in a mount namespace whose data directory is a small tmpfs."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fixtures.centres import Centres
from fixtures.ports import free_port
from fixtures.tus import Tus
from fixtures.upload_server import answers, program
from fixtures.waiting import wait_until

from ingest.protocol import UploadRequest

DISK_BYTES = 8 * 1024 * 1024
DATA = os.urandom(3_000_000)
REQUEST = UploadRequest("lame.svs", len(DATA), hashlib.sha256(DATA).hexdigest())


@dataclass
class SmallDisk:
    folder: Path
    """The server's data directory, reached through the process that has it mounted."""
    port: int

    def fill(self) -> None:
        def write() -> None:
            with (self.folder / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4096)

        with pytest.raises(OSError, match="No space"):
            write()

    def free(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def disk(database_url: str, database, var: Path) -> Iterator[SmallDisk]:
    var.mkdir()
    port = free_port()
    mount = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$0" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(var)]
    server = subprocess.Popen([*command, *program(database_url, var, port)])
    try:
        wait_until(lambda: answers(port) or server.poll() is not None, "the server process")
        assert server.poll() is None, "the server could not be started in a mount namespace of its own"
        yield SmallDisk(Path(f"/proc/{server.pid}/root{var}"), port)
    finally:
        server.kill()
        server.wait()


def test_a_full_disk_is_told_in_words_and_nothing_is_lost(disk: SmallDisk, centres: Centres) -> None:
    with httpx.Client(timeout=60) as http:
        caen = Tus(f"http://127.0.0.1:{disk.port}", centres.caen.scanner_key, http)
        location = caen.create(REQUEST)
        assert caen.patch(location, 0, DATA[:1_000_000]).status_code == 204
        disk.fill()
        for body in (DATA[1_000_000:], DATA[1_000_000:1_500_000]):
            refused = caen.patch(location, 1_000_000, body)
            assert (refused.status_code, refused.json()["code"]) == (507, "disk-full")
            assert "disk is full" in refused.json()["detail"]
            assert caen.head(location).headers["Upload-Offset"] == "1000000"
        other = caen.announce(UploadRequest("autre.svs", 10, hashlib.sha256(b"other").hexdigest()))
        assert (other.status_code, other.json()["code"]) == (507, "disk-full")
        disk.free()
        assert "IAIN-Slide" in caen.patch(location, 1_000_000, DATA[1_000_000:]).headers
    [blob] = (disk.folder / "blobs").rglob(REQUEST.sha256)
    assert blob.read_bytes() == DATA


def test_a_file_larger_than_the_disk_is_refused_when_it_is_announced(disk: SmallDisk, centres: Centres) -> None:
    with httpx.Client(timeout=60) as http:
        caen = Tus(f"http://127.0.0.1:{disk.port}", centres.caen.scanner_key, http)
        refused = caen.announce(UploadRequest("grande.svs", DISK_BYTES + 1, hashlib.sha256(b"x").hexdigest()))
        assert (refused.status_code, refused.json()["code"]) == (507, "disk-full")
