"""What a run finds, for people and for programs."""

from __future__ import annotations

import os
import time


class Report:
    """What was found so far: figures for programs, sentences for people, reasons why the run proves nothing."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.figures: list[tuple[str, str]] = []
        self.failures: list[str] = []
        self.void: list[str] = []

    def say(self, sentence: str) -> None:
        print(f"  {time.monotonic() - self.began:4.0f} s  {sentence}", flush=True)

    def figure(self, name: str, value: float, *, most: float | None = None, least: float | None = None) -> None:
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        self.figures.append((name, shown))
        if (most is not None and value > most) or (least is not None and value < least):
            self.failures.append(f"{name} is {shown}")

    def note(self, notes: list[str]) -> None:
        for each in notes[:20]:
            self.say(f"! {each}")

    def close(self, seed: int) -> int:
        took = time.monotonic() - self.began
        print(f"seed {seed}, {took:.0f} s; load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")
        for name, shown in self.figures:
            print(f"figure {name} {shown}")
        for reason in self.void:
            print(f"VOID: {reason}.")
        for failure in self.failures:
            print(f"FAILED: {failure}.")
        return 1 if self.failures or self.void else 0
