"""Which part of a file a request asks for (RFC 9110, 14)."""

import re

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class UnsatisfiableError(Exception):
    """Nothing of the file lies there (416)."""


def wanted(header: str | None, condition: str | None, etag: str, length: int) -> range | None:
    """The bytes to send of a file of this length; None for the whole: nothing else was asked for, or of another file
    (`If-Range`), or in a way that need not be understood, such as several ranges at once."""
    match = _RANGE.fullmatch(header or "")
    if match is None or (condition is not None and condition != etag):
        return None
    first, last = match.groups()
    if first:
        start, stop = int(first), min(int(last) + 1 if last else length, length)
    elif last:
        start, stop = max(length - int(last), 0), length
    else:
        return None
    if last and first and int(last) < start:
        return None  # no range at all: to be ignored
    if start >= stop:
        raise UnsatisfiableError
    return range(start, stop)
