"""Slides for tests, demonstrations and measurements, made from the pixels of one small real slide.

The same specification gives the same bytes. They look like sections of skin at every zoom and carry no patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from tiler.geometry import Size
from tiler.jpeg import Colour
from tiler.readers import tiff
from tiler.synthetic import glass
from tiler.synthetic.pyramid import Coding, Level, Pyramid, TiffWriter, description, picture_tags, resolution
from tiler.synthetic.texture import Pixels, load
from tiler.synthetic.tissue import Section

MPP: Final = 0.499
_THUMBNAIL: Final = 1024
_BIG_FROM_PIXELS: Final = 6_000_000_000  # beyond, a classic TIFF might outgrow its 4 GB
_PICTURE: Final = Coding(Colour.YCBCR, 85)


@dataclass(frozen=True, slots=True)
class Spec:
    """Which slide to make. ``svs``: Aperio's layout, 240-pixel RGB tiles, levels 1, 4, 16, thumbnail, label and macro.
    ``tiff``: BigTIFF, 256-pixel YCbCr 4:2:0 tiles, every power of two. ``texture`` is a small slide of real tissue."""

    width: int
    height: int
    texture: Path
    seed: int = 1
    layout: Literal["svs", "tiff"] = "svs"
    accession: str = "26H00000"
    stain: str = "HES"
    watermark: str | None = None


def make_slide(path: Path, spec: Spec) -> None:
    """Write the slide; memory is bounded by its width."""
    size = Size(spec.width, spec.height)
    section = Section(size, load(spec.texture), spec.seed)
    svs = spec.layout == "svs"
    coding = Coding(Colour.RGB, 80) if svs else Coding(Colour.YCBCR, 80)
    tile = 240 if svs else 256
    downsamples = [1, *(by for by in (4, 16) if size.area > (400 * by) ** 2)] if svs else _powers(size, tile)
    with path.open("wb") as file:
        writer = TiffWriter(file, big=not svs or size.area > _BIG_FROM_PIXELS)
        pyramid = Pyramid(writer, size, tile, downsamples, coding)
        overview = _Overview(size)
        mark = glass.watermark(Size(spec.width // 16, spec.height // 16), spec.watermark) if spec.watermark else None
        for top in range(0, spec.height, tile):
            rows = section.rows(top, min(top + tile, spec.height))
            if mark:
                _stamp(rows, mark, top)
            pyramid.feed(rows)
            overview.feed(rows)
        (_finish_svs if svs else _finish_tiff)(writer, pyramid, overview.picture(), spec)


def _finish_tiff(writer: TiffWriter, pyramid: Pyramid, overview: Pixels, spec: Spec) -> None:
    for level in pyramid.levels:
        writer.directory({**pyramid.tags(level, reduced=level.downsample > 1), **resolution(MPP * level.downsample)})


def _finish_svs(writer: TiffWriter, pyramid: Pyramid, overview: Pixels, spec: Spec) -> None:
    """Directories in Aperio's order: full resolution, thumbnail, other levels, label, macro."""
    printed = glass.label(spec.accession, spec.stain, "DÉMO")
    first, *others = pyramid.levels
    writer.directory({**pyramid.tags(first, reduced=False), tiff.DESCRIPTION: description(_aperio(spec, first))})
    shape = f"{spec.width}x{spec.height} -> {overview.shape[1]}x{overview.shape[0]} - |AppMag = 20|MPP = {MPP}"
    thumbnail = picture_tags(writer, overview, _PICTURE)
    writer.directory({**thumbnail, tiff.DESCRIPTION: description(f"Aperio Image Library v12.0.15 \r\n{shape}")})
    for level in others:
        writer.directory({**pyramid.tags(level, reduced=False), tiff.DESCRIPTION: description(_aperio(spec, level))})
    for kind, name, pixels in ((1, "label", printed), (9, "macro", glass.macro(overview, printed))):
        text = f"Aperio Image Library v12.0.15 \r\n{name} {pixels.shape[1]}x{pixels.shape[0]}"
        tags = picture_tags(writer, pixels, _PICTURE)
        writer.directory({**tags, tiff.SUBFILE_TYPE: (4, [kind]), tiff.DESCRIPTION: description(text)})


def _aperio(spec: Spec, level: Level) -> str:
    """ImageDescription as an Aperio scanner writes it."""
    reduced = f" -> {level.size.width}x{level.size.height}" if level.downsample > 1 else ""
    facts = (
        "AppMag = 20|StripeWidth = 2040|ScanScope ID = DEMO0001|Date = 03/02/26|Time = 09:30:00|Time Zone = GMT+01:00"
        f"|MPP = {MPP}|OriginalWidth = {spec.width}|OriginalHeight = {spec.height}"
    )
    return (
        f"Aperio Image Library v12.0.15 \r\n{spec.width}x{spec.height} [0,0 {spec.width}x{spec.height}] (240x240)"
        f"{reduced} JPEG/RGB Q=80|{facts}"
    )


class _Overview:
    """A small picture of the whole slide, gathered row by row."""

    def __init__(self, size: Size) -> None:
        self._by = max(1, -(-max(size.width, size.height) // _THUMBNAIL))
        self._rows: list[Pixels] = []
        self._waiting: list[Pixels] = []

    def feed(self, rows: Pixels) -> None:
        self._waiting.append(rows)
        strip = np.concatenate(self._waiting)
        whole = len(strip) // self._by * self._by
        self._waiting = [strip[whole:]]
        if whole:
            self._rows.append(np.asarray(Image.fromarray(strip[:whole]).reduce(self._by)))

    def picture(self) -> Pixels:
        return np.concatenate(self._rows)


def _stamp(rows: Pixels, mark: Image.Image, top: int) -> None:
    """Darken the glass where the watermark, drawn at a sixteenth of the size, has ink."""
    height, width = rows.shape[:2]
    frame = (0, top / 16, min(width / 16, mark.width), min((top + height) / 16, mark.height))
    if frame[1] >= frame[3] or not mark.crop((0, int(frame[1]), mark.width, int(frame[3]) + 1)).getbbox():
        return
    ink = np.asarray(mark.resize((width, height), Image.Resampling.BILINEAR, box=frame), np.int16)
    rows[:] = rows - (ink[..., None] * 70 >> 8).clip(0, rows)


def _powers(size: Size, tile: int) -> list[int]:
    """1, 2, 4 … until one tile holds the whole slide."""
    powers = [1]
    while max(size.width, size.height) // powers[-1] > tile:
        powers.append(2 * powers[-1])
    return powers
