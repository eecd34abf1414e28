"""A file in pieces, read ahead."""

import hashlib
import os
from pathlib import Path

import pytest

from ingest.agent.pieces import Pieces

DATA = os.urandom(2_500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    path.write_bytes(DATA)
    return path


def test_every_piece_has_its_own_digest_and_behind_the_end_is_nothing(path: Path) -> None:
    with path.open("rb", buffering=0) as file, Pieces(file, 1_000) as pieces:
        found = [pieces.at(offset) for offset in (0, 1_000, 2_000, 2_500, 2_500)]
    assert [piece.data for piece in found] == [DATA[:1000], DATA[1000:2000], DATA[2000:], b"", b""]
    assert all(hashlib.sha256(piece.data).digest() == piece.sha256 for piece in found)


def test_a_server_that_holds_less_or_more_than_was_sent_gets_what_it_lacks(path: Path) -> None:
    with path.open("rb", buffering=0) as file, Pieces(file, 1_000) as pieces:
        for offset in (0, 700, 700, 1_700, 3, 2_400, 0):
            assert pieces.at(offset).data == DATA[offset : offset + 1_000]


def test_the_next_piece_is_read_before_it_is_asked_for(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        with Pieces(file, 1_000) as pieces:
            pieces.at(0)
        assert file.tell() == 2_000


def test_what_cannot_be_read_is_told_to_who_asks(path: Path) -> None:
    with path.open("wb", buffering=0) as file, Pieces(file, 1_000) as pieces, pytest.raises(OSError, match="not open"):
        pieces.at(0)
