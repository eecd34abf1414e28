"""``python -m benchmarks.formats_page``: write `docs/reference/formats.md` anew from the tables of the readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tiler.formats import Cell, Format, Handling
from tiler.opening import FOREIGN, FORMATS

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
_HANDLING: Final = {
    Handling.STORED: "served as it is",
    Handling.DECODED: "decoded",
    Handling.REFUSED: "refused",
}
_HEAD: Final = """\
# Formats

What becomes of the file of a scanner. `python -m benchmarks.formats_page` writes this page from the tables of the \
readers in `tiler/readers/`; for each line a test makes such a file and looks at what comes of it.

A slide is recognised by its content, never by its name. It is read once, in a sandbox, when it arrives; then it is \
ready, or refused with a sentence that says why. *Served as it is*: a browser gets the very bytes that the scanner \
stored, and nothing is lost. *Decoded*: a program in a sandbox of its own decodes the pixels and encodes them anew, \
40 dB and more below the picture (`tiler.pixels`); this is done in the background once the slide has arrived, and on \
demand until then. In both, resolutions that the scanner left out are cut from those that it stored. *Refused*: the \
slide is not shown, since what would be shown could be wrong.
"""
_FOREIGN: Final = """\

## What people take for a slide

Refused by name: {names}; Hamamatsu's VMS and VMU slides and NDPIS lists, with a sentence on how to export or push \
them. What is of no known kind at all is refused as no slide; so is an empty file.
"""
_TAIL: Final = """\

## Facts about a slide

One record for all formats (`tiler.metadata.SlideMetadata`). What a file does not say is missing, never guessed.

| field | DICOM | OpenSlide |
|---|---|---|
| size in pixels | Total Pixel Matrix Columns, Rows (0048,0006), (0048,0007) | `openslide.level[0].width`, `.height` |
| µm per pixel, across and down | Pixel Spacing (0028,0030) | `openslide.mpp-x`, `openslide.mpp-y` |
| objective | Objective Lens Power (0048,0112) | `openslide.objective-power` |
| scanner: make, model, serial number | Manufacturer (0008,0070), Manufacturer's Model Name (0008,1090), \
Device Serial Number (0018,1000) | of the vendor |
| acquired at | Acquisition DateTime (0008,002A) | of the vendor |
| colour profile | ICC Profile (0028,2000) | `color_profile` |
| barcode | Barcode Value (2200,0005) | `openslide.barcode` |
| where there is anything to see | – | `openslide.bounds-x`, `-y`, `-width`, `-height` |
| focal planes | Total Pixel Matrix Focal Planes (0048,0303) | – |
| label, overview, thumbnail | Image Type (0008,0008) LABEL, OVERVIEW, THUMBNAIL | `associated_images` |

Barcode and label may name a patient: they never leave the site.
"""


def page(formats: Sequence[Format]) -> str:
    """The whole page."""
    cells = [cell for each in formats for cell in each.cells]
    counts = ", ".join(
        f"{sum(cell.handling is handling for cell in cells)} {said}" for handling, said in _HANDLING.items()
    )
    names = ", ".join(name for _, _, name in FOREIGN)
    summary = f"\n{len(formats)} formats, {len(cells)} kinds of images in them: {counts}.\n"
    return _HEAD + summary + "".join(map(_section, formats)) + _FOREIGN.format(names=names) + _TAIL


def _section(each: Format) -> str:
    rows = "".join(map(_row, each.cells))
    return (
        f"\n## {each.title}\n\nIn `format`: `{each.name}`. Held against {each.oracle}.\n\n"
        f"| what the file holds | what becomes of it |\n|---|---|\n{rows}"
    )


def _row(cell: Cell) -> str:
    said = f"{_HANDLING[cell.handling]}: “{cell.reason}”" if cell.reason else _HANDLING[cell.handling]
    return f"| {_escaped(cell.title)} | {_escaped(said)} |\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page(FORMATS), encoding="utf-8")
