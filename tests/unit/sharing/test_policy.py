"""The table of rights, row by row. `may` needs no database yet, so none is given."""

import pytest

from sharing import policy
from sharing.errors import NotFoundError, RefusedError
from sharing.policy import AtSite
from sharing.subjects import Agent, Guest, Member, Stranger, System
from sharing.vocabulary import Action, Entity, GuestId, LinkId, MemberId, Role, ScannerId, SiteId

CAEN, ROUEN = AtSite(SiteId("caen")), AtSite(SiteId("rouen"))
RIGHTS = {
    # P pathologist, T trainee, e technician, L lab manager, D data protection officer, A administrator, X expert
    Action.LIST_CASES: "PTL",
    Action.VIEW_CASE: "PTeL",
    Action.REGISTER_CASE: "eL",
    Action.VIEW_SLIDE: "PTeL",
    Action.VIEW_LABEL: "PTeL",
    Action.PUSH_SLIDE: "PeL",
    Action.ASSIGN_SLIDE: "eL",
    Action.VIEW_INTAKE: "eL",
    Action.READ_AUDIT: "LD",
    Action.ERASE_PERSONAL: "D",
    Action.REQUEST_CONSULTATION: "P",
    Action.VIEW_CONSULTATION: "P",
    Action.FOLLOW_CONSULTATION: "P",
    Action.ANSWER_CONSULTATION: "",
    Action.SHARE_BY_LINK: "P",
    Action.REVOKE_LINK: "PLD",
    Action.VIEW_SHARES: "LD",
    Action.END_SHARE: "LD",
    Action.CERTIFY_SHARES: "LD",
    Action.DOWNLOAD_SLIDE: "P",
    Action.EXPLAIN_ACCESS: "LD",
    Action.VIEW_OBJECTIONS: "D",
    Action.REGISTER_OBJECTION: "D",
    Action.MANAGE_MEMBERS: "A",
}
LETTERS = dict(zip(Role, "PTeLDAX", strict=True))
AGENT = Agent(ScannerId("s"), CAEN.site_id, "Scanner")


def member(role: Role) -> Member:
    return Member(MemberId("m"), CAEN.site_id, "Caen", role, "Somebody", "login")


def test_the_table_is_complete():
    assert set(RIGHTS) == set(Action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_a_role_has_its_rights_at_the_own_site_and_none_elsewhere(action, role):
    assert policy.may(None, member(role), action, CAEN).allowed is (LETTERS[role] in RIGHTS[action])
    elsewhere = policy.may(None, member(role), action, ROUEN)
    assert not elsewhere.allowed
    assert elsewhere.hidden


@pytest.mark.parametrize("action", Action)
def test_an_agent_may_push_for_its_site_and_nothing_else(action):
    assert policy.may(None, AGENT, action, CAEN).allowed is (action is Action.PUSH_SLIDE)
    assert not policy.may(None, AGENT, action, ROUEN).allowed


@pytest.mark.parametrize("action", Action)
def test_a_guest_may_nothing_but_by_the_link_and_learns_of_nothing_else(action):
    for site in (CAEN, ROUEN):
        decision = policy.may(None, Guest(GuestId("g"), LinkId("l"), CAEN.site_id), action, site)
        assert not decision.allowed
        assert decision.hidden


@pytest.mark.parametrize("action", Action)
def test_the_platform_may_all_and_a_stranger_nothing(action):
    assert policy.may(None, System(), action, CAEN).allowed
    assert not policy.may(None, Stranger(), action, CAEN).allowed


def test_a_refusal_says_for_whose_chain_it_is_and_what_was_asked():
    asked = Entity("slide", "x")
    with pytest.raises(NotFoundError) as foreign:
        policy.require(None, member(Role.PATHOLOGIST), Action.VIEW_SLIDE, ROUEN, asked)
    assert foreign.value.refusal.site_id == "rouen"
    assert foreign.value.refusal.entities == (asked,)
    assert str(foreign.value) == str(policy.absent("slide"))
    with pytest.raises(RefusedError, match="not open to the role pathologist") as own:
        policy.require(None, member(Role.PATHOLOGIST), Action.READ_AUDIT, CAEN)
    assert own.value.refusal.action is Action.READ_AUDIT


def test_the_menu_shows_what_the_policy_allows_at_home():
    at_home = [member(role) for role in Role if role is not Role.EXTERNAL_EXPERT]
    for subject in (AGENT, System(), Stranger(), *at_home):
        allowed = {action for action in Action if policy.may(None, subject, action, CAEN).allowed}
        assert policy.actions_of(subject) == allowed


def test_an_expert_has_nothing_at_home_and_the_page_of_what_is_asked_of_him():
    assert policy.actions_of(member(Role.EXTERNAL_EXPERT)) == {Action.VIEW_CONSULTATION}
    assert all(policy.may(None, member(Role.EXTERNAL_EXPERT), action, CAEN).hidden for action in Action)
