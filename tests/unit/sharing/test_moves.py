"""The table of moves itself: it has no dead end but the three endings, and no move that two sides could make."""

from sharing import policy
from sharing.consultations import ACTS, ALLOWED, BALL, CANNOT
from sharing.vocabulary import ConsultationState, Move

OVER = {ConsultationState.DECLINED, ConsultationState.CLOSED, ConsultationState.CANCELLED}


def test_the_tables_are_complete():
    assert set(ALLOWED) == set(BALL) == set(CANNOT) == set(ConsultationState)
    assert set(ACTS) == set(Move)


def test_nothing_leads_out_of_an_ending_and_an_ending_shows_no_slides():
    assert {state for state, steps in ALLOWED.items() if not steps} == OVER
    assert {state for state, side in BALL.items() if side is None} == OVER
    assert set(ConsultationState) - policy.SHOWING == OVER


def test_every_state_can_be_reached_and_every_other_can_end():
    reached, new = set(), {ConsultationState.REQUESTED}
    while new:
        reached |= new
        new = {step.to for state in new for step in ALLOWED[state].values()} - reached
    assert reached == set(ConsultationState)
    for state in set(ConsultationState) - OVER:
        assert any(step.to in OVER for step in ALLOWED[state].values())


def test_a_move_is_one_sides():
    for move in set(Move) - {Move.REQUEST}:
        assert len({steps[move].by for steps in ALLOWED.values() if move in steps}) == 1
    assert not any(Move.REQUEST in steps for steps in ALLOWED.values())


def test_who_has_the_ball_can_do_something_with_it():
    for state, side in BALL.items():
        assert side is None or side in {step.by for step in ALLOWED[state].values()}
