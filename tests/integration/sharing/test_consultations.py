"""Consultations: from the question to the closing, who sees what on the way, and what each refusal leaves behind."""

import threading

import pytest
from fixtures.cases import add_slide
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from sharing import audit, cases, chain, consultations, epoch, exchange, policy, readings, sites, slides
from sharing.db.tables import AuditEventRow, OpinionRow, OutboxRow
from sharing.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from sharing.vocabulary import (
    Act,
    Action,
    Agreement,
    ConsultationState,
    Move,
    OpinionStatus,
    Purpose,
    Role,
    Side,
    Urgency,
    new_id,
)

ACCESSION = "26H01234"
QUESTION = "Carcinome lobulaire ou canalaire ?\n\nMerci de votre avis."


@pytest.fixture
def ask(database, centres, shared):
    def ask(**changes):
        arguments = {
            "question": QUESTION,
            "slide_id": shared.first,
            "view": "#c=100,200&m=20",
            "to_member": centres.rouen.pathologist.id,
            "urgency": Urgency.URGENT,
        } | changes
        with database.writing() as session:
            return consultations.request(session, centres.caen.pathologist, centres.caen.cases[ACCESSION], **arguments)

    return ask


@pytest.fixture
def do(database):
    """`do(consultations.move, member, …)`: one call, one transaction."""

    def do(function, *args, **kwargs):
        with database.writing() as session:
            return function(session, *args, **kwargs)

    return do


@pytest.fixture
def look(database):
    def look(function, *args, **kwargs):
        with database.reading() as session:
            return function(session, *args, **kwargs)

    return look


def acts(database, site_id):
    with database.reading() as session:
        return session.scalars(
            select(AuditEventRow.act).where(AuditEventRow.site_id == site_id).order_by(AuditEventRow.position)
        ).all()


def test_a_slide_is_read_under_the_question_that_still_waits(centres, shared, clock, ask, do, look):
    rouen = centres.rouen.pathologist
    waiting = ask()
    clock.advance(minutes=1)
    answered = ask(question="Et le grade ?")
    do(exchange.open_, rouen, answered)
    assert look(exchange.showing, rouen, shared.first).id == answered
    do(consultations.answer, rouen, answered, agreement=Agreement.AGREE, text="Grade II.")
    assert look(exchange.showing, rouen, shared.first).id == waiting


def test_whose_turn_it_is_is_said_once():
    waits = {state for state, side in consultations.BALL.items() if side is Side.CONSULTANT}
    assert waits == policy.AWAITING_OPINION <= policy.SHOWING


def test_the_whole_story(database, centres, shared, ask, do, look):
    caen, rouen = centres.caen.pathologist, centres.rouen.pathologist
    asked = ask()
    assert [c.id for c in look(exchange.inbox, caen).waiting] == [asked]
    assert look(exchange.unread, caen) == 0
    assert look(exchange.unread, rouen) == 1
    found = look(exchange.inbox, rouen).to_do[0]
    assert (found.state, found.ball, found.side, found.unread) == (
        ConsultationState.REQUESTED,
        Side.CONSULTANT,
        Side.CONSULTANT,
        True,
    )
    assert (found.question, found.slide_id, found.view) == (QUESTION, shared.first, "c=100,200&m=20")
    assert set(found.slides) == {shared.first, shared.second}
    assert found.requester.name == "Pathologiste de Caen"

    opened = do(exchange.open_, rouen, asked)
    assert opened.state is ConsultationState.OPENED
    assert opened.may == {Move.ACCEPT, Move.DECLINE, Move.ASK, Move.ANSWER}
    assert (look(exchange.unread, rouen), look(exchange.unread, caen)) == (0, 1)

    do(consultations.move, rouen, asked, Move.ASK, "Avez-vous\nune PAS ?")
    waiting = look(exchange.inbox, caen).to_do[0]
    assert (waiting.state, waiting.ball) == (ConsultationState.MORE_INFORMATION, Side.REQUESTER)
    assert waiting.may == {Move.REPLY, Move.CANCEL}
    do(consultations.move, caen, asked, Move.REPLY, "La voici.")
    opinion = do(consultations.answer, rouen, asked, agreement=Agreement.MINOR, text="Lobulaire.")
    answered = do(exchange.open_, caen, asked)
    assert (answered.standing.id, answered.standing.text, answered.standing.status) == (
        opinion,
        "Lobulaire.",
        OpinionStatus.FINAL,
    )
    assert answered.case.accession == ACCESSION
    assert answered.may == {Move.CLOSE}
    assert [c.id for c in look(exchange.inbox, rouen).recent] == [asked]

    second = do(consultations.amend, rouen, asked, agreement=Agreement.MAJOR, text="Canalaire, tout compte fait.")
    amended = look(exchange.get, caen, asked)
    assert [(o.id, o.amends, o.status) for o in amended.opinions] == [
        (opinion, None, "final"),
        (second, opinion, "amended"),
    ]
    do(consultations.move, caen, asked, Move.CLOSE)
    closed = look(exchange.get, rouen, asked)
    assert (closed.state, closed.ball, closed.may) == (ConsultationState.CLOSED, None, frozenset())
    assert [made.move for made in closed.thread] == ["request", "open", "ask", "reply", "answer", "amend", "close"]
    assert closed.thread[2].note == "Avez-vous\nune PAS ?"
    trail = [
        "consultation.requested",
        "consultation.opened",
        "consultation.information_asked",
        "consultation.information_given",
        "opinion.signed",
        "opinion.amended",
        "consultation.closed",
    ]
    for site in ("caen", "rouen"):
        assert [act for act in acts(database, site) if act.startswith(("consultation", "opinion"))] == trail
    chain.seal(database)
    with database.writing() as session:
        assert chain.verify(session).whole


