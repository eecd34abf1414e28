"""What `sharing` and `tiler` say when something cannot be done, in the language of whoever did it.

Its errors are English sentences. Those that are always the same are message ids; those that carry a value are taken
apart by a pattern, so that the sentence can be translated around it.
"""

import re
from collections.abc import Callable, Mapping


def N_(message: str) -> str:
    """Marks a message for the catalogues; it is translated where it is shown."""
    return message


FIXED: tuple[str, ...] = (
    N_("This is no place in the audit log. Start again from its first page."),
    N_("This is no place in the list of shares. Start again from its first page."),
    N_("A slide can only join a case of its own site."),
    N_("Choose whom you ask."),
    N_("Nobody can answer there: the account is closed, or there is no pathologist. Choose another colleague."),
    N_("Only slides of this case that are ready can be shown, the one of the view among them. Choose again."),
    N_("The ten seconds are over, so this was sent. It can still be cancelled from its page."),
    N_("This consultation has not got that far. Reload the page to see where it stands."),
    N_("This consultation has been taken on already. Reload the page to see where it stands."),
    N_("More information was asked for, and the other side has the ball. Reload the page."),
    N_("This consultation is answered already. Reload the page to read the opinion."),
    N_("This consultation was declined, so nothing more can be done in it. Ask somebody else."),
    N_("This consultation is closed, so nothing more can be done in it. Ask anew if need be."),
    N_("This consultation was cancelled, so nothing more can be done in it."),
    N_("A link lasts until a moment between now and 90 days from now. Choose its end again."),
    N_("This link was revoked already; nobody gets in by it."),
    N_(
        "This server sends no mail, so no code can reach the recipient. Leave the address empty, or ask the person who "
        "manages the server."
    ),
    N_("This is more than ten years. Choose a shorter period."),
    N_("This is no view of a slide. Open the slide again and pin the view anew."),
    N_("Somebody was faster: this has been decided. Reload the page to see how."),
    N_("Somebody was faster: this consultation has just moved. Reload the page to see where it stands."),
    N_("Only a slide that is ready can be downloaded. Look in Reception how this one stands."),
    N_("The file of this slide is not where it was stored. Tell the person who manages the server."),
    # of accounts
    N_("The role is empty. Choose one."),
    N_("This is your own account. Another administrator of the site can change it."),
    N_("This account is closed, and stays so. Open a new one if the person is back."),
    N_("The password has just been changed elsewhere. Sign in with the new one."),
    N_(
        "The patient objects to teaching, so nothing of this case can be shown for it. Choose care or a tumour board "
        "if that is what it is for; your data protection officer knows more."
    ),
    N_(
        "The patient objects to research, so nothing of this case can be shown for it. Choose care or a tumour board "
        "if that is what it is for; your data protection officer knows more."
    ),
    N_(
        "The patient objects to analysis by programs, so nothing of this case can be shown for it. Choose care or a "
        "tumour board if that is what it is for; your data protection officer knows more."
    ),
    N_("Choose at least one purpose to which the patient objects: teaching, research or programs."),
    N_("This objection is in the register already. Reload the page to see it."),
    N_("This objection was withdrawn already. Reload the page to see it."),
    N_("Say how the objection reached you: by letter, by mail, in person or another way."),
    # of slides (`tiler.descriptor`)
    N_(
        "The levels of this slide are not halves of each other in tiles of one size, so it cannot be told as Deep Zoom "
        "or IIIF. Open it in the viewer of this site."
    ),
    N_(
        "The tiles of this slide are not square, so it cannot be told as Deep Zoom. Use its IIIF address, or open it "
        "in the viewer of this site."
    ),
    N_(
        "The tiles of this slide are WebP images, so it cannot be told as Deep Zoom or IIIF, whose addresses here say "
        "JPEG. Open it in the viewer of this site."
    ),
)

FIELDS: Mapping[str, str] = {
    "The question": N_("The question"),
    "The message": N_("The message"),
    "The opinion": N_("The opinion"),
    "The reason": N_("The reason"),
    "The recipient": N_("The recipient"),
    "The login": N_("The login"),
    "The name": N_("The name"),
}

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"The login (?P<login>.+) is taken, or there is no site .+"),
        N_("The login %(login)s is taken, here or at another centre. Choose another."),
    ),
    (
        re.compile(r"(?P<address>.+) is no mail address\. It looks like name@hospital\.example\."),
        N_("%(address)s is no mail address. It looks like name@hospital.example."),
    ),
    (
        re.compile(r"A link can be used from once to (?P<most>\d+) times\. Choose the number again\."),
        N_("A link can be used from once to %(most)s times. Choose the number again."),
    ),
    (
        re.compile(r"The draft has (?P<length>\d+) characters; at most (?P<limit>\d+) are kept\. Shorten it\."),
        N_("The draft has %(length)s characters; at most %(limit)s are kept. Shorten it."),
    ),
    (
        re.compile(r"(?P<field>[\w' ]+) is empty\. Give at least one character\."),
        N_("%(field)s is empty. Write at least a word."),
    ),
    (
        re.compile(
            r"(?P<field>[\w' ]+) has (?P<length>\d+) characters; at most (?P<limit>\d+) are kept\. Shorten it\."
        ),
        N_("%(field)s has %(length)s characters; at most %(limit)s are kept. Shorten it."),
    ),
    (
        re.compile(r"(?P<field>[\w' ]+) contains “(?P<word>.+)”, which tells whose case this is\..*", re.DOTALL),
        N_(
            "%(field)s contains “%(word)s”, which tells whose case this is. It will be read outside your centre: take "
            "it out and send it again."
        ),
    ),
)


def said(sentence: str, translate: Callable[[str], str]) -> str:
    """The sentence of an error as `translate` has it; the English one if nobody has translated it."""
    for pattern, message in PATTERNS:
        match = pattern.fullmatch(sentence)
        if match:
            values = match.groupdict()
            if "field" in values:
                values["field"] = translate(values["field"])
            return translate(message) % values
    return translate(sentence)
