"""The documented API does not break, whatever it is fed and by whom. The long form is `make torture-sharing`."""

import pytest
from fixtures.asgi import InProcess
from fixtures.matrix.fuzzing import fuzz
from fixtures.matrix.scene import Scene
from starlette.exceptions import HTTPException

from slideserver.app import create_framework
from slideserver.errors import Answers

CASES, SEED = 100, 20260105
ONE_ENGINE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ONE_ENGINE
def test_no_request_breaks_the_api(stage: Scene, figure) -> None:
    cases = list(fuzz(stage, count=CASES, number=SEED))
    broken = [case for case in cases if case.broken]
    figure("openapi.fuzz_cases", len(cases))
    figure("openapi.fuzz_5xx", len(broken))
    assert broken == []
    assert len({case.status for case in cases}) > 4, "what is asked reaches the code behind the door"


@ONE_ENGINE
def test_what_breaks_is_seen(stage: Scene) -> None:
    """The control."""
    framework = create_framework(stage.state, Answers(stage.state))
    stage.app = InProcess(framework, stage.app.runner)

    @framework.get("/api/broken/{number}")
    def broken(number: int) -> None:
        raise HTTPException(500)

    assert any(case.broken for case in fuzz(stage, count=CASES, number=SEED, only="/api/broken/"))
