"""The policy in words is the policy."""

from pathlib import Path

from sharing.rights import GRANTS, HOME, OBJECTIONABLE, ROLES
from sharing.vocabulary import Action, Purpose, Role
from slideserver import charter

DOCUMENT = Path(charter.__file__).parents[1] / "docs" / "explanations" / "policy.md"


def test_the_document_is_made_from_the_table():
    assert DOCUMENT.read_text("utf-8") == charter.text(), "python -m slideserver.charter > docs/explanations/policy.md"


def test_every_action_has_words_and_every_right_a_line():
    assert set(charter.ACTIONS) == set(Action)
    told = charter.text()
    for action in frozenset().union(*ROLES.values()):
        assert f"| {charter.ACTIONS[action]} |" in told


def test_a_changed_table_changes_the_document():
    changed = {**ROLES, Role.TRAINEE: frozenset({Action.DOWNLOAD_SLIDE})}
    assert charter.text(changed) != DOCUMENT.read_text("utf-8")


def test_no_purpose_promises_what_the_veil_never_lets_through():
    """`sharing.veil` has no place for a name, a number, a label or a file."""
    assert set(GRANTS) == set(Purpose)
    for grant in GRANTS.values():
        assert (grant.identity, grant.label, grant.download) == (False, False, False)
    assert HOME.identity
    assert HOME.label
    assert not OBJECTIONABLE & {Purpose.CARE, Purpose.TUMOUR_BOARD}
