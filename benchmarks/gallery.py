"""One look at every slide of a folder: `make gallery SLIDES=folder`.

Writes one page and one picture: of each slide what a viewer would show of it, with its format, size and how long it
took to read, or the sentence with which it was refused. Files are opened in the sandbox alone, so the folder may hold
hostile ones.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from benchmarks.collection import Found, slides_below
from benchmarks.viewing import Viewed, viewed
from tiler.cutters import CutterPool
from tiler.errors import TilerError
from tiler.geometry import Size
from tiler.index import LevelKind
from tiler.sandbox import Sandbox

_WHOLE: Final = Size(360, 270)
_PART: Final = Size(270, 270)
_SMALL: Final = Size(150, 130)
_LINE: Final = 17
_COLUMNS: Final = 2
_GAP: Final = 12
_PAPER, _INK, _FAINT, _BAD = (250, 250, 250), (20, 20, 20), (120, 120, 120), (170, 30, 30)
_KINDS: Final = {LevelKind.STORED: "stored", LevelKind.DECODED: "decoded", LevelKind.DERIVED: "derived"}
_STYLE: Final = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;background:#fafafa;color:#141414}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(46em,1fr));gap:2em}"
    "article{border-top:1px solid #ccc;padding-top:.5em}img{vertical-align:top;margin:0 .5em .5em 0}"
    "h2{font-size:1em;margin:0;overflow-wrap:anywhere}.bad{color:#aa1e1e}.faint{color:#787878}"
)


@dataclass(slots=True)
class Entry:
    """What is to be said and shown of one slide; `refusal` is why there is nothing to show."""

    name: str
    length: int
    files: int
    seconds: float = 0.0
    refusal: str = ""
    facts: str = ""
    levels: str = ""
    pictures: list[Image.Image] = field(default_factory=list)


def entry(found: Found, sandbox: Sandbox, pool: CutterPool) -> Entry:
    """One slide read from nothing, its overview, a part at full resolution across several tiles, label and macro."""
    made, began = Entry(found.name, found.length, len(found.files)), time.monotonic()
    try:
        with viewed(sandbox, pool, found.files, key=found.name) as slide:
            made.seconds = time.monotonic() - began
            made.facts, made.levels = _facts(slide), _levels(slide)
            made.pictures = _pictures(slide)
    except (TilerError, OSError) as error:
        made.seconds = made.seconds or time.monotonic() - began
        made.refusal = str(error)
    return made


def sheet(entries: Sequence[Entry]) -> Image.Image:
    """All of them as one picture: those that are shown, then the refusals as a list."""
    shown, refused = [one for one in entries if one.pictures], [one for one in entries if not one.pictures]
    cell = Size(_WHOLE.width + _PART.width + 2 * _SMALL.width + 5 * _GAP, _WHOLE.height + 4 * _LINE + _GAP)
    below = _GAP + -(-len(shown) // _COLUMNS) * cell.height
    canvas = Image.new("RGB", (_COLUMNS * cell.width + _GAP, below + len(refused) * 2 * _LINE + _GAP), _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for number, each in enumerate(shown):
        row, column = divmod(number, _COLUMNS)
        left, top = _GAP + column * cell.width, _GAP + row * cell.height
        for line, text in enumerate((_said(each), each.facts, each.levels)):
            draw.text((left, top + _LINE * line), _drawable(text)[:140], _FAINT if line else _INK, font)
        for picture in each.pictures:
            canvas.paste(picture, (left, top + 3 * _LINE + 6))
            left += picture.width + _GAP
    for number, each in enumerate(refused):
        top = below + number * 2 * _LINE
        draw.text((_GAP, top), _drawable(_said(each)), _INK, font)
        draw.text((2 * _GAP, top + _LINE), _drawable(each.refusal), _BAD, font)
    return canvas


def page(title: str, entries: Sequence[Entry]) -> str:
    """All of them as one HTML page that needs nothing else."""
    articles = "\n".join(_article(each) for each in entries)
    refused = sum(bool(each.refusal) for each in entries)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<p>{len(entries)} slides: {len(entries) - refused} shown, {refused} refused.</p>"
        f"<main>{articles}</main></html>\n"
    )


def _facts(slide: Viewed) -> str:
    told = slide.index.metadata
    parts = [told.format, f"{told.size.width} × {told.size.height} px"]
    parts += [f"{told.mpp_x:.4g} × {told.mpp_y:.4g} µm/px" if told.mpp_x and told.mpp_y else "no physical size"]
    parts += [f"{told.objective_power:g}×"] if told.objective_power else []
    scanner = (told.scanner_manufacturer, told.scanner_model, told.scanner_serial)
    parts += [each for each in scanner if each]
    parts += [told.acquired_at.isoformat(" ")] if told.acquired_at else []
    parts += ["ICC"] if slide.indexed.profile else []
    parts += [f"{told.focal_planes} planes"] if told.focal_planes and told.focal_planes > 1 else []
    parts += [f"window {told.properties['iain.display-window']}"] if "iain.display-window" in told.properties else []
    return " · ".join(parts)


def _levels(slide: Viewed) -> str:
    return ", ".join(f"1/{level.downsample:.4g} {_KINDS[level.kind]}" for level in slide.index.levels)


def _pictures(slide: Viewed) -> list[Image.Image]:
    if slide.indexed.thumbnail:
        whole = Image.open(io.BytesIO(slide.indexed.thumbnail)).convert("RGB")
    else:
        whole = slide.picture(len(slide.index.levels) - 1)
    small = [Image.open(io.BytesIO(data)) for data in (slide.indexed.label, slide.indexed.macro) if data]
    part = slide.picture(0, slide.middle(0, Size(2 * _PART.width, 2 * _PART.height)))
    return [_within(whole, _WHOLE), _within(part, _PART), *(_within(each.convert("RGB"), _SMALL) for each in small)]


def _within(picture: Image.Image, size: Size) -> Image.Image:
    shown = picture.copy()
    shown.thumbnail((size.width, size.height), Image.Resampling.LANCZOS)
    return shown


def _drawable(text: str) -> str:
    """Without the signs that Pillow's own font lacks."""
    return text.replace("×", "x").replace("µ", "u")


