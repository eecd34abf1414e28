"""Text from outside, made fit to store, to show on one line and to search."""

import hashlib
import re
import unicodedata

from sharing.errors import InvalidError

_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


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


def prose(value: str, what: str, *, limit: int = 4000) -> str:
    """As `line`, of what may have several lines: their breaks stay, and at most one blank line between them."""
    lines = [line_or_none(part, what, limit=limit) or "" for part in value.splitlines()]
    plain = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    if not plain:
        raise InvalidError(f"{what} is empty. Give at least one character.")
    if len(plain) > limit:
        raise InvalidError(f"{what} has {len(plain)} characters; at most {limit} are kept. Shorten it.")
    return plain


def mail_address(value: str, what: str) -> str:
    """One bare mail address that every mail server takes (RFC 5321, ASCII). Raises InvalidError for anything else."""
    address = line(value, what, limit=254)
    if not is_mail_address(address):
        raise InvalidError(f"{address!r} is no mail address. It looks like name@hospital.example.")
    return address


def is_mail_address(value: str) -> bool:
    # In the header of a mail, what stands between "=?" and "?=" is read as something else (RFC 2047).
    return _MAIL_ADDRESS.fullmatch(value) is not None and "=?" not in value


def fragment(value: str) -> str:
    """A view of the viewer as it stands in an address, without the hash sign. Raises InvalidError for anything else."""
    plain = value.strip().removeprefix("#")
    if not re.fullmatch(r"[A-Za-z0-9=&.,:;_+~-]{0,200}", plain):
        raise InvalidError("This is no view of a slide. Open the slide again and pin the view anew.")
    return plain


def accession(value: str) -> str:
    """An Accession Number (0008,0050) in the one form in which it is stored and compared: upper case, one line."""
    return line(value, "The accession number", limit=64).upper()


def folded(*values: str | None) -> str:
    """Lower-case letters without accents, words parted by one space: "MODÈLE Élise" gives "modele elise"."""
    text = unicodedata.normalize("NFKD", " ".join(value for value in values if value))
    return " ".join("".join(c for c in text if not unicodedata.combining(c)).casefold().split())


def patient_key(site_id: str, name: str, birth_year: int | None, sex: str | None) -> str:
    """What the cases of one patient at one site have in common: SHA-256 over the site, the words of the name in any
    order, the year of birth and the sex. Two people who agree in all of these count as one.
    """
    words = " ".join(name_words(name))
    return hashlib.sha256(f"{site_id}\n{words}\n{birth_year or ''}\n{sex or ''}".encode()).hexdigest()


def name_words(name: str) -> list[str]:
    """The words of a name, folded, in the order of the alphabet."""
    return sorted(re.findall(r"\w+", folded(name)))
