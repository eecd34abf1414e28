"""Two spellings of one person are found alike, two people are not."""

import pytest

from sharing.patients import nearly_same


@pytest.mark.parametrize(
    ("other", "year"),
    [
        ("EXEMPLE Camille", 1991),
        ("Camille Exemple", None),
        ("EXEMPLE Camile", 1957),
        ("EXÉMPLE Camille", 1957),
        ("EXEMPLE-MODÈLE Camille", 1957),
        ("EXEMPLE Camille Marie", None),
    ],
)
def test_what_may_be_the_same_person(other, year):
    assert nearly_same("EXEMPLE Camille", 1957, other, year)
    assert nearly_same(other, year, "EXEMPLE Camille", 1957)


@pytest.mark.parametrize(
    ("other", "year"),
    [("EXEMPLE Dominique", 1957), ("FICTIVE Camille", 1957), ("EXEMPLE Camile", 1991), ("EXEMPLE", 1957)],
)
def test_what_is_somebody_else(other, year):
    assert not nearly_same("EXEMPLE Camille", 1957, other, year)
    assert not nearly_same(other, year, "EXEMPLE Camille", 1957)
