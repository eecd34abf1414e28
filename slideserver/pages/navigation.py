"""Which pages a member has, and where a working day begins."""

import re
from dataclasses import dataclass

from sharing.policy import actions_of
from sharing.subjects import Member
from sharing.vocabulary import Action


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the head: `name` is a message id, `key` follows "g" on the keyboard."""

    name: str
    path: str
    key: str
    action: Action


def pages_of(member: Member) -> list[Place]:
    """The pages that the member's role can use at all, in the order of the day's work."""
    allowed = actions_of(member)
    return [place for place in PLACES if place.action in allowed]


def home_of(member: Member) -> str:
    """Where a member's day begins."""
    places = pages_of(member)
    return places[0].path if places else "/login"


def N_(message: str) -> str:
    return message


PLACES = (
    Place(N_("Cases"), "/cases", "c", Action.LIST_CASES),
    Place(N_("Opinions"), "/consultations", "a", Action.VIEW_CONSULTATION),
    Place(N_("Links"), "/links", "l", Action.SHARE_BY_LINK),
    Place(N_("Reception"), "/intake", "r", Action.VIEW_INTAKE),
    Place(N_("Deposit"), "/deposit", "d", Action.PUSH_SLIDE),
    Place(N_("Scanners"), "/scanners", "s", Action.VIEW_INTAKE),
    Place(N_("Objections"), "/objections", "b", Action.VIEW_OBJECTIONS),
    Place(N_("Shares"), "/shares", "p", Action.VIEW_SHARES),
    Place(N_("Open links"), "/links/open", "o", Action.VIEW_SHARES),
    Place(N_("Journal"), "/audit", "j", Action.READ_AUDIT),
    Place(N_("Accounts"), "/members", "u", Action.MANAGE_MEMBERS),
)

_ASKED_FOR = re.compile(r"/(?:slides|intake|g)/(?P<slide>[a-z2-7]{26})|/cases/(?P<case>[a-z2-7]{26})")


def why_of(path: str) -> str:
    """Where it is told why the page at `path` cannot be seen."""
    asked = _ASKED_FOR.match(path)
    if asked is None:
        return "/why"
    return f"/why/{asked['slide']}" if asked["slide"] else f"/why/cases/{asked['case']}"
