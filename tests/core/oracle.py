"""A slow, simple second opinion on deadlines: it walks through time tick by tick.

It shares nothing with mailflow: no calendar, no stretches, no `holidays` library. Whether a tick
is open is read off the zone's clock at its start; where an instant cuts a tick in two the pieces
are looked at one by one, to the microsecond. A tick is a minute, or 15 minutes where many cases
must be compared: opening hours and zone offsets of the desks here are multiples of that.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

MINUTE = 60_000_000  # microseconds, the unit of every int here
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def instant(value: int) -> datetime:
    return EPOCH + timedelta(microseconds=value)


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 19 * m) // 433
    month = (h + m - 7 * n + 90) // 25
    return date(year, month, (h + m - 7 * n + 33 * month + 19) % 32)


def french_holidays(year: int) -> set[date]:
    sunday = easter(year)
    moving = {sunday + timedelta(days=days) for days in (1, 39, 50)}
    fixed = [(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)]
    return moving | {date(year, month, day) for month, day in fixed}


@dataclass(frozen=True)
class Desk:
    """Opening hours as (weekday, start minute of the day, end minute), and closed dates."""

    zone: str
    hours: frozenset[tuple[int, int, int]]
    closed: frozenset[date]
    first: date
    days: int
    tick: int = MINUTE

    @cached_property
    def start(self) -> int:
        return micros(datetime(self.first.year, self.first.month, self.first.day, tzinfo=UTC))

    @cached_property
    def ticks(self) -> list[tuple[bool, bool]]:
        """(is open, is in a working day) of each tick from `start` on."""
        found = []
        zone = ZoneInfo(self.zone)
        seen = datetime(1, 1, 1)
        for number in range(self.days * 1440 * MINUTE // self.tick):
            shown = instant(self.start + number * self.tick).astimezone(zone).replace(tzinfo=None)
            seen = max(seen, shown)  # an hour that the clock shows twice was reached before
            day = seen.date()
            minute = seen.hour * 60 + seen.minute
            spans = [(a, b) for weekday, a, b in self.hours if weekday == day.weekday()]
            working = bool(spans) and day not in self.closed
            found.append((working and any(a <= minute < b for a, b in spans), working))
        return found

    def at(self, moment: int) -> tuple[bool, bool]:
        return self.ticks[(moment - self.start) // self.tick]

    def is_inside(self, moment: int) -> bool:
        """Open, or closing time sharp: open until just before."""
        return self.at(moment)[0] or self.at(moment - 1)[0]


def due(
    desk: Desk,
    clock: str,
    hours: int,
    registered_at: datetime,
    pauses: list[tuple[datetime, datetime | None]],
) -> datetime | None:
    """The deadline, or None while an open pause lies before it. `hours` 168 is a local week."""
    now = micros(registered_at)
    wanted = hours * 60 * MINUTE
    if clock == "calendar" and hours == 168:
        local = registered_at.astimezone(ZoneInfo(desk.zone)).replace(fold=0)
        wanted = micros((local + WEEK).astimezone(UTC)) - now
    spans = [(micros(a), None if b is None else micros(b)) for a, b in pauses]
    edges = {edge for span in spans for edge in span if edge is not None} | {now}
    cut_ticks = {edge // desk.tick for edge in edges}
    while True:
        end = (now // desk.tick + 1) * desk.tick
        if now // desk.tick in cut_ticks:
            end = min([end, *(edge for edge in edges if edge > now)])
        if now in edges:  # only there can a pause begin or end
            pausing = [b for a, b in spans if a <= now and (b is None or now < b)]
            if None in pausing:
                return None
        open_, working = desk.at(now)
        counts = {"business_hours": open_, "working_days": working, "calendar": True}[clock]
        if counts and not pausing:
            if wanted <= end - now:
                now += wanted
                break
            wanted -= end - now
        now = end
    if clock == "calendar" and not desk.is_inside(now):
        while not desk.at(now)[0]:
            now = (now // desk.tick + 1) * desk.tick
    return instant(now)
