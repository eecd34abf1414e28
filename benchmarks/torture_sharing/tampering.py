"""Somebody who owns the server, the database and the server's key, and would like the audit log to say something else.

Each of seven kinds of tampering is done in two ways: plainly, by who can only edit, and *resealed*: with every number,
hash, root and checkpoint computed and signed anew, as the owner of the server can. An attack counts as found when the
verifier, given the record of a witness, names a stretch of entries in which the change lies.
"""

import hashlib
import json
import random
import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixtures.witnessing import Guard, Platform  # type: ignore[import-not-found]
from sqlalchemy import text

from sharing import audit, chain, logfile, merkle, sites, verifier
from sharing.checkpoints import Signer
from sharing.db.engine import Database, Session
from sharing.entries import GENESIS
from sharing.subjects import Member
from sharing.verifier import Record, canonical, commitment, parse_checkpoint
from sharing.vocabulary import Act, Entity, MemberId, Purpose, Role, SiteId, new_id

SITE = SiteId("caen")
KINDS = ("flip", "delete", "insert", "reorder", "truncate", "replay", "rewrite")
Line = dict[str, Any]


@dataclass
class History:
    """The log of a site as its file has it: entries in order, and checkpoints."""

    header: Line
    entries: list[Line]
    notes: list[str]

    @classmethod
    def parse(cls, lines: list[str]) -> "History":
        told = [json.loads(line) for line in lines[1:]]
        return cls(
            told[0]["chain"],
            [each for each in told if "event" in each],
            [each["checkpoint"] for each in told if "checkpoint" in each],
        )

    @classmethod
    def read(cls, session: Session, site_id: SiteId) -> "History":
        """From a database, without any checkpoint."""
        return cls.parse(list(logfile.lines(session, Signer.new(), [site_id])))

    @property
    def events(self) -> list[Line]:
        return [each["event"] for each in self.entries]

    def cut(self, size: int) -> None:
        del self.entries[size:]
        self.notes = [note for note in self.notes if parse_checkpoint(note).size <= size]

    def reseal(self, signer: Signer | None = None) -> None:
        """Compute everything anew, and sign checkpoints at the sizes where there were some; no witness signs those."""
        head, edge, sizes = bytes(32), merkle.Edge(), {parse_checkpoint(note).size for note in self.notes}
        notes = []
        for seq, entry in enumerate(self.entries, 1):
            leaf = _leaf(entry)
            head = verifier.linked(head, seq, entry["sealed_us"], leaf)
            entry["seq"], entry["hash"] = seq, head.hex()
            edge.extend((leaf,))
            if signer and (seq in sizes or seq == len(self.entries)):
                notes.append(signer.signed(SITE, seq, edge.root(), head))
        self.notes = notes
        self.header["witnesses"] = []

    def lines(self) -> list[str]:
        told = [
            {"iain-audit-log": verifier.LOG_VERSION},
            {"chain": self.header},
            *({"checkpoint": note} for note in self.notes),
            *self.entries,
            {"end": {"entries": len(self.entries), "waiting": 0}},
        ]
        return [f"{canonical(each)}\n" for each in told]


def _leaf(entry: Line) -> bytes:
    return hashlib.sha256(b"\x00" + canonical(entry["event"]).encode()).digest()


def forge_history(database: Database, history: History) -> None:
    """Put a history into the database in the place of its own, as its owner can: all hashes new, no checkpoint kept."""
    history.reseal()
    edge = merkle.Edge()
    edge.extend(map(_leaf, history.entries))
    with database.writing() as session:
        if database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            for name in session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                session.execute(text(f"DROP TRIGGER {name}"))
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        for table in ("audit_checkpoint", "audit_cosignature", "audit_seal"):
            session.execute(text(f"DELETE FROM {table} WHERE site_id = :site"), {"site": SITE})
        kept = {event["id"] for event in history.events}
        for event_id in session.scalars(text("SELECT id FROM audit_event WHERE site_id = :site"), {"site": SITE}).all():
            if event_id not in kept:
                session.execute(text("DELETE FROM audit_personal WHERE event_id = :id"), {"id": event_id})
                session.execute(text("DELETE FROM audit_event WHERE id = :id"), {"id": event_id})
        for entry in history.entries:
            event = entry["event"]
            session.execute(
                text("UPDATE audit_event SET outcome = :outcome, recorded_us = :recorded_us WHERE id = :id"),
                {name: event[name] for name in ("outcome", "recorded_us", "id")},
            )
        seals = [
            {
                "site_id": SITE,
                "seq": entry["seq"],
                "event_id": entry["event"]["id"],
                "sealed_us": entry["sealed_us"],
                "prev_hash": before["hash"],
                "hash": entry["hash"],
            }
            for before, entry in zip([{"hash": GENESIS}, *history.entries], history.entries, strict=False)
        ]
        columns = "site_id, seq, event_id, sealed_us, prev_hash, hash"
        values = ", ".join(f":{name}" for name in columns.split(", "))
        session.execute(text(f"INSERT INTO audit_seal ({columns}) VALUES ({values})"), seals)
        merkle.keep(session, SITE, edge)


