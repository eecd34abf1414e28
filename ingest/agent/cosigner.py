"""One round of a witness: look at every log of the platform, and sign below what only adds to what it was.

The witness believes nothing that it has not computed: it joins the new leaves to the edge that it keeps itself, and
compares. What contradicts what it saw before it does not sign, keeps as evidence, and tells.
"""

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from ingest.agent.cosigner_record import Cosigner
from sharing.verifier import Checkpoint, Edge, Key, NoteError, linked, parse_checkpoint, parse_key

LOGS_MOST, NEW_MOST = 200, 100_000_000
"""What a witness looks at in one round: a server that shows no end of it keeps nobody busy for ever."""
UNNAMED = "?"
"""Stands for a site whose name is none."""
_ENTRY = struct.Struct(">Q32s")
_SITE = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A log as the platform lists it. `cosigned`: how far it has this witness's signatures; `refused`: whether it takes
    the witness for one that does not sign."""

    site: str
    key: str
    cosigned: int
    refused: bool = False


class Logs(Protocol):
    """The platform, as a witness sees it."""

    def logs(self) -> list[Listed]: ...

    def checkpoint(self, site: str) -> str: ...

    def hashes(self, site: str, after: int, until: int) -> bytes:
        """Of the entries from number `after` + 1 on, perhaps not up to `until`: 8 bytes of time and 32 of leaf each."""
        ...

    def cosign(self, site: str, size: int, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look at a log: a sentence of `ingest.agent.messages` by its name, and its values."""

    site: str
    sentence: str
    values: dict[str, object]
    contradiction: bool = False


class _ContradictionError(Exception):
    def __init__(self, sentence: str, /, **values: object) -> None:
        self.sentence, self.values = sentence, values
        super().__init__(sentence)


def look(witness: Cosigner, platform: Logs, *, now_s: int, platform_key: bytes | None = None) -> Iterator[Looked]:
    """Look at every log once. `platform_key`: the public key that the platform's manager has told; without it, that of
    the first meeting is believed. Raises what `platform` raises.
    """
    listed = platform.logs()[:LOGS_MOST]
    origins = set()
    for each in listed:
        try:
            log = _known(witness, each, platform_key)
            origins.add(log.name)
            yield _look_at(witness, platform, each, log, now_s)
        except _ContradictionError as contradiction:
            yield _refused(witness, each.site if _SITE.fullmatch(each.site) else UNNAMED, contradiction)
    for origin in sorted(set(witness.logs) - origins):
        site = origin.rpartition("/")[2]
        if all(each.site != site for each in listed):
            yield _refused(witness, site, _ContradictionError("witness-gone", origin=origin))


def _known(witness: Cosigner, listed: Listed, platform_key: bytes | None) -> Key:
    try:
        if not _SITE.fullmatch(listed.site):
            raise NoteError("a site is not called so")
        log = parse_key(listed.key)
    except NoteError as error:
        raise _ContradictionError("witness-nonsense", detail=str(error)) from error
    others = [origin for origin in witness.logs if origin.rpartition("/")[2] == listed.site and origin != log.name]
    if others or log.name.rpartition("/")[2] != listed.site:
        raise _ContradictionError("witness-renamed", known=others[0] if others else listed.site, told=log.name)
    if platform_key is not None and log.public != platform_key:
        raise _ContradictionError("witness-other-key", told=listed.key)
    if log.name not in witness.logs:
        witness.meet(log)
    if witness.logs[log.name] != log:
        raise _ContradictionError("witness-other-key", told=listed.key)
    return log


def _look_at(witness: Cosigner, platform: Logs, listed: Listed, log: Key, now_s: int) -> Looked:
    note = platform.checkpoint(listed.site)
    try:
        checkpoint = parse_checkpoint(note)
        sound = checkpoint.origin == log.name and checkpoint.is_signed_by(log)
    except NoteError as error:
        raise _ContradictionError("witness-nonsense", detail=str(error), checkpoint=note) from error
    if not sound:
        raise _ContradictionError("witness-unsigned", checkpoint=note)
    reached = witness.reached(log.name)
    before = reached.checkpoint
    if before and checkpoint.size < before.size:
        raise _ContradictionError(
            "witness-shorter", size=checkpoint.size, seen=before.size, checkpoint=note, before=before.text()
        )
    if checkpoint.size - reached.edge.size > NEW_MOST:
        raise _ContradictionError("witness-nonsense", detail=f"{checkpoint.size} entries", checkpoint=note)
    edge, head = reached.edge, reached.head
    for sealed_us, leaf in _entries(platform, listed.site, edge.size, checkpoint.size):
        head = linked(head, edge.size + 1, sealed_us, leaf)
        edge.add(leaf)
        if before and edge.size == before.size and not _same(before, edge, head):  # its edges had been lost
            raise _rewritten(checkpoint, before)
    if not _same(checkpoint, edge, head):
        raise _rewritten(checkpoint, before)
    if before and before.body == checkpoint.body:
        if listed.cosigned < before.size or listed.refused:  # it was kept here, and did not arrive there
            platform.cosign(listed.site, before.size, before.lines[-1])
        return Looked(listed.site, "witness-same", {"site": listed.site, "size": before.size})
    line = witness.sign(_alone(checkpoint), edge, now_s)
    platform.cosign(listed.site, checkpoint.size, line)
    new = checkpoint.size - (before.size if before else 0)
    return Looked(listed.site, "witness-signed", {"site": listed.site, "size": checkpoint.size, "new": new})


def _entries(platform: Logs, site: str, after: int, until: int) -> Iterator[tuple[int, bytes]]:
    while after < until:
        told = platform.hashes(site, after, until)
        count = len(told) // _ENTRY.size
        if not count or len(told) % _ENTRY.size or after + count > until:
            raise _ContradictionError("witness-entries-missing", first=after + 1, last=until)
        yield from _ENTRY.iter_unpack(told)
        after += count


def _same(checkpoint: Checkpoint, edge: Edge, head: bytes) -> bool:
    return checkpoint.size == edge.size and checkpoint.root == edge.root() and checkpoint.head == head


def _rewritten(checkpoint: Checkpoint, before: Checkpoint | None) -> _ContradictionError:
    told = {"before": before.text()} if before else {}
    size = before.size if before else 0
    return _ContradictionError("witness-rewritten", seen=size, checkpoint=checkpoint.text(), **told)


def _alone(checkpoint: Checkpoint) -> Checkpoint:
    """With the log's own signature alone: who else signed is no matter of this witness."""
    lines = tuple(line for line in checkpoint.lines if line.split(" ")[1] == checkpoint.origin)
    return replace(checkpoint, lines=lines)


def _refused(witness: Cosigner, site: str, contradiction: _ContradictionError) -> Looked:
    told = {"site": site, "what": contradiction.sentence, **contradiction.values}
    digest = hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()[:16]
    path = witness.keep_evidence(f"{site.replace(UNNAMED, '-')}-{digest}", told)
    values = {"site": site, **contradiction.values, "evidence": path}
    return Looked(site, contradiction.sentence, values, contradiction=True)
