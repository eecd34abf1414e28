"""What grows with how much there is: opening a slide, memory with 500 open, processor time a tile on a large slide and
among many."""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.tiles.bench import Bench
from benchmarks.tiles.figures import Figures, Spread
from benchmarks.tiles.load import Target
from benchmarks.tiles.processes import ServerError, cpu_seconds, memory_mb
from benchmarks.tiles.server import SCREENFUL, STREAM
from benchmarks.tiles.servers.iain import SITE, Description, Platform, platform, tile_path
from benchmarks.tiles.slides import NATIVE, drawn, repeated
from ingest.arrival import REGISTER
from ingest.queues import job_queue
from ingest.register import Register
from ingest.worker import Worker
from sharing import slides
from sharing.db.engine import Database, open_database
from sharing.slides import ImageFacts, StoredFile
from sharing.subjects import Agent, System
from sharing.vocabulary import SlideId, SlideState
from slideserver.sources import Sources
from tiler.address import TileAddress
from tiler.cache import TileCache
from tiler.cutters import CutterPool
from tiler.sandbox import Sandbox
from tiler.storage.local import LocalBlobStore

MANY, SOME, READERS = 500, 200, 50
WARM_PASSES = 4
SMALL, LARGE = 100_000_000, 10_000_000_000
CASES = {"small": "26B00001", "large": "26B00002", "many": "26B00003"}


def growth(bench: Bench) -> Figures:
    """`tiles.open_indexed_ms`, `tiles.rss_500_slides_mb`, `tiles.cost_growth`."""
    bench.say(f"Registering slides of 0.1 and 10 GB, and {MANY} others…")
    native = drawn(bench.build, NATIVE)
    small, large = repeated(bench.build, native, SMALL), repeated(bench.build, native, LARGE, sparse=True)
    kept: list[SlideId] = []

    def prepare(database: Database, var: Path, agent: Agent) -> None:
        _register(database, var, agent, small, CASES["small"])
        _register(database, var, agent, large, CASES["large"])
        first = _register(database, var, agent, native, CASES["many"])
        kept.append(first)
        kept.extend(_copies(database, var, agent, native, first, MANY - 1))

    with platform(bench.below("iain"), tuple(CASES.values()), prepare) as ours:
        ours.finish_work()
        opening = _opening(ours, kept)
        before = memory_mb(ours.pid)
        many = ours.describe(*kept)
        return (
            {"tiles.open_indexed_ms": opening} | _memory(bench, ours, many, before) | _costs(bench, ours, many[:SOME])
        )


def _register(database: Database, var: Path, agent: Agent, slide: Path, accession: str) -> SlideId:
    """A slide that is in the store, registered as every slide is, by the sandbox."""
    slide_id = _received(database, var, agent, slide, slide.name, accession)
    queue, store = job_queue(database), LocalBlobStore(var / "blobs")
    with database.writing() as session:
        queue.enqueue(session, REGISTER, slide_id, {"slide": slide_id})
    register = Register(database, queue, store, Sandbox(), var)
    Worker(database, queue, {REGISTER: register}, "bench").step()
    with database.reading() as session:
        found = slides.get_slide(session, System(), slide_id)
    if found.state is not SlideState.READY:
        raise ServerError(f"{slide.name} was not registered: {found.refusal_reason}")
    return slide_id


def _copies(database: Database, var: Path, agent: Agent, slide: Path, first: SlideId, count: int) -> list[SlideId]:
    """More slides with the bytes and the index of the first."""
    with database.reading() as session:
        known = slides.get_slide(session, System(), first)
    if known.index_digest is None or known.width is None or known.height is None or known.format is None:
        raise ServerError(f"The slide {first} has no index.")
    facts = ImageFacts(
        format=known.format,
        width=known.width,
        height=known.height,
        mpp_x=known.mpp_x,
        mpp_y=known.mpp_y,
        objective_power=known.objective_power,
        has_label=known.has_label,
        has_macro=known.has_macro,
    )
    copies = []
    for number in range(count):
        copy = _received(database, var, agent, slide, f"{number}-{slide.name}", CASES["many"])
        shutil.copytree(var / "slides" / first, var / "slides" / copy)
        with database.writing() as session:
            slides.start_indexing(session, copy)
            slides.mark_ready(session, copy, index_digest=known.index_digest, image=facts, version=known.version)
        copies.append(copy)
    return copies


