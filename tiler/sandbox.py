"""The only door to decoders: disposable workers that see one slide, no network and no other file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["strict", "weak"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use."""

    memory_bytes: int = 2 * 1024**3
    cpu_s: int = 120
    open_files: int = 32


@dataclass(frozen=True, slots=True)
class IndexedSlide:
    """What a worker says about a slide: claims, until `tiler.verification.check` has passed."""

    index_bytes: bytes
    thumbnail: bytes
    label: bytes | None
    macro: bytes | None


class Sandbox:
    """Starts workers. `strict` isolates them with bubblewrap and refuses to work without; `weak` has only resource limits
    and the system-call filter, for hosts where namespaces are off."""

    def __init__(self, mode: Mode = "strict", limits: Limits = Limits()) -> None:  # noqa: B008
        raise NotImplementedError

    def index_slide(self, path: Path, *, timeout_s: float = 120) -> IndexedSlide:
        """Open, validate and index one slide in a worker of its own. Raises TilerError with the reason in words."""
        raise NotImplementedError

    def probe(self) -> str | None:
        """Why no worker can be isolated on this machine, as one sentence; None when it works."""
        raise NotImplementedError