def _said(each: Entry) -> str:
    files = f", {each.files} files" if each.files > 1 else ""
    return f"{each.name}  ({each.length / 1e6:.2f} MB{files}; {each.seconds:.2f} s)"


def _article(each: Entry) -> str:
    said = html.escape(_said(each))
    if each.refusal:
        return f'<article><h2>{said}</h2><p class="bad">{html.escape(each.refusal)}</p></article>'
    images = "".join(_image(picture) for picture in each.pictures)
    told = f"{html.escape(each.facts)}<br>{html.escape(each.levels)}"
    return f'<article><h2>{said}</h2><p class="faint">{told}</p>{images}</article>'


def _image(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, subsampling=0)
    data = base64.b64encode(out.getvalue()).decode()
    return f'<img alt="" width="{picture.width}" height="{picture.height}" src="data:image/jpeg;base64,{data}">'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("slides", type=Path, help="a folder of slides")
    parser.add_argument("--out", type=Path, default=Path(".build/gallery"), help="where the page and the picture go")
    given = parser.parse_args()
    sandbox, entries = Sandbox(), []
    pool = CutterPool(sandbox)
    try:
        for found in slides_below(given.slides):
            made = entry(found, sandbox, pool)
            print(f"{made.seconds:6.2f} s  {made.name}: {made.refusal or made.facts}", flush=True)
            entries.append(made)
    finally:
        pool.close()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "index.html").write_text(page(f"Slides in {given.slides.name}", entries), encoding="utf-8")
    sheet(entries).save(given.out / "sheet.png")
    print(f"{given.out / 'index.html'} and sheet.png: {len(entries)} slides.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
