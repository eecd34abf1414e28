"""The heavy libraries: NumPy and imagecodecs. Most slides need neither, and a worker that is shut in cannot load them
any more: one that finds it needs them says so, and another is started with them."""

from __future__ import annotations

import importlib
import sys
from typing import Final

_MODULES: Final = ("numpy", "imagecodecs")


class CodecsNeededError(Exception):
    """The slide cannot be read by a worker without the heavy libraries."""


def load() -> None:
    """Import all that a reader may use of them."""
    for name in (*_MODULES, *READERS):
        importlib.import_module(name)


def require() -> None:
    """Raises CodecsNeededError unless they are loaded."""
    if "imagecodecs" not in sys.modules:
        raise CodecsNeededError


# Our own modules that use them at import, so that a worker has them before it is shut in.
READERS: Final[tuple[str, ...]] = (
    "tiler.readers.dicom_channels",
    "tiler.readers.tiff_pixels",
    "tiler.readers.czi_pixels",
    "tiler.readers.ome_pixels",
)
