"""Whether two servers show the same thing: the same cell of the same screens, decoded and compared.

A tile that is fast because it is the wrong one is no tile. Deep Zoom's picture has been through a second compression,
so the two are near, not equal; neighbouring tissue tiles differ five times as much.
"""

import io
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageStat

# Mean absolute difference, in grey levels of 255. A second compression at quality 75 stays below 4.
ALIKE = 8.0


class DifferentPicturesError(Exception):
    """Two servers show different things for the same part of the slide."""


def require_alike(pairs: Sequence[tuple[bytes, bytes]], limit: float = ALIKE) -> None:
    """Raises DifferentPicturesError unless both JPEGs of each pair show the same, up to `limit` grey levels."""
    for number, (left, right) in enumerate(pairs):
        found = difference(left, right)
        if found > limit:
            raise DifferentPicturesError(
                f"Pair {number} of {len(pairs)} differs by {found:.1f} grey levels, and {limit:.0f} are allowed: "
                "the servers do not show the same part of the slide."
            )


def difference(left: bytes, right: bytes) -> float:
    """Mean absolute difference of two JPEGs where both have pixels: one may be cropped at the slide's edge."""
    first, second = (Image.open(io.BytesIO(data)).convert("RGB") for data in (left, right))
    width, height = min(first.width, second.width), min(first.height, second.height)
    box = (0, 0, width, height)
    means = ImageStat.Stat(ImageChops.difference(first.crop(box), second.crop(box))).mean
    return sum(means) / len(means)
