"""Try to look at what one may not, and to lose something in a backup: `make torture-sharing`.

On SQLite and on PostgreSQL, against two real server processes:
- *revocation*: 32 guests read tiles without pause, 16 at each server, while the link is revoked at one of them. The
  figure is the time from the moment the revocation is asked for to the last tile that anybody still received;
- *forgeries*: secrets, link ids and guests' cookies, made up or altered from real ones;
- *races*: 50 redemptions of a one-time link at once, 25 at each server;
- *backup*: `iain backup` while slides arrive, `iain restore` elsewhere, and every digest compared by another way.

Each has a control that must be noticed, or the run is void.
"""

import argparse
import hashlib
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from benchmarks.sharing_stage import GUEST_COOKIE, IAIN, Stage, stage
from sharing import slides
from sharing.db.engine import open_database
from sharing.db.tables import LinkRow
from sharing.slides import StoredFile
from sharing.vocabulary import new_id
from slideserver.operations import manifest, snapshots
from tiler.storage.local import LocalBlobStore

READERS, RACERS = 32, 50
WARM_S = 0.4
GIVE_UP_S = 10.0
BETWEEN_TILES_S = 0.01
# What a restore changes on purpose: it ends all access and says so in the journal.
CHANGED_BY_RESTORE = {"session_token", "guest", "link", "audit_event", "audit_pending", "audit_seal", "alembic_version"}


@dataclass
class Tally:
    revocations_ms: list[float] = field(default_factory=list)
    after_answer_ms: list[float] = field(default_factory=list)
    """The same, from the moment the revocation was acknowledged."""
    tiles_read: int = 0
    forgeries: int = 0
    accepted: int = 0
    races: int = 0
    two_winners: int = 0
    no_winner: int = 0
    backed_up: int = 0
    mismatches: int = 0
    backup_s: list[float] = field(default_factory=list)
    restore_s: list[float] = field(default_factory=list)
    void: list[str] = field(default_factory=list)


class Reader(threading.Thread):
    """A guest who asks for one tile after the other until he is refused; `last` is when the last one came."""

    def __init__(self, on: Stage, link_id: str, secret: str, number: int) -> None:
        super().__init__(name=f"reader-{number}")
        self._browser = on.browser(number)
        token = on.redeem(self._browser, link_id, secret)
        if token is None:
            raise RuntimeError("A guest with the right secret was not admitted.")
        self._addresses = [on.tile(turn) for turn in range(3)]
        self.tiles, self.last, self.first = 0, 0.0, threading.Event()
        self._end_by = time.monotonic() + 60

    def run(self) -> None:
        refused = 0
        # A few more tries after the first refusal: nobody may be let in again.
        while refused < 3 and time.monotonic() < self._end_by:
            answer = self._browser.get(self._addresses[self.tiles % len(self._addresses)])
            if answer.status_code == 200 and answer.content.startswith(b"\xff\xd8"):
                self.tiles, self.last = self.tiles + 1, time.monotonic()
                self.first.set()
            elif answer.status_code != 503:
                refused += 1
            time.sleep(BETWEEN_TILES_S)
        self._browser.close()


def revoke_while_read(on: Stage, tally: Tally) -> None:
    link = on.link(uses=READERS)
    with ThreadPoolExecutor(8) as pool:
        readers = list(pool.map(lambda number: Reader(on, link.id, link.secret, number), range(READERS)))
    maker = on.world.signed_in("pathologiste.caen", on.urls[0])
    for reader in readers:
        reader.start()
    for reader in readers:
        if not reader.first.wait(GIVE_UP_S):
            tally.void.append("a guest of a standing link saw no tile")
    time.sleep(WARM_S)
    asked = time.monotonic()
    answer = maker.post(f"/api/links/{link.id}/revoke")
    answered = time.monotonic()
    if answer.status_code != 204:
        raise RuntimeError(f"The link could not be revoked: {answer.status_code} {answer.text[:200]}")
    for reader in readers:
        reader.join(GIVE_UP_S)
        if reader.is_alive():
            tally.revocations_ms.append(GIVE_UP_S * 1000)
    tally.tiles_read += sum(reader.tiles for reader in readers)
    last = max(reader.last for reader in readers)
    tally.revocations_ms.append(max(0.0, last - asked) * 1000)
    tally.after_answer_ms.append(max(0.0, last - answered) * 1000)