def test_the_site_asked_sees_the_slides_of_the_consultation_and_nothing_else(database, centres, shared, ask, do, look):
    rouen = centres.rouen.pathologist
    with pytest.raises(NotFoundError):
        look(slides.get_slide, rouen, shared.first)
    asked = ask(slides=[shared.first])
    assert look(slides.get_slide, rouen, shared.first).id == shared.first
    assert look(exchange.showing, rouen, shared.first).id == asked
    for hidden in (shared.second, shared.unready, shared.other_case):
        with pytest.raises(NotFoundError):
            look(slides.get_slide, rouen, hidden)
    for action in set(Action) - {Action.VIEW_SLIDE}:
        with pytest.raises(NotFoundError):
            look(slides.get_slide, rouen, shared.first, action)
    with pytest.raises(NotFoundError):
        look(cases.get_case, rouen, centres.caen.cases[ACCESSION])
    assert look(cases.list_cases, rouen)
    assert all(c.site_id == "rouen" for c in look(cases.list_cases, rouen))
    found = look(exchange.get, rouen, asked)
    assert (found.case, found.case_id) == (None, None)
    assert [slide.id for slide in found.veiled.slides] == [shared.first]


def test_nobody_else_sees_anything_of_it(database, centres, shared, ask, do, look):
    asked = ask()
    outsiders = [
        *(m for c in (centres.lille,) for m in (c.pathologist, c.technician, c.lab_manager)),
        centres.rouen.technician,
        centres.rouen.lab_manager,
    ]
    for outsider in outsiders:
        with pytest.raises(NotFoundError):
            look(exchange.get, outsider, asked)
        with pytest.raises(NotFoundError) as refused:
            look(slides.get_slide, outsider, shared.first)
        assert refused.value.refusal.site_id == "caen"
        assert look(exchange.unread, outsider) == 0
        assert look(exchange.inbox, outsider) == exchange.Inbox((), (), ())
        for move in set(Move) - {Move.REQUEST, Move.ANSWER, Move.AMEND}:
            with pytest.raises(NotFoundError):
                do(consultations.move, outsider, asked, move, "note")
        with pytest.raises(NotFoundError):
            do(consultations.answer, outsider, asked, agreement=Agreement.AGREE, text="Oui.")


def test_a_colleague_who_was_not_asked_by_name_sees_nothing(database, centres, shared, ask, look):
    with database.writing() as session:
        sites.add_member(
            session, centres.rouen.id, login="autre", name="Autre", role=Role.PATHOLOGIST, password_hash="x"
        )
        other = sites.member_by_login(session, "autre").member
    asked = ask()
    with pytest.raises(NotFoundError):
        look(exchange.get, other, asked)
    with pytest.raises(NotFoundError):
        look(slides.get_slide, other, shared.first)
    pool = ask(to_member=None, to_site=centres.rouen.id, slides=[shared.first])
    assert look(exchange.get, other, pool).ball is Side.CONSULTANT
    assert [c.id for c in look(exchange.inbox, other).to_do] == [pool]
    with database.writing() as session:
        consultations.move(session, centres.rouen.pathologist, pool, Move.ACCEPT)
    assert look(exchange.inbox, other).to_do == ()
    assert {c.id for c in look(exchange.inbox, centres.rouen.pathologist).to_do} == {asked, pool}


