"""Everything that can go wrong with a slide, as one tree.

::

    TilerError
    ├── NotASlideError            not an image format that is known here
    ├── DamagedSlideError         the right format, but cut short or contradictory
    ├── UnsupportedSlideError     sound, but of a kind that is not read
    ├── BadIndexError             a tile index that is not what was registered, or points where it must not
    ├── NotTellableError          a slide that a standard's description cannot express
    ├── TileNotFoundError         an address outside the grid
    ├── BlobNotFoundError         bytes the store does not hold
    ├── BlobMismatchError         bytes whose SHA-256 is not the one promised
    └── SandboxError
        ├── WorkerDiedError       a decoder killed its process
        ├── WorkerTimeoutError    a decoder did not end in time
        └── SandboxUnavailableError   no worker can be isolated on this machine

The message is a plain English sentence for people. ``code`` is the same reason as a stable word, for
translations and records.
"""

from __future__ import annotations

from typing import ClassVar


class TilerError(Exception):
    """Base of all errors raised by this package."""

    code: ClassVar[str] = "tiler"

    @property
    def sentence(self) -> str:
        return str(self)


class NotASlideError(TilerError):
    code = "not-a-slide"


class DamagedSlideError(TilerError):
    code = "damaged"


class UnsupportedSlideError(TilerError):
    code = "unsupported"


class BadIndexError(TilerError):
    code = "bad-index"


class NotTellableError(TilerError):
    code = "not-tellable"


class TileNotFoundError(TilerError, LookupError):
    code = "tile-not-found"


class BlobNotFoundError(TilerError, LookupError):
    code = "blob-not-found"


class BlobMismatchError(TilerError):
    code = "digest-mismatch"


class SandboxError(TilerError):
    code = "sandbox"


class WorkerDiedError(SandboxError):
    code = "decoder-died"


class WorkerTimeoutError(SandboxError, TimeoutError):
    code = "decoder-timeout"


class SandboxUnavailableError(SandboxError):
    code = "sandbox-unavailable"


# What a worker may report about a file; anything else it says is not believed.
REFUSALS: dict[str, type[TilerError]] = {
    error.code: error for error in (NotASlideError, DamagedSlideError, UnsupportedSlideError)
}
