"""What is being done to a slide that arrived, as far as its job tells. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ingest.arrival import REGISTER
from ingest.build import BUILD
from ingest.jobs import Progress
from slideserver.pages.words import N_

KINDS: Mapping[str, str] = {REGISTER: N_("being read"), BUILD: N_("overview being made")}


@dataclass(frozen=True, slots=True)
class Work:
    """`word` is a message id; `done` of `units` are done, both None when the job does not tell; `tries`: with this."""

    word: str
    done: int | None
    units: int | None
    tries: int

    @property
    def percent(self) -> int | None:
        return None if not self.units else min(100, 100 * (self.done or 0) // self.units)


def work_of(job: Progress) -> Work:
    word = KINDS.get(job.kind, N_("being prepared")) if job.state == "running" else N_("waits for its turn")
    return Work(word, job.done_units if job.units else None, job.units or None, job.attempts)


def in_hand(jobs: Iterable[Progress]) -> Work | None:
    """The job of a slide that is nearest to its end: one that runs, else one that waits; None when none is open."""
    open_ones = [job for job in jobs if job.state in ("running", "queued")]
    return next((work_of(job) for job in sorted(open_ones, key=lambda job: job.state == "queued")), None)
