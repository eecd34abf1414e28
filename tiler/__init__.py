"""Whole-slide images: bytes in, tiles out. Knows no web, no database and no settings.

Start reading at `tiler.source` (an address becomes bytes), then `tiler.index` (where the bytes are) and
`tiler.sandbox` (who may look inside a slide). Importing this package loads no decoder.
"""

from tiler.address import TileAddress
from tiler.errors import TilerError
from tiler.geometry import Region, Size
from tiler.index import Level, TileIndex
from tiler.metadata import SlideMetadata
from tiler.source import TileSource

__all__ = ["Level", "Region", "Size", "SlideMetadata", "TileAddress", "TileIndex", "TileSource", "TilerError"]
