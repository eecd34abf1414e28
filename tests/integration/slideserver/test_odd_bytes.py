"""Bytes that no text of ours holds break nothing: they are in no address and in no name."""

import pytest
from fixtures.server import World

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_a_nul_is_refused_in_words_by_every_kind_of_page(world: World) -> None:
    """SQLite takes a NUL and finds nothing; PostgreSQL takes none."""
    officer, reader = world.signed_in("dpo.caen"), world.signed_in("pathologiste.caen")
    case_id = world.centres.caen.cases["26H01234"]
    objection = {"purpose": "ai", "origin": "mail"}
    answers = [
        reader.get("/slides/%00"),
        reader.get("/why/%00"),
        reader.get("/api/slides/%00"),
        officer.get("/objections/%00"),
        officer.get("/objections?q=%00a%00"),
        officer.post("/objections/%00/withdraw"),
        officer.post(f"/objections/patients/{case_id}", data={**objection, "also": "\0"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 404, 422, 404, 422]
