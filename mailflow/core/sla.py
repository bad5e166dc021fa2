"""SLA policy → due times: three clocks, and the pauses in which none of them runs.

Each clock is a row of stretches of time, counted or not. The deadline is the first instant at
which the target has been counted; explanations are the same stretches, so they cannot disagree
with it. Source: contract, 'Conditions de soumission des Problèmes' (délais).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from mailflow.core.calendar import BusinessCalendar, as_utc
from mailflow.core.policy import Chase, Clock, Recipient, SlaPolicy, Stage, Target

__all__ = [
    "Chase",
    "Clock",
    "Interval",
    "Pause",
    "Recipient",
    "SlaPolicy",
    "Stage",
    "Target",
    "due_at",
    "explain",
    "left",
    "reached_at",
    "target_length",
    "used",
]

NO_TIME = timedelta(0)
_WEEK = timedelta(weeks=1)
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pause:
    """Time in which no clock runs, from `start` up to `end`; an `end` of None is still open.

    A pause that ends where it starts, or before, is empty and has no effect.
    """

    start: datetime
    end: datetime | None
    reason: str = "paused: waiting for the client"


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of UTC time, counted or not, and why. Only an open pause has no `end`."""

    start: datetime
    end: datetime | None
    counted: bool
    reason: str


def due_at(
    policy: SlaPolicy, priority: int, registered_at: datetime, pauses: Sequence[Pause] = ()
) -> datetime | None:
    """Return the deadline in UTC; None while an open pause lies before it.

    All instants are aware, in any zone. Pauses come in any order, may overlap, and count from
    the registration on. A target that runs out at closing time, at the midnight that ends a
    working day, or just as a pause begins, is due then. A `calendar` deadline outside opening
    hours rolls forward to the next opening; a pause within the roll changes nothing.

    Raises ValueError for a naive instant or an unknown priority, CalendarError if the calendar
    stays closed too long, OverflowError beyond the year 9999.
    """
    length = target_length(policy, priority, registered_at)
    reached = reached_at(policy, priority, registered_at, length, pauses)
    if reached is None or policy.target(priority).clock is not Clock.CALENDAR:
        return reached
    return _rolled(policy.calendar, reached)


def used(
    policy: SlaPolicy,
    priority: int,
    registered_at: datetime,
    now: datetime,
    pauses: Sequence[Pause] = (),
) -> timedelta:
    """Return the clock time counted from registration to `now`, also past the deadline."""
    now = as_utc(now)
    total = NO_TIME
    for each in _timeline(policy, priority, as_utc(registered_at), pauses):
        if each.start >= now:
            break
        if each.counted and each.end is not None:
            total += min(each.end, now) - each.start
    return total


def left(
    policy: SlaPolicy,
    priority: int,
    registered_at: datetime,
    now: datetime,
    pauses: Sequence[Pause] = (),
) -> timedelta:
    """Return the clock time left at `now`: 0 at the deadline, negative after it.

    A rolled `calendar` deadline leaves the time of the roll as well.
    """
    now = as_utc(now)
    length = target_length(policy, priority, registered_at)
    if policy.target(priority).clock is Clock.CALENDAR:
        reached = reached_at(policy, priority, registered_at, length, pauses)
        if reached is not None and now > reached:
            return _rolled(policy.calendar, reached) - now
        if reached is not None:
            length += _rolled(policy.calendar, reached) - reached
    return length - used(policy, priority, registered_at, now, pauses)


def explain(
    policy: SlaPolicy,
    priority: int,
    registered_at: datetime,
    pauses: Sequence[Pause] = (),
    until: datetime | None = None,
) -> tuple[Interval, ...]:
    """Return how the deadline is reached: stretches without gap from registration to due date.

    Never past the due date, nor past `until`. An open pause comes last: its end is `until`, or
    None. Neighbours with one reason are joined.
    """
    start = as_utc(registered_at)
    length = target_length(policy, priority, start)
    reached = reached_at(policy, priority, start, length, pauses)
    limit = _END_OF_TIME if until is None else as_utc(until)
    found: list[Interval] = []
    for each in _timeline(policy, priority, start, pauses):
        stop = min(limit, reached or _END_OF_TIME)
        if each.start >= stop:
            break
        end = stop if each.end is None or each.end > stop else each.end
        _join(
            found,
            Interval(each.start, None if end == _END_OF_TIME else end, each.counted, each.reason),
        )
    if reached is not None and policy.target(priority).clock is Clock.CALENDAR:
        rolled = min(_rolled(policy.calendar, reached), limit)
        if rolled > reached:
            _join(found, Interval(reached, rolled, False, "rolled forward: to the next opening"))
    return tuple(found)


