import sys
from collections.abc import Iterator
from contextlib import ExitStack
from subprocess import PIPE, Popen

import pytest

from sharing.clock import FrozenClock
from slideserver.auth.throttle import ACCOUNT, PAIR, SOURCE, Throttle, source_of


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def throttle(clock, tmp_path) -> Iterator[Throttle]:
    throttle = Throttle(clock, tmp_path / "throttle.db")
    yield throttle
    throttle.close()


def admitted(throttle: Throttle, login: str, source: str, tries: int) -> int:
    return sum(throttle.admit(login, source) == 0 for _ in range(tries))


def test_ten_tries_for_an_account_from_one_place_in_a_quarter_of_an_hour(throttle, clock) -> None:
    assert admitted(throttle, "anne", "a", 100) == PAIR == 10
    assert throttle.admit("anne", "a") == 15 * 60
    clock.advance(minutes=14, seconds=59)
    assert throttle.admit("anne", "a") == 1
    clock.advance(seconds=1)
    assert admitted(throttle, "anne", "a", 100) == PAIR


def test_the_window_slides(throttle, clock) -> None:
    for _ in range(PAIR):
        assert throttle.admit("anne", "a") == 0
        clock.advance(minutes=1)
    clock.advance(minutes=5)  # the first try is 15 minutes old
    assert admitted(throttle, "anne", "a", 5) == 1


def test_an_attacker_does_not_lock_the_owner_out_of_another_place(throttle) -> None:
    throttle.succeeded("anne", "office")
    for number in range(200):
        admitted(throttle, "anne", f"attacker-{number}", 20)
    assert throttle.admit("anne", "office") == 0


def test_an_attacker_with_many_addresses_gets_thirty_tries_in_all(throttle) -> None:
    assert sum(admitted(throttle, "anne", f"attacker-{number}", 20) for number in range(200)) == ACCOUNT


def test_one_address_gets_fifty_tries_over_all_accounts(throttle) -> None:
    assert sum(admitted(throttle, f"person-{number}", "a", 5) for number in range(100)) == SOURCE


def test_success_forgets_the_tries_and_gives_the_last_one_back(throttle) -> None:
    for number in range(SOURCE - 1):
        assert throttle.admit(f"person-{number}", "hospital") == 0
    for _ in range(100):  # colleagues behind one address who know their passwords never run into the limit
        assert throttle.admit("anne", "hospital") == 0
        throttle.succeeded("anne", "hospital")


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix-socket", "unix-socket"),
        (None, "unknown"),
    ],
)
def test_what_counts_as_one_source(host, source) -> None:
    assert source_of(host) == source


def test_all_processes_on_a_data_directory_count_together(throttle, clock, tmp_path) -> None:
    other = Throttle(clock, tmp_path / "throttle.db")
    assert admitted(throttle, "anne", "a", 6) == 6
    assert admitted(other, "anne", "a", 100) == PAIR - 6
    assert throttle.admit("anne", "a") > 0
    clock.advance(minutes=15)
    assert other.admit("anne", "a") == 0
    other.succeeded("anne", "a")
    assert admitted(throttle, "anne", "a", 100) == PAIR
    other.close()


# Opens one file after the other, each when told to.
STARTER = """
import sys
from pathlib import Path
from sharing.clock import SystemClock
from slideserver.auth.throttle import Throttle
for path in sys.stdin:
    Throttle(SystemClock(), Path(path.strip())).close()
    print("started", flush=True)
"""


def test_processes_that_start_at_the_same_moment_all_start(tmp_path) -> None:
    with ExitStack() as starters:
        processes = [
            starters.enter_context(Popen([sys.executable, "-c", STARTER], stdin=PIPE, stdout=PIPE, text=True))
            for _ in range(3)
        ]
        for number in range(200):
            for process in processes:
                process.stdin.write(f"{tmp_path / str(number)}.db\n")
                process.stdin.flush()
            for process in processes:
                assert process.stdout.readline() == "started\n", number
