"""Every state of a request has its words on both sides, and every move that can be made has its form."""

import ast
from pathlib import Path

import pytest

from sharing import consultations
from sharing.consultations import ALLOWED, CANNOT, FASTER
from sharing.vocabulary import Agreement, ConsultationState, Move, Purpose, Side
from slideserver.i18n import Language, load_catalogues
from slideserver.pages import consulting, words
from slideserver.sentences import FIXED, said

FRENCH = load_catalogues()[Language.FR].gettext


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("state", ConsultationState)
def test_both_sides_are_told_how_it_stands(side, state):
    short, sentence = consulting.TURNS[side][state]
    assert short != sentence
    for message in (short, sentence):
        assert FRENCH(message)


def test_every_move_that_a_person_makes_by_hand_has_a_form():
    moves = {move for steps in ALLOWED.values() for move in steps}
    by_themselves = {Move.OPEN, Move.ANSWER, Move.AMEND}
    assert {step.move for step in consulting.STEPS} == moves - by_themselves
    for step in consulting.STEPS:
        assert bool(step.asks) == (step.move in {Move.DECLINE, Move.ASK, Move.REPLY})


def test_everything_has_a_name():
    assert set(consulting.MOVES) == set(Move)
    assert set(consulting.AGREEMENTS) == set(consulting.CHOICES) == set(Agreement)
    assert set(words.PURPOSES) == set(Purpose)
    assert {state.value for state in ConsultationState} <= words.SHARES.keys()


def test_what_cannot_be_done_is_said_in_french():
    for sentence in (*CANNOT.values(), FASTER):
        assert sentence in FIXED
        assert said(sentence, FRENCH) != sentence


def errors_of_sharing() -> set[str]:
    """The sentences of its errors that a request for an opinion, a link or a share can meet, as they stand in it."""
    found = set()
    for module in ("consultations", "exchange", "links", "shares", "drafts", "veil", "text"):
        tree = ast.parse((Path(consultations.__file__).parent / f"{module}.py").read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("InvalidError", "ConflictError"):
                if isinstance(call.args[0], ast.Constant):
                    found.add(call.args[0].value)
                elif isinstance(call.args[0], ast.JoinedStr):
                    parts = call.args[0].values
                    found.add("".join(str(p.value) if isinstance(p, ast.Constant) else "7" for p in parts))
    return found


def test_whatever_sharing_refuses_is_said_in_french():
    sentences = errors_of_sharing()
    assert len(sentences) > 8
    by_programs_alone = {"A request and an opinion are written by functions of their own."}
    english = [sentence for sentence in sentences - by_programs_alone if said(sentence, FRENCH) == sentence]
    assert english == []


@pytest.mark.parametrize(
    ("english", "french"),
    [
        (
            "The opinion is empty. Give at least one character.",
            "L’avis\u00a0: rien n’est écrit. Écrivez au moins un mot.",
        ),
        (
            "The message has 4001 characters; at most 4000 are kept. Shorten it.",
            "Le message compte 4001 caractères\u202f; 4000 au plus sont gardés. Raccourcissez.",
        ),
        (
            "The question contains “26H01234”, which tells whose case this is. It will be read outside your centre: "
            "take it out and send it again.",
            "La question contient «\u202f26H01234\u202f», qui dit de quel patient il s’agit. Le texte sera lu hors de "
            "votre centre\u00a0: retirez-le et renvoyez.",
        ),
        ("A sentence nobody knows.", "A sentence nobody knows."),
    ],
)
def test_a_sentence_with_a_value_is_translated_around_it(english, french):
    assert said(english, FRENCH) == french
