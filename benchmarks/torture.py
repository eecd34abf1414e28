"""A torture in parts: what each part is given, what it gives back, and how parts are run.

A part is a module with `run(plan) -> Result`. `--part` runs some of them, `--share 0.1` a tenth of their size.
"""

import argparse
import resource
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
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


def run_parts(package: str, parts: Sequence[str], *, command: str, question: str) -> int:
    """What the command line asks for, one part after the other; 1 when one failed, or a control came through."""
    parser = argparse.ArgumentParser(prog=command, description=question)
    parser.add_argument("--part", action="append", choices=parts, help="only these; all without it")
    parser.add_argument("--share", type=float, default=1.0, help="of the whole size, such as 0.1")
    parser.add_argument("--seed", type=int, default=20260105)
    options = parser.parse_args()
    began = time.monotonic()
    well = [_run(package, part, options.seed, options.share) for part in options.part or parts]
    print(f"figure {package.rpartition('.')[2]}.minutes {(time.monotonic() - began) / 60:.1f}")
    return 0 if all(well) else 1


def _run(package: str, part: str, seed: int, share: float) -> bool:
    """Whether all was well. A part that breaks is one that failed: the others are carried out all the same."""
    print(f"== {part}", flush=True)
    began, computed = time.monotonic(), _cpu_seconds()
    try:
        return _carry_out(package, part, seed, share)
    except Exception:
        print(f"The part {part} broke:\n{traceback.format_exc()}")
        return False
    finally:
        took, computed = time.monotonic() - began, _cpu_seconds() - computed
        print(f"seed {seed}, share {share}, {took:.0f} s, {computed:.0f} s of processors", flush=True)


def _carry_out(package: str, part: str, seed: int, share: float) -> bool:
    with tempfile.TemporaryDirectory(prefix=f"iain-{part}-") as folder:
        result: Result = import_module(f"{package}.{part}").run(Plan(seed, share, Path(folder)))
    for note in result.notes:
        print(note)
    for control in result.void:
        print(f"VOID: {control} came through, though it is known to be bad; these figures prove nothing.")
    for name, value in result.figures.items():
        print(f"figure {name} {value:g}" if isinstance(value, float) else f"figure {name} {value}", flush=True)
    return not result.failed and not result.void


def _cpu_seconds() -> float:
    """Of this process, and of those it started and saw the end of."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
