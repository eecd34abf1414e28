"""XML documents inside slides, parsed without what makes XML dangerous: no document type, no entities, bounded size."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from tiler.errors import DamagedSlideError

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_ELEMENTS: Final = 200_000
MAX_DEPTH: Final = 64
# Without a document type there is nothing to expand; no scanner writes one.
_FORBIDDEN: Final = ("<!DOCTYPE", "<!ENTITY")
_CLAIM: Final = re.compile(r"""<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)""")
# In which what looks like an element is one: in others, UTF-7 among them, another reader could see another document.
_LIKE_ASCII: Final = re.compile(
    r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso[-_]8859-\d+|windows-\d+|gbk|gb\d+|big5|shift[-_]jis|euc-\w+", re.IGNORECASE
)


def document(data: bytes) -> Element:
    """The root element of a document in UTF-8, whatever usual encoding it claims. Raises DamagedSlideError when it is
    not well-formed, brings a document type, or is larger than any scanner's."""
    if len(data) > MAX_BYTES:
        raise DamagedSlideError("The slide's XML description is larger than any scanner writes.")
    text = data.split(b"\0", 1)[0].decode("utf-8-sig", errors="replace")
    if any(word in text for word in _FORBIDDEN):
        raise DamagedSlideError("The slide's XML description brings a document type of its own; no scanner writes one.")
    if (claim := _CLAIM.match(text.lstrip())) and not _LIKE_ASCII.fullmatch(claim[1]):
        raise DamagedSlideError("The slide's XML description is damaged.")
    parser = XMLParser(target=_Builder())  # noqa: S314 - what would be dangerous is refused above
    try:
        parser.feed(text.strip())
        root: Element = parser.close()
    except (ParseError, ValueError) as error:
        raise DamagedSlideError("The slide's XML description is damaged.") from error
    return root


class _Builder(TreeBuilder):
    """Stops at a document type, at too many elements and at too deep ones."""

    def __init__(self) -> None:
        super().__init__()
        self._elements = self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS or self._depth > MAX_DEPTH:
            raise ValueError("too many elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("document type")
