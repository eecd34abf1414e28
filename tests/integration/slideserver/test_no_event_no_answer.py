"""When nothing can be put on record, nothing is shown and nothing is done."""

from fixtures.server import World
from sqlalchemy import func, select, text

from sharing.db.tables import AuditEventRow, LinkRow

REFUSE = {
    "sqlite": "CREATE TRIGGER full_ BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no room'); END",
    "postgresql": "CREATE TRIGGER full_ BEFORE INSERT ON audit_event EXECUTE FUNCTION refuse_change()",
}


def test_a_journal_that_takes_nothing_stops_everything_that_shows_or_changes(world: World) -> None:
    slide = world.add_slide(world.centres.caen, "26H01234")
    pathologist, technician = (world.signed_in(f"{role}.caen") for role in ("pathologiste", "technicien"))
    with world.database.connect_for_schema() as connection:
        connection.execute(text(REFUSE[connection.dialect.name]))
    below = f"/tiles/{slide.id}/{slide.version}"
    asked = [
        *(pathologist.get(path) for path in ("/cases", f"/cases/{slide.case_id}", f"/api/cases/{slide.case_id}")),
        *(pathologist.get(path) for path in (f"/slides/{slide.id}", f"/api/slides/{slide.id}", f"{below}/0/0_0")),
        *(pathologist.get(f"{below}/{picture}") for picture in ("thumbnail", "label")),
        *(technician.get(path) for path in ("/intake", f"/intake/{slide.id}", "/scanners", "/scanners.csv")),
    ]
    wanted = {"case_id": slide.case_id, "slide_id": slide.id, "reason": "essai", "expires_in_s": 600}
    asked.append(pathologist.post("/api/links", json=wanted))
    assert [answer.status_code for answer in asked if answer.status_code < 500] == []
    for answer in asked:
        assert "EXEMPLE" not in answer.text
        assert not answer.content.startswith(b"\xff\xd8")
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(LinkRow)) == 0
    with world.database.connect_for_schema() as connection:
        on = " ON audit_event" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER full_{on}"))
    assert "EXEMPLE" in pathologist.get("/cases").text, "the control"
    with world.database.reading() as session:
        listed = select(func.count()).where(AuditEventRow.act == "cases.listed")
        assert session.scalar(listed) == 1