def forge(on: Stage, tally: Tally, count: int, seed: int) -> None:
    """Half at the door, half with a cookie at a tile, from four browsers at once."""
    link, other = on.link(uses=100), on.link(uses=100)
    with on.browser(0) as guest:
        token = on.redeem(guest, link.id, link.secret)
        if token is None or guest.get(on.tile()).status_code != 200:
            tally.void.append("the right secret was not accepted: what is counted as accepted is not seen")
    assert token is not None

    def attack(worker: int) -> int:
        chance, accepted = random.Random(seed + worker), 0
        with on.browser(worker) as door, on.browser(worker) as reader:
            for turn in range(count // 8):
                door.cookies.clear()
                accepted += on.redeem(door, *_false_key(chance, turn, link.id, link.secret, other.secret)) is not None
                false = _altered(chance, turn, token)
                answer = reader.get(on.tile(turn), headers={"Cookie": f"{GUEST_COOKIE}={false}"})
                accepted += answer.status_code == 200
        return accepted

    with ThreadPoolExecutor(4) as pool:
        tally.accepted += sum(pool.map(attack, range(4)))
    tally.forgeries += 4 * (count // 8) * 2


def _false_key(chance: random.Random, turn: int, link_id: str, secret: str, other: str) -> tuple[str, str]:
    """Link and secret that do not go together."""
    match turn % 5:
        case 0:
            return link_id, secrets.token_urlsafe(32)
        case 1:
            return link_id, _altered(chance, turn, secret)
        case 2:
            return link_id, other
        case 3:
            return new_id(), secret
        case _:
            return link_id, hashlib.sha256(secret.encode()).hexdigest()  # what the database holds


def _altered(chance: random.Random, turn: int, right: str) -> str:
    at = chance.randrange(len(right) - 1)  # the last character of base64 has bits that mean nothing
    match turn % 4:
        case 0:
            return right[:at] + ("A" if right[at] != "A" else "B") + right[at + 1 :]
        case 1:
            return right[:at]
        case 2:
            return right + chance.choice("Aa0%-_")
        case _:
            return right.swapcase()


def race(on: Stage, tally: Tally, redeem: Callable[[int, str, str], bool] | None = None) -> int:
    """50 try at once to be the one guest; how many are."""
    link, start = on.link(), threading.Barrier(RACERS)
    browsers = [on.browser(number) for number in range(RACERS)]

    def real(number: int, link_id: str, secret: str) -> bool:
        return on.redeem(browsers[number], link_id, secret) is not None

    def run(number: int) -> bool:
        browsers[number].get("/healthz")  # the connection stands
        start.wait(GIVE_UP_S)
        return (redeem or real)(number, link.id, link.secret)

    with ThreadPoolExecutor(RACERS) as pool:
        winners = sum(pool.map(run, range(RACERS)))
    for browser in browsers:
        browser.close()
    if redeem is None:
        tally.races += 1
        tally.two_winners += winners > 1
        tally.no_winner += winners == 0
    return winners


def bad_twin(on: Stage) -> Callable[[int, str, str], bool]:
    """A redemption known to be bad: it looks, then writes."""

    def redeem(_: int, link_id: str, __: str) -> bool:
        with on.database.reading() as session:
            row = session.get_one(LinkRow, link_id)
            free = row.uses < row.max_uses
        if free:
            with on.database.writing() as session:
                session.get_one(LinkRow, link_id).uses = 1
        return free

    return redeem


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="revocations on each database")
    parser.add_argument("--forgeries", type=int, default=20_000, help="on both databases together")
    parser.add_argument("--races", type=int, default=20, help="on each database")
    parser.add_argument("--seed", type=int, default=20260105)
    options = parser.parse_args()
    began, tally = time.monotonic(), Tally()
    for engine in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="iain-torture-") as name, stage(engine, Path(name)) as on:
            for _ in range(options.rounds):
                revoke_while_read(on, tally)
            slowest = max(tally.revocations_ms[-options.rounds :])
            print(f"  {engine}: last tile {slowest:.0f} ms after the revocation at most", flush=True)
            for _ in range(options.races):
                race(on, tally)
            if race(on, tally, bad_twin(on)) < 2:
                tally.void.append("the twin that looks before it writes had one winner")
            print(f"  {engine}: {options.races} races", flush=True)
            back_up_while_slides_arrive(on, tally, Path(name), options.seed)
            print(f"  {engine}: backed up and restored", flush=True)
            forge(on, tally, -(-options.forgeries // 16) * 8, options.seed)
            print(f"  {engine}: {tally.forgeries} forgeries so far", flush=True)
    shown = ", ".join(f"{each:.0f}" for each in tally.revocations_ms)
    answered = ", ".join(f"{each:.0f}" for each in tally.after_answer_ms)
    print(f"revocations, ms: {shown}; after their answer: {answered}; {tally.tiles_read} tiles read meanwhile")
    print(f"load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores; no winner in {tally.no_winner} races")
    took = f"≤ {max(tally.backup_s):.1f} s, back ≤ {max(tally.restore_s):.1f} s"
    print(f"{tally.backed_up} files and tables backed up: {took}")
    print(
        f"seed {options.seed}, {time.monotonic() - began:.0f} s; 95 % bound {3 / max(1, tally.forgeries):.1g} a forgery"
    )
    print(f"figure link.revoke_to_last_tile_ms {max(tally.revocations_ms):.0f}")
    print(f"figure link.forgeries {tally.forgeries}")
    print(f"figure link.accepted {tally.accepted}")
    print(f"figure link.races {tally.races}")
    print(f"figure link.races_two_winners {tally.two_winners}")
    print(f"figure backup.restore_digest_mismatches {tally.mismatches}")
    for reason in tally.void:
        print(f"VOID: {reason}.")
    failed = tally.accepted or tally.two_winners or tally.no_winner or tally.mismatches or tally.void
    return 1 if failed or max(tally.revocations_ms) > 1000 else 0


if __name__ == "__main__":
    sys.exit(main())
