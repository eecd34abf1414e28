"""`iain backup` while slides arrive, `iain restore` elsewhere, and every digest compared by another way."""

import hashlib
import random
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.stage import ENGINES, IAIN, Stage, stage
from sharing import slides
from sharing.db.engine import open_database
from sharing.slides import StoredFile
from slideserver.operations import manifest, snapshots
from tiler.storage.local import LocalBlobStore

GIVE_UP_S = 10.0
# What a restore changes on purpose: it ends all access and says so in the journal.
CHANGED_BY_RESTORE = {
    "session_token", "guest", "link", "audit_event", "audit_pending", "audit_seal", "audit_tree", "alembic_version",
}  # fmt: skip


def run(plan: Plan) -> Result:
    tally = Tally()
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with stage(engine, plan.folder / engine) as on:
            back_up_while_slides_arrive(on, tally, plan.folder / engine, plan.seed)
    took = f"≤ {max(tally.backup_s):.1f} s, back ≤ {max(tally.restore_s):.1f} s"
    return Result(
        figures={"backup.restore_digest_mismatches": tally.mismatches},
        failed=tally.mismatches > 0,
        notes=(f"{tally.backed_up} files and tables backed up: {took}",),
        void=tuple(tally.void),
    )


@dataclass
class Tally:
    backed_up: int = 0
    mismatches: int = 0
    backup_s: list[float] = field(default_factory=list)
    restore_s: list[float] = field(default_factory=list)
    void: list[str] = field(default_factory=list)


def back_up_while_slides_arrive(on: Stage, tally: Tally, folder: Path, seed: int) -> None:
    stop, made = threading.Event(), threading.Semaphore(0)
    writer = threading.Thread(target=_deliver, args=(on, stop, made, seed))
    writer.start()
    try:
        for _ in range(10):
            made.acquire(timeout=GIVE_UP_S)
        began = time.monotonic()
        _iain("backup", str(folder / "backup"), "--var", str(on.settings.var), "--database-url", on.settings.database)
        tally.backup_s.append(time.monotonic() - began)
    finally:
        stop.set()
        writer.join()
    target, url = folder / "restored", on.empty_database(folder)
    began = time.monotonic()
    _iain("restore", str(folder / "backup"), "--var", str(target), "--database-url", url)
    tally.restore_s.append(time.monotonic() - began)

    told, sums = manifest.read(folder / "backup")
    files = {path: digest for path, digest in sums.items() if path != told.database}
    tally.backed_up += len(files) + len(told.tables)
    tally.mismatches += _differing(files, on.settings.var, target)
    found = snapshots.contents(url)
    kept = (told.tables.keys() | found.keys()) - CHANGED_BY_RESTORE
    tally.mismatches += sum(told.tables.get(name) != found.get(name) for name in kept)
    tally.mismatches += _slides_without_bytes(target, url)

    victim = target / next(path for path in files if path.startswith("blobs/"))
    victim.chmod(0o600)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    if not _differing(files, on.settings.var, target):
        tally.void.append("a flipped bit in a restored file was not noticed")


def _differing(files: dict[str, str], source: Path, target: Path) -> int:
    """Files that differ between manifest, living platform and restored one, or are too many."""
    wrong = sum(
        not digest == manifest.digest(source / path) == manifest.digest(target / path) for path, digest in files.items()
    )
    there = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    return wrong + len(there - files.keys())


def _slides_without_bytes(target: Path, url: str) -> int:
    """Slides in the restored database whose file is not the one it names."""
    database, store, wrong = open_database(url), LocalBlobStore(target / "blobs"), 0
    with database.reading() as session:
        for site, digest in session.execute(text("SELECT site_id, sha256 FROM slide")):
            wrong += manifest.digest(store.path(site, digest)) != digest
    database.close()
    return wrong


def _deliver(on: Stage, stop: threading.Event, made: threading.Semaphore, seed: int) -> None:
    """Slides, one after the other, by the functions that an upload ends with."""
    chance, store, agent = random.Random(seed), LocalBlobStore(on.settings.var / "blobs"), on.centres.caen.agent
    while not stop.is_set():
        data = chance.randbytes(chance.randint(1_000, 2_000_000))
        digest = hashlib.sha256(data).hexdigest()
        blob = store.begin(agent.site_id)
        blob.write(data)
        blob.commit(digest)
        with on.database.writing() as session:
            slides.create_slide(session, agent, files=[StoredFile("torture.svs", digest, len(data))])
        made.release()


def _iain(*arguments: str) -> None:
    done = subprocess.run([str(IAIN), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"iain {arguments[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
