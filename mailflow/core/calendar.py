"""Business time: when support is open, and how much open time lies between two instants.

A local day runs from the first instant at which the zone's clock shows its midnight, or a later
time, to that of the next day. Opening and closing times are read likewise: the first instant at
which the clock has reached them. So over a change of summer time no hour is counted twice, a
span that begins in the skipped hour begins when the clock jumps, and days last 23 to 25 hours.
Source: contract, 'Support Technique' §1.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import TypeAlias
from zoneinfo import ZoneInfo

Spans: TypeAlias = tuple[tuple[time, time], ...]
"""Opening hours of one day in local time; an end of 00:00 means midnight at the day's end."""

DayKey: TypeAlias = date | tuple[int, int]
"""One date, or (month, day) of every year."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SEARCH_DAYS = 731
"""After so many closed days in a row a search gives up: such a calendar is a mistake."""

_CACHED_DAYS = 20_000
_ONE_DAY = timedelta(days=1)
_MIDNIGHT = time()


class CalendarError(ValueError):
    """A calendar that cannot work, or one with no open time where it was needed."""


def _no_holiday(day: date) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Holidays:
    """Public holidays: the rule they follow ('FR', 'FR-57', '' for none) and the day's name.

    Two values with one rule are equal, whatever function answers.
    """

    rule: str = ""
    name_of: Callable[[date], str | None] = field(default=_no_holiday, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Day:
    """One local day in UTC. `closed` says why no span is open; empty on a working day."""

    start: datetime
    end: datetime
    spans: tuple[tuple[datetime, datetime], ...]
    closed: str


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """Opening hours in a zone. `hours` holds the spans of Monday to Sunday, several a day.

    `special_days` replaces the hours of a day: a date opens even a weekend or a holiday; a
    (month, day) of every year only shortens or lengthens a day that is open anyway.
    `closed_days` closes days, with the reason that explanations show.

    Raises CalendarError where nothing is ever open, spans overlap, or one ends before it starts.
    """

    zone: ZoneInfo
    hours: tuple[Spans, ...]
    holidays: Holidays = Holidays()
    closed_days: Mapping[DayKey, str] = field(default_factory=dict)
    special_days: Mapping[DayKey, Spans] = field(default_factory=dict)
    _days: dict[date, Day] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.hours) != 7:
            raise CalendarError(f"hours of {len(self.hours)} weekdays: expected 7, Monday first")
        if not any(self.hours) and not any(self.special_days.values()):
            raise CalendarError("no open time at all: give at least one weekday opening hours")
        for name, spans in zip(WEEKDAYS, self.hours, strict=True):
            _check_spans(name, spans)
        for key, spans in self.special_days.items():
            if not spans:
                raise CalendarError(f"{day_text(key)}: no span; a closed day is a closed day")
            if key in self.closed_days:
                raise CalendarError(f"{day_text(key)}: both closed and special; keep one")
            _check_spans(day_text(key), spans)

    def is_working_day(self, day: date) -> bool:
        """Say whether `day` (local date) has any opening hours; a half day is a working day."""
        return not self._spans_of(day)[1]

    def next_working_day(self, day: date) -> date:
        """Return the first working day after `day`. Raises CalendarError if none is near."""
        for _ in range(SEARCH_DAYS):
            day += _ONE_DAY
            if self.is_working_day(day):
                return day
        raise _closed_too_long(day)

    def is_open(self, moment: datetime) -> bool:
        """Say whether support is open at `moment` (aware). At closing time it is not."""
        moment = as_utc(moment)
        return any(start <= moment < end for start, end in self._day_at(moment).spans)

    def is_within_hours(self, moment: datetime) -> bool:
        """Say whether `moment` may be a deadline: open, or closing time sharp."""
        moment = as_utc(moment)
        day = self._day_at(moment)
        if any(start <= moment <= end for start, end in day.spans):
            return True
        if moment != day.start:
            return False
        before = self._day_at(moment - timedelta(microseconds=1))  # closing time was midnight
        return bool(before.spans) and before.spans[-1][1] == moment

    def next_open(self, moment: datetime) -> datetime:
        """Return `moment` in UTC if open, otherwise the next opening. Raises CalendarError."""
        return next(self.open_spans(moment))[0]

    def last_close(self, moment: datetime) -> datetime | None:
        """Return the end of the last open time that began before `moment`, at most `moment`.

        None if nothing was open for two years before.
        """
        moment = as_utc(moment)
        local = self._day_at(moment).end.astimezone(self.zone).date()
        for _ in range(SEARCH_DAYS + 1):
            for start, end in reversed(self.day(local).spans):
                if start < moment:
                    return min(end, moment)
            local -= _ONE_DAY
        return None

    def add(self, start: datetime, working: timedelta) -> datetime:
        """Return the moment at which `working` open time has passed since `start`.

        `start` is aware, any zone; the result is UTC. Open time that runs out at closing time
        ends at closing time. No open time at all: `start` itself, open or not.
        Raises ValueError if `start` is naive or `working` negative, CalendarError if the
        calendar stays closed too long.
        """
        if working < timedelta(0):
            raise ValueError(f"{working}: open time to add cannot be negative")
        if not working:
            return as_utc(start)
        spans = self.open_spans(start)
        opened, closed = next(spans)
        while working > closed - opened:
            working -= closed - opened
            opened, closed = next(spans)
        return opened + working

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the open time from `start` to `end`; negative if `end` is earlier."""
        start, end = as_utc(start), as_utc(end)
        if end < start:
            return -self.between(end, start)
        spans = takewhile(lambda span: span[0] < end, self.open_spans(start))
        return sum((min(closed, end) - opened for opened, closed in spans), timedelta(0))

    def add_working_days(self, start: datetime, days: int) -> datetime:
        """Return the same local time `days` working days after `start`, or the next opening.

        `start` is aware, `days` at least 0; the result is UTC, within opening hours. From a
        closed day the next working day is the first.
        """
        local = as_utc(start).astimezone(self.zone)
        day = local.date()
        for _ in range(days):
            day = self.next_working_day(day)
        return self.next_open(first_instant(datetime.combine(day, local.time()), self.zone))

    def open_spans(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the open spans in UTC from `moment` on, the first cut to begin there.

        Endless; raises CalendarError where the calendar stays closed too long.
        """
        moment = as_utc(moment)
        for day in self.days_from(moment):
            for start, end in day.spans:
                if moment < end:
                    yield max(start, moment), end

    def days_from(self, moment: datetime) -> Iterator[Day]:
        """Yield the day that holds `moment` (UTC) and those after it.

        Raises CalendarError after `SEARCH_DAYS` closed days in a row.
        """
        local = moment.astimezone(self.zone).date()
        closed = 0
        while closed < SEARCH_DAYS:
            day = self.day(local)
            closed = closed + 1 if day.closed else 0
            if moment < day.end:
                yield day
            local += _ONE_DAY
        raise _closed_too_long(local)

    def day(self, local: date) -> Day:
        """Return the local date `local` as instants in UTC."""
        found = self._days.get(local)
        if found is None:
            spans, closed = self._spans_of(local)
            midnight = datetime.combine(local, _MIDNIGHT)
            found = Day(
                first_instant(midnight, self.zone),
                first_instant(midnight + _ONE_DAY, self.zone),
                tuple(self._span_of(local, span) for span in spans),
                closed,
            )
            if len(self._days) >= _CACHED_DAYS:
                self._days.clear()
            self._days[local] = found
        return found

    def _day_at(self, moment: datetime) -> Day:
        return next(
            day
            for local in (moment.astimezone(self.zone).date(),)
            for day in (self.day(local), self.day(local + _ONE_DAY))
            if moment < day.end
        )

    def _span_of(self, local: date, span: tuple[time, time]) -> tuple[datetime, datetime]:
        start = datetime.combine(local, span[0])
        end = datetime.combine(local, span[1]) + (
            _ONE_DAY if span[1] == _MIDNIGHT else timedelta(0)
        )
        return first_instant(start, self.zone), first_instant(end, self.zone)

    def _spans_of(self, day: date) -> tuple[Spans, str]:
        """Return the day's spans, or none and the reason why it is closed."""
        every_year = (day.month, day.day)
        weekday = day.weekday()
        if day in self.special_days:
            return self.special_days[day], ""
        if day in self.closed_days:
            return (), f"closed: {self.closed_days[day]}"
        if not self.hours[weekday]:
            return (), "closed: weekend" if weekday > 4 else f"closed: every {WEEKDAYS[weekday]}"
        if every_year in self.closed_days:
            return (), f"closed: {self.closed_days[every_year]}"
        holiday = self.holidays.name_of(day)
        if holiday is not None:
            return (), f"closed: public holiday {holiday}"
        return self.special_days.get(every_year, self.hours[weekday]), ""


def as_utc(moment: datetime) -> datetime:
    """Return the aware `moment` in UTC. Raises ValueError if it is naive."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()}: no time zone; write an offset such as +02:00 or Z")
    return moment.astimezone(UTC)


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return in UTC the first instant at which the zone's clock shows `local` (naive) or later."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # Skipped by the clock: find the jump, between the two readings of `local`.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(microsecond=0)
    instant = instant.replace(microsecond=0) + timedelta(seconds=1)
    while instant - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(instant - before) // timedelta(seconds=2))
        if middle.astimezone(zone).replace(tzinfo=None) >= local:
            instant = middle
        else:
            before = middle
    return instant


def day_text(key: DayKey) -> str:
    """Return the day as the rules write it: 2026-12-24, or 12-24 for every year."""
    return key.isoformat() if isinstance(key, date) else f"{key[0]:02}-{key[1]:02}"


def _check_spans(name: str, spans: Spans) -> None:
    last = _MIDNIGHT
    for index, (start, end) in enumerate(spans):
        text = f"{start:%H:%M}-{end:%H:%M}"
        if end != _MIDNIGHT and end <= start:
            raise CalendarError(f"{name}: {text} ends before it starts")
        if index and (last == _MIDNIGHT or start < last):
            raise CalendarError(f"{name}: {text} overlaps the span before it, or is out of order")
        last = end


def _closed_too_long(day: date) -> CalendarError:
    return CalendarError(f"no open time in the {SEARCH_DAYS} days before {day}")
