"""Workers that make the tiles a scanner left out. They are shown four JPEG tiles at a time and no file."""

from __future__ import annotations

from collections.abc import Sequence

from tiler.geometry import Size
from tiler.sandbox import Sandbox


class CutterPool:
    """Up to `size` cutters at work, each bound to one slide for life, and one more waiting for the next slide."""

    def __init__(self, sandbox: Sandbox, size: int = 1, *, timeout_s: float = 20) -> None:
        raise NotImplementedError

    def cut(self, slide_key: str, children: Sequence[bytes | None], sizes: Sequence[Size], out: Size) -> bytes:
        """See `tiler.source.Cutter`. A cutter that dies costs one retry; raises WorkerDiedError after the second death."""
        raise NotImplementedError

    def close(self) -> None:
        """End all cutters."""
        raise NotImplementedError