def _received(database: Database, var: Path, agent: Agent, slide: Path, name: str, accession: str) -> SlideId:
    """A slide as it is after its upload. Its bytes are the file's own under a name of their own: a hard link, found by
    a digest that is not theirs, so that 500 slides take the room of one."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    link = var / "link"
    os.link(slide, link)
    LocalBlobStore(var / "blobs").adopt(link, SITE, digest)
    with database.writing() as session:
        file = StoredFile(name, digest, slide.stat().st_size)
        return slides.create_slide(session, agent, files=[file], accession=accession)


def _opening(ours: Platform, kept: Sequence[SlideId]) -> Spread:
    """Milliseconds from knowing of a registered slide to being able to give its tiles, in this process."""
    database = open_database(ours.database_url)
    cutters = CutterPool(Sandbox())
    try:
        with database.reading() as session:
            known = [slides.get_slide(session, System(), slide_id) for slide_id in kept]
        store, cache = LocalBlobStore(ours.var / "blobs"), TileCache(0)
        sources = Sources(database, store, cutters, cache, ours.var / "slides", max_open=MANY)
        times_ms = []
        for slide in known:
            start = time.perf_counter()
            sources.open(slide)
            times_ms.append((time.perf_counter() - start) * 1e3)
        sources.close()
    finally:
        cutters.close()
        database.close()
    return Spread.of(sorted(times_ms)[: len(times_ms) * 99 // 100])


def _memory(bench: Bench, ours: Platform, many: Sequence[Description], before: float) -> Figures:
    """10⁶ bytes of all the platform's processes together once each has opened 500 slides."""
    targets = [Target(tile_path(description, TileAddress(0, 0, 0)), 0) for description in many]
    # Tile by tile round many connections: each process gets to see each slide.
    for _ in range(WARM_PASSES):
        bench.generator.run(ours.port, targets, ours.cookies, STREAM, seconds=60, requests=2 * len(targets))
        random.shuffle(targets)
    after = memory_mb(ours.pid)
    bench.say(f"Memory of all processes: {before:,.0f} MB before, {after:,.0f} MB with {len(many)} slides open.")
    return {"tiles.rss_500_slides_mb": Spread(after, after, after)}


def _costs(bench: Bench, ours: Platform, some: Sequence[Description]) -> Figures:
    """Processor time a tile: on a slide of 10 GB over one of 0.1 GB, and with readers all over 200 slides over one."""
    chance = random.Random(1)
    small, large = ours.describe(*(ours.slide_of(CASES[name]) for name in ("small", "large")))
    places = _places(chance, some[0], len(some) * SCREENFUL)
    asked = {
        "0.1 GB": [tile_path(small, address) for address in _places(chance, small, len(places))],
        "10 GB": [tile_path(large, address) for address in _places(chance, large, len(places))],
        "1 slide": [tile_path(some[0], address) for address in places],
        "200 slides": [tile_path(some[number // SCREENFUL], address) for number, address in enumerate(places)],
    }
    loads = {name: [Target(path, 0) for path in paths] for name, paths in asked.items()}
    rounds = [_cost_round(bench, ours, loads, turn) for turn in range(bench.rounds)]
    for name in loads:
        bench.say(f"{name}: {Spread.of([one[name] for one in rounds]).median:.2f} µs CPU a tile")
    by_length = Spread.of([one["10 GB"] / one["0.1 GB"] for one in rounds])
    by_number = Spread.of([one["200 slides"] / one["1 slide"] for one in rounds])
    bench.say(f"10 GB over 0.1 GB: {by_length.median:.3f}; 200 slides over 1: {by_number.median:.3f}")
    return {"tiles.cost_growth": max(by_length, by_number, key=lambda spread: spread.median)}


def _places(chance: random.Random, description: Description, count: int) -> list[TileAddress]:
    """Addresses anywhere on the finest level."""
    level = description["levels"][0]
    columns, rows = -(-level["width"] // level["tile_width"]), -(-level["height"] // level["tile_height"])
    return [TileAddress(0, chance.randrange(columns), chance.randrange(rows)) for _ in range(count)]


def _cost_round(bench: Bench, ours: Platform, loads: Mapping[str, Sequence[Target]], turn: int) -> dict[str, float]:
    """µs of CPU a tile under each load, once every process knows every reader of every slide."""
    names = [*loads][turn % len(loads) :] + [*loads][: turn % len(loads)]
    # As many readers as divide the slides: who reads which stays the same, as it does for people.
    cookies = ours.cookies[:READERS]
    costs = {}
    for name in names:
        targets = loads[name]
        bench.generator.run(ours.port, targets, cookies, STREAM, seconds=60, requests=WARM_PASSES * len(targets))
        before = cpu_seconds(ours.pid)
        load = bench.generator.run(ours.port, targets, cookies, STREAM, seconds=bench.seconds)
        costs[name] = (cpu_seconds(ours.pid) - before) / load.answers * 1e6
    return costs
