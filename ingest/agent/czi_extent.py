"""The end of a Zeiss CZI file (ZISRAW): its directory is written, and what is named last in the file is all there."""

import struct

from ingest.agent.extent import Bytes, OddError, UnfinishedError

MAX_BLOCKS = 1_000_000
MAX_DIMENSIONS = 64
_SEGMENT = struct.Struct("<16sqq")  # what it is, bytes set aside, bytes used
# Version, two unused, GUIDs of the first file and of this one, part, where the directory and the description are,
# whether it is being written, where the attachments are.
_FILE = struct.Struct("<iiii16s16siqqiq")
_ENTRY = struct.Struct("<2siqiiBB4si")
_DIRECTORY_HEAD = 128
_DIMENSION_BYTES = 20


def check_czi(file: Bytes) -> None:
    """Raises UnfinishedError, OddError."""
    _segment(file, 0, b"ZISRAWFILE")
    *_, directory, description, pending, attachments = _FILE.unpack(file.read(_SEGMENT.size, _FILE.size))
    if pending or directory <= 0:
        raise UnfinishedError
    for at, kind in ((description, b"ZISRAWMETADATA"), (attachments, b"ZISRAWATTDIR")):
        if at > 0:
            _segment(file, at, kind)
    data = _segment(file, directory, b"ZISRAWDIRECTORY")
    (count,) = struct.unpack("<i", file.read(data, 4))
    if not 0 <= count <= MAX_BLOCKS:
        raise OddError
    at, furthest = data + _DIRECTORY_HEAD, 0
    for _ in range(count):
        schema, _, position, *_, dimensions = _ENTRY.unpack(file.read(at, _ENTRY.size))
        if schema != b"DV" or not 0 <= dimensions <= MAX_DIMENSIONS:
            raise OddError
        furthest = max(furthest, position)
        at += _ENTRY.size + dimensions * _DIMENSION_BYTES
    file.reach(at)
    if furthest:
        _segment(file, furthest, b"ZISRAWSUBBLOCK")


def _segment(file: Bytes, at: int, kind: bytes) -> int:
    """Where the content of a segment begins, all of which is there."""
    found, room, used = _SEGMENT.unpack(file.read(at, _SEGMENT.size))
    found = found.rstrip(b"\0")
    if not found and at:  # set aside, and not written yet
        raise UnfinishedError
    if found != kind:
        raise OddError
    file.reach(at + _SEGMENT.size + max(0, used or room))
    return at + _SEGMENT.size