@dataclass
class Tally:
    mutations: int = 0
    undetected: list[str] = field(default_factory=list)
    """Also those that were found, but elsewhere than where they are."""
    beyond_the_chain: int = 0
    """Attacks that leave a log that is whole in itself: resealed ones, and old copies."""
    missed_without_witness: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.mutations + other.mutations,
            self.undetected + other.undetected,
            self.beyond_the_chain + other.beyond_the_chain,
            self.missed_without_witness + other.missed_without_witness,
        )


@dataclass(frozen=True)
class Forgery:
    """A log to be shown to who verifies. The change lies among the entries `first` to `last`, as he counts them."""

    lines: list[str]
    first: int
    last: int
    resealed: bool
    told: str


class Attacker:
    """A log that a witness has looked at now and then, with copies of it from before, and the server's key."""

    def __init__(self, copies: list[History], record: Record, signer: Signer, seed: int) -> None:
        self.copies, self.record, self.signer = copies, record, signer
        self.random = random.Random(seed)
        sizes = sorted(seen.checkpoint.size for seen in record.seen[signer.key(SITE).name])
        self.covered = sizes[-1]
        """Beyond this, no witness has seen anything."""
        self.largest_stretch = max(b - a for a, b in zip([0, *sizes], sizes, strict=False))

    @classmethod
    def prepare(cls, database: Database, folder: Path, *, entries: int, looks: int = 6, seed: int = 0) -> "Attacker":
        """A log of so many entries at least; the witness looks so often, and a copy is taken each time."""
        with database.writing() as session:
            sites.add_site(session, SITE, "Caen")
            sites.add_site(session, SiteId("rouen"), "Rouen")
        signer = Signer.new()
        platform = Platform(database, signer)
        guard = Guard(folder, platform)
        copies = []
        for _ in range(looks):
            _act(database, -(-entries // looks))
            chain.seal(database)
            guard.look()
            with database.reading() as session:
                copies.append(History.parse(list(logfile.lines(session, signer, [SITE]))))
        return cls(copies, guard.record, signer, seed)

    @property
    def whole(self) -> History:
        return deepcopy(self.copies[-1])

    def run(self, kind: str, count: int) -> Tally:
        """Try a kind of tampering so often, plainly and resealed by turns."""
        tally = Tally()
        make: Callable[[bool], Forgery] = getattr(self, f"_{kind}")
        for number in range(count):
            forgery = make(number % 2 == 1)
            tally.mutations += 1
            if not self._finds(forgery, [self.record]):
                tally.undetected.append(f"{kind}: {forgery.told}")
            if forgery.resealed:
                tally.beyond_the_chain += 1
                tally.missed_without_witness += verifier.verify(forgery.lines)[0].whole
        return tally

    def is_quiet_about_the_truth(self) -> bool:
        """The other control: nothing is found in a log that nobody touched."""
        return all(verifier.verify(copy.lines(), [self.record])[0].whole for copy in self.copies[-1:])

    def _finds(self, forgery: Forgery, records: list[Record]) -> bool:
        try:
            (report,) = verifier.verify(forgery.lines, records)
        except (verifier.UnreadableLogError, ValueError):
            return False
        for finding in report.findings:
            if finding.first is None or finding.last is None:
                continue
            near = finding.last - finding.first <= forgery.last - forgery.first + self.largest_stretch
            if near and finding.first <= forgery.last and forgery.first <= finding.last:
                return True
        return False

    def _place(self) -> int:
        """The number of an entry that the witness has seen."""
        return self.random.randrange(1, self.covered)

    def _made(self, history: History, first: int, told: str, *, reseal: bool, last: int | None = None) -> Forgery:
        if reseal:
            history.reseal(self.signer)
        return Forgery(history.lines(), first, last or first, reseal, f"{told} at {first}, resealed: {reseal}")

    def _flip(self, reseal: bool) -> Forgery:
        history, seq = self.whole, self._place()
        entry = history.entries[seq - 1]
        if reseal:
            where = self.random.choice(("outcome", "recorded_us", "sealed_us", "detail", "agent", "personal"))
            self._change(entry, where)
            return self._made(history, seq, where, reseal=True)
        lines = history.lines()
        number = 1 + len(history.notes) + seq
        raw = bytearray(lines[number].encode())
        at = self.random.randrange(len(raw) - 1)
        raw[at] ^= 1 << self.random.randrange(8)
        lines[number] = raw.decode("utf-8", "surrogateescape")
        return Forgery(lines, seq, seq, False, f"bit of byte {at} of {seq}")

    def _change(self, entry: Line, where: str) -> None:
        event = entry["event"]
        if where == "outcome":
            event["outcome"] = "failed"
        elif where == "recorded_us":
            event["recorded_us"] += self.random.randrange(1, 10**9)
        elif where == "sealed_us":
            entry["sealed_us"] += self.random.randrange(1, 10**9)
        elif where == "detail":
            event["detail"] = {**event["detail"], "count": str(self.random.random())}
        elif where == "agent":
            event["agent"] = {**event["agent"], "id": new_id()}
        else:
            body, salt = canonical({"agent_name": "AUTRE Nom"}), secrets.token_hex(32)
            entry["personal"] = {"body": body, "salt": salt}
            event["commitment"] = commitment(salt, body)

    def _delete(self, reseal: bool) -> Forgery:
        history, seq = self.whole, self._place()
        del history.entries[seq - 1]
        if not reseal and self.random.random() < 0.5:
            for entry in history.entries[seq - 1 :]:
                entry["seq"] -= 1
        return self._made(history, seq, "deleted", reseal=reseal)

    def _insert(self, reseal: bool) -> Forgery:
        history, seq = self.whole, self._place()
        forged = deepcopy(self.random.choice(history.entries))
        forged["event"]["id"] = new_id()
        history.entries.insert(seq - 1, forged)
        if not reseal and self.random.random() < 0.5:
            for number, entry in enumerate(history.entries, 1):
                entry["seq"] = number
        return self._made(history, seq, "inserted", reseal=reseal)

    def _reorder(self, reseal: bool) -> Forgery:
        history, seq = self.whole, self._place()
        other = self.random.choice([each for each in range(1, self.covered + 1) if each != seq])
        first, second = sorted((seq, other))
        told = history.entries
        told[first - 1], told[second - 1] = told[second - 1], told[first - 1]
        if not reseal and self.random.random() < 0.5:
            told[first - 1]["seq"], told[second - 1]["seq"] = first, second
        return self._made(history, first, f"swapped with {second}", reseal=reseal)

    def _truncate(self, reseal: bool) -> Forgery:
        history, seq = self.whole, self._place()
        if reseal:
            history.cut(seq)
            history.reseal(self.signer)
        else:
            del history.entries[seq:]
        return Forgery(history.lines(), seq + 1, self.covered, reseal, f"cut to {seq}, resealed: {reseal}")

    def _replay(self, _: bool) -> Forgery:
        """An old copy, genuine to the last signature of the witness."""
        history = deepcopy(self.random.choice(self.copies[:-1]))
        size = len(history.entries)
        return Forgery(history.lines(), size + 1, self.covered, True, f"old copy of {size}")

    def _rewrite(self, _: bool) -> Forgery:
        """Another history from some entry on, or from the first."""
        history, seq = self.whole, self.random.choice((1, self._place()))
        for entry in history.entries[seq - 1 :]:
            entry["event"]["id"] = new_id()
            self._change(entry, "recorded_us")
            self._change(entry, "personal")
        return self._made(history, seq, "rewritten", reseal=True, last=self.covered)


def _act(database: Database, count: int) -> None:
    reader = Member(MemberId("m" * 26), SITE, "Caen", Role.PATHOLOGIST, "FICTIVE Dominique", "login")
    with database.writing() as session:
        for number in range(count):
            audit.record(
                session,
                site_id=SITE,
                act=Act.SLIDE_OPENED,
                subject=reader,
                entities=[Entity("slide", f"slide-{number}"), Entity("case", "case")],
                detail={"quote": 'a"b\\c\u2028é', "number": str(number)},
                purpose=Purpose.CARE,
            )
