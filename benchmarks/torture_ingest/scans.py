"""Files that look like slides to the agent: small, each unlike all others, and none of them ever to be decoded."""

import random
import struct
from collections.abc import Mapping
from pathlib import PurePosixPath

WHOLE_SLIDE = b"1.2.840.10008.5.1.4.1.1.77.1.6"
EXPLICIT = b"1.2.840.10008.1.2.1"


def tiff(pixels: bytes) -> bytes:
    """A TIFF whose directory comes last, as scanners write it."""
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (273, 4, 1, 8), (279, 4, 1, len(pixels))]
    pixels += b"\0" * (len(pixels) % 2)
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    return head + pixels + struct.pack("<H", len(entries)) + table + bytes(4)


def dicom(uid: str, series: str, pixels: bytes, kind: str = "VOLUME") -> bytes:
    """An instance of a slide's series with its pixels last."""
    body = (
        _element(0x00080008, b"CS", f"ORIGINAL\\PRIMARY\\{kind}\\NONE".encode(), b" ")
        + _element(0x00080016, b"UI", WHOLE_SLIDE)
        + _element(0x00080018, b"UI", uid.encode())
        + _element(0x0020000E, b"UI", series.encode())
        + struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", len(pixels))
        + pixels
    )
    meta = _element(0x00020002, b"UI", WHOLE_SLIDE) + _element(0x00020010, b"UI", EXPLICIT)
    return bytes(128) + b"DICM" + _element(0x00020000, b"UL", struct.pack("<I", len(meta))) + meta + body


def mirax(name: str, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a MIRAX slide by their places: the picture in front, what names the others, and these others, each
    of them one picture of the only level."""
    lines = ["[GENERAL]", f"SLIDE_ID = {name}", "[HIERARCHICAL]", "INDEXFILE = Index.dat"]
    lines += ["HIER_0_NAME = Slide zoom level", "HIER_0_COUNT = 1", "[DATAFILE]", f"FILE_COUNT = {len(parts)}"]
    lines += [f"FILE_{number} = {part}" for number, part in enumerate(parts)]
    roots = len(b"01.02" + name.encode())
    numbers = [roots + 8, 0, roots + 12, 0, roots + 20, len(parts), 0]  # tables, table, record, page
    numbers += [number for each, data in enumerate(parts.values()) for number in (each, 0, len(data), each)]
    index = b"01.02" + name.encode() + struct.pack(f"<{len(numbers)}i", *numbers)
    inner = {"Slidedat.ini": "\r\n".join(lines).encode(), "Index.dat": index, **parts}
    return {f"{name}.mrxs": b"\xff\xd8\xff"} | {f"{name}/{part}": data for part, data in inner.items()}


def slide(number: int, chance: random.Random) -> dict[str, bytes]:
    """The files of one slide, by their places below the folder of a scanner."""
    size = chance.randint(1_000, 60_000)
    name = f"26H{number:05}"
    match number % 3:
        case 0:
            return mirax(name, {"Data0000.dat": chance.randbytes(size), "Data0001.dat": chance.randbytes(500)})
        case 1:
            series = f"1.2.{number + 1}"
            return {f"{name}/{part}.dcm": dicom(f"{series}.{part}", series, chance.randbytes(size)) for part in (1, 2)}
    return {f"{PurePosixPath('nuit', name) if number % 2 else name}.svs": tiff(chance.randbytes(size))}


def _element(tag: int, kind: bytes, value: bytes, pad: bytes = b"\0") -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, kind, len(value)) + value
