"""The policy in words, made from the table by which it decides: `python -m slideserver.charter` prints it.

docs/explanations/policy.md is what it prints; a test holds the two equal. So whoever changes a right sees the sentence
that changes with it, and whoever reads the sentence reads what the program does.
"""

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sharing.rights import ABROAD, CONSULTANTS, DEVICE, GRANTS, HOME, OBJECTIONABLE, ROLES, Grant
from sharing.vocabulary import Action, Purpose, Role
from slideserver.pages.words import PURPOSES
from slideserver.pages.words import ROLES as NAMES

Rights = Mapping[Role, frozenset[Action]]

ACTIONS: Mapping[Action, str] = {
    Action.LIST_CASES: "list the cases of the centre",
    Action.VIEW_CASE: "open a case, with the patient's name and number",
    Action.VIEW_SLIDE: "look at a slide",
    Action.VIEW_LABEL: "look at its label and at the picture of the whole glass",
    Action.DOWNLOAD_SLIDE: "take the file away as the scanner made it",
    Action.PUSH_SLIDE: "bring slides",
    Action.VIEW_INTAKE: "see what arrives, and how the scanners are",
    Action.ASSIGN_SLIDE: "put a slide into a case",
    Action.REGISTER_CASE: "create a case",
    Action.REQUEST_CONSULTATION: "ask another centre for an opinion",
    Action.VIEW_CONSULTATION: "read requests for an opinion and what was answered",
    Action.FOLLOW_CONSULTATION: "make the moves of the side that asked",
    Action.ANSWER_CONSULTATION: "answer a request of another centre",
    Action.SHARE_BY_LINK: "make a guest link",
    Action.REVOKE_LINK: "revoke a guest link (a pathologist: the own ones)",
    Action.VIEW_SHARES: "see what the centre shares, with whom and why",
    Action.END_SHARE: "end what somebody of the centre shares",
    Action.CERTIFY_SHARES: "issue the certificate of what was shared of a case",
    Action.READ_AUDIT: "read the journal",
    Action.ERASE_PERSONAL: "erase what the journal says of persons",
    Action.EXPLAIN_ACCESS: "ask why somebody else can or cannot see a slide of the centre",
    Action.VIEW_OBJECTIONS: "read the register of objections",
    Action.REGISTER_OBJECTION: "enter and withdraw objections",
    Action.MANAGE_MEMBERS: "open, change and close accounts",
}
"""What each act is called, in the order of the table."""

HEAD = """\
# The policy in words

<!-- Made by `python -m slideserver.charter` from sharing/rights.py. Change the table there, then make this again. -->

Who may do what, to whose slides, for what. [`sharing/rights.py`](../../sharing/rights.py) declares it,
[`sharing/policy.py`](../../sharing/policy.py) decides by it, and this page is made from it.
[ADR 24](../adr/0024-roles-purposes-objections.md) says why it is so.

Three rules come before all tables:

- **A case stays at its centre.** Nobody of another centre lists it or opens it. What crosses the border are slides, one
  by one, each because somebody who may share them named them, for a purpose, until an end.
- **What is not allowed looks as if it did not exist**, in status, words and size of the answer. Roles are no secret:
  what no member of a role may ever do is refused as such, before anything is looked for.
- **Every decision is made anew from what is true then.** No grant is stored, so none can be forgotten. When a right
  ends, no server shows another picture by it after one second.

## At the own centre

What members of a role may do with what their own centre owns.

"""

AFTER_ROLES = """
A site administrator looks after accounts and reads no patient's data. A data protection officer sees that something
was shared, with whom and why, and finds patients by name to enter an objection, and opens neither case nor slide. An
external expert belongs to a centre that owns no slides, and reads what is asked of him by name, and nothing else.

A trainee's reading at the own centre is care: whoever learns there works there, under the same secrecy. *Teaching*,
as a purpose, is what is shown to others.

"""

BORDER = """
## Across the border

Two things open a slide outside its centre: a **consultation**, for whoever is asked, and a **link**, for a guest who
holds its secret (and, where the link names a recipient, reads the mail of that address). Both show the slides that were
named and no other slide of the case; a slide that is put into another case has left both. A link shows the very bytes
it was made for.

"""

