"""Moments, sizes and other figures as a reader of either language writes them. Pure: no request, no database."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from slideserver.i18n import Language

HOUR = {Language.FR: "H 'h' mm", Language.EN: "HH:mm"}
WEEKDAY = {Language.FR: "EEE H 'h' mm", Language.EN: "EEE HH:mm"}
THIS_YEAR = {Language.FR: "d MMM H 'h' mm", Language.EN: "d MMM HH:mm"}
OTHER_YEAR = {Language.FR: "d MMM y", Language.EN: "d MMM y"}
EXACT = {Language.FR: "EEEE d MMMM y, HH:mm:ss", Language.EN: "EEEE d MMMM y, HH:mm:ss"}
DAY = {Language.FR: "EEEE d MMMM", Language.EN: "EEEE d MMMM"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, told at two distances.

    `minutes` is its age when that is under an hour (else None); `yesterday` says that `text`, then the hour alone,
    belongs to the day before. `exact` names the second in the time of the site, `iso` is for machines.
    """

    text: str
    exact: str
    iso: str
    minutes: int | None
    yesterday: bool


def tell(when_us: int, now_us: int, timezone: ZoneInfo, language: Language) -> Moment:
    """The moment `when_us` (µs since 1970, UTC) as seen from `now_us`. A clock that is ahead counts as now."""
    when, now = at(when_us, timezone), at(now_us, timezone)
    age = max(timedelta(0), now - when)
    minutes = int(age.total_seconds() // 60) if age < timedelta(hours=1) else None
    days = (now.date() - when.date()).days
    if days <= 1:
        pattern = HOUR
    elif days < 7:
        pattern = WEEKDAY
    else:
        pattern = THIS_YEAR if when.year == now.year else OTHER_YEAR
    return Moment(
        text=format_datetime(when, pattern[language], locale=language.value),
        exact=format_datetime(when, EXACT[language], locale=language.value),
        iso=when.isoformat(timespec="seconds"),
        minutes=minutes,
        yesterday=days == 1,
    )


def at(when_us: int, timezone: ZoneInfo) -> datetime:
    """The aware date and hour of a moment, in `timezone`."""
    return datetime.fromtimestamp(when_us / 1_000_000, timezone)


def name_of_day(when_us: int, timezone: ZoneInfo, language: Language) -> str:
    """ "lundi 16 novembre"; the year is left to the context."""
    return format_datetime(at(when_us, timezone), DAY[language], locale=language.value)


def size_mm(pixels: int, mpp: float | None, language: Language) -> str | None:
    """A length on the glass in millimetres, one decimal; None when the scanner did not say its resolution."""
    return None if mpp is None else format_decimal(pixels * mpp / 1000, "#,##0.0", locale=language.value)


def number(value: float, language: Language) -> str:
    """A count or a factor, grouped as the language does, without needless decimals."""
    return format_decimal(value, "#,##0.##", locale=language.value)


def bytes_in_words(length: int, language: Language) -> str:
    """A file's size in the decimal unit that keeps it short: "1,9 Mo", "4.2 GB"."""
    units = ("o", "ko", "Mo", "Go", "To") if language is Language.FR else ("B", "kB", "MB", "GB", "TB")
    value, unit = float(length), 0
    while value >= 1000 and unit < len(units) - 1:
        value, unit = value / 1000, unit + 1
    pattern = "#,##0" if value >= 10 or unit == 0 else "#,##0.0"
    return f"{format_decimal(value, pattern, locale=language.value)} {units[unit]}"


def exactly(when_us: int, timezone: ZoneInfo, language: Language) -> str:
    """The moment to the second, with its weekday and date."""
    return format_datetime(at(when_us, timezone), EXACT[language], locale=language.value)


def ahead(when_us: int, now_us: int, timezone: ZoneInfo, language: Language) -> str:
    """A moment to come (or gone by), as a day and an hour; the year where it is another one."""
    when, now = at(when_us, timezone), at(now_us, timezone)
    pattern = THIS_YEAR if when.year == now.year else OTHER_YEAR
    return format_datetime(when, pattern[language], locale=language.value)


def hour(when_us: int, timezone: ZoneInfo, language: Language) -> str:
    """ "14 h 00" """
    return format_datetime(at(when_us, timezone), HOUR[language], locale=language.value)


def exact_hour(when_us: int, timezone: ZoneInfo) -> str:
    """The hour to the hundredth of a second, alike in every language."""
    when = at(when_us, timezone)
    return f"{when:%H:%M:%S}.{when.microsecond // 10_000:02}"


def short_moment(when_us: int, timezone: ZoneInfo, language: Language) -> str:
    """Date and hour to the second, for paper: "16 nov. 2026, 14:05:09"."""
    return format_datetime(at(when_us, timezone), "d MMM y, HH:mm:ss", locale=language.value)


def short_day(day: date, language: Language) -> str:
    """ "16 nov." """
    return format_date(day, "d MMM", locale=language.value)


def duration(length_us: int, language: Language) -> str:
    """A length of time with its two largest units at most: "35 min", "1 h 10", "2 j 4 h"."""
    minutes = max(1, round(length_us / 60_000_000))
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02}"
    hours = round(minutes / 60)
    days = "j" if language is Language.FR else "d"
    return f"{hours // 24} {days} {hours % 24} h" if hours % 24 else f"{hours // 24} {days}"


def day_of(text: str) -> date | None:
    """The day of a form's field, `2026-11-16`; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def midnight_us(text: str, timezone: ZoneInfo, *, days_later: int = 0) -> int | None:
    """The start of the day, in µs since 1970; None without a day."""
    day = day_of(text)
    if day is None:
        return None
    start = datetime.combine(day + timedelta(days=days_later), time.min, timezone)
    return round(start.timestamp() * 1_000_000)
