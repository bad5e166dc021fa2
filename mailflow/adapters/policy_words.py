"""The words of `rules/sla.toml`: durations, spans, days, zones, as values and back."""

import re
from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

from mailflow.core.calendar import DayKey, Spans
from mailflow.core.policy import Clock, Target

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(\d{1,7})\s*([wdhms])\s*")
_SPAN = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)")
_MAX_RANGE_DAYS = 366


def read_duration(value: object) -> timedelta:
    """Return the duration that '4h', '1w' or '1h 30m' means. Raises ValueError unless positive."""
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        total = sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in parts), timedelta(0))
        if total and not _DURATION.sub("", value).strip():
            return total
    raise ValueError(f"{value!r}: expected a positive duration such as '4h', '1h 30m' or '1w'")


def read_priority(value: object) -> int:
    """Return the priority that 'P1', '1' or 1 means. Raises ValueError unless 1 to 4."""
    text = str(value).strip().upper().removeprefix("P")
    if isinstance(value, (int, str)) and text in {"1", "2", "3", "4"}:
        return int(text)
    raise ValueError(f"priority {value!r}: expected one of P1, P2, P3, P4")


def read_target(text: str, clock: Clock) -> Target:
    """Return the target that '8h' (on `clock`) or '8h business_hours' means. Raises ValueError."""
    words = text.split()
    if words and words[-1][0].isalpha():
        name = words.pop()
        if name not in set(Clock):
            raise ValueError(f"clock {name!r}: expected one of {', '.join(Clock)}")
        clock = Clock(name)
    return Target(read_duration(" ".join(words)), clock)


def read_span(value: object) -> tuple[time, time]:
    """Return the span that '09:00-18:00' means. Raises ValueError."""
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found:
        hours, minutes, end_hours, end_minutes = (int(each) for each in found.groups())
        if (end_hours, end_minutes) == (24, 0):
            return time(hours, minutes), time()
        if end_hours or end_minutes:
            return time(hours, minutes), time(end_hours, end_minutes)
    raise ValueError(f"{value!r}: expected a span such as '09:00-18:00', midnight at its end 24:00")


def read_at(value: object) -> float | timedelta:
    """Return the share used or the time left of a reminder. Raises ValueError."""
    if value == "breach":
        return 1.0
    if isinstance(value, str):
        return read_duration(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    raise ValueError(
        f"{value!r}: expected a share of the target such as 0.75, time left such as '30m', "
        "or 'breach'"
    )


def read_zone(value: object) -> str:
    """Return the name of a time zone that exists. Raises ValueError."""
    try:
        return ZoneInfo(str(value)).key
    except (ValueError, OSError, LookupError):
        raise ValueError(
            f"{value!r}: this time zone is not known, expected a name such as 'Europe/Paris'"
        ) from None


def read_days(text: str) -> list[DayKey]:
    """Return the days of '2026-05-15', '2026-08-03..2026-08-07' or '12-24' (every year)."""
    try:
        if re.fullmatch(r"\d\d-\d\d", text):
            leap = date.fromisoformat(f"2024-{text}")
            return [(leap.month, leap.day)]
        first, _, last = text.partition("..")
        start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ValueError(
            f"{text!r}: expected a date such as '2026-05-15', a range such as "
            "'2026-08-03..2026-08-07', or '12-24' for every year"
        ) from None
    if not start <= end <= start + timedelta(days=_MAX_RANGE_DAYS):
        raise ValueError(f"{text!r}: the range ends before it starts, or lasts over a year")
    return [start + timedelta(days=number) for number in range((end - start).days + 1)]


def span_texts(spans: Spans) -> list[str]:
    """Return the spans as the rules write them."""
    return [f"{a:%H:%M}-{'24:00' if b == time() else f'{b:%H:%M}'}" for a, b in spans]


def duration_text(duration: timedelta) -> str:
    """Return the duration as the rules may write it, in seconds."""
    return f"{duration // timedelta(seconds=1)}s"