OBJECTIONS = """
## Objections

"""

ENDS = """
An objection is entered by the data protection officer for a *patient* and a purpose. It covers all cases of that
patient at the centre and those to come: the cases that agree in name, year of birth and sex. Cases of nearly the same
identity are shown beside it, to be included or not. It asks nobody's leave: from its transaction on, no link and no
consultation of that purpose shows a slide, and none can be made. The words of a consultation stay readable on both
sides. At home nothing is hidden, but every reader of the case is told. Withdrawn, it is in the register still, and what
is not over shows again.

## What ends a right

| what happens | what it ends |
|---|---|
| a consultation is declined, closed or cancelled | what it showed to the other centre |
| a link is revoked, expires, or its maker loses the right to the case | what it showed to its guests |
| an objection is entered | every link and consultation of that purpose, for all of the patient's cases |
| an account is closed, or its role changed | its sessions, its links, and what it was asked by name |
| a slide is put into another case | its place in all that was shared of the case before |

All of it within a second, on every way by which a picture leaves.

## Why can, or can I not, see this?

Every page that refuses, and the head of every slide, leads to `/why`. Who sees something is told by which right, until
when, and what stays hidden. Who does not is told what may be the reason, in the same words whether the thing exists or
not.
"""


def text(roles: Rights = ROLES) -> str:
    """The document, as Markdown."""
    asked = [role for role in Role if role in CONSULTANTS]
    explainers = [role for role in Role if Action.EXPLAIN_ACCESS in roles[role]]
    left_alone = [PURPOSES[purpose] for purpose in Purpose if purpose not in OBJECTIONABLE]
    return "".join(
        [
            HEAD,
            *_table(["", *(NAMES[role] for role in Role)], _rights(roles)),
            AFTER_ROLES,
            _paragraph(f"The program beside a scanner may {_acts(DEVICE)}, and nothing else."),
            BORDER,
            _paragraph(
                f"Asked can be {_people(asked)}, an expert by name alone. They may {_acts(ABROAD)}; a guest may "
                f"{ACTIONS[Action.VIEW_SLIDE]}, and nothing else."
            ),
            "\nThe purpose says what of the case goes with the picture, the organ, the stain and the block:\n\n",
            *_table(
                ["", "sex and age", "name, number, year of birth", "label", "file"],
                [["at home, as far as the role lets", *_shown(HOME)]]
                + [[PURPOSES[purpose], *_shown(GRANTS[purpose])] for purpose in Purpose],
            ),
            OBJECTIONS,
            _paragraph(
                f"A patient can object to {_list(PURPOSES[p] for p in Purpose if p in OBJECTIONABLE)}. "
                f"{_list(left_alone).capitalize()} rest on another ground, the treatment itself, and are left alone."
            ),
            ENDS,
            "\n",
            _paragraph(
                f"For the slides of the own centre, {_people(explainers)} may ask about anybody, and are told the "
                "truth; that they asked is on record."
            ),
        ]
    )


def _rights(roles: Rights) -> Iterator[list[str]]:
    for action, words in ACTIONS.items():
        if any(action in allowed for allowed in roles.values()):
            yield [words, *(_cell(role, action in roles[role]) for role in Role)]


def _cell(role: Role, allowed: bool) -> str:
    if not allowed:
        return ""
    return "as asked" if role is Role.EXTERNAL_EXPERT else "yes"


def _shown(grant: Grant) -> list[str]:
    return ["yes" if shown else "no" for shown in (grant.person, grant.identity, grant.label, grant.download)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |\n"
    yield f"|{'---|' * len(heads)}\n"
    for row in rows:
        yield f"| {' | '.join(row)} |\n"


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _acts(actions: Collection[Action]) -> str:
    return _list(words for action, words in ACTIONS.items() if action in actions)


def _people(roles: Iterable[Role]) -> str:
    return _list(f"{NAMES[role].lower()}s" for role in roles)


def _paragraph(words: str) -> str:
    return textwrap.fill(words, 120, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