def target_length(policy: SlaPolicy, priority: int, registered_at: datetime) -> timedelta:
    """Return the target as clock time; a local week may last an hour more or less.

    A week later that the clock shows twice is the first one; one that it skips is read with the
    offset in force before the jump (RFC 5545 section 3.3.5).
    """
    target = policy.target(priority)
    if target.clock is not Clock.CALENDAR:
        return target.duration
    start = as_utc(registered_at)
    weeks = target.duration // _WEEK * _WEEK
    if not weeks:
        return target.duration
    local = start.astimezone(policy.calendar.zone).replace(fold=0)
    return (local + weeks).astimezone(UTC) - start + (target.duration - weeks)


def reached_at(
    policy: SlaPolicy,
    priority: int,
    registered_at: datetime,
    counted: timedelta,
    pauses: Sequence[Pause] = (),
) -> datetime | None:
    """Return the first instant (UTC) at which `counted` clock time has passed, before any roll.

    None while an open pause lies before it. Nothing to count is reached at the registration.
    """
    start = as_utc(registered_at)
    if counted <= NO_TIME:
        return start
    for each in _timeline(policy, priority, start, pauses):
        if each.end is None:
            return None
        if each.counted:
            length = each.end - each.start
            if counted <= length:
                return each.start + counted
            counted -= length
    raise OverflowError(f"no deadline before the year 9999 for {start.isoformat()}")


def _timeline(
    policy: SlaPolicy, priority: int, start: datetime, pauses: Sequence[Pause]
) -> Iterator[Interval]:
    """Yield the stretches from `start` on, without end unless a pause is open."""
    clock = policy.target(priority).clock
    position = start
    for pause in _in_order(pauses, start):
        yield from _stretches(policy.calendar, clock, position, pause.start)
        yield Interval(pause.start, pause.end, False, pause.reason)
        if pause.end is None:
            return
        position = pause.end
    yield from _stretches(policy.calendar, clock, position, _END_OF_TIME)


def _in_order(pauses: Sequence[Pause], start: datetime) -> Iterator[Pause]:
    """Yield the pauses from `start` on in time order, overlapping time only once.

    Nothing that follows an open one matters.
    """
    in_utc = [
        Pause(as_utc(each.start), None if each.end is None else as_utc(each.end), each.reason)
        for each in pauses
    ]
    position = start
    for each in sorted(in_utc, key=lambda pause: pause.start):
        begin = max(each.start, position)
        if each.end is None or begin < each.end:
            yield Pause(begin, each.end, each.reason)
            position = each.end or position


def _stretches(
    calendar: BusinessCalendar, clock: Clock, start: datetime, end: datetime
) -> Iterator[Interval]:
    """Yield the stretches of a clock between two instants, pauses left aside."""
    if start >= end:
        return
    if clock is Clock.CALENDAR:
        yield Interval(start, end, True, "counted: all time")
        return
    for day in takewhile(lambda day: day.start < end, calendar.days_from(start)):
        spans = day.spans
        reason = "counted: opening hours"
        if clock is Clock.WORKING_DAYS:
            spans = () if day.closed else ((day.start, day.end),)
            reason = "counted: working day"
        position = max(start, day.start)
        for opened, closed in (*spans, (day.end, day.end)):
            for begin, stop, counted in (
                (position, opened, False),
                (max(position, opened), closed, True),
            ):
                if begin < min(stop, end):
                    why = reason if counted else day.closed or "closed: outside opening hours"
                    yield Interval(begin, min(stop, end), counted, why)
            position = max(position, closed)


def _rolled(calendar: BusinessCalendar, moment: datetime) -> datetime:
    return moment if calendar.is_within_hours(moment) else calendar.next_open(moment)


def _join(found: list[Interval], new: Interval) -> None:
    if found and (found[-1].counted, found[-1].reason) == (new.counted, new.reason):
        new = Interval(found.pop().start, new.end, new.counted, new.reason)
    found.append(new)
