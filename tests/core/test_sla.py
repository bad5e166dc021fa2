"""Due times: tables of the contract's rules, and the comparison with the oracle."""

import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailflow.core.calendar import BusinessCalendar, Holidays
from mailflow.core.sla import (
    Clock,
    Interval,
    Pause,
    SlaPolicy,
    Target,
    due_at,
    explain,
    left,
    reached_at,
    target_length,
    used,
)
from tests.core.oracle import MINUTE, Desk, due, french_holidays

WEEK = timedelta(weeks=1)
CLOSED = french_holidays(2026) | french_holidays(2027)
OFFICE = frozenset((weekday, 540, 1080) for weekday in range(5))
TARGETS = {
    1: Target(timedelta(hours=4), Clock.BUSINESS_HOURS),
    2: Target(timedelta(hours=48), Clock.WORKING_DAYS),
    3: Target(timedelta(hours=72), Clock.WORKING_DAYS),
    4: Target(WEEK, Clock.CALENDAR),
}


def policy_of(desk: Desk) -> SlaPolicy:
    """The same desk as mailflow sees it."""
    hours = tuple(
        tuple(
            (time(a // 60, a % 60), time(b // 60 % 24, b % 60))
            for weekday, a, b in sorted(desk.hours)
            if weekday == day
        )
        for day in range(7)
    )
    holidays = Holidays("X", lambda day: "a holiday" if day in desk.closed else None)
    return SlaPolicy("test", TARGETS, BusinessCalendar(ZoneInfo(desk.zone), hours, holidays))


def desk(zone="Europe/Paris", hours=OFFICE, closed=CLOSED, tick=15 * MINUTE):
    return Desk(zone, hours, frozenset(closed), date(2025, 12, 30), 560, tick)


PARIS = desk()
LUNCH = frozenset((d, a, b) for d in range(6) for a, b in [(525, 750), (840, 1125)])
DESKS = [
    PARIS,
    desk("America/New_York", LUNCH, {date(2026, 3, 9), date(2026, 11, 2)}),  # after each change
    desk("Australia/Lord_Howe", frozenset((d, 0, 1440) for d in range(7)), set()),  # half hours
    desk("Europe/Paris", frozenset((d, 60, 150) for d in (0, 3, 6)), set()),  # nights, changes too
    desk("Africa/Cairo", frozenset((d, 0, 1440) for d in (5, 6, 0, 3, 4)), set()),  # no midnight
    desk("Asia/Kathmandu", frozenset([(2, 600, 615)]), set()),  # a quarter of an hour a week
]
POLICY = policy_of(PARIS)
NIGHTS, OPEN_ALWAYS = policy_of(DESKS[3]), policy_of(DESKS[2])


def at(text):
    return None if text is None else datetime.fromisoformat(text)


def pauses_of(pairs):
    return [Pause(at(start), at(end)) for start, end in pairs]


@pytest.mark.parametrize(
    "priority, registered, expected",
    [
        (1, "2026-05-04T09:00+02:00", "2026-05-04T13:00+02:00"),
        (1, "2026-05-04T14:00+02:00", "2026-05-04T18:00+02:00"),  # at closing time, not next day
        (1, "2026-05-04T14:00:00.000001+02:00", "2026-05-05T09:00:00.000001+02:00"),
        (1, "2026-05-04T08:59:59+02:00", "2026-05-04T13:00+02:00"),  # a second before opening
        (1, "2026-05-04T09:00:01+02:00", "2026-05-04T13:00:01+02:00"),  # a second after opening
        (1, "2026-05-04T17:59:59+02:00", "2026-05-05T12:59:59+02:00"),  # a second before closing
        (1, "2026-05-04T18:00+02:00", "2026-05-05T13:00+02:00"),  # at closing
        (1, "2026-05-04T18:00:01+02:00", "2026-05-05T13:00+02:00"),  # a second after closing
        (1, "2026-04-30T16:00+02:00", "2026-05-04T11:00+02:00"),  # 1 May, then a weekend
        (1, "2026-03-27T17:00+01:00", "2026-03-30T12:00+02:00"),  # over the change to summer time
        (1, "2026-10-23T17:00+02:00", "2026-10-26T12:00+01:00"),  # and back
        (1, "2026-05-22T17:00+02:00", "2026-05-26T12:00+02:00"),  # Pentecost Monday
        (2, "2026-04-24T16:00+02:00", "2026-04-28T16:00+02:00"),  # the example of the rules
        (2, "2026-05-05T22:00+02:00", "2026-05-07T22:00+02:00"),  # a deadline at night stays
        (2, "2026-05-06T00:00+02:00", "2026-05-08T00:00+02:00"),  # the midnight before a holiday
        (2, "2026-05-16T12:00+02:00", "2026-05-20T00:00+02:00"),  # from Saturday: Monday 0:00
        (2, "2026-03-27T12:00+01:00", "2026-03-31T12:00+02:00"),  # the short Sunday is not counted
        (2, "2026-12-31T12:00+01:00", "2027-01-05T12:00+01:00"),  # New Year, then a weekend
        (3, "2026-05-12T10:00+02:00", "2026-05-18T10:00+02:00"),  # Ascension Thursday, weekend
        (4, "2026-05-04T10:00+02:00", "2026-05-11T10:00+02:00"),
        (4, "2026-05-04T18:00+02:00", "2026-05-11T18:00+02:00"),  # 18:00 sharp is inside
        (4, "2026-05-04T18:00:00.000001+02:00", "2026-05-12T09:00+02:00"),  # just outside
        (4, "2026-05-05T08:59:59.999999+02:00", "2026-05-12T09:00+02:00"),
        (4, "2026-05-18T10:00+02:00", "2026-05-26T09:00+02:00"),  # onto Pentecost Monday
        (4, "2026-03-24T10:00+01:00", "2026-03-31T10:00+02:00"),  # same local time: 167 hours
        (4, "2026-10-20T10:00+02:00", "2026-10-27T10:00+01:00"),  # 169 hours
        (4, "2026-05-04T04:00-04:00", "2026-05-11T10:00+02:00"),  # written in another zone
        (4, "2026-05-09T12:00+02:00", "2026-05-18T09:00+02:00"),  # Saturday to Saturday, rolled
    ],
)
def test_due_at(priority, registered, expected):
    assert due_at(POLICY, priority, at(registered)) == at(expected)


def test_due_times_are_utc():
    assert due_at(POLICY, 4, at("2026-05-04T10:00+02:00")).tzinfo is UTC


@pytest.mark.parametrize(
    "priority, registered, pairs, expected",
    [
        (  # an ordinary pause
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T11:00+02:00", "2026-05-04T12:00+02:00")],
            "2026-05-04T15:00+02:00",
        ),
        (  # out of order, overlapping, one within another: counted once
            1,
            "2026-05-04T10:00+02:00",
            [
                ("2026-05-04T11:30+02:00", "2026-05-04T12:00+02:00"),
                ("2026-05-04T11:00+02:00", "2026-05-04T12:00+02:00"),
                ("2026-05-04T10:30+02:00", "2026-05-04T11:30+02:00"),
            ],
            "2026-05-04T15:30+02:00",
        ),
        (  # at the deadline: does not move it
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T14:00+02:00", "2026-05-04T15:00+02:00")],
            "2026-05-04T14:00+02:00",
        ),
        (  # at the deadline, and open: does not move it
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T14:00+02:00", None)],
            "2026-05-04T14:00+02:00",
        ),
        (  # open just before the deadline
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T13:59:59.999999+02:00", None)],
            None,
        ),
        (  # a first pause moves the deadline behind an open one
            1,
            "2026-05-04T10:00+02:00",
            [
                ("2026-05-04T14:30+02:00", None),
                ("2026-05-04T11:00+02:00", "2026-05-04T12:00+02:00"),
            ],
            None,
        ),
        (  # zero length, and inverted: empty
            1,
            "2026-05-04T10:00+02:00",
            [
                ("2026-05-04T11:00+02:00", "2026-05-04T11:00+02:00"),
                ("2026-05-04T13:00+02:00", "2026-05-04T12:00+02:00"),
            ],
            "2026-05-04T14:00+02:00",
        ),
        (  # over before the registration; and one that reaches into it
            1,
            "2026-05-04T10:00+02:00",
            [
                ("2026-05-04T08:00+02:00", "2026-05-04T09:30+02:00"),
                ("2026-05-04T09:00+02:00", "2026-05-04T11:00+02:00"),
            ],
            "2026-05-04T15:00+02:00",
        ),
        (  # open since before the registration
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T08:00+02:00", None)],
            None,
        ),
        (  # at night: skips nothing that counts
            1,
            "2026-05-04T17:00+02:00",
            [("2026-05-04T18:00+02:00", "2026-05-05T09:00+02:00")],
            "2026-05-05T12:00+02:00",
        ),
        (  # ends in the evening: the clock goes on in the morning
            1,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T11:00+02:00", "2026-05-04T20:00+02:00")],
            "2026-05-05T12:00+02:00",
        ),
        (  # years long: skipped in one step
            2,
            "2026-05-04T10:00+02:00",
            [("2026-05-04T11:00+02:00", "2056-05-04T11:00+02:00")],
            "2056-05-08T10:00+02:00",
        ),
        (  # calendar: moved by what has passed, then rolled
            4,
            "2026-05-04T10:00+02:00",
            [("2026-05-05T10:00+02:00", "2026-05-05T20:00+02:00")],
            "2026-05-12T09:00+02:00",
        ),
        (  # calendar: the pause begins within the roll, after the deadline: no effect
            4,
            "2026-05-09T12:00+02:00",
            [("2026-05-16T12:00+02:00", None)],
            "2026-05-18T09:00+02:00",
        ),
        (  # calendar: each moves the deadline behind the next
            4,
            "2026-05-04T10:00+02:00",
            [
                ("2026-05-11T11:00+02:00", "2026-05-11T13:00+02:00"),
                ("2026-05-11T09:00+02:00", "2026-05-11T11:00+02:00"),
            ],
            "2026-05-11T14:00+02:00",
        ),
        (  # calendar: without the first one the second lies behind the deadline
            4,
            "2026-05-04T10:00+02:00",
            [("2026-05-11T11:00+02:00", "2026-05-11T13:00+02:00")],
            "2026-05-11T10:00+02:00",
        ),
        (  # calendar: elapsed time moves it, also over the change of summer time
            4,
            "2026-03-20T10:00+01:00",
            [("2026-03-21T10:00+01:00", "2026-03-24T10:00+01:00")],
            "2026-03-30T11:00+02:00",
        ),
    ],
)
def test_pauses(priority, registered, pairs, expected):
    assert due_at(POLICY, priority, at(registered), pauses_of(pairs)) == at(expected)


@pytest.mark.parametrize(
    "registered, expected",
    [
        ("2026-10-18T02:30+02:00", "2026-10-25T00:30Z"),  # shown twice: the first
        ("2026-03-22T02:30+01:00", "2026-03-29T01:30Z"),  # skipped: the offset before the jump
        ("2026-10-25T02:30+01:00", "2026-11-01T01:30Z"),  # from the second of the two
    ],
)
def test_a_local_week_onto_a_change(registered, expected):
    length = target_length(POLICY, 4, at(registered))
    assert at(registered) + length == at(expected)


def test_only_whole_weeks_are_local():
    policy = SlaPolicy("x", {4: Target(timedelta(days=1), Clock.CALENDAR)}, OPEN_ALWAYS.calendar)
    saturday = datetime(2026, 10, 3, 12, tzinfo=UTC)
    assert target_length(policy, 4, saturday) == timedelta(hours=24)
    policy = SlaPolicy("x", {4: Target(timedelta(days=8), Clock.CALENDAR)}, OPEN_ALWAYS.calendar)
    assert target_length(policy, 4, saturday) == timedelta(days=8, hours=-0.5)


def test_used_and_left():
    registered = at("2026-05-04T16:00+02:00")
    pause = pauses_of([("2026-05-04T17:00+02:00", "2026-05-05T10:00+02:00")])
    for now, hours in [
        ("2026-05-04T15:00+02:00", 0),  # before the registration
        ("2026-05-04T16:30+02:00", 0.5),
        ("2026-05-05T09:00+02:00", 1),  # paused
        ("2026-05-05T12:00+02:00", 3),
        ("2026-05-05T13:00+02:00", 4),  # at the deadline
        ("2026-05-05T20:00+02:00", 9),  # behind it
    ]:
        assert used(POLICY, 1, registered, at(now), pause) == timedelta(hours=hours)
        assert left(POLICY, 1, registered, at(now), pause) == timedelta(hours=4 - hours)


def test_used_stands_in_an_open_pause():
    registered = at("2026-05-04T10:00+02:00")
    pause = pauses_of([("2026-05-04T11:00+02:00", None)])
    assert used(POLICY, 1, registered, at("2026-06-04T11:00+02:00"), pause) == timedelta(hours=1)
    assert left(POLICY, 1, registered, at("2026-06-04T11:00+02:00"), pause) == timedelta(hours=3)
    assert left(POLICY, 4, registered, at("2026-06-04T11:00+02:00"), pause) == WEEK - timedelta(
        hours=1
    )


def test_left_of_a_rolled_deadline_ends_at_the_deadline():
    registered = at("2026-05-09T12:00+02:00")  # due on a Saturday, rolled to Monday 9:00
    pause = pauses_of([("2026-05-17T12:00+02:00", None)])  # within the roll: no effect
    for now, hours in [
        ("2026-05-09T12:00+02:00", 168 + 45),
        ("2026-05-16T12:00+02:00", 45),
        ("2026-05-18T08:00+02:00", 1),
        ("2026-05-18T09:00+02:00", 0),
        ("2026-05-18T10:00+02:00", -1),
    ]:
        assert left(POLICY, 4, registered, at(now), pause) == timedelta(hours=hours)


def test_explain_names_each_stretch():
    found = explain(
        POLICY,
        2,
        at("2026-05-22T16:00+02:00"),
        pauses_of([("2026-05-26T10:00+02:00", "2026-05-26T12:00+02:00")]),
    )
    assert [(each.counted, each.reason) for each in found] == [
        (True, "counted: working day"),
        (False, "closed: weekend"),
        (False, "closed: public holiday a holiday"),
        (True, "counted: working day"),
        (False, "paused: waiting for the client"),
        (True, "counted: working day"),
    ]
    assert found[0].start == at("2026-05-22T16:00+02:00")
    assert found[-1].end == at("2026-05-27T18:00+02:00")


def test_explain_opening_hours_and_the_roll():
    night = explain(POLICY, 1, at("2026-05-04T17:00+02:00"))
    assert [each.reason for each in night] == [
        "counted: opening hours",
        "closed: outside opening hours",
        "counted: opening hours",
    ]
    assert explain(POLICY, 4, at("2026-05-09T12:00+02:00")) == (
        Interval(at("2026-05-09T10:00Z"), at("2026-05-16T10:00Z"), True, "counted: all time"),
        Interval(
            at("2026-05-16T10:00Z"),
            at("2026-05-18T07:00Z"),
            False,
            "rolled forward: to the next opening",
        ),
    )


def test_explain_up_to_now():
    registered = at("2026-05-09T12:00+02:00")
    assert explain(POLICY, 4, registered, until=registered) == ()
    assert explain(POLICY, 4, registered, until=at("2026-05-10T12:00+02:00"))[-1].end == at(
        "2026-05-10T12:00+02:00"
    )
    assert explain(POLICY, 4, registered, until=at("2026-05-17T12:00+02:00"))[-1].end == at(
        "2026-05-17T12:00+02:00"
    )
    pause = pauses_of([("2026-05-10T12:00+02:00", None)])
    assert explain(POLICY, 4, registered, pause)[-1].end is None
    assert explain(POLICY, 4, registered, pause, at("2026-05-11T12:00+02:00"))[-1].end == at(
        "2026-05-11T12:00+02:00"
    )


def test_reached_at():
    registered = at("2026-05-04T17:00+02:00")
    assert reached_at(POLICY, 1, registered, timedelta(0)) == registered
    assert reached_at(POLICY, 1, registered, timedelta(hours=1)) == at("2026-05-04T18:00+02:00")


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: due_at(POLICY, 7, at("2026-05-04T17:00Z")), "priority 7: expected one of 1, 2"),
        (lambda: due_at(POLICY, 1, datetime(2026, 5, 4)), "no time zone"),
        (
            lambda: due_at(POLICY, 1, at("2026-05-04T17:00Z"), [Pause(datetime(2026, 5, 4), None)]),
            "no time zone",
        ),
        (lambda: used(POLICY, 1, at("2026-05-04T17:00Z"), datetime(2026, 5, 4)), "no time zone"),
        (lambda: Target(timedelta(0), Clock.CALENDAR), "expected a positive duration"),
        (lambda: Target(timedelta(hours=-4), Clock.CALENDAR), "expected a positive duration"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_no_deadline_beyond_the_calendar_of_python():
    with pytest.raises(OverflowError):
        due_at(OPEN_ALWAYS, 4, datetime(9999, 12, 30, tzinfo=UTC))
    far = SlaPolicy(
        "x",
        {1: Target(timedelta(hours=999), Clock.CALENDAR)},
        BusinessCalendar(ZoneInfo("UTC"), ((), (), (), (), (), (), ((time(9), time(18)),))),
    )
    long_pause = [Pause(datetime(2026, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))]
    with pytest.raises(OverflowError, match="before the year 9999"):
        due_at(far, 1, datetime(2025, 12, 31, tzinfo=UTC), long_pause)


# --- against the oracle ---------------------------------------------------------------------

CLOCKS = {
    1: ("business_hours", 4),
    2: ("working_days", 48),
    3: ("working_days", 72),
    4: ("calendar", 168),
}
EDGES = [0, 9 * 3600, 12.5 * 3600, 18 * 3600, 2 * 3600, 3 * 3600, 1.5 * 3600]
DAYS = [
    date(2026, 3, 20),
    date(2026, 3, 28),
    date(2026, 3, 29),
    date(2026, 10, 18),
    date(2026, 10, 24),
    date(2026, 10, 25),
    date(2026, 4, 30),
    date(2026, 5, 22),
    date(2026, 12, 24),
    date(2026, 12, 31),
]


def random_instant(rng):
    """Any microsecond of the year, or close to an edge: opening, closing, change, holiday."""
    zone = rng.choice([UTC, ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")])
    if rng.random() < 0.5:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        return (start + timedelta(microseconds=rng.randrange(365 * 86400 * 10**6))).astimezone(zone)
    day = (
        rng.choice(DAYS) if rng.random() < 0.5 else date(2026, 1, 2) + timedelta(rng.randrange(360))
    )
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Paris"))
    moment = local + timedelta(seconds=rng.choice(EDGES))
    nudge = rng.choice([0, 0, 1, -1, 10**6, -(10**6), 60 * 10**6])
    return (moment.astimezone(UTC) + timedelta(microseconds=nudge)).astimezone(zone)


def random_pauses(rng, registered, expected):
    """Up to four: anywhere near, at the edges of one another and of the deadline."""
    known = [registered, registered + timedelta(hours=4), *([expected] if expected else [])]
    pairs = []
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3, 4])):
        start = rng.choice(known)
        if rng.random() < 0.6:
            start += timedelta(hours=rng.uniform(-8, rng.choice([4, 30, 200])))
        if rng.random() < 0.2:
            start += timedelta(microseconds=rng.choice([-1, 1, -(10**6), 10**6]))
        length = rng.choice([timedelta(0), timedelta(hours=-1), timedelta(hours=1)])
        if rng.random() < 0.7:
            length = timedelta(hours=min(rng.expovariate(0.1), 400))
        end = None if rng.random() < 0.08 else start + length
        pairs.append((start, end))
        known += [start, *([end] if end else [])]
    rng.shuffle(pairs)
    return pairs


def compare(where, policy, rng):
    priority = rng.choice([1, 2, 3, 4])
    registered = random_instant(rng)
    expected = due(where, *CLOCKS[priority], registered, [])
    pairs = random_pauses(rng, registered, expected)
    if pairs:
        expected = due(where, *CLOCKS[priority], registered, pairs)
    pauses = [Pause(start, end) for start, end in pairs]
    found = due_at(policy, priority, registered, pauses)
    assert found == expected, (where.zone, priority, registered.isoformat(), pairs)
    return priority, registered, pauses, found


@pytest.mark.parametrize("seed", range(4))
def test_ten_thousand_cases_agree_with_the_oracle(seed):
    rng = random.Random(seed)
    for _ in range(2500):
        compare(PARIS, POLICY, rng)


@pytest.mark.parametrize("where", DESKS[1:], ids=lambda each: each.zone)
def test_other_desks_agree_with_the_oracle(where):
    rng = random.Random(where.zone)
    policy = policy_of(where)
    slow = where.zone == "Asia/Kathmandu"  # 4 hours take 16 weeks there
    for _ in range(60 if slow else 500):
        compare(where, policy, rng)


def test_minute_by_minute_agrees_too():
    where = desk(tick=MINUTE)
    rng = random.Random("minutes")
    for _ in range(30):
        compare(where, POLICY, rng)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(st.integers(0, 2**32))
def test_hypothesis_finds_no_difference(seed):
    """And the explanation has no gap, ends at the deadline, and counts what `used` counts."""
    priority, registered, pauses, found = compare(PARIS, POLICY, random.Random(seed))
    intervals = explain(POLICY, priority, registered, pauses)
    assert intervals[0].start == registered.astimezone(UTC)
    for one, next_ in pairwise(intervals):
        assert one.end == next_.start
        assert (one.counted, one.reason) != (next_.counted, next_.reason)
    assert intervals[-1].end == found
    if found is not None:
        counted = sum((each.end - each.start for each in intervals if each.counted), timedelta(0))
        assert counted == target_length(POLICY, priority, registered)
        assert used(POLICY, priority, registered, found, pauses) >= counted
        assert left(POLICY, priority, registered, found, pauses) == timedelta(0)


MOMENTS = st.datetimes(datetime(2026, 1, 2), datetime(2026, 12, 1), timezones=st.just(UTC))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    MOMENTS,
    st.timedeltas(timedelta(0), timedelta(days=9)),
    st.sampled_from([1, 2, 3, 4]),
    st.integers(0, 2**32),
)
def test_a_later_registration_is_never_due_earlier(registered, later, priority, seed):
    rng = random.Random(seed)
    pauses = [Pause(a, b) for a, b in random_pauses(rng, registered, None)]
    first = due_at(POLICY, priority, registered, pauses)
    second = due_at(POLICY, priority, registered + later, pauses)
    if first is None:
        assert second is None
    elif second is not None:
        assert second >= first


@settings(max_examples=200, deadline=None, derandomize=True)
@given(MOMENTS, st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**32))
def test_pauses_in_any_order_and_twice_over_change_nothing(registered, priority, seed):
    rng = random.Random(seed)
    pauses = [Pause(a, b) for a, b in random_pauses(rng, registered, None)]
    again = pauses * 2
    rng.shuffle(again)
    assert due_at(POLICY, priority, registered, pauses) == due_at(
        POLICY, priority, registered, again
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    MOMENTS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=3)), st.sampled_from([1, 2, 3, 4])
)
def test_a_pause_never_brings_a_deadline_nearer(registered, start, length, priority):
    assert due_at(POLICY, priority, registered, [Pause(start, start + length)]) >= due_at(
        POLICY, priority, registered
    )
