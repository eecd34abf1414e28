"""Why a slide was refused, in the reader's language.

A refusal is kept as a code and an English sentence. The code has words of its own, about what to do; the sentence says
more closely what is wrong. As in `slideserver.sentences`, its values are taken out and the words around them told anew.
"""

import re
from functools import cache

from slideserver.i18n import Catalogue, Language
from slideserver.sentences import N_

REASONS: tuple[str, ...] = (
    # no slide at all
    N_("The file is empty."),
    N_("The file is not a slide: its content is of no known kind."),
    N_("The file is not a TIFF slide."),
    # of a kind that is not read
    N_("The file is %(kind)s; only tiled TIFF and Aperio SVS slides can be shown."),
    N_("The slide's tiles are stored with an unknown compression (%(number)s); only JPEG tiles can be shown."),
    N_("The slide's tiles are stored with %(kind)s; only JPEG tiles can be shown."),
    N_("The Aperio file's first image is not tiled; it is not a whole-slide scan."),
    N_("The TIFF's image is stored in strips; only tiled images can be shown."),
    N_("The slide is not 8-bit colour; only colour brightfield slides can be shown."),
    N_("The slide's tiles are not 8-bit colour; only colour brightfield slides can be shown."),
    N_("The slide's colours are neither RGB nor YCbCr."),
    N_("The slide's tiles are progressive, lossless or arithmetic JPEG; only baseline JPEG tiles can be shown."),
    N_("The slide has missing tiles; slides with gaps cannot be shown."),
    N_(
        "The slide has no overview: its coarsest level is %(width)s × %(height)s pixels, more than %(most)s tiles. "
        "Export it with a pyramid of levels."
    ),
    N_("The slide's overview could not be made in %(tries)s tries."),
    N_("The file holds more than %(most)s images; it is not one slide."),
    N_("The slide has more than %(most)s tiles."),
    N_("The slide has more than %(most)s levels."),
    N_("The slide claims %(cells)s tiles in one level, more than can be served."),
    # cut short
    N_("The slide is cut short: the TIFF tag %(tag)s lies behind the end of the file."),
    N_("The slide is cut short: some of its tiles lie behind the end of the file."),
    N_("The slide is cut short: something lies behind the end of the file."),
    N_("The slide's file has become shorter since it was opened."),
    N_("A JPEG stream of the slide is cut short."),
    # contradicts itself
    N_("The TIFF tag %(tag)s has a wrong type or too many values."),
    N_("The TIFF tag %(tag)s has too many values."),
    N_("The TIFF tag %(tag)s is missing."),
    N_("The TIFF file holds no image."),
    N_("A directory of the slide is damaged."),
    N_("The slide's directories form a loop."),
    N_("The slide's tile size is not a multiple of 16 pixels, as TIFF demands."),
    N_("The slide claims an image or tiles of %(width)s × %(height)s pixels."),
    N_("The slide lists %(listed)s tiles where its size asks for %(cells)s."),
    N_("A tile of the slide has an impossible place or length."),
    N_("The slide's levels do not get smaller one after the other."),
    N_("The slide's levels have different proportions: they are not one image."),
    N_(
        "The slide contradicts itself: it is %(width)s × %(height)s pixels to one reader and "
        "%(other_width)s × %(other_height)s to another."
    ),
    # its JPEG streams are not what they should be
    N_("The slide's shared JPEG tables contain an image."),
    N_("The slide's JPEG tables are missing."),
    N_("The JPEG image has no frame header."),
    N_("A JPEG tile of the slide has foreign data between its tables."),
    N_("A JPEG tile of the slide has foreign data within its image data."),
    N_("A JPEG tile of the slide holds two images."),
    N_("A JPEG tile of the slide has no image."),
    N_("A JPEG tile of the slide has a damaged frame header."),
    N_(
        "A JPEG tile of the slide says that it is %(width)s × %(height)s pixels, where the slide says "
        "%(other_width)s × %(other_height)s."
    ),
    N_("A JPEG tile of the slide does not end where the slide says it does."),
    N_("A JPEG stream of the slide does not begin as one."),
    N_("A JPEG stream of the slide is damaged: a marker is missing."),
    N_("A JPEG stream of the slide is damaged: a marker stands in the wrong place."),
    N_("A tile is smaller than its place in the slide."),
    N_("A tile of the slide has another size than it says."),
    N_("A tile of the slide cannot be decoded."),
    # the reader gave up
    N_("The slide asks for more memory than a slide needs."),
    N_("The slide could not be read (%(error)s)."),
    N_("The slide could not be read."),
    N_("The file could not be read in %(tries)s tries."),
)

# The values of %(kind)s that are not the same word in every language.
KINDS: tuple[str, ...] = (
    N_("a DICOM file"),
    N_("a Zeiss CZI slide"),
    N_("a ZIP archive"),
    N_("a PNG image"),
    N_("a JPEG image"),
    N_("a PDF document"),
    N_("an OME-TIFF"),
    N_("a Leica SCN slide"),
    N_("a Philips slide"),
    N_("a Trestle slide"),
    N_("a Ventana slide"),
    N_("a Hamamatsu slide"),
    N_("no compression"),
    N_("the old JPEG scheme of TIFF"),
    N_("lossy JPEG of digital negatives"),
)


def told(sentence: str | None, words: Catalogue) -> str | None:
    """The reason of a refused slide in the language of `words`; None when there is none, or none in this language."""
    if sentence is None or words.language is Language.EN:
        return sentence
    for pattern, message in _patterns():
        match = pattern.fullmatch(sentence)
        if match:
            return words(message) % {name: words(value) for name, value in match.groupdict().items()}
    return None


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each reason as a pattern of the sentences it was made into."""
    return tuple((_pattern(message), message) for message in REASONS)


def _pattern(message: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", message)
    named = [f"(?P<{part}>[^.;]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile("".join(named))
