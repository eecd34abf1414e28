"""The directory of a slide: every generation of its index, its small pictures, its colour profile."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sharing.slides import ImageFacts, StoredFile
from sharing.vocabulary import SiteId
from tiler.index import TileIndex
from tiler.slide import ALONE
from tiler.storage.base import BlobStore
from tiler.storage.local import sync_path

# The name of the ICC profile, which some slides have.
PROFILE = "profile.icc"
# Among the files of a slide, the one that no scanner sent.
DERIVED = "derived.tiles"


def write(folder: Path, contents: Mapping[str, bytes | None]) -> None:
    """Every file whole or absent (None), and durable when this returns."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        if data is None:
            (folder / name).unlink(missing_ok=True)
            continue
        unfinished = folder / f".{name}"
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)
    sync_path(folder)
    sync_path(folder.parent)


def shown(store: BlobStore, site_id: SiteId, files: Sequence[StoredFile]) -> dict[str, Path]:
    """The files a scanner sent, as a worker is shown them. Raises BlobNotFoundError."""
    if len(files) == 1:
        return {ALONE: store.path(site_id, files[0].sha256)}
    return {file.name: store.path(site_id, file.sha256) for file in files}


def facts_of(index: TileIndex, folder: Path) -> ImageFacts:
    """What the platform knows of a slide's image, once the files of its directory are written."""
    found, size = index.metadata, index.levels[0].size
    return ImageFacts(
        format=found.format,
        width=size.width,
        height=size.height,
        mpp_x=found.mpp_x,
        mpp_y=found.mpp_y,
        objective_power=found.objective_power,
        has_label=(folder / "label.jpg").exists(),
        has_macro=(folder / "macro.jpg").exists(),
    )
