"""The exported log in pieces, for readers who take their time: the same lines, and no transaction waits for them."""

from sqlalchemy import text

from sharing import audit, chain, checkpoints, logfile, verifier
from sharing.checkpoints import Signer
from sharing.subjects import System
from sharing.vocabulary import Act, SiteId

CAEN = SiteId("caen")


def fill(database, count):
    with database.writing() as session:
        for number in range(count):
            audit.record(session, site_id=CAEN, act=Act.SLIDE_OPENED, subject=System(), detail={"number": str(number)})
    chain.seal(database)


def test_pieces_are_the_lines_and_keep_no_transaction_open(database, centres):
    signer = Signer.new()
    fill(database, 7)
    with database.writing() as session:
        checkpoints.sign_now(session, signer, CAEN)
    with database.reading() as session:
        whole = "".join(logfile.lines(session, signer, [CAEN]))
    told = []
    for piece in logfile.pieces(database, signer, CAEN, at_once=3):
        assert database.engine.pool.checkedout() == 0
        if len(told) == 1:
            fill(database, 5)  # nobody who reads slowly is told of what comes later
        told.append(piece)
    assert "".join(told) == whole
    assert len(told) > 4
    assert verifier.verify("".join(told).splitlines(keepends=True))[0].whole


def test_where_entries_were_taken_away_the_pieces_go_on_behind(database, centres):
    signer = Signer.new()
    fill(database, 20)
    with database.writing() as session:
        if database.engine.dialect.name == "postgresql":
            session.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            session.execute(text("DROP TRIGGER audit_seal_no_delete"))
        session.execute(text("DELETE FROM audit_seal WHERE site_id = 'caen' AND seq BETWEEN 4 AND 15"))
    with database.reading() as session:
        whole = "".join(logfile.lines(session, signer, [CAEN]))
    assert "".join(logfile.pieces(database, signer, CAEN, at_once=2)) == whole
    assert [each.code for each in verifier.verify(whole.splitlines(keepends=True))[0].findings][:1] == ["order"]
