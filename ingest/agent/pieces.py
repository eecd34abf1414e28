"""A file as the pieces in which it is sent: while one is on its way, the next is read and hashed."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file and their SHA-256; none behind its end."""

    offset: int
    data: bytes
    sha256: bytes


class Pieces:
    """Use as a context manager: it has a thread of its own, in which alone `file` is read meanwhile.

    What was read ahead is as old as the piece before it; who sends it looks afterwards whether the file has changed.
    """

    def __init__(self, file: FileIO, piece_bytes: int) -> None:
        self.file, self._piece_bytes = file, piece_bytes
        self._reader = ThreadPoolExecutor(1, "pieces")
        self._ahead: Future[Piece] | None = None

    def __enter__(self) -> "Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.shutdown()

    def at(self, offset: int) -> Piece:
        """The piece that begins there. Raises OSError when it cannot be read."""
        piece = self._ahead.result() if self._ahead else None
        if piece is None or piece.offset != offset:  # the first one, or the server holds less or more than was sent
            piece = self._reader.submit(self._read, offset).result()
        self._ahead = self._reader.submit(self._read, offset + len(piece.data)) if piece.data else None
        return piece

    def _read(self, offset: int) -> Piece:
        self.file.seek(offset)
        data = self.file.read(self._piece_bytes)
        return Piece(offset, data, hashlib.sha256(data).digest())