@pytest.mark.parametrize("ending", [Move.DECLINE, Move.CANCEL, Move.CLOSE])
def test_an_ending_takes_the_slides_back_at_once_and_moves_the_epoch(database, centres, shared, ask, do, look, ending):
    caen, rouen = centres.caen.pathologist, centres.rouen.pathologist
    asked = ask()
    do(exchange.open_, rouen, asked)
    if ending is Move.CLOSE:
        do(consultations.answer, rouen, asked, agreement=Agreement.AGREE, text="D'accord.")
    assert look(slides.get_slide, rouen, shared.first)
    before = look(epoch.read)
    do(consultations.move, rouen if ending is Move.DECLINE else caen, asked, ending, "Pas de mon ressort.")
    assert look(epoch.read) == before + 1
    with pytest.raises(NotFoundError):
        look(slides.get_slide, rouen, shared.first)
    after = look(exchange.get, rouen, asked)
    assert (after.ball, after.shows_slides, after.may) == (None, False, frozenset())
    for late in (
        lambda: do(consultations.answer, rouen, asked, agreement=Agreement.AGREE, text="Oui."),
        lambda: do(consultations.move, rouen, asked, Move.ACCEPT),
        lambda: do(consultations.move, caen, asked, Move.CANCEL),
    ):
        with pytest.raises(ConflictError, match="nothing more can be done in it") as refused:
            late()
        assert refused.value.refusal.entities[0].id == asked
    assert look(exchange.get, rouen, asked) == after


def test_a_slide_that_leaves_the_case_leaves_the_consultation(database, centres, shared, ask, do, look):
    asked = ask()
    before = look(epoch.read)
    do(slides.assign, centres.caen.technician, shared.second, centres.caen.cases["26H01235"])
    assert look(epoch.read) == before + 1
    with pytest.raises(NotFoundError):
        look(slides.get_slide, centres.rouen.pathologist, shared.second)
    assert [s.id for s in look(exchange.get, centres.rouen.pathologist, asked).veiled.slides] == [shared.first]


def test_a_request_undone_in_ten_seconds_never_was(database, clock, centres, ask, do, look):
    asked = ask()
    clock.advance(seconds=10)
    do(consultations.undo, centres.caen.pathologist, asked)
    assert look(exchange.inbox, centres.rouen.pathologist) == exchange.Inbox((), (), ())
    assert look(exchange.unread, centres.rouen.pathologist) == 0
    with pytest.raises(NotFoundError):
        look(exchange.get, centres.rouen.pathologist, asked)
    with database.reading() as session:
        assert session.scalars(select(OutboxRow.state)).all() == ["dropped"]


def test_after_ten_seconds_a_request_is_cancelled_not_undone(database, clock, centres, ask, do, look):
    asked = ask()
    clock.advance(seconds=10.001)
    with pytest.raises(ConflictError, match="ten seconds are over"):
        do(consultations.undo, centres.caen.pathologist, asked)
    do(consultations.move, centres.caen.pathologist, asked, Move.CANCEL)
    assert look(exchange.get, centres.rouen.pathologist, asked).state is ConsultationState.CANCELLED
    assert look(exchange.unread, centres.rouen.pathologist) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to_member": None}, "Choose whom you ask"),
        ({"to_member": "nobody"}, "Nobody can answer there"),
        ({"question": " \n "}, "The question is empty"),
        ({"question": "Que pensez-vous de Mme EXEMPLE ?"}, "take it out"),
        ({"question": "camille   Exemple a-t-elle"}, "take it out"),
        ({"question": "voir 26 h 01234"}, "take it out"),
        ({"view": "javascript:alert(1)//<"}, "no view of a slide"),
        ({"slides": []}, "Only slides of this case"),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_words(database, centres, ask, look, changes, words):
    with pytest.raises(InvalidError, match=words):
        ask(**changes)
    assert look(exchange.inbox, centres.caen.pathologist) == exchange.Inbox((), (), ())


def test_an_example_is_no_patient(ask):
    assert ask(question="Par exemple un carcinome ?")


def test_slides_that_are_not_of_the_case_or_not_ready_are_refused_and_that_stands_in_the_audit(ask, shared, database):
    for changes in (
        {"slides": [shared.first, shared.other_case]},
        {"slides": [shared.first, shared.unready]},
        {"slide_id": shared.other_case},
        {"slides": [shared.second]},
    ):
        with pytest.raises(InvalidError, match="Only slides of this case") as refused:
            ask(**changes)
        audit.record_refusal(database, refused.value.refusal)
    assert acts(database, "caen").count(Act.ACCESS_REFUSED) == 4


