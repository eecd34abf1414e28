"""Hamamatsu NDPI in small: each level one JPEG image with restart marks, in a TIFF with offsets of 64 bits."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.layouts import Maker, Makers
from benchmarks.layouts.specimen import MPP, Pixels, associated, pyramid, tissue

_SHORT, _LONG, _RATIONAL, _SIGNED, _FLOAT = 3, 4, 5, 9, 11
_CODES: Final = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _SIGNED: "i", _FLOAT: "f"}
_LENS: Final = 20.0
_MACRO: Final = -1.0
# Scanners cut to whole MCUs on every level.
_WIDTH, _HEIGHT = 1024, 704
_FACTS: Final = "Created=2026/01/02\r\nUpdated=2026/01/02\r\nProduct=C9600-12\r\nOperator=DOE JANE\r\n"
Tag = tuple[int, Sequence[float] | str]


@dataclass(frozen=True, slots=True)
class Scan:
    """One image of the file. `interval` is MCUs between restart marks, 0 for none; the macro has a negative lens."""

    jpeg: bytes
    width: int
    height: int
    lens: float
    plane: int = 0
    compression: int = 7
    interval: int = 0


def scan(
    pixels: Pixels, lens: float, *, interval: int = 0, subsampling: str = "4:2:2", plane: int = 0, **options: object
) -> Scan:
    """An image as one JPEG stream."""
    out = io.BytesIO()
    marks = {"restart_marker_blocks": interval} if interval else {}
    Image.fromarray(pixels).save(out, "JPEG", quality=80, subsampling=subsampling, **marks, **options)
    return Scan(out.getvalue(), pixels.shape[1], pixels.shape[0], lens, plane, 7, interval)


def levels(pixels: Pixels, mcus: Sequence[int], *, subsampling: str = "4:2:2", plane: int = 0) -> list[Scan]:
    """A pyramid of halves; `mcus` between the restart marks of each level."""
    return [
        scan(one, _LENS / 2**number, interval=interval, subsampling=subsampling, plane=plane)
        for number, (one, interval) in enumerate(zip(pyramid(pixels, len(mcus)), mcus, strict=True))
    ]


def write(path: Path, scans: Sequence[Scan], *, begin: int = 12, label: str = "26H01234") -> Path:
    """The file with these images; its first byte of content lies at `begin`."""
    with path.open("wb") as file:
        file.write(b"II*\0" + bytes(8))
        file.seek(begin)
        pointer = 4
        for one in scans:
            at = _aligned(file.tell())
            file.seek(at)
            file.write(one.jpeg)
            places: list[bytes] = []
            tags = _tags(one, at, label)
            for tag, values in tags:
                kind, count, data = _packed(tag, values)
                if len(data) > 4:
                    far = _aligned(file.tell())
                    file.seek(far)
                    file.write(data)
                    data = struct.pack("<Q", far)
                elif tag == _STRIP:
                    data = struct.pack("<Q", at)
                places.append(struct.pack("<HHI", tag, kind, count) + data.ljust(8, b"\0"))
            directory = _aligned(file.tell())
            file.seek(directory)
            file.write(struct.pack("<H", len(tags)) + b"".join(entry[:12] for entry in places))
            following = file.tell()
            file.write(bytes(8) + b"".join(entry[12:] for entry in places))
            end = file.tell()
            file.seek(pointer)
            file.write(struct.pack("<Q", directory))
            file.seek(end)
            pointer = following
    return path


_STRIP: Final = 273


def _aligned(at: int) -> int:
    return at + -at % 4


def _tags(one: Scan, at: int, label: str) -> list[Tag]:
    mpp = MPP * _LENS / one.lens if one.lens > 0 else 30.0
    per_cm = [round(1e4 / mpp), 1]
    found: list[Tag] = [
        (256, [one.width]),
        (257, [one.height]),
        (258, [8, 8, 8]),
        (259, [one.compression]),
        (262, [6]),
        (271, "Hamamatsu"),
        (272, "C9600-12"),
        (_STRIP, [at & 0xFFFFFFFF]),
        (277, [3]),
        (278, [one.height]),
        (279, [len(one.jpeg)]),
        (282, per_cm),
        (283, per_cm),
        (296, [3]),
        (305, "NDP.scan 2.5.89"),
        (306, "2026:01:02 03:04:05"),
        (65420, [1]),
        (65421, [one.lens]),
        (65422, [12538720]),
        (65423, [-96063]),
        (65424, [one.plane]),
    ]
    if one.interval:
        found.append((65426, _starts(one.jpeg)))
    return [*found, (65427, label), (65442, "950291"), (65444, [80]), (65449, _FACTS)]


def _packed(tag: int, values: Sequence[float] | str) -> tuple[int, int, bytes]:
    if isinstance(values, str):
        data = values.encode() + b"\0"
        return 2, len(data), data
    kind = {282: _RATIONAL, 283: _RATIONAL, 65421: _FLOAT, 65422: _SIGNED, 65423: _SIGNED, 65424: _SIGNED}.get(tag)
    if kind is None:
        kind = _SHORT if tag in (258, 259, 262, 277, 296, 65420) else _LONG
    data = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
    return kind, len(values) // (2 if kind == _RATIONAL else 1), data


def _starts(jpeg: bytes) -> list[int]:
    """Where each interval begins: behind the header, and behind each restart mark."""
    at = jpeg.index(b"\xff\xda")
    at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    found = [at]
    while (at := jpeg.find(b"\xff", at)) >= 0:
        if 0xD0 <= jpeg[at + 1] <= 0xD7:
            found.append(at + 2)
        at += 2
    return found


def _tissue() -> Pixels:
    return tissue(_WIDTH, _HEIGHT)


def _macro() -> Scan:
    return scan(associated("macro"), _MACRO)


def _restart_marks(folder: Path) -> Path:
    return write(folder / "marks.ndpi", [*levels(_tissue(), (64, 32, 16)), _macro()])


def _narrow(folder: Path) -> Path:
    return write(folder / "narrow.ndpi", [*levels(_tissue(), (8, 8, 8), subsampling="4:2:0"), _macro()])


def _wide(folder: Path) -> Path:
    wide = np.concatenate([tissue(_WIDTH, 400)] * 3, axis=1)
    return write(folder / "wide.ndpi", [*levels(wide, (384, 192), subsampling="4:4:4"), _macro()])


def _no_marks(folder: Path) -> Path:
    return write(folder / "no-marks.ndpi", [*levels(_tissue(), (0, 0)), _macro()])


def _grey(folder: Path) -> Path:
    grey = np.asarray(Image.fromarray(_tissue()).convert("L"))
    halves = [Image.fromarray(grey).reduce(by) for by in (1, 2)]
    scans = [scan(np.asarray(one), _LENS / 2**number, interval=32) for number, one in enumerate(halves)]
    return write(folder / "grey.ndpi", [*scans, _macro()])


def _focal_planes(folder: Path) -> Path:
    """Three planes, of which the outer ones are out of focus."""
    sharp = _tissue()
    dull = np.asarray(Image.fromarray(sharp).reduce(8).resize((sharp.shape[1], sharp.shape[0])))
    stack = [levels(dull if plane else sharp, (64, 32), plane=plane) for plane in (-2000, 0, 2000)]
    return write(folder / "planes.ndpi", [*(one for plane in stack for one in plane), _macro()])


def _one_piece(folder: Path) -> Path:
    """It only claims to be so large: nobody decodes it."""
    small = scan(tissue(512, 512), _LENS)
    at = small.jpeg.index(b"\xff\xc0") + 5
    huge = small.jpeg[:at] + struct.pack(">HH", 9000, 9000) + small.jpeg[at + 4 :]
    return write(folder / "one-piece.ndpi", [Scan(huge, 9000, 9000, _LENS)])


def _progressive(folder: Path) -> Path:
    return write(folder / "progressive.ndpi", [scan(tissue(512, 512), _LENS, progressive=True)])


def _jpeg_xr(folder: Path) -> Path:
    one = scan(tissue(512, 512), _LENS)
    return write(folder / "jpeg-xr.ndpi", [Scan(one.jpeg, 512, 512, _LENS, compression=22610)])


def _list(name: str, section: str) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_text(f"[{section}]\r\nNoLayers=1\r\nNoJpegColumns=1\r\nNoJpegRows=1\r\nImageFile=a.jpg\r\n")
        return path

    return make


MAKERS: Final[Makers] = {
    "restart-marks": _restart_marks,
    "narrow": _narrow,
    "wide": _wide,
    "no-marks": _no_marks,
    "grey": _grey,
    "focal-planes": _focal_planes,
    "one-piece": _one_piece,
    "progressive": _progressive,
    "jpeg-xr": _jpeg_xr,
    "vms": _list("slide.vms", "Virtual Microscope Specimen"),
    "vmu": _list("slide.vmu", "Uncompressed Virtual Microscope Specimen"),
    "ndpis": _list("slide.ndpis", "NanoZoomer Digital Pathology Image Set"),
}
