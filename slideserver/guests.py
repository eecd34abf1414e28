"""What somebody whom a link admitted is told when it admits nobody any more: in words, and as the pages name it."""

from collections.abc import Mapping

from sharing.vocabulary import LinkState


def N_(message: str) -> str:
    """Marks a message for the catalogues; it is translated where it is shown."""
    return message


ENDS: Mapping[LinkState, str] = {
    LinkState.EXPIRED: N_("This link has expired. Ask the person who sent it to you for a new one."),
    LinkState.REVOKED: N_("This link was withdrawn by the centre that made it. Ask the person who sent it to you."),
    LinkState.MAKER_GONE: N_("Whoever made this link may no longer share these slides. Ask the centre for a new one."),
    LinkState.OBJECTED: N_("These slides may no longer be shown for this purpose. Ask the person who sent it to you."),
    LinkState.USED_UP: N_(
        "This link has been used as often as it may. Ask the person who sent it to you for a new one."
    ),
}

PROBLEMS: Mapping[LinkState, str] = {
    LinkState.EXPIRED: "expired",
    LinkState.REVOKED: "revoked",
    LinkState.MAKER_GONE: "maker",
    LinkState.OBJECTED: "objected",
    LinkState.USED_UP: "used_up",
}

LOST = N_("This browser does not know by which link you came. Open the link that was sent to you once more.")
"""To somebody on a guest's page without a guest's cookie, who has no password to sign in with."""
