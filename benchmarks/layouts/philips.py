"""Philips TIFF: BigTIFF levels padded to whole tiles, facts and pictures as XML of DICOM attributes."""

from __future__ import annotations

import base64
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.layouts import Makers
from benchmarks.layouts.jpegtiff import Tags, strip, text, tiled
from benchmarks.layouts.specimen import MPP, Pixels, associated, jpeg, padded, pyramid, tissue
from tiler.readers import tiff
from tiler.synthetic.pyramid import TiffWriter

NAME: Final = "slide.tiff"
TILE: Final = 256
LEVELS: Final = 3
BARCODE: Final = "H26-00417"
_SOFTWARE: Final = "Philips DP v1.0"


def make(
    path: Path,
    *,
    gap_columns: int = 0,
    scans: int = 1,
    spacings: int = LEVELS,
    pictures_in_tiff: bool = False,
    compressed: bool = True,
    foreign_image: bool = False,
) -> Path:
    """A slide of three levels. So many `gap_columns` of tiles on the left of the second level were not scanned."""
    levels = pyramid(_scanned(gap_columns), LEVELS)
    with path.open("wb") as file:
        writer = TiffWriter(file, big=True)
        for number, pixels in enumerate(levels):
            tags = _level(writer, pixels, number, gap_columns, compressed=compressed)
            if number == 0:
                xml = description(scans=scans, spacings=spacings, pictures=not pictures_in_tiff)
                tags[tiff.DESCRIPTION] = text(xml)
            writer.directory(tags)
        if foreign_image:
            writer.directory({**tiled(writer, levels[-1], TILE), tiff.SOFTWARE: text(_SOFTWARE)})
        if pictures_in_tiff:
            for title in ("Macro", "Label"):
                writer.directory({**strip(writer, associated(title.lower())), tiff.DESCRIPTION: text(title)})
    return path


def description(*, scans: int = 1, spacings: int = LEVELS, pictures: bool = True) -> str:
    """The XML of the first directory."""
    representations = "".join(
        _object(
            "PixelDataRepresentation", _spacing(2**number) + _attribute("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", number)
        )
        for number in range(spacings)
    )
    scan = _object(
        "DPScannedImage",
        _attribute("PIM_DP_IMAGE_TYPE", "WSI")
        + _attribute(
            "DICOM_DERIVATION_DESCRIPTION", "tiff-useBigTIFF=1-levels=40,20,10-sourceFilename=&quot;a-b.isyntax&quot;"
        )
        + _attribute("DICOM_LOSSY_IMAGE_COMPRESSION_METHOD", "&quot;PHILIPS_DP_1_0&quot; &quot;PHILIPS_TIFF_1_0&quot;")
        + _spacing(1)
        + _array("PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE", representations),
    )
    images = scan * scans
    if pictures:
        images += _picture("LABELIMAGE", "label") + _picture("MACROIMAGE", "macro")
    return '<?xml version="1.0" encoding="UTF-8" ?>' + _object(
        "DPUfsImport",
        _attribute("DICOM_MANUFACTURER", "PHILIPS")
        + _attribute("DICOM_MANUFACTURERS_MODEL_NAME", "UFS Scanner")
        + _attribute("DICOM_DEVICE_SERIAL_NUMBER", "FMT0417")
        + _attribute("DICOM_ACQUISITION_DATETIME", "20260102030405.000000")
        + _attribute("DICOM_SOFTWARE_VERSIONS", "&quot;1.8.6824&quot; &quot;20151217_R48&quot;")
        + _attribute("PIM_DP_UFS_BARCODE", base64.b64encode(BARCODE.encode()).decode())
        + _array("PIM_DP_SCANNED_IMAGES", images),
    )


def _scanned(gap_columns: int) -> Pixels:
    pixels = padded(tissue(), TILE).copy()
    pixels[700:], pixels[:, 1000:] = 255, 255
    pixels[:, : gap_columns * 2 * TILE] = 255
    return pixels


def _level(writer: TiffWriter, pixels: Pixels, number: int, gap_columns: int, *, compressed: bool) -> Tags:
    whole = padded(pixels, TILE)
    cols, rows = whole.shape[1] // TILE, whole.shape[0] // TILE
    gap = gap_columns * 2 >> number
    empty: Collection[tuple[int, int]] = [(col, row) for col in range(min(gap, cols)) for row in range(rows)]
    if compressed:
        tags = tiled(writer, whole, TILE, reduced=number > 0, empty=empty)
    else:
        tags = tiled(writer, whole, TILE, reduced=number > 0, encode=np.ndarray.tobytes, compression=1)
    return {**tags, tiff.SOFTWARE: text(_SOFTWARE)}


def _object(kind: str, attributes: str) -> str:
    return f'<DataObject ObjectType="{kind}">{attributes}</DataObject>'


def _attribute(name: str, value: object) -> str:
    return f'<Attribute Name="{name}" PMSVR="IString">{value}</Attribute>'


def _array(name: str, objects: str) -> str:
    return f'<Attribute Name="{name}" PMSVR="IDataObjectArray"><Array>{objects}</Array></Attribute>'


def _spacing(step: int) -> str:
    between = f"&quot;{MPP * step / 1000:.9f}&quot;"
    return _attribute("DICOM_PIXEL_SPACING", f"{between} {between}")


def _picture(kind: str, name: str) -> str:
    data = base64.b64encode(jpeg(associated(name))).decode()
    return _object("DPScannedImage", _attribute("PIM_DP_IMAGE_TYPE", kind) + _attribute("PIM_DP_IMAGE_DATA", data))


MAKERS: Final[Makers] = {
    "jpeg": lambda folder: make(folder / NAME),
    "sparse": lambda folder: make(folder / NAME, gap_columns=1),
    "pictures": lambda folder: make(folder / NAME, pictures_in_tiff=True),
    "uncompressed": lambda folder: make(folder / NAME, compressed=False),
    "two-scans": lambda folder: make(folder / NAME, scans=2),
    "no-spacing": lambda folder: make(folder / NAME, spacings=LEVELS - 1),
    "foreign-image": lambda folder: make(folder / NAME, foreign_image=True),
}
