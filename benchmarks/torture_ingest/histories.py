"""A thousand histories of uploads against a model of what should happen; and a server made worse, which must be found.

The worse one does not hear what checksum a piece is said to have.
"""

import time
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.torture import Plan, Result
from benchmarks.torture_ingest.history import History, Start, start_in

HISTORIES = 1000
STEPS = 40
CONTROL_HISTORIES = 500


def run(plan: Plan) -> Result:
    start = start_in(plan.folder, time.time_ns() // 1000)
    told, counts = play(start, plan.times(HISTORIES), plan.seed)
    found, _ = play(replace(start, wrap=deaf_to_checksums), CONTROL_HISTORIES, plan.seed)
    return Result(
        figures={"upload.histories": counts["histories"], "upload.histories_wrong": int(told is not None)},
        failed=told is not None,
        notes=(told or "no history went wrong", f"{counts['requests']} requests"),
        void=() if found else ("the server that does not hear checksums",),
    )


def play(start: Start, histories: int, number: int) -> tuple[str | None, Counter[str]]:
    """What went wrong, None for nothing; and how much was done."""

    class Played(History):
        pass

    Played.start, Played.counts = start, Counter()
    limits = settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(number)(Played), settings=limits)
    except AssertionError as error:
        return "\n".join([*getattr(error, "__notes__", ()), f"{type(error).__name__}: {error}"]), Played.counts
    return None, Played.counts


def deaf_to_checksums(app: ASGIApp) -> ASGIApp:
    async def worse(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"upload-checksum"]
        await app({**scope, "headers": headers}, receive, send)

    return worse
