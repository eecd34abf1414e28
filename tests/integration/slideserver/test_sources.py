"""Which slides are open, and that one is not closed under somebody who reads it."""

import gc
import os
from dataclasses import replace

from fixtures.server import World

from slideserver.sources import Sources
from tiler import index as index_file
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.index import TileIndex, pack_tile
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalBlobStore


def test_a_slide_that_had_to_make_room_stays_open_for_who_still_reads_it(world: World) -> None:
    first, second = world.add_slide(world.centres.caen), world.add_slide(world.centres.rouen)
    cutters = CutterPool(Sandbox())
    store = LocalBlobStore(world.settings.var / "blobs")
    slides = world.settings.var / "slides"
    sources = Sources(world.database, store, cutters, TileCache(1 << 20), slides, max_open=1)
    try:
        before = open_blobs(world)
        reader = sources.open(first)
        assert sources.find(first) is reader
        assert sources.open(first) is reader
        sources.open(second)
        assert sources.find(first) is None
        assert open_blobs(world) == before + 2
        assert reader.source.get(0, 0, 0)[:2] == b"\xff\xd8"
        del reader
        gc.collect()
        assert open_blobs(world) == before + 1, "with its last reader it is closed"
        sources.forget(second)
        assert sources.find(second) is None
    finally:
        sources.close()
        cutters.close()


def test_only_files_that_tiles_lie_in_are_opened_and_only_so_many(world: World) -> None:
    """Three slides of which each has two tiles' files; of four files at once two slides can be open."""
    honest = TileIndex(world.indexed.index_bytes)
    tiles = b"".join(
        pack_tile(replace(tile, blob=2 * (number % 2))) for number, tile in enumerate(honest.stored_tiles(0))
    )
    forged = index_file.build(honest.levels, tiles, honest.headers, honest.metadata, blobs=3)
    world.indexed = replace(world.indexed, index_bytes=forged)
    cutters = CutterPool(Sandbox())
    slides = world.settings.var / "slides"
    store = LocalBlobStore(world.settings.var / "blobs")
    sources = Sources(world.database, store, cutters, TileCache(1 << 20), slides, max_open=2)
    try:
        before = open_blobs(world)
        found = [world.add_slide(centre, files=3) for centre in (world.centres.caen, world.centres.rouen)]
        for slide in found:
            assert sources.open(slide).source.get(0, 1, 0)[:2] == b"\xff\xd8"
        assert open_blobs(world) == before + 4, "of three files each, two"
        assert sources.open(world.add_slide(world.centres.lille, files=3))
        gc.collect()
        assert open_blobs(world) == before + 4
        assert sources.find(found[0]) is None
    finally:
        sources.close()
        cutters.close()


def open_blobs(world: World) -> int:
    targets = []
    for number in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    return sum(target.startswith(str(world.settings.var / "blobs")) for target in targets)
