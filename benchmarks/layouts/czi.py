"""Zeiss CZI files: segments of sub-blocks in a mosaic, a directory, a description, a label within the file."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from benchmarks.layouts import Makers
from benchmarks.layouts.specimen import MPP, associated, jpeg, pyramid, tissue

GREY8, GREY16, FLOAT, BGR24, BGR48, BGRA32 = 0, 1, 2, 3, 4, 9
RAW, JPEG, LZW, JPEG_XR, ZSTD0, ZSTD1, CAMERA = 0, 1, 2, 4, 5, 6, 100
BARCODE: Final = "H26-00001"
_KINDS: Final = {GREY8: "Gray8", GREY16: "Gray16", FLOAT: "Gray32Float", BGR24: "Bgr24", BGR48: "Bgr48"}
_OVERLAP: Final = 40
_STEP: Final = 480
_CHANNEL: Final = {"C": 0}
_RGB_FORMAT: Final = bytes.fromhex("24c3dd6f034efe4bb1853d77768dc9")
_DIMENSION: Final = struct.Struct("<4siifi")
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Block:
    """One sub-block: what it shows, in the order of a screen (red first), and where on the slide."""

    pixels: Pixels
    x: int
    y: int
    down: int = 1
    others: Mapping[str, int] = field(default_factory=dict)
    kind: int = BGR24
    compression: int = RAW

    def entry(self, at: int) -> bytes:
        height, width = self.pixels.shape[:2]
        sides = (("X", self.x, width), ("Y", self.y, height))
        table = [(name, start, side * self.down, 0.0, side) for name, start, side in sides]
        table += [(name, start, 1, 0.0, 1) for name, start in self.others.items()]
        head = struct.pack(
            "<2siqiiBB4si", b"DV", self.kind, at, 0, self.compression, int(self.down > 1), 0, b"", len(table)
        )
        return head + b"".join(_DIMENSION.pack(name.encode(), *rest) for name, *rest in table)

    def data(self) -> bytes:
        stored = np.ascontiguousarray(self.pixels[..., ::-1] if self.pixels.ndim == 3 else self.pixels)
        raw = stored.tobytes()
        if self.compression == ZSTD0:
            return bytes(imagecodecs.zstd_encode(raw))
        if self.compression == ZSTD1:
            if stored.dtype.itemsize == 1:
                return b"\x01" + bytes(imagecodecs.zstd_encode(raw))
            halves = np.frombuffer(raw, np.uint8).reshape(-1, 2).T
            return b"\x03\x01\x01" + bytes(imagecodecs.zstd_encode(halves.tobytes()))
        if self.compression == JPEG_XR:
            return _blue_first(imagecodecs.jpegxr_encode(np.ascontiguousarray(self.pixels), 1.0))
        return raw


def write(path: Path, blocks: Sequence[Block], *, xml: str, pictures: Mapping[str, bytes] | None = None) -> Path:
    """A CZI file of these blocks; `pictures` are the contents of attachments, JPEG or CZI, by their names."""
    out = bytearray(_segment(b"ZISRAWFILE", bytes(512)))
    entries = b""
    for block in blocks:
        at = len(out)
        entry, data, note = block.entry(at), block.data(), b"<METADATA />"
        entries += entry
        head = (struct.pack("<iiq", len(note), 0, len(data)) + entry).ljust(256, b"\0")
        out += _segment(b"ZISRAWSUBBLOCK", head + note + data)
    attached = b""
    for name, content in (pictures or {}).items():
        kind = b"CZI" if content.startswith(b"ZISRAW") else b"JPG"
        entry = struct.pack("<2s10sqi16s8s80s", b"A1", b"", len(out), 0, b"", kind, name.encode())
        attached += entry
        head = (struct.pack("<i12x", len(content)) + entry).ljust(256, b"\0")
        out += _segment(b"ZISRAWATTACH", head + content)
    attachments = len(out)
    out += _segment(b"ZISRAWATTDIR", struct.pack("<i252x", len(pictures or {})) + attached)
    description = len(out)
    out += _segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml.encode()), 0) + xml.encode())
    directory = len(out)
    out += _segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(blocks)) + entries)
    head = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"1", b"1", 0, directory, description, 0, attachments)
    out[32 : 32 + len(head)] = head
    path.write_bytes(out)
    return path


def mosaic(
    pixels: Pixels, left: int = 0, top: int = 0, *, others: Mapping[str, int] = _CHANNEL, **said: Any
) -> list[Block]:
    """A picture as blocks that overlap, each a little lighter than the one below it, as neighbours on a scanner are."""
    height, width = pixels.shape[:2]
    corners = [(x, y) for y in range(0, height - _OVERLAP, _STEP) for x in range(0, width - _OVERLAP, _STEP)]
    found = []
    for number, (x, y) in enumerate(corners):
        part = pixels[y : y + _STEP + _OVERLAP, x : x + _STEP + _OVERLAP]
        lighter = np.minimum(part, np.iinfo(part.dtype).max - 2) + part.dtype.type(number % 3)
        found.append(Block(lighter, left + x, top + y, others={**others, "M": number}, **said))
    return found


def coarser(
    pixels: Pixels, left: int = 0, top: int = 0, *, levels: int = 2, others: Mapping[str, int] = _CHANNEL, **said: Any
) -> list[Block]:
    """The halved, quartered, … picture, each in one block."""
    halves = pyramid(pixels, levels + 1)
    return [Block(half, left, top, down=1 << power, others=others, **said) for power, half in enumerate(halves[1:], 1)]


def xml(size: tuple[int, int], *, kind: int = BGR24, colours: Sequence[str] = (), scenes: int = 1) -> str:
    """The description that ZEN writes of a scan, in little."""
    channels = "".join(
        f'<Channel Id="Channel:{number}" Name="private"><PixelType>{_KINDS.get(kind, "?")}</PixelType></Channel>'
        for number in range(max(1, len(colours)))
    )
    shown = "".join(
        f'<Channel Id="Channel:{number}"><Color>{colour}</Color></Channel>' for number, colour in enumerate(colours)
    )
    scale = "".join(f'<Distance Id="{axis}"><Value>{MPP * 1e-6}</Value></Distance>' for axis in "XY")
    return (
        '<?xml version="1.0"?><ImageDocument><Metadata><Information><User><Name>DOE Jane</Name></User>'
        "<Application><Name>ZEN slidescan</Name><Version>3.1</Version></Application>"
        f"<Image><SizeX>{size[0]}</SizeX><SizeY>{size[1]}</SizeY><SizeS>{scenes}</SizeS>"
        "<AcquisitionDateAndTime>2026-01-02T03:04:05.1234567Z</AcquisitionDateAndTime>"
        f"<Dimensions><Channels>{channels}</Channels></Dimensions>"
        '<ObjectiveSettings><ObjectiveRef Id="Objective:1"/></ObjectiveSettings></Image><Instrument>'
        '<Microscopes><Microscope Id="Microscope:1" Name="Axioscan 7"/></Microscopes><Objectives>'
        '<Objective Id="Objective:1"><LensNA>0.8</LensNA><NominalMagnification>20</NominalMagnification></Objective>'
        f"</Objectives></Instrument></Information><Scaling><Items>{scale}</Items></Scaling>"
        f"<DisplaySetting><Channels>{shown}</Channels></DisplaySetting><AttachmentInfos><AttachmentInfo><Label>"
        f"<Barcodes><Barcode><Content>{BARCODE}</Content></Barcode></Barcodes></Label></AttachmentInfo>"
        "</AttachmentInfos></Metadata></ImageDocument>"
    )


def _slide(folder: Path, blocks: Sequence[Block], **said: Any) -> Path:
    left, top = (min(getattr(block, side) for block in blocks) for side in "xy")
    right = max(block.x + block.pixels.shape[1] * block.down for block in blocks)
    bottom = max(block.y + block.pixels.shape[0] * block.down for block in blocks)
    inner = folder / "label.part"
    label = write(inner, [Block(associated("label"), 0, 0, others=_CHANNEL)], xml=xml((1, 1))).read_bytes()
    inner.unlink()
    pictures = {"Label": label, "SlidePreview": jpeg(associated("macro")), "Thumbnail": jpeg(tissue(200, 140))}
    description = xml((right - left, bottom - top), kind=blocks[0].kind, **said)
    return write(folder / "slide.czi", blocks, xml=description, pictures=pictures)


def _colour(folder: Path, compression: int) -> Path:
    blocks = [*mosaic(tissue(), compression=compression), *coarser(tissue(), compression=compression)]
    return _slide(folder, blocks)


def _scenes(folder: Path) -> Path:
    """Two areas on one glass, apart and left of the origin; only one of them has a second reduction."""
    first, second = tissue(), np.ascontiguousarray(tissue()[::-1, :600])
    blocks = [*mosaic(first, -1400, 60, others={"C": 0, "S": 0}), *mosaic(second, -300, 900, others={"C": 0, "S": 1})]
    blocks += coarser(first, -1400, 60, others={"C": 0, "S": 0})
    blocks += coarser(second, -300, 900, levels=1, others={"C": 0, "S": 1})
    return _slide(folder, blocks, scenes=2)


def _grey(folder: Path, kind: int, *, others: Sequence[Mapping[str, int]] = (_CHANNEL,), **said: Any) -> Path:
    """One picture for each place in the other dimensions, each from another colour of the tissue, plane by plane
    darker."""
    blocks = []
    for number, each in enumerate(others):
        grey = tissue()[..., number % 3]
        wanted = grey.astype(np.uint16) * 12 + 300 if kind == GREY16 else grey
        blocks += mosaic(wanted >> each.get("Z", 0), kind=kind, compression=ZSTD1, others=each)
    return _slide(folder, blocks, **said)


def _channels(folder: Path) -> Path:
    colours = ("#FF0000FF", "#FF00FF00", "#FFFF0000")
    return _grey(folder, GREY16, others=[{"C": number} for number in range(3)], colours=colours)


def _planes(folder: Path) -> Path:
    return _grey(folder, GREY16, others=[{"C": 0, "Z": plane} for plane in range(5)])


def _planes_apart(folder: Path) -> Path:
    """Of three planes the middle one lacks a block."""
    blocks = [block for plane in range(3) for block in mosaic(tissue(), others={"C": 0, "Z": plane})]
    return _slide(folder, [block for block in blocks if (block.others["Z"], block.others["M"]) != (1, 2)])


def _colour_16(folder: Path) -> Path:
    return _slide(folder, mosaic(tissue().astype(np.uint16) * 16 + 7, kind=BGR48, compression=ZSTD1))


def _said_to_be(folder: Path, **claims: Any) -> Path:
    """Blocks that say of themselves what they are not: enough for what is refused at the door."""
    return _slide(folder, [replace(block, **claims) for block in mosaic(tissue(), compression=ZSTD0)])


def _dimension(folder: Path, letter: str) -> Path:
    return _slide(folder, [block for at in (0, 1) for block in mosaic(tissue(), others={"C": 0, letter: at})])


def _mixed(folder: Path) -> Path:
    grey = mosaic(tissue()[..., 0], kind=GREY8, others={"C": 1})
    return _slide(folder, [*mosaic(tissue()), *grey], colours=("#FFFFFFFF", "#FF0000FF"))


def _parts(folder: Path) -> Path:
    path = _colour(folder, RAW)
    data = bytearray(path.read_bytes())
    data[80:84] = struct.pack("<i", 1)
    path.write_bytes(data)
    return path


def _blue_first(image: bytes | bytearray) -> bytes:
    """JPEG XR names the order of the samples to be had from it: CZI takes 24bppBGR, encoders write 24bppRGB."""
    return bytes(image).replace(bytes((*_RGB_FORMAT, 0x0D)), bytes((*_RGB_FORMAT, 0x0C)))


def _segment(name: bytes, content: bytes) -> bytes:
    room = -(-len(content) // 32) * 32
    return struct.pack("<16sqq", name, room, len(content)) + content.ljust(room, b"\0")


MAKERS: Final[Makers] = {
    "uncompressed": partial(_colour, compression=RAW),
    "zstd0": partial(_colour, compression=ZSTD0),
    "zstd1": partial(_colour, compression=ZSTD1),
    "jpeg-xr": partial(_colour, compression=JPEG_XR),
    "scenes": _scenes,
    "colour-16": _colour_16,
    "grey-8": partial(_grey, kind=GREY8),
    "grey-16": partial(_grey, kind=GREY16),
    "channels": _channels,
    "planes": _planes,
    "planes-apart": _planes_apart,
    "time": partial(_dimension, letter="T"),
    "views": partial(_dimension, letter="V"),
    "mixed-channels": _mixed,
    "float": partial(_said_to_be, kind=FLOAT),
    "alpha": partial(_said_to_be, kind=BGRA32),
    "jpeg": partial(_said_to_be, compression=JPEG),
    "lzw": partial(_said_to_be, compression=LZW),
    "camera": partial(_said_to_be, compression=CAMERA),
    "parts": _parts,
}
