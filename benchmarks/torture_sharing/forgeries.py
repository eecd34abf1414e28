"""What somebody tries who may not come in by a link: keys, codes and cookies made up, altered, or once right.

An attacker here holds more than most: the keys of links that are over or spent, the key of a link that is bound to
somebody else's mail, codes that were used or replaced, cookies of other links, and a copy of the database's hashes.
"""

import base64
import hashlib
import random
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import update

from sharing import links
from sharing.clock import SECOND_US
from sharing.db.engine import Database
from sharing.db.tables import LinkRow
from sharing.errors import CodeWantedError
from sharing.links import NewLink
from sharing.outbox import Sender
from sharing.vocabulary import Purpose, new_id
from slideserver.auth.cookies import GuestCookie

GUEST_COOKIE = GuestCookie(secure=False).name
RECIPIENT = "someone.else@hospital.example"


@dataclass(frozen=True, slots=True)
class Try:
    """At the door of a link."""

    kind: str
    link_id: str
    secret: str
    code: str = ""


Door = Callable[[Try], bool]
"""Whether it lets in."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A link that is bound to a mail address, and the codes that went there."""

    link: NewLink
    used: str
    replaced: str
    standing: str


@dataclass(frozen=True, slots=True)
class Keyring:
    """What was prepared for the attack. `standing` and `bound` open something; nothing else does any more."""

    standing: NewLink
    other: NewLink
    over: Sequence[NewLink]
    """Revoked, expired, spent: their keys are the right ones."""
    bound: Sequence[Bound]
    token: str
    """Of a guest of `standing`."""
    lost: Sequence[str]
    """Tokens of guests whose link is over, or shows another slide."""


@dataclass
class Tray:
    """Where the mail of `RECIPIENT` goes."""

    mails: list[EmailMessage] = field(default_factory=list)

    def send_message(self, msg: EmailMessage) -> None:
        self.mails.append(msg)

    def code(self, link: NewLink) -> str:
        """The last one for that link: others may have had their mail sent too."""
        told = [mail.get_content() for mail in self.mails if link.reference in mail.get_content()]
        found = re.search(r"^ +(\d{4}) (\d{4})$", told[-1] if told else "", re.MULTILINE)
        if found is None:
            raise RuntimeError("No mail holds a code for this link.")
        return "".join(found.groups())


class Place(Protocol):
    """Where an attack takes place: `slide` is the one that nobody may come to see."""

    database: Database
    centres: Any
    slide: Any


def prepare(on: Place, other_slide: Any, bound: int) -> Keyring:
    """The links of an attack, `bound` of them bound to a mail address; `other_slide` is of Rouen."""
    elsewhere = _link(on, uses=2, maker=on.centres.rouen, slide=other_slide)
    standing, other, revoked, expired, spent = (_link(on, uses=uses) for uses in (100, 100, 2, 2, 1))
    token = links.redeem(on.database, standing.id, standing.secret).token
    lost = [links.redeem(on.database, link.id, link.secret).token for link in (elsewhere, revoked, expired)]
    links.redeem(on.database, spent.id, spent.secret)
    with on.database.writing() as session:
        links.revoke(session, on.centres.caen.pathologist, revoked.id)
        session.execute(update(LinkRow).where(LinkRow.id == expired.id).values(expires_us=session.now_us - SECOND_US))
    return Keyring(standing, other, (revoked, expired, spent), [bind(on) for _ in range(bound)], token, lost)


def at_the_door(keys: Keyring, chance: random.Random, turn: int) -> Try:
    """A key and a code that do not open."""
    link, right = keys.standing.id, keys.standing.secret
    match turn % 12:
        case 0:
            return Try("random", link, secrets.token_urlsafe(32))
        case 1:
            return Try("changed", link, _changed(chance, right))
        case 2:
            return Try("truncated", link, right[: chance.randrange(len(right))])
        case 3:
            return Try("lengthened", link, right + chance.choice(("A", "=", "-", "%00", " A", "\x00", right)))
        case 4:
            return Try("case", link, _other_case(chance, right))
        case 5:
            return Try("re-encoded", link, chance.choice(_encodings(right)))
        case 6:
            return Try("another link's", link, chance.choice((keys.other.secret, keys.bound[0].link.secret, link)))
        case 7:
            return Try("another id", chance.choice((new_id(), keys.other.id, link.upper(), link + "a")), right)
        case 8:
            return Try("the database's", link, hashlib.sha256(right.encode()).hexdigest())
        case 9:
            # One in four of these: each of them is an event, since the key is the right one.
            over = chance.choice(keys.over)
            return Try("over", over.id, over.secret if chance.random() < 0.25 else _changed(chance, over.secret))
        case _:
            return _at_a_code(chance.choice(keys.bound), chance, keys)


