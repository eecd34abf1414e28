"""What every part of the benchmark works with."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.tiles.load import Generator


@dataclass(frozen=True, slots=True)
class Bench:
    """`build` keeps what takes long to make; `scratch` is gone after the run."""

    build: Path
    scratch: Path
    generator: Generator
    rounds: int
    seconds: float

    def below(self, name: str) -> Path:
        """A new directory of the run."""
        directory = self.scratch / name
        directory.mkdir()
        return directory

    @staticmethod
    def say(sentence: str) -> None:
        print(sentence, flush=True)
