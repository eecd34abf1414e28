"""Whatever anybody tries, a consultation stays on the table of moves, and so do the rights that hang on its state."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
from fixtures.cases import add_slides
from fixtures.centres import found_centres
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sharing import consultations, exchange, slides
from sharing.clock import FrozenClock
from sharing.consultations import ALLOWED, SIDES
from sharing.db.engine import open_database
from sharing.errors import ConflictError, NotFoundError, RefusedError
from sharing.vocabulary import Agreement, ConsultationState, Move, Side, new_id

PEOPLE = [
    f"{site}.{role}" for site in ("caen", "rouen", "lille") for role in ("pathologist", "technician", "lab_manager")
]
OVER = {ConsultationState.DECLINED, ConsultationState.CLOSED, ConsultationState.CANCELLED}
MOVES = [move for move in Move if move is not Move.REQUEST]


class Exchange(RuleBasedStateMachine):
    """The model is the table itself, walked by the moves that went through; the checks are who made them."""

    consultations_asked = Bundle("consultations_asked")
    opened: Callable[[], AbstractContextManager[str]]
    """A migrated, empty database for as long as one run of the machine takes; its address."""

    def __init__(self):
        super().__init__()
        self.clock = FrozenClock()
        self.held = ExitStack()
        self.database = open_database(self.held.enter_context(type(self).opened()), self.clock)
        with self.database.writing() as session:
            self.centres = found_centres(session)
            self.shared = add_slides(session, self.centres.caen)
        self.expected = {}
        self.signed = {}
        self.named = {}

    def teardown(self):
        self.database.close()
        self.held.close()

    def person(self, name):
        site, role = name.split(".")
        return getattr(getattr(self.centres, site), role)

    @initialize(target=consultations_asked, by_name=st.booleans())
    def first(self, by_name):
        return self.ask(by_name)

    @precondition(lambda self: len(self.expected) < 3)
    @rule(target=consultations_asked, by_name=st.booleans())
    def another(self, by_name):
        return self.ask(by_name)

    def ask(self, by_name):
        to = {"to_member": self.centres.rouen.pathologist.id} if by_name else {"to_site": self.centres.rouen.id}
        with self.database.writing() as session:
            asked = consultations.request(
                session,
                self.centres.caen.pathologist,
                self.centres.caen.cases["26H01234"],
                question="?",
                slide_id=self.shared.first,
                **to,
            )
        self.expected[asked], self.signed[asked] = [ConsultationState.REQUESTED], 0
        return asked

    @rule(asked=consultations_asked, who=st.sampled_from(PEOPLE), move=st.sampled_from(MOVES))
    def try_move(self, asked, who, move):
        state = self.expected[asked][-1]
        step = ALLOWED[state].get(move)
        maker = {Side.REQUESTER: "caen.pathologist", Side.CONSULTANT: "rouen.pathologist"}[SIDES[move]]
        try:
            with self.database.writing() as session:
                if move in (Move.ANSWER, Move.AMEND):
                    sign = consultations.answer if move is Move.ANSWER else consultations.amend
                    sign(session, self.person(who), asked, agreement=Agreement.AGREE, text="Oui.")
                else:
                    consultations.move(session, self.person(who), asked, move, "note")
        except (NotFoundError, RefusedError):
            assert who != maker or (who == "rouen.pathologist" and self.undone(asked))
        except ConflictError:
            assert who == maker
            assert step is None
        else:
            assert who == maker
            assert step is not None
            self.expected[asked].append(step.to)
            self.signed[asked] += move in (Move.ANSWER, Move.AMEND)

    @rule(asked=consultations_asked, who=st.sampled_from(PEOPLE))
    def look(self, asked, who):
        try:
            with self.database.writing() as session:
                found = exchange.open_(session, self.person(who), asked)
        except (NotFoundError, RefusedError):
            assert who not in ("caen.pathologist", "rouen.pathologist") or self.undone(asked)
        else:
            assert who in ("caen.pathologist", "rouen.pathologist")
            if who == "rouen.pathologist" and self.expected[asked][-1] is ConsultationState.REQUESTED:
                self.expected[asked].append(ConsultationState.OPENED)
            assert found.state is self.expected[asked][-1]
            assert found.may == {m for m, step in ALLOWED[found.state].items() if step.by is found.side}

    @rule(asked=consultations_asked, who=st.sampled_from(PEOPLE))
    def end(self, asked, who):
        state = self.expected[asked][-1]
        try:
            with self.database.writing() as session:
                consultations.end(session, self.person(who), asked)
        except (NotFoundError, RefusedError):
            assert who != "caen.lab_manager"
        except ConflictError:
            assert who == "caen.lab_manager"
            assert state in OVER
        else:
            assert who == "caen.lab_manager"
            self.expected[asked].append(
                ConsultationState.CLOSED if state is ConsultationState.ANSWERED else ConsultationState.CANCELLED
            )

    @rule(seconds=st.sampled_from([-90_000, 1, 11, 4000]))
    def time_passes(self, seconds):
        self.clock.advance(seconds=seconds)

    def undone(self, asked):
        return self.expected[asked] == [ConsultationState.REQUESTED, ConsultationState.CANCELLED]

    @invariant()
    def the_thread_walks_the_table(self):
        with self.database.reading() as session:
            for asked, states in self.expected.items():
                found = exchange.get(session, self.centres.caen.pathologist, asked)
                assert [made.state for made in found.thread] == states
                assert found.state is states[-1]
                assert len(found.opinions) == self.signed[asked]
                for before, made in zip(states, found.thread[1:], strict=False):
                    step = ALLOWED[before][made.move]
                    assert step.to is made.state
                    assert made.by.site_id == ("caen" if step.by is Side.REQUESTER else "rouen")

    @invariant()
    def the_slides_are_open_across_the_border_exactly_while_a_consultation_shows_them(self):
        live = any(states[-1] not in OVER for states in self.expected.values())
        with self.database.reading() as session:
            for name in PEOPLE:
                if name.startswith("caen"):
                    continue
                try:
                    slides.get_slide(session, self.person(name), self.shared.first)
                    seen = True
                except NotFoundError:
                    seen = False
                assert seen is (live and name == "rouen.pathologist")


@pytest.fixture
def opened_sqlite(sqlite_template, tmp_path):
    @contextmanager
    def opened():
        path = tmp_path / f"{new_id()}.db"
        shutil.copyfile(sqlite_template, path)
        yield f"sqlite:///{path}"
        path.unlink()

    return opened


@pytest.fixture
def opened_postgresql(postgres):
    @contextmanager
    def opened():
        name = f"iain_{new_id()}"
        yield postgres.create(name, template="iain_template")
        postgres.drop(name)

    return opened


@pytest.mark.parametrize(("engine", "runs"), [("sqlite", 15), ("postgresql", 6)])
def test_no_sequence_of_moves_by_anybody_leaves_the_table(request, engine, runs):
    machine = type("Exchange", (Exchange,), {"opened": staticmethod(request.getfixturevalue(f"opened_{engine}"))})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
