from argon2 import extract_parameters

from slideserver.auth.passwords import MAX_LENGTH, NOBODY, Passwords


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
