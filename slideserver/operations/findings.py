"""What `iain doctor` says of a part of the platform."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` is empty when there is nothing to do."""

    part: str
    state: State
    sentence: str
    remedy: str = ""
