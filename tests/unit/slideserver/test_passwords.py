import re

import pytest
from argon2 import extract_parameters
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from slideserver.auth.passwords import (
    MAX_LENGTH,
    MIN_LENGTH,
    NOBODY,
    OWN_NAME,
    TOO_COMMON,
    TOO_LONG,
    TOO_SHORT,
    Passwords,
    given,
    weakness,
)

ABOUT = ("anne.lambert", "Dr Anne Lambert", "Caen")


def test_a_hash_is_argon2id_at_the_recommended_cost() -> None:
    assert Passwords().hash("correct horse").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_only_the_right_password_is_accepted() -> None:
    passwords = Passwords()
    kept = passwords.hash("correct horse")
    assert passwords.verify(kept, "correct horse")
    assert not passwords.verify(kept, "correct Horse")
    assert not passwords.verify(kept, "")


def test_no_account_and_a_broken_hash_accept_nothing() -> None:
    passwords = Passwords()
    assert not passwords.verify(None, "nobody has this password")
    assert not passwords.verify("not a hash", "anything")


def test_a_login_of_nobody_takes_as_long_as_another() -> None:
    assert extract_parameters(NOBODY) == extract_parameters(Passwords().hash("correct horse"))


def test_a_password_longer_than_any_is_refused_rather_than_cut() -> None:
    passwords = Passwords()
    kept = passwords.hash("x" * MAX_LENGTH)
    assert passwords.verify(kept, "x" * MAX_LENGTH)
    assert not passwords.verify(kept, "x" * (MAX_LENGTH + 1))


@pytest.mark.parametrize(
    "good", ["quatre mots sans rapport", "Zq7!Zq7!xyPP", "ô-temps-suspends", "        x y z w", "é" * 3 + "kjhgwbnvqs"]
)
def test_a_password_of_any_composition_will_do(good):
    assert weakness(good, ABOUT) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("onze lettre", TOO_SHORT),
        ("x" * (MAX_LENGTH + 1), TOO_LONG),
        ("aaaaaaaaaaaa", TOO_COMMON),
        ("abababababab", TOO_COMMON),
        ("motdepasse2026", TOO_COMMON),
        ("Mot-De-Passe!", TOO_COMMON),
        ("azertyazerty1", TOO_COMMON),
        ("azertyuiop12", TOO_COMMON),
        ("123456789012", TOO_COMMON),
        ("poiuytreza!!", TOO_COMMON),
        ("manchesterunited", TOO_COMMON),
        ("Charlotte2019", TOO_COMMON),
        ("1qaz2wsx3edc", TOO_COMMON),
        ("liverpoolfc1" * 9, TOO_COMMON),
        ("anne.lambert26", OWN_NAME),
        ("caen-lambert-1", OWN_NAME),
    ],
)
def test_what_is_guessed_first_is_refused(bad, why):
    assert weakness(bad, ABOUT) == why


def test_no_password_of_the_list_of_the_most_frequent_is_taken():
    frequent = [each for each in FREQUENCY_LISTS["passwords"] if len(each) >= MIN_LENGTH]
    assert len(frequent) > 200
    assert [each for each in frequent if weakness(each, ()) != TOO_COMMON] == []


def test_a_password_that_is_given_is_long_legible_and_new_each_time():
    made = {given() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"([2-9a-hjkmnp-z]{5}-){3}[2-9a-hjkmnp-z]{5}", each) for each in made)
    assert all(weakness(each, ABOUT) is None for each in made)
