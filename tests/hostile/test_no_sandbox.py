"""A machine on which no decoder can be shut in: nothing is opened, nothing is lost, and it is said."""

from pathlib import Path

import pytest
from fixtures.tiles import running_desk
from sqlalchemy import select

from benchmarks.torture_tiles.delivery import Desk
from benchmarks.torture_tiles.marked import make_marked
from ingest import worker
from sharing.db.tables import JobRow
from sharing.vocabulary import SlideId, SlideState
from tiler import isolation
from tiler.geometry import Size

pytestmark = pytest.mark.hostile


def error_of(desk: Desk, slide_id: SlideId) -> str:
    with desk.database.reading() as session:
        return session.scalar(select(JobRow.last_error).where(JobRow.key == slide_id, JobRow.kind == "register")) or ""


def test_slides_wait_until_they_can_be_opened_safely(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    make_marked(tmp_path / "sound.tiff", 1, "tiff", Size(640, 512))
    monkeypatch.setattr(worker, "NOT_NOW_S", 0.2)
    with monkeypatch.context() as machine:
        machine.setattr(isolation, "bubblewraps", lambda: iter([refusing]))
        with running_desk(tmp_path, sqlite_template) as desk, desk.reader() as reader:
            slide_id = desk.deliver("sound.tiff", (tmp_path / "sound.tiff").read_bytes())
            assert desk.settled(slide_id, within_s=2) is None
            assert "No permissions to create a new namespace" in error_of(desk, slide_id)
            assert reader.get("/readyz").json()["ingest"] is False
            assert reader.get("/", follow_redirects=True).status_code == 200
            # The machine is put right; nobody has to start anything again.
            machine.undo()
            slide = desk.settled(slide_id, within_s=60)
    assert slide is not None
    assert slide.state is SlideState.READY
