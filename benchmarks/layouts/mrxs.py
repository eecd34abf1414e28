"""3DHISTECH MIRAX in small: a JPEG beside a folder with ``Slidedat.ini``, ``Index.dat`` and two data files."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.layouts import Makers
from benchmarks.layouts.specimen import MPP, Pixels, associated, jpeg, pyramid, tissue

NAME: Final = "slide"
TILE: Final = 128
LEVELS: Final = 3
CAMERAS: Final = (4, 3)
_ID: Final = "0A1B2C3D4E5F60718293A4B5C6D7E8F9"
_SIDE: Final = 2  # images to a side of what the camera saw
_HEAD: Final = b"01.02" + _ID.encode()
_DATA: Final = ("Data0000.dat", "Data0001.dat")
Change = Mapping[tuple[str, str], str | None]


@dataclass(slots=True)
class _Data:
    """The data files in the making."""

    files: list[bytearray] = field(
        default_factory=lambda: [bytearray(_HEAD + b"%03d" % number + bytes(256)) for number in range(len(_DATA))]
    )

    def append(self, file: int, data: bytes) -> tuple[int, int, int]:
        at = len(self.files[file])
        self.files[file] += data
        return at, len(data), file


def make(
    folder: Path,
    *,
    stored: str = "JPEG",
    overlap: int = 0,
    planes: Sequence[str] = (),
    blank: int = 0,
    change: Change | None = None,
) -> Path:
    """A slide of 4 × 3 looks of the camera, each of 2 × 2 images; with an `overlap` each lies where it was seen. Images
    that show nothing are left out: those of the first `blank` columns of looks, and some more."""
    places = [
        (x * (_SIDE * TILE - overlap) + (x * y % 3 if overlap else 0), y * (_SIDE * TILE - overlap))
        for y in range(CAMERAS[1])
        for x in range(CAMERAS[0])
    ]
    data = _Data()
    mosaic = _mosaic(places)
    mosaic[:, : blank * _SIDE * TILE] = 255
    levels = [_images(data, pixels, number, stored) for number, pixels in enumerate(pyramid(mosaic, LEVELS))]
    pictures = [data.append(1, jpeg(one)) for one in (associated("macro"), associated("label"), tissue(250, 175))]
    others = [*pictures]
    if overlap:
        others.append(data.append(1, b"".join(struct.pack("<Bii", 1, *place) for place in places)))
    within = folder / NAME
    within.mkdir()
    (within / "Index.dat").write_bytes(_index(levels, others))
    for name, content in zip(_DATA, data.files, strict=True):
        (within / name).write_bytes(content)
    text = _settings(stored, overlap, planes, change or {})
    (within / "Slidedat.ini").write_text(text, encoding="utf-8-sig", newline="\r\n")
    (folder / f"{NAME}.mrxs").write_bytes(jpeg(tissue(250, 175)))
    return folder


def _mosaic(places: Sequence[tuple[int, int]]) -> Pixels:
    """What the camera saw, look beside look: what two of them share is there twice."""
    side = _SIDE * TILE
    seen = tissue(CAMERAS[0] * side, CAMERAS[1] * side)
    # Every level has whole images.
    rows = -(-CAMERAS[1] * side // (TILE << LEVELS - 1)) * (TILE << LEVELS - 1)
    whole = np.full((rows, CAMERAS[0] * side, 3), 255, np.uint8)
    for number, (x, y) in enumerate(places):
        row, col = divmod(number, CAMERAS[0])
        part = seen[y : y + side, x : x + side]
        whole[row * side : row * side + side, col * side : col * side + side] = part
    return whole


def _images(data: _Data, pixels: Pixels, level: int, stored: str) -> list[tuple[int, int, int, int]]:
    """The images of a level, each as its place among those of level 0, offset, length and file."""
    found: list[tuple[int, int, int, int]] = []
    for y in range(0, pixels.shape[0], TILE):
        for x in range(0, pixels.shape[1], TILE):
            image = pixels[y : y + TILE, x : x + TILE]
            if image.min() < 225:
                place = (y // TILE << level) * CAMERAS[0] * _SIDE + (x // TILE << level)
                found.append((place, *data.append(0, _encoded(image, stored))))
    return found


def _encoded(image: Pixels, stored: str) -> bytes:
    if stored in ("PNG", "BMP24"):
        out = io.BytesIO()
        Image.fromarray(image).save(out, stored[:3])
        return out.getvalue()
    return jpeg(image)


def _index(levels: Sequence[Sequence[tuple[int, ...]]], others: Sequence[tuple[int, int, int]]) -> bytes:
    out = bytearray(_HEAD + bytes(8))
    pages = [struct.pack("<ii", len(one), 0) + b"".join(struct.pack("<4i", *image) for image in one) for one in levels]
    struct.pack_into("<i", out, len(_HEAD), _table(out, pages))
    struct.pack_into("<i", out, len(_HEAD) + 4, _table(out, [struct.pack("<7i", 1, 0, 0, 0, *one) for one in others]))
    return bytes(out)


def _table(out: bytearray, pages: Sequence[bytes]) -> int:
    """Where the table of these records is, each a list of one page."""
    at = len(out)
    out += bytes(4 * len(pages))
    for number, page in enumerate(pages):
        struct.pack_into("<i", out, at + 4 * number, len(out))
        out += struct.pack("<ii", 0, len(out) + 8) + page
    return at


def _settings(stored: str, overlap: int, planes: Sequence[str], change: Change) -> str:
    zooms = [f"LAYER_0_LEVEL_{number}_SECTION" for number in range(LEVELS)]
    scans = ("Thumbnail", "Barcode", "Preview")
    sections: dict[str, dict[str, object]] = {
        "GENERAL": {
            "SLIDE_VERSION": "01.02",
            "SLIDE_NAME": "Jane Doe",
            "PROJECT_NAME": "Jane Doe",
            "SLIDE_ID": _ID,
            "IMAGENUMBER_X": CAMERAS[0] * _SIDE,
            "IMAGENUMBER_Y": CAMERAS[1] * _SIDE,
            "CURRENT_SLIDE_VERSION": "2.2",
            "SLIDE_CREATIONDATETIME": "02/01/2026 03:04:05",
            "VIMSLIDE_SLIDE_BITDEPTH": 8,
            "CAMERA_TYPE": "CIS VCC-FC60FR19CL",
            "OBJECTIVE_MAGNIFICATION": 20,
            "OBJECTIVE_NAME": "Plan-Apochromat",
            "SLIDE_TYPE": "SLIDE_TYPE_BRIGHTFIELD",
            "CameraImageDivisionsPerSide": _SIDE,
        },
        "HIERARCHICAL": {
            "INDEXFILE": "Index.dat",
            "HIER_COUNT": 2 if planes else 1,
            "NONHIER_COUNT": 2 if overlap else 1,
            **_layer("HIER", 0, "Slide zoom level", [f"ZoomLevel_{number}" for number in range(LEVELS)], zooms),
            **(_layer("HIER", 1, "Microscope focus level", planes, planes) if planes else {}),
            **_layer(
                "NONHIER",
                0,
                "Scan data layer",
                [f"ScanDataLayer_Slide{name}" for name in scans],
                [f"NONHIERLAYER_0_LEVEL_{number}_SECTION" for number in range(len(scans))],
            ),
            "NONHIER_0_SECTION": "NONHIERLAYER_0_SECTION",
            **(_layer("NONHIER", 1, "VIMSLIDE_POSITION_BUFFER", ["default"], ["DEFAULT"]) if overlap else {}),
        },
        "NONHIERLAYER_0_SECTION": {"SCANNER_HARDWARE_ID": "0417", "SCANNER_HARDWARE_VERSION": "P250"},
        "DATAFILE": {"FILE_COUNT": len(_DATA), **{f"FILE_{number}": name for number, name in enumerate(_DATA)}},
    }
    for number, section in enumerate(zooms):
        sections[section] = {
            "OVERLAP_X": overlap / 2**number,
            "OVERLAP_Y": overlap / 2**number,
            "MICROMETER_PER_PIXEL_X": MPP * 2**number,
            "MICROMETER_PER_PIXEL_Y": MPP * 2**number,
            "IMAGE_FORMAT": stored,
            "IMAGE_COMPRESSION_FACTOR": 80,
            "IMAGE_FILL_COLOR_BGR": 0xFFFFFF,
            "DIGITIZER_WIDTH": TILE,
            "DIGITIZER_HEIGHT": TILE,
            "IMAGE_CONCAT_FACTOR": int(number > 0),
        }
    for number, kind in enumerate(("THUMBNAIL", "BARCODE", "PREVIEW")):
        sections[f"NONHIERLAYER_0_LEVEL_{number}_SECTION"] = {f"{kind}_IMAGE_TYPE": "JPEG"}
    for (section, key), value in change.items():
        sections.setdefault(section, {}).pop(key, None)
        if value is not None:
            sections[section][key] = value
    lines: list[str] = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _layer(kind: str, number: int, name: str, values: Sequence[str], sections: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {f"{kind}_{number}_NAME": name, f"{kind}_{number}_COUNT": len(values)}
    for at, (value, section) in enumerate(zip(values, sections, strict=True)):
        found |= {f"{kind}_{number}_VAL_{at}": value, f"{kind}_{number}_VAL_{at}_SECTION": section}
    return found


def _old(folder: Path) -> Path:
    return make(folder, change={("LAYER_0_LEVEL_1_SECTION", "IMAGE_CONCAT_FACTOR"): "0"})


def _file_missing(folder: Path) -> Path:
    (make(folder) / NAME / _DATA[1]).unlink()
    return folder


def _cut_short(folder: Path) -> Path:
    path = make(folder) / NAME / _DATA[0]
    path.write_bytes(path.read_bytes()[:-1000])
    return folder


MAKERS: Final[Makers] = {
    "jpeg": make,
    "png": lambda folder: make(folder, stored="PNG"),
    "bmp": lambda folder: make(folder, stored="BMP24"),
    "overlaps": lambda folder: make(folder, overlap=16),
    "focal-planes": lambda folder: make(folder, planes=("ExtFocusLevel", "ZStackLevel_(-1)", "ZStackLevel_(1)")),
    "jpeg-xr": lambda folder: make(folder, stored="JPEGXR"),
    "fluorescence": lambda folder: make(folder, change={("GENERAL", "SLIDE_TYPE"): "SLIDE_TYPE_FLUORESCENCE"}),
    "deep": lambda folder: make(folder, change={("GENERAL", "VIMSLIDE_SLIDE_BITDEPTH"): "16"}),
    "old": _old,
    "file-missing": _file_missing,
    "cut-short": _cut_short,
}
