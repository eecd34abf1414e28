"""OME-TIFF files: a description in XML, resolutions in SubIFDs, channels and focal planes as images of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.layouts import Makers
from benchmarks.layouts.specimen import MPP, associated, pyramid, tissue

_TILE: Final = (256, 256)
_FACTS: Final[dict[str, Any]] = {
    "axes": "YXS",
    "PhysicalSizeX": MPP,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": MPP,
    "PhysicalSizeYUnit": "µm",
}
# What tifffile does not write: instrument, objective and date, as Bio-Formats does.
_INSTRUMENT: Final = (
    '<Instrument ID="Instrument:0"><Microscope Manufacturer="Hamamatsu" Model="C13210" SerialNumber="000123"/>'
    '<Objective ID="Objective:0" NominalMagnification="20.0" LensNA="0.75"/></Instrument>'
)
_SETTINGS: Final = (
    "<AcquisitionDate>2026-01-02T03:04:05</AcquisitionDate>"
    '<InstrumentRef ID="Instrument:0"/><ObjectiveSettings ID="Objective:0"/>'
)
_BLUE, _GREEN, _RED = 0x0000FFFF, 0x00FF00FF, 0xFF0000FF - (1 << 32)
Pixels = NDArray[Any]


def _write(
    folder: Path,
    levels: Sequence[Pixels],
    *,
    facts: dict[str, Any] | None = None,
    pictures: bool = False,
    beside: Sequence[Pixels] = (),
    **stored: Any,
) -> Path:
    """A file of one image, its first level the largest; `stored` says how, as tifffile takes it."""
    path = folder / "slide.ome.tif"
    stored = {"tile": _TILE, "photometric": "rgb", **stored}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as out:
        out.write(levels[0], subifds=len(levels) - 1, metadata={**_FACTS, **(facts or {})}, **stored)
        for level in levels[1:]:
            out.write(level, subfiletype=1, metadata=None, **stored)
        for image in beside:
            out.write(image, photometric="rgb", metadata={"axes": "YXS", "Name": "private"})
        for name in ("label", "macro") if pictures else ():
            out.write(associated(name), photometric="rgb", compression="deflate", metadata={"Name": f"{name} image"})
    return described(path, _as_by_a_scanner)


def described(path: Path, change: Callable[[str], str]) -> Path:
    """The file with another description, at its end."""
    with tifffile.TiffFile(path) as found:
        tag = found.pages[0].tags[270]  # type: ignore[union-attr]
        entry, text = tag.offset, str(found.ome_metadata)
    changed = change(text).encode() + b"\0"
    data = bytearray(path.read_bytes())
    data += bytes(len(data) % 2)
    data[entry + 4 : entry + 20] = len(changed).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    path.write_bytes(data + changed)
    return path


def _as_by_a_scanner(text: str) -> str:
    text = text.replace("<Image ", f"{_INSTRUMENT}<Image ", 1)
    return re.sub(r"(<Image [^>]*>)", rf"\g<1>{_SETTINGS}", text, count=1)


def _colour(folder: Path, compression: str, *, levels: int = 3, **stored: Any) -> Path:
    return _write(folder, pyramid(tissue(), levels), compression=compression, **stored)


def _jpeg_rgb(folder: Path) -> Path:
    """The colours as they are, where JPEG usually turns them into brightness and two differences."""
    return _colour(folder, "jpeg", levels=1, compressionargs={"level": 90, "outcolorspace": "rgb"})


def _called_rgb(folder: Path) -> Path:
    """The JPEG streams are YCbCr and say so; the TIFF does not know."""
    path = _colour(folder, "jpeg")
    with tifffile.TiffFile(path) as found:
        tags = [level.pages[0].tags[262] for level in found.series[0].levels]  # type: ignore[union-attr]
    data = bytearray(path.read_bytes())
    for tag in tags:
        data[tag.valueoffset : tag.valueoffset + 2] = (2).to_bytes(2, "little")
    path.write_bytes(data)
    return path


def _planar(folder: Path) -> Path:
    planes = [np.ascontiguousarray(np.moveaxis(level, 2, 0)) for level in pyramid(tissue(), 2)]
    return _write(folder, planes, facts={"axes": "SYX"}, planarconfig="separate", compression="zstd")


def _deep(pixels: Pixels) -> Pixels:
    return pixels.astype(np.uint16) * 12 + 300


def _channels(folder: Path, *, deep: bool = True, **stored: Any) -> Path:
    """Blue, green and red, in this order."""
    levels = [np.ascontiguousarray(np.moveaxis(level[..., ::-1], 2, 0)) for level in pyramid(tissue(), 2)]
    facts = {"axes": "CYX", "Channel": {"Name": ["private"] * 3, "Color": [_BLUE, _GREEN, _RED]}}
    some = [_deep(level) if deep else level for level in levels]
    return _write(folder, some, facts=facts, photometric="minisblack", **{"compression": "deflate", **stored})


def _grey(folder: Path, kind: str = "uint16", *, copies: int = 1, axes: str = "YX") -> Path:
    """So many images, each darker than the one before."""
    grey = _deep(tissue()[..., 1]) if kind == "uint16" else tissue()[..., 1] // 2
    image = np.stack([grey // (number + 1) for number in range(copies)]).astype(kind)
    image = image if copies > 1 else image[0]
    return _write(folder, [image], facts={"axes": axes}, photometric="minisblack", compression="lzw")


def _several_files(folder: Path) -> Path:
    own, other = "urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002"

    def change(text: str) -> str:
        text = re.sub(r'UUID="[^"]*"', f'UUID="{own}"', text)
        names = iter([(own, "slide.ome.tif"), (other, "slide-2.ome.tif"), (other, "slide-3.ome.tif")])

        def place(_: re.Match[str]) -> str:
            uuid, name = next(names)
            return f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'

        text = re.sub(r"<TiffData[^>]*/>", "<TiffData/><TiffData/><TiffData/>", text)
        return re.sub(r"<TiffData/>", place, text)

    return described(_channels(folder), change)


def _companion(folder: Path) -> Path:
    schema = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    return described(
        _grey(folder), lambda _: f'<OME {schema}><BinaryOnly MetadataFile="slide.companion.ome" UUID="urn:1"/></OME>'
    )


MAKERS: Final[Makers] = {
    "jpeg": partial(_colour, compression="jpeg", pictures=True),
    "jpeg-rgb": _jpeg_rgb,
    "jpeg-called-rgb": _called_rgb,
    "webp": partial(_colour, compression="webp", compressionargs={"level": 80}),
    "deflate": partial(_colour, compression="deflate", predictor=True),
    "jpeg-2000": partial(_channels, compression=33003, compressionargs={"reversible": True}),
    "planar": _planar,
    "three-channels": partial(_channels, deep=False),
    "colour-16": lambda folder: _write(folder, [_deep(level) for level in pyramid(tissue(), 2)], compression="zstd"),
    "grey-16": _grey,
    "signed": partial(_grey, kind="int8"),
    "channels": _channels,
    "planes": partial(_grey, copies=5, axes="ZYX"),
    "time": partial(_grey, copies=2, axes="TYX"),
    "many-channels": partial(_grey, copies=9, axes="CYX"),
    "float": partial(_grey, kind="float32"),
    "32-bit": partial(_grey, kind="uint32"),
    "several-files": _several_files,
    "companion": _companion,
    "several-images": lambda folder: _write(folder, [tissue()], beside=[tissue()[::-1]]),
    "not-square": lambda folder: _write(folder, [tissue()], facts={"PhysicalSizeY": 2 * MPP}),
}