def _at_a_code(bound: Bound, chance: random.Random, keys: Keyring) -> Try:
    link, right, code = bound.link.id, bound.link.secret, bound.standing
    match chance.randrange(9):
        case 0:
            return Try("no code", link, right)
        case 1:
            return Try("used code", link, right, bound.used)
        case 2:
            return Try("replaced code", link, right, bound.replaced)
        case 3:
            return Try("another link's code", link, right, _not(code, chance.choice(keys.bound).standing))
        case 4:
            return Try("truncated code", link, right, code[: chance.randrange(1, 8)])
        case 5:
            return Try("changed code", link, right, f"{(int(code) + chance.randrange(1, 10**8)) % 10**8:08}")
        case 6:
            return Try("lengthened code", link, right, code + chance.choice(("0", "9", "x", "\u0663")))
        case 7:
            return Try("code without the key", link, _changed(chance, right), code)
        case _:
            return Try("random code", link, right, _not(code, f"{chance.randrange(10**8):08}"))


def at_a_tile(keys: Keyring, chance: random.Random, turn: int) -> str:
    """A header Cookie that shows nothing of the slide."""
    match turn % 8:
        case 0:
            false = _changed(chance, keys.token)
        case 1:
            false = keys.token[: chance.randrange(len(keys.token))]
        case 2:
            false = _other_case(chance, keys.token)
        case 3:
            false = hashlib.sha256(keys.token.encode()).hexdigest()
        case 4:
            false = chance.choice((keys.standing.secret, keys.standing.id))
        case 5:
            return f"iain_session={keys.token}; iain={keys.token}"
        case 6:
            false = quote(chance.choice(_encodings(keys.token)).encode("utf-8", "replace"))
        case _:
            false = chance.choice(keys.lost)
    return f"{GUEST_COOKIE}={false}"


def unnoticed(keys: Keyring, seed: int, turns: int = 2000) -> list[str]:
    """The doors known to be bad by which the attack does not come in: there must be none."""
    found = []
    for bad in (_by_prefix, _whatever_the_case, _again_and_again):
        door, chance = bad(keys), random.Random(seed)
        if not any(door(at_the_door(keys, chance, turn)) for turn in range(turns)):
            found.append(bad.__doc__ or bad.__name__)
    return found


def _by_prefix(keys: Keyring) -> Door:
    """a door that compares as much of the key as it is given"""
    known: dict[str, str] = {keys.standing.id: keys.standing.secret}
    return lambda t: known.get(t.link_id, "\n").startswith(t.secret)


def _whatever_the_case(keys: Keyring) -> Door:
    """a door to which upper and lower case are one"""
    return lambda t: t.link_id == keys.standing.id and t.secret.lower() == keys.standing.secret.lower()


def _again_and_again(keys: Keyring) -> Door:
    """a door to which a code that was right stays right"""
    right = {(b.link.id, b.link.secret, code) for b in keys.bound for code in (b.used, b.replaced)}
    return lambda t: (t.link_id, t.secret, t.code) in right


def bind(on: Place) -> Bound:
    """A link to `RECIPIENT`, of whose three codes the last one opens."""
    link, tray = _link(on, uses=100, recipient=RECIPIENT), Tray()
    codes: list[str] = []
    for again in (False, True, True):
        try:
            links.redeem(on.database, link.id, link.secret, again=again)
        except CodeWantedError:
            Sender(on.database, "https://iain.example").send_due(tray)
        codes.append(tray.code(link))
        if len(codes) == 1:
            links.redeem(on.database, link.id, link.secret, code=codes[0])
    return Bound(link, *codes)


def _link(on: Place, *, uses: int, recipient: str | None = None, maker: Any = None, slide: Any = None) -> NewLink:
    """To the slide of the stage, by Caen, unless others are named."""
    slide, maker = slide or on.slide, maker or on.centres.caen
    with on.database.writing() as session:
        return links.create(
            session,
            maker.pathologist,
            slide.case_id,
            [slide.id],
            purpose=Purpose.CARE,
            reason="torture",
            expires_us=session.now_us + 3600 * SECOND_US,
            max_uses=uses,
            slide_id=slide.id,
            recipient=recipient,
        )


def _changed(chance: random.Random, right: str) -> str:
    at = chance.randrange(len(right))
    return right[:at] + ("A" if right[at] != "A" else "B") + right[at + 1 :]


def _other_case(chance: random.Random, right: str) -> str:
    at = chance.choice([at for at, letter in enumerate(right) if letter.isalpha()])
    return chance.choice((right[:at] + right[at].swapcase() + right[at + 1 :], right.swapcase()))


def _encodings(right: str) -> tuple[str, ...]:
    raw = base64.urlsafe_b64decode(right + "=")
    return (
        raw.hex(),
        right + "=",
        base64.b64encode(raw).decode(),
        base64.b32encode(raw).decode(),
        base64.b64encode(right.encode()).decode(),
        "".join(f"%{ord(letter):02x}" for letter in right),
        "".join(chr(ord(letter) + 0xFEE0) for letter in right),
        "\u200b" + right,
        f"{right[:-1]}{chr(ord(right[-1]) ^ 1)}",
        right[::-1],
        f'"{right}"',
        "#" + right,
    )


def _not(right: str, code: str) -> str:
    return code if code != right else f"{(int(code) + 1) % 10**8:08}"
