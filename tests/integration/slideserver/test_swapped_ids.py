"""What Caen's people ask as they walk through all of the interface, asked by Lille's: every id in it is another site's.

The long form, with a browser's walk, is `make torture-sharing`.
"""

import pytest
from fixtures.asgi import InProcess
from fixtures.matrix.rights import Relation
from fixtures.matrix.scene import Scene
from fixtures.matrix.walking import Request, foreign, walk

from sharing import slides
from sharing.subjects import System
from sharing.vocabulary import Action, SlideId
from slideserver.app import create_framework
from slideserver.deps import SessionDep, requires
from slideserver.errors import Answers

WALKED = {"pathologist": 70, "lab_manager": 70, "data_protection_officer": 40}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_foreign_comes_back(stage: Scene, figure) -> None:
    replayed, betrayed = 0, []
    for role, most in WALKED.items():
        requests = walk(stage, stage.subjects[Relation.OWN, role], most=most)
        assert {"GET"} < {request.method for request in requests}
        for request, told in foreign(stage, stage.subjects[Relation.THIRD, role], requests):
            replayed += 1
            betrayed += [f"{request.method} {request.url} as {role}: {', '.join(told)}"] if told else []
    figure("policy.foreign_ids_replayed", replayed)
    figure("policy.foreign_bytes", len(betrayed))
    assert betrayed == []
    assert replayed > 60


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_asks_nobody_betrays(stage: Scene) -> None:
    """The control: a route that shows a slide to whoever knows its id."""
    framework = create_framework(stage.state, Answers(stage.state))
    stage.app = InProcess(framework, stage.app.runner)

    @framework.get("/unchecked/{slide_id}", dependencies=[requires(Action.VIEW_SLIDE)])
    def unchecked(session: SessionDep, slide_id: str) -> str:
        return str(slides.get_slide(session, System(), SlideId(slide_id)).case_accession)

    request = Request("GET", f"/unchecked/{stage.shared[Relation.INVITED].slide_id}")
    [(_, told)] = foreign(stage, stage.subjects[Relation.THIRD, "pathologist"], [request])
    assert told == ["invited: accession"]