def test_only_the_owner_asks_about_a_case(database, centres, shared, do):
    for subject, error in (
        (centres.rouen.pathologist, NotFoundError),
        (centres.caen.technician, RefusedError),
        (centres.caen.lab_manager, RefusedError),
    ):
        with pytest.raises(error) as refused:
            do(
                consultations.request,
                subject,
                centres.caen.cases[ACCESSION],
                question=QUESTION,
                slide_id=shared.first,
                to_member=centres.lille.pathologist.id,
            )
        assert refused.value.refusal.site_id == "caen"


def test_a_colleague_whose_account_is_closed_cannot_be_asked_and_is_shown_to_be_gone(database, centres, ask, do, look):
    asked = ask()
    assert not look(exchange.get, centres.caen.pathologist, asked).consultant_gone
    do(sites.disable_member, centres.rouen.pathologist.id)
    with pytest.raises(InvalidError, match="the account is closed") as refused:
        ask()
    assert refused.value.refusal.reason == "nobody there could answer"
    found = look(exchange.get, centres.caen.pathologist, asked)
    assert found.consultant_gone
    assert not found.to_member.active


def test_what_a_member_asked_who_has_left_falls_to_the_colleagues(database, centres, ask, do, look):
    asked = ask()
    do(sites.add_member, centres.caen.id, login="suite", name="Suite", role=Role.PATHOLOGIST, password_hash="x")
    heir = look(sites.member_by_login, "suite").member
    assert look(exchange.inbox, heir) == exchange.Inbox((), (), ())
    do(sites.disable_member, centres.caen.pathologist.id)
    assert [c.id for c in look(exchange.inbox, heir).waiting] == [asked]
    do(consultations.move, heir, asked, Move.CANCEL)


def test_a_message_is_needed_where_silence_says_nothing_and_may_not_name_the_patient(centres, ask, do):
    asked, rouen = ask(), centres.rouen.pathologist
    for move in (Move.DECLINE, Move.ASK):
        with pytest.raises(InvalidError, match="The message is empty"):
            do(consultations.move, rouen, asked, move, " ")
    do(consultations.move, rouen, asked, Move.ASK, "Une PAS ?")
    with pytest.raises(InvalidError, match="take it out"):
        do(consultations.move, centres.caen.pathologist, asked, Move.REPLY, "Celle de EXEMPLE")
    with pytest.raises(InvalidError, match="functions of their own"):
        do(consultations.move, rouen, asked, Move.ANSWER)


def test_of_two_answers_at_once_one_is_signed(database, clock, centres, ask, do, look):
    asked = ask()
    barrier, outcomes = threading.Barrier(8), []

    def answer(number):
        barrier.wait()
        try:
            do(consultations.answer, centres.rouen.pathologist, asked, agreement=Agreement.AGREE, text=f"{number}")
            outcomes.append("signed")
        except ConflictError as error:
            outcomes.append("refused" if error.refusal else "?")

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["signed"]
    assert len(look(exchange.get, centres.caen.pathologist, asked).opinions) == 1


def test_a_request_sent_again_because_no_answer_came_is_the_same_one(database, centres, ask, do, look):
    key = new_id()
    barrier, answers = threading.Barrier(6), []

    def send():
        barrier.wait()
        answers.append(ask(consultation_id=key))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    do(exchange.open_, centres.rouen.pathologist, key)
    answers.append(ask(consultation_id=key))
    assert answers == [key] * 7
    assert look(exchange.get, centres.caen.pathologist, key).state is ConsultationState.OPENED
    assert acts(database, "caen").count(Act.CONSULTATION_REQUESTED) == 1
    with database.reading() as session:
        assert len(session.scalars(select(OutboxRow.id)).all()) == 1


def test_an_id_that_somebody_else_drew_opens_nothing_and_changes_nothing(database, centres, ask, look):
    key = ask()
    rouen = centres.rouen
    with database.writing() as session:
        theirs = add_slide(session, rouen, "26R00077")
    with pytest.raises(ConflictError), database.writing() as session:
        consultations.request(
            session,
            rouen.pathologist,
            rouen.cases["26R00077"],
            question="?",
            slide_id=theirs,
            to_site=centres.lille.id,
            consultation_id=key,
        )
    assert look(exchange.get, centres.caen.pathologist, key).question == QUESTION


