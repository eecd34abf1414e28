"""Text from outside, made fit to store, to show on one line and to search."""

import unicodedata

from sharing.errors import InvalidError


def line(value: str, what: str, *, limit: int = 200) -> str:
    """`value` on one line: control characters become spaces, edges are trimmed. Raises InvalidError if nothing remains
    or if more than `limit` characters do; `what` names the field in the message.
    """
    # Surrogates come from file names that are no UTF-8; neither they nor NUL can be stored by PostgreSQL.
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in value)
    plain = unicodedata.normalize("NFC", " ".join(plain.split()))
    if not plain:
        raise InvalidError(f"{what} is empty. Give at least one character.")
    if len(plain) > limit:
        raise InvalidError(f"{what} has {len(plain)} characters; at most {limit} are kept. Shorten it.")
    return plain


def line_or_none(value: str | None, what: str, *, limit: int = 200) -> str | None:
    """As `line`, and None for what is missing or blank."""
    return line(value, what, limit=limit) if value and value.strip() else None


def accession(value: str) -> str:
    """An Accession Number (0008,0050) in the one form in which it is stored and compared: upper case, one line."""
    return line(value, "The accession number", limit=64).upper()


def folded(*values: str | None) -> str:
    """Lower-case letters without accents, words parted by one space: "MODÈLE Élise" gives "modele elise"."""
    text = unicodedata.normalize("NFKD", " ".join(value for value in values if value))
    return " ".join("".join(c for c in text if not unicodedata.combining(c)).casefold().split())
