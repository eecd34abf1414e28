"""What a scanner photographs beside the tissue: the printed label and the whole glass. Every name on them is
invented."""

from __future__ import annotations

import unicodedata
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tiler.geometry import Size
from tiler.synthetic.texture import Pixels

_INK: Final = (28, 28, 34)
_PAPER: Final = (248, 247, 243)


def label(accession: str, stain: str, note: str) -> Pixels:
    """A label of 400 × 440 pixels with an accession number, a stain and a note, printed by nobody."""
    image = Image.new("RGB", (400, 440), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 399, 60), fill=(30, 70, 110))
    _print(draw, (20, 10), note, _PAPER, 34)
    _print(draw, (20, 90), accession, _INK, 66)
    _print(draw, (20, 190), stain, _INK, 46)
    draw.line((20, 270, 380, 270), fill=(150, 150, 150), width=2)
    _print(draw, (20, 290), "lame synthétique", _INK, 30)
    _print(draw, (20, 335), "aucun patient", _INK, 30)
    return np.asarray(image)


def macro(overview: Pixels, printed: Pixels) -> Pixels:
    """A glass of 1280 × 430 pixels with its label on the left, the section in the middle and the scanned area
    framed."""
    image = Image.new("RGB", (1280, 430), (226, 229, 231))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((6, 10, 1273, 419), 14, fill=(238, 240, 241), outline=(190, 196, 200), width=3)
    image.paste(Image.fromarray(printed).resize((330, 363)), (30, 33))
    draw.line((380, 12, 380, 418), fill=(205, 210, 213), width=4)
    section = Image.fromarray(overview)
    section.thumbnail((800, 330))
    left, top = 400 + (820 - section.width) // 2, (430 - section.height) // 2
    image.paste(section, (left, top))
    draw.rectangle(
        (left - 3, top - 3, left + section.width + 2, top + section.height + 2), outline=(0, 200, 60), width=3
    )
    return np.asarray(image)


def watermark(size: Size, text: str) -> Image.Image:
    """A mask (mode L) of this size with the text once along the lower edge."""
    mask = Image.new("L", (size.width, size.height))
    draw = ImageDraw.Draw(mask)
    height = size.height * 0.03
    _print(draw, (size.width * 0.02, size.height - 2 * height), text, 255, height)
    return mask


def _print(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, fill: int | tuple[int, ...], size: float
) -> None:
    """Text in Pillow's own font, which lacks accented letters: acute accents are drawn by hand."""
    font = ImageFont.load_default(size)
    x, y = at
    letters = unicodedata.normalize("NFD", text)
    for number, letter in enumerate(letters):
        if letter == "\N{COMBINING ACUTE ACCENT}":
            before = letters[number - 1]
            left, top, right, _ = draw.textbbox((x - font.getlength(before), y), before, font=font)
            middle = (left + right) / 2
            stroke = max(1, round(size / 12))
            draw.line((middle, top - size * 0.07, middle + size * 0.16, top - size * 0.22), fill=fill, width=stroke)
        else:
            draw.text((x, y), letter, fill=fill, font=font)
            x += font.getlength(letter)
