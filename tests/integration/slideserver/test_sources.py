"""Which slides are open, and that one is not closed under somebody who reads it."""

import gc
import os

from fixtures.server import World

from slideserver.sources import Sources
from tiler.cache import TileCache
from tiler.cutters import CutterPool
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


def open_blobs(world: World) -> int:
    targets = []
    for number in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    return sum(target.startswith(str(world.settings.var / "blobs")) for target in targets)
