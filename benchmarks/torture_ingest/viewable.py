"""How long after the last byte of a slide somebody can look at it.

From the moment in which the agent has handed the last byte to the network, until a signed-in reader has got a tile of
the finest level over HTTP (*viewable*) and the small picture of the lists (*thumbnail*).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from benchmarks.tiles.servers.iain import Description, platform, tile_path
from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.pushing import change, push, slide_of
from tiler.address import TileAddress

FILE_BYTES = 1_000_000_000
SLIDES = 12
ACCESSION = "26T00001"
WITHIN_S, POLL_S = 120.0, 0.02
VIEWABLE_S, THUMBNAIL_S = 10, 5


def run(plan: Plan) -> Result:
    slide = slide_of(plan.folder, plan.times(FILE_BYTES))
    viewable, thumbnails = [], []
    with platform(plan.folder / "iain", [ACCESSION]) as ours, ours.client() as reader:
        key = ours.key_file.read_text()
        for _ in range(plan.times(SLIDES)):
            change(slide)
            pushed = push(ours.url, key, slide, ACCESSION)
            thumbnails.append(_seen(partial(_thumbnail, reader, pushed.slide)) - pushed.last_byte_s)
            viewable.append(_seen(partial(_tile, reader, pushed.slide)) - pushed.last_byte_s)
            _forget_bytes(ours.var)
    p95, thumbnail = _p95(viewable), _p95(thumbnails)
    note = f"{len(viewable)} slides of {slide.stat().st_size / 1e6:.0f} MB; viewable after s: {_list(viewable)}"
    return Result(
        {"ingest.last_byte_to_viewable_s": round(p95, 2), "ingest.to_thumbnail_s": round(thumbnail, 2)},
        failed=p95 > VIEWABLE_S or thumbnail > THUMBNAIL_S,
        notes=(note,),
    )


def _seen(ask: Callable[[], bool]) -> float:
    """When it was there."""
    deadline = time.monotonic() + WITHIN_S
    while not ask():
        if time.monotonic() > deadline:
            raise RuntimeError(f"A slide was not there after {WITHIN_S:.0f} s.")
        time.sleep(POLL_S)
    return time.monotonic()


def _thumbnail(reader: httpx.Client, slide: str) -> bool:
    address = _described(reader, slide).get("thumbnail_url")
    return address is not None and reader.get(str(address)).is_success


def _tile(reader: httpx.Client, slide: str) -> bool:
    description = _described(reader, slide)
    return "tile_url" in description and reader.get(tile_path(description, TileAddress(0, 0, 0))).is_success


def _described(reader: httpx.Client, slide: str) -> Description:
    """What the viewer is told; nothing as long as there is nothing to tell."""
    answer = reader.get(f"/api/slides/{slide}")
    described: Description = answer.json() if answer.is_success else {}
    return described


def _forget_bytes(var: Path) -> None:
    """The disk of a test machine need not hold all of them; what is served is another slide by then."""
    for blob in (var / "blobs").rglob("[!.]*"):
        if blob.is_file():
            blob.unlink()


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.95))]


def _list(seconds: list[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in seconds)