@pytest.mark.parametrize("statement", ["UPDATE opinion SET text = 'x'", "DELETE FROM opinion"])
def test_a_signed_opinion_cannot_be_changed(database, centres, ask, do, statement):
    asked = ask()
    do(consultations.answer, centres.rouen.pathologist, asked, agreement=Agreement.AGREE, text="Oui.")
    with pytest.raises(DBAPIError, match="takes no"), database.writing() as session:
        session.execute(text(statement))
    with database.reading() as session:
        assert session.scalars(select(OpinionRow.text)).all() == ["Oui."]


def test_a_reading_across_stands_in_both_chains(database, centres, shared, ask, look):
    asked = ask(purpose=Purpose.TUMOUR_BOARD)
    with database.writing() as session:
        slide = slides.get_slide(session, centres.rouen.pathologist, shared.first)
        assert readings.open_reading(session, centres.rouen.pathologist, slide)
        assert not readings.open_reading(session, centres.rouen.pathologist, slide)
    with database.reading() as session:
        rows = session.execute(
            select(AuditEventRow.site_id, AuditEventRow.case_id, AuditEventRow.purpose, AuditEventRow.entities)
            .where(AuditEventRow.act == Act.SLIDE_OPENED)
            .order_by(AuditEventRow.site_id)
        ).all()
    assert [(r.site_id, r.case_id, r.purpose) for r in rows] == [
        ("caen", centres.caen.cases[ACCESSION], "tumour_board"),
        ("rouen", None, "tumour_board"),
    ]
    assert all(asked in r.entities for r in rows)


def test_colleagues_asked_lately_come_first(clock, centres, ask, look, do):
    caen = centres.caen.pathologist
    assert [c.site_id for c in look(exchange.colleagues, caen)] == ["experts", "lille", "rouen"]
    ask()
    clock.advance(minutes=1)
    assert [c.site_id for c in look(exchange.colleagues, caen)] == ["rouen", "experts", "lille"]
    ask(to_member=centres.lille.pathologist.id)
    assert [c.site_id for c in look(exchange.colleagues, caen)] == ["lille", "rouen", "experts"]
    do(sites.disable_member, centres.lille.pathologist.id)
    assert [c.site_id for c in look(exchange.colleagues, caen)] == ["rouen", "experts"]
    with pytest.raises(RefusedError):
        look(exchange.colleagues, centres.caen.technician)


def test_looking_once_more_counts_nothing_and_moves_nothing(database, centres, ask, do, look):
    asked = ask()
    for _ in range(2):
        do(exchange.open_, centres.rouen.pathologist, asked)
    assert [m.move for m in look(exchange.get, centres.caen.pathologist, asked).thread] == ["request", "open"]
    assert look(exchange.of_case, centres.caen.pathologist, centres.caen.cases[ACCESSION])[0].id == asked
    assert look(exchange.of_case, centres.rouen.pathologist, centres.caen.cases[ACCESSION]) == []


def test_the_lab_manager_ends_what_the_site_shares(database, centres, ask, do, look):
    asked, answered = ask(), ask()
    do(consultations.answer, centres.rouen.pathologist, answered, agreement=Agreement.AGREE, text="Oui.")
    for subject, error in (
        (centres.rouen.lab_manager, NotFoundError),
        (centres.caen.technician, RefusedError),
    ):
        with pytest.raises(error):
            do(consultations.end, subject, asked)
    for each in (asked, answered):
        do(consultations.end, centres.caen.lab_manager, each)
    states = {c.id: c.state for c in look(exchange.inbox, centres.caen.pathologist).recent}
    assert states == {asked: ConsultationState.CANCELLED, answered: ConsultationState.CLOSED}
    with pytest.raises(ConflictError):
        do(consultations.end, centres.caen.lab_manager, asked)


def test_a_clock_that_goes_back_two_days_loses_no_order(database, clock, centres, ask, do, look):
    asked = ask()
    clock.advance(hours=-48)
    do(consultations.move, centres.rouen.pathologist, asked, Move.ACCEPT)
    assert look(exchange.unread, centres.caen.pathologist) == 1
    assert [m.move for m in look(exchange.get, centres.caen.pathologist, asked).thread] == ["request", "accept"]


def test_many_consultations_are_read_in_few_queries(database, centres, shared, ask, look):
    for _ in range(3):
        ask()
    counted = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    assert len(look(exchange.inbox, centres.rouen.pathologist).to_do) == 3
    few = len([s for s in counted if s.lstrip().startswith("SELECT")])
    assert few <= 16
