"""Deep Zoom tiles of one slide as OpenSlide's Python binding makes them: decode, convert, encode, on every request.

Runs under gunicorn in an environment of its own (requirements.lock); imports nothing of the project. JPEG quality 75 as
in openslide-python's own Deep Zoom example server; tiles of 256 px without overlap, which on a slide with 256-px tiles
is the cheapest grid OpenSlide can be asked for: a tile of the answer is a tile of the file.
"""

import io
import re
from collections.abc import Callable, Iterable

from openslide import OpenSlide
from openslide.deepzoom import DeepZoomGenerator

TILE = 256
QUALITY = 75
PATH = re.compile(r"/(\d{1,2})/(\d{1,6})_(\d{1,6})\.jpeg")

StartResponse = Callable[[str, list[tuple[str, str]]], object]


def create_app(slide: str) -> Callable[[dict[str, str], StartResponse], Iterable[bytes]]:
    """The WSGI application of one slide: GET /{dz_level}/{col}_{row}.jpeg."""
    generator = DeepZoomGenerator(OpenSlide(slide), tile_size=TILE, overlap=0, limit_bounds=False)

    def application(environ: dict[str, str], start_response: StartResponse) -> Iterable[bytes]:
        match = PATH.fullmatch(environ["PATH_INFO"])
        try:
            if match is None:
                raise ValueError(environ["PATH_INFO"])
            level, column, row = (int(number) for number in match.groups())
            tile = generator.get_tile(level, (column, row))
        except ValueError:
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return []
        body = io.BytesIO()
        tile.save(body, "JPEG", quality=QUALITY)
        start_response("200 OK", [("Content-Type", "image/jpeg"), ("Content-Length", str(body.tell()))])
        return [body.getvalue()]

    return application
