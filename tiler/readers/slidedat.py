"""``Slidedat.ini``: what a MIRAX slide says of itself, in a file that anybody can edit."""

from __future__ import annotations

import math
import re
from typing import Final

from tiler.errors import DamagedSlideError

MAX_BYTES: Final = 1024 * 1024  # as OpenSlide
_MAX_LINES: Final = 50_000
_BLANK: Final = " \t\r\n\f"  # what OpenSlide (GLib) takes for it; other kinds of blanks and of line ends are text
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,10}")


class Slidedat:
    """Its sections, as OpenSlide sees them: what it trusts is looked at here. Values that decide on anything are asked
    for with their bounds. Raises DamagedSlideError."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES or data.count(b"\n") > _MAX_LINES:
            raise DamagedSlideError("The slide's Slidedat.ini is larger than any scanner writes.")
        try:
            text = data.decode("utf-8-sig")
            if "\0" in text:  # where a reader in C would stop
                raise ValueError
        except ValueError as error:
            raise DamagedSlideError("The slide's Slidedat.ini is damaged: it is no UTF-8 text.") from error
        self._sections: dict[str, dict[str, str]] = {}
        section: dict[str, str] = {}
        for line in text.split("\n"):
            line = line.strip(_BLANK)
            if line.startswith("[") and line.endswith("]"):
                section = self._sections.setdefault(line[1:-1], {})
            elif "=" in line and not line.startswith("#"):
                key, _, value = line.partition("=")
                section[key.strip(_BLANK)] = value.strip(_BLANK)

    def get(self, section: str, key: str) -> str | None:
        """None without it, or when it is empty."""
        return self._sections.get(section, {}).get(key) or None

    def anywhere(self, key: str) -> str | None:
        """The first value of this key in any section."""
        return next((found[key] for found in self._sections.values() if found.get(key)), None)

    def text(self, section: str, key: str) -> str:
        """Raises DamagedSlideError without it."""
        value = self.get(section, key)
        if value is None:
            raise DamagedSlideError(f"The slide's Slidedat.ini does not say {key}.")
        return value

    def integer(self, section: str, key: str, low: int, high: int, default: int | None = None) -> int:
        """Raises DamagedSlideError unless it is a number within these bounds."""
        value = str(default) if default is not None and self.get(section, key) is None else self.text(section, key)
        number = int(value) if _INTEGER.fullmatch(value) else None
        if number is None or not low <= number <= high:
            raise DamagedSlideError(f"The slide's Slidedat.ini says something impossible of {key}.")
        return number

    def real(self, section: str, key: str, low: float, high: float) -> float:
        """As `integer`."""
        value = self.text(section, key)
        try:
            number = float(value) if len(value) < 32 else math.nan
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise DamagedSlideError(f"The slide's Slidedat.ini says something impossible of {key}.")
        return number
