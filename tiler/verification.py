"""The distrustful look at an index before it is kept: does it point at this slide's image data and nothing else?"""

from __future__ import annotations

from collections.abc import Sequence

from tiler.index import TileIndex
from tiler.storage.base import ByteSource


def check(index: TileIndex, blobs: Sequence[ByteSource]) -> None:
    """Raises BadIndexError unless every tile lies within its blob, starts as a bare JPEG of its level's tile size, and the
    ladder of levels is one that this version would have built."""
    raise NotImplementedError
