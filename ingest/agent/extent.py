"""How far a file says that it goes, against how far it goes: a scan that is still being written, or was cut short,
names bytes of itself that are not there.

`Bytes` is such a file; whoever reads beyond its end, or finds that something lies there, raises UnfinishedError.
"""

from typing import BinaryIO


class UnfinishedError(Exception):
    """The file says that it has more than there is. `needed`: how many bytes it speaks of, 0 when it does not say;
    `name`: of the file, when it is another one that speaks of it."""

    def __init__(self, needed: int = 0, name: str = "") -> None:
        self.needed, self.name = needed, name
        super().__init__(needed)


class OddError(Exception):
    """What stands there is of no such format; whether it is a slide is for the server to say."""


class Bytes:
    """An open file of `length` bytes."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self.length = file, length

    def read(self, at: int, length: int) -> bytes:
        """So many bytes from a place. Raises UnfinishedError."""
        self.reach(at + length)
        self._file.seek(at)
        data = self._file.read(length)
        if len(data) < length:
            raise UnfinishedError(at + length)
        return data

    def reach(self, end: int) -> None:
        """Raises UnfinishedError when the file ends before."""
        if end > self.length:
            raise UnfinishedError(end)
