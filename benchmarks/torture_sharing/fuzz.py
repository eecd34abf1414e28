"""The documented API, fed with what its description allows and with what it does not, by every role: does it break?

The control is a route that does.
"""

from starlette.exceptions import HTTPException

from benchmarks.torture import Plan, Result
from benchmarks.torture_sharing.policy import ground
from benchmarks.torture_sharing.stage import ENGINES, founded
from slideserver.app import create_framework
from slideserver.errors import Answers

from fixtures.asgi import InProcess  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.fuzzing import Fuzzed, fuzz, operations_of  # type: ignore[import-not-found]  # isort: skip
from fixtures.matrix.scene import Scene  # type: ignore[import-not-found]  # isort: skip

CASES = 6000
PAIRS_SHOWN = 20


def run(plan: Plan) -> Result:
    cases: list[Fuzzed] = []
    void: list[str] = []
    operations = 0
    for engine in ENGINES:
        (plan.folder / engine).mkdir()
        with founded(engine, plan.folder / engine) as on, ground(on) as found:
            operations = len(list(operations_of(found)))
            cases += fuzz(found, count=plan.times(CASES // len(ENGINES)), number=plan.seed)
            if not breaks(found, plan.seed):
                void.append(f"a route that breaks, on {engine},")
    broken = [case for case in cases if case.broken]
    roles, answers = sorted({case.role for case in cases}), sorted({case.status for case in cases})
    notes = (
        f"{operations} operations, {len({(case.label, case.role) for case in cases})} pairs of one and a role; "
        f"roles: {', '.join(roles)}; answers: {', '.join(map(str, answers))}",
        *(f"{case.status}: {case.request} as {case.role}: {case.answer}" for case in broken[:PAIRS_SHOWN]),
    )
    figures: dict[str, float] = {"openapi.fuzz_cases": len(cases), "openapi.fuzz_5xx": len(broken)}
    return Result(figures, failed=bool(broken), notes=notes, void=tuple(void))


def breaks(found: Scene, seed: int) -> bool:
    framework = create_framework(found.state, Answers(found.state))

    @framework.get("/api/broken/{number}")
    def broken(number: int) -> None:
        raise HTTPException(500)

    found.app = InProcess(framework, found.app.runner)
    return any(case.broken for case in fuzz(found, count=10, number=seed, only="/api/broken/"))
