"""What a part of the torture is given, and what it gives back."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """`share` of the whole size is to be run, in a folder that is removed afterwards."""

    seed: int
    share: float
    folder: Path

    def times(self, whole: int) -> int:
        """How often to do what is done `whole` times in a whole run; once at least."""
        return max(1, round(whole * self.share))


@dataclass(frozen=True, slots=True)
class Result:
    """Figures by name, what people should read beside them, and whether all is well.

    `void` names the controls that ought to have failed and did not: then the figures prove nothing.
    """

    figures: dict[str, float]
    failed: bool
    notes: tuple[str, ...] = ()
    void: tuple[str, ...] = ()
