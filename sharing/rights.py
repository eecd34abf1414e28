"""The rights, declared: what each role may do at its own site, what crosses the border, what a purpose shows.

`sharing.policy` decides by these tables, docs/explanations/policy.md tells them in words, and tests hold every route
against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sharing.vocabulary import Action, Purpose, Role

_READER = {Action.VIEW_CASE, Action.VIEW_SLIDE, Action.VIEW_LABEL}
_ASKER = {
    Action.REQUEST_CONSULTATION,
    Action.VIEW_CONSULTATION,
    Action.FOLLOW_CONSULTATION,
    Action.SHARE_BY_LINK,
    Action.REVOKE_LINK,
}
_OVERSEER = {
    Action.READ_AUDIT,
    Action.VIEW_SHARES,
    Action.END_SHARE,
    Action.REVOKE_LINK,
    Action.CERTIFY_SHARES,
    Action.EXPLAIN_ACCESS,
}
_SENDER = {Action.PUSH_SLIDE}
_INTAKE = {Action.VIEW_INTAKE, Action.ASSIGN_SLIDE, Action.REGISTER_CASE}
_OBJECTIONS = {Action.VIEW_OBJECTIONS, Action.REGISTER_OBJECTION, Action.ERASE_PERSONAL}

ROLES: Mapping[Role, frozenset[Action]] = {
    Role.PATHOLOGIST: frozenset(_READER | _ASKER | _SENDER | {Action.LIST_CASES, Action.DOWNLOAD_SLIDE}),
    Role.TRAINEE: frozenset(_READER | {Action.LIST_CASES}),
    Role.TECHNICIAN: frozenset(_READER | _INTAKE | _SENDER),
    Role.LAB_MANAGER: frozenset(_READER | _INTAKE | _SENDER | _OVERSEER | {Action.LIST_CASES}),
    Role.DATA_PROTECTION_OFFICER: frozenset(_OVERSEER | _OBJECTIONS),
    Role.SITE_ADMINISTRATOR: frozenset({Action.MANAGE_MEMBERS}),
    Role.EXTERNAL_EXPERT: frozenset({Action.VIEW_CONSULTATION}),
}
"""What each role may do at its own site. The site of an external expert owns nothing: he reads what is asked of him."""

DEVICE = frozenset({Action.PUSH_SLIDE})
"""What the program beside a scanner may do at its own site."""

CONSULTANTS = frozenset({Role.PATHOLOGIST, Role.EXTERNAL_EXPERT})
"""The roles that another site can ask for an opinion; an expert by name alone."""
ABROAD = frozenset({Action.VIEW_SLIDE, Action.VIEW_CONSULTATION, Action.ANSWER_CONSULTATION})
"""What a consultation lets them do across the border; a link, for a guest, the first of these alone."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a purpose shows of a case beside the picture, the organ, the stain and the block."""

    person: bool
    """Patient's Sex (0010,0040) and age."""
    identity: bool
    """Accession number, patient's name and year of birth."""
    label: bool
    """The label and the macro picture, which bear names and numbers."""
    download: bool
    """The file as the scanner made it, which holds the label too."""


HOME = Grant(person=True, identity=True, label=True, download=True)
"""What the own site's readers see, as far as their role lets them."""
GRANTS: Mapping[Purpose, Grant] = {
    Purpose.CARE: Grant(person=True, identity=False, label=False, download=False),
    Purpose.TUMOUR_BOARD: Grant(person=True, identity=False, label=False, download=False),
    Purpose.TEACHING: Grant(person=False, identity=False, label=False, download=False),
    Purpose.RESEARCH: Grant(person=False, identity=False, label=False, download=False),
    Purpose.AI: Grant(person=False, identity=False, label=False, download=False),
}
"""What crosses the border for a purpose."""

OBJECTIONABLE = frozenset({Purpose.TEACHING, Purpose.RESEARCH, Purpose.AI})
"""The purposes to which a patient may object; care, and the tumour board, which is care, rest on another ground."""
