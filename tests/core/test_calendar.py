"""The business calendar, row by row."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailflow.core.calendar import (
    SEARCH_DAYS,
    BusinessCalendar,
    CalendarError,
    Holidays,
    as_utc,
    day_text,
    first_instant,
)

PARIS = ZoneInfo("Europe/Paris")
NINE_TO_SIX = ((time(9), time(18)),)
OFFICE = (NINE_TO_SIX,) * 5 + ((), ())
ALL_DAY = (((time(), time()),),) * 7
FRENCH = {
    date(2026, 1, 1): "Jour de l'an",
    date(2026, 5, 1): "Fête du Travail",
    date(2026, 5, 25): "Lundi de Pentecôte",
    date(2026, 8, 15): "Assomption",
    date(2026, 12, 25): "Noël",
}


def calendar(hours=OFFICE, zone=PARIS, **more):
    return BusinessCalendar(zone, hours, Holidays("FR", FRENCH.get), **more)


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "start, hours, due",
    [
        ("2026-04-30T16:00+02:00", 2, "2026-04-30T16:00+00:00"),  # ends at closing time
        ("2026-04-30T17:00+02:00", 2, "2026-05-04T08:00+00:00"),  # 1 May, then a weekend
        ("2026-03-27T17:30+01:00", 1, "2026-03-30T07:30+00:00"),  # over the change to summer time
        ("2026-10-23T17:30+02:00", 1, "2026-10-26T08:30+00:00"),  # over the change back
        ("2026-05-04T08:59:59+02:00", 1, "2026-05-04T08:00+00:00"),  # a second before opening
        ("2026-05-04T09:00:01+02:00", 1, "2026-05-04T08:00:01+00:00"),  # a second after opening
        ("2026-05-04T17:59:59+02:00", 1, "2026-05-05T07:59:59+00:00"),  # a second before closing
        ("2026-05-04T18:00+02:00", 1, "2026-05-05T08:00+00:00"),  # at closing: the next day
        ("2026-05-22T17:00+02:00", 2, "2026-05-26T08:00+00:00"),  # Pentecost Monday
        ("2028-02-28T17:00+01:00", 10, "2028-02-29T17:00+00:00"),  # a leap day is a Tuesday
        (
            "2026-12-31T17:00+01:00",
            2,
            "2027-01-01T09:00+00:00",
        ),  # 2027's holidays are not in FRENCH
        ("2026-05-04T03:00-04:00", 1, "2026-05-04T08:00+00:00"),  # written in another zone
        ("2026-05-04T20:00+02:00", 0, "2026-05-04T18:00+00:00"),  # nothing to count: where it is
    ],
)
def test_add_counts_open_hours_only(start, hours, due):
    assert calendar().add(at(start), timedelta(hours=hours)) == at(due)


@pytest.mark.parametrize(
    "start, end, hours",
    [
        ("2026-05-04T08:00+02:00", "2026-05-04T20:00+02:00", 9),  # a whole day
        ("2026-05-04T10:00+02:00", "2026-05-04T11:30+02:00", 1.5),  # within one span
        ("2026-04-30T16:00+02:00", "2026-05-04T10:00+02:00", 3),  # over holiday and weekend
        ("2026-05-02T10:00+02:00", "2026-05-02T12:00+02:00", 0),  # closed all along
        ("2026-05-04T11:00+02:00", "2026-05-04T10:00+02:00", -1),  # backwards
        ("2026-05-04T11:00+02:00", "2026-05-04T11:00+02:00", 0),  # no time
    ],
)
def test_between(start, end, hours):
    assert calendar().between(at(start), at(end)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "moment, is_open, is_within",
    [
        ("2026-05-04T08:59:59.999999+02:00", False, False),
        ("2026-05-04T09:00+02:00", True, True),
        ("2026-05-04T17:59:59.999999+02:00", True, True),
        ("2026-05-04T18:00+02:00", False, True),  # 18:00 sharp may be a deadline
        ("2026-05-04T18:00:00.000001+02:00", False, False),
        ("2026-05-25T10:00+02:00", False, False),  # holiday
        ("2026-05-05T00:00+02:00", False, False),  # midnight after an ordinary day
        ("2026-05-03T00:00+02:00", False, False),  # midnight after a closed day
    ],
)
def test_open_and_within_hours(moment, is_open, is_within):
    assert calendar().is_open(at(moment)) is is_open
    assert calendar().is_within_hours(at(moment)) is is_within


def test_midnight_may_be_closing_time():
    late = calendar((((time(20), time()),),) + ((),) * 6)
    assert late.is_within_hours(at("2026-05-05T00:00+02:00"))
    assert not late.is_open(at("2026-05-05T00:00+02:00"))
    assert not late.is_within_hours(at("2026-05-05T00:00:01+02:00"))
    assert late.add(at("2026-05-04T12:00+02:00"), timedelta(hours=4)) == at(
        "2026-05-05T00:00+02:00"
    )


def test_round_the_clock():
    always = calendar(ALL_DAY, zone=ZoneInfo("UTC"))
    start = at("2026-05-02T10:00+00:00")
    assert always.add(start, timedelta(hours=100)) == start + timedelta(hours=100)
    assert always.is_open(at("2026-05-05T00:00+00:00"))


def test_several_spans_a_day():
    lunch = (((time(9), time(12)), (time(14), time(18))),) * 5 + ((), ())
    desk = calendar(lunch)
    assert desk.add(at("2026-05-04T11:00+02:00"), timedelta(hours=1)) == at(
        "2026-05-04T12:00+02:00"
    )
    assert desk.add(at("2026-05-04T11:00+02:00"), timedelta(hours=2)) == at(
        "2026-05-04T15:00+02:00"
    )
    assert desk.is_within_hours(at("2026-05-04T12:00+02:00"))  # each closing time is inside
    assert desk.next_open(at("2026-05-04T12:00+02:00")) == at("2026-05-04T14:00+02:00")


def test_half_days_and_exceptional_openings():
    half = ((time(9), time(12)),)
    desk = calendar(
        closed_days={(12, 26): "Boxing day", date(2026, 5, 15): "bridge"},
        special_days={(12, 24): half, date(2026, 5, 16): half, date(2026, 5, 1): half},
    )
    assert desk.next_open(at("2026-12-24T12:00+01:00")) == at("2026-12-28T09:00+01:00")  # Christmas
    # 24 December 2022 is a Saturday: every year shortens, but does not open; the 26th is closed.
    assert desk.next_open(at("2022-12-24T08:00+01:00")) == at("2022-12-27T09:00+01:00")
    assert desk.is_open(at("2026-05-16T10:00+02:00"))  # a Saturday opened by its date
    assert desk.is_open(at("2026-05-01T10:00+02:00"))  # a holiday opened by its date
    assert not desk.is_working_day(date(2026, 5, 15))
    assert not desk.is_working_day(date(2025, 12, 26))
    assert desk.is_working_day(date(2026, 12, 24))


@pytest.mark.parametrize(
    "day, reason",
    [
        (date(2026, 5, 4), ""),
        (date(2026, 5, 2), "closed: weekend"),
        (date(2026, 8, 15), "closed: weekend"),  # a holiday on a Saturday closes nothing more
        (date(2026, 5, 25), "closed: public holiday Lundi de Pentecôte"),
        (date(2026, 5, 6), "closed: every Wednesday"),
        (date(2026, 5, 7), "closed: stocktaking"),
    ],
)
def test_a_closed_day_says_why(day, reason):
    no_wednesday = (NINE_TO_SIX, NINE_TO_SIX, (), NINE_TO_SIX, NINE_TO_SIX, (), ())
    desk = calendar(no_wednesday, closed_days={date(2026, 5, 7): "stocktaking"})
    assert desk.day(day).closed == reason
    assert bool(desk.day(day).spans) is not bool(reason)


@pytest.mark.parametrize(
    "start, days, due",
    [
        ("2026-04-30T16:00+02:00", 1, "2026-05-04T16:00+02:00"),  # holiday and weekend between
        ("2026-05-02T10:00+02:00", 1, "2026-05-04T10:00+02:00"),  # from a closed day
        ("2026-05-04T20:00+02:00", 1, "2026-05-06T09:00+02:00"),  # evening: the next opening
        ("2026-05-04T10:00+02:00", 0, "2026-05-04T10:00+02:00"),
        ("2026-10-23T16:00+02:00", 1, "2026-10-26T16:00+01:00"),  # same local time over the change
    ],
)
def test_add_working_days(start, days, due):
    assert calendar().add_working_days(at(start), days) == at(due)


@pytest.mark.parametrize(
    "moment, closing",
    [
        ("2026-05-04T10:00+02:00", "2026-05-04T10:00+02:00"),  # open until just now
        ("2026-05-04T20:00+02:00", "2026-05-04T18:00+02:00"),
        ("2026-05-04T09:00+02:00", "2026-04-30T18:00+02:00"),  # over weekend and 1 May
    ],
)
def test_last_close(moment, closing):
    assert calendar().last_close(at(moment)) == at(closing)


def test_last_close_of_a_desk_that_never_opened_before():
    desk = calendar(((),) * 7, special_days={date(2026, 5, 4): NINE_TO_SIX})
    assert desk.last_close(at("2026-05-04T09:00+02:00")) is None
    assert desk.last_close(at("2026-06-04T09:00+02:00")) == at("2026-05-04T18:00+02:00")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: calendar(((),) * 7), "no open time at all"),
        (lambda: calendar(OFFICE[:6]), "6 weekdays: expected 7"),
        (lambda: calendar((((time(18), time(9)),),) * 7), "Monday: 18:00-09:00 ends before"),
        (lambda: calendar((((time(9), time(9)),),) * 7), "Monday: 09:00-09:00 ends before"),
        (
            lambda: calendar((((time(9), time(13)), (time(12), time(18))),) * 7),
            "Monday: 12:00-18:00 overlaps",
        ),
        (
            lambda: calendar((((time(14), time(18)), (time(9), time(12))),) * 7),
            "Monday: 09:00-12:00 overlaps the span before it, or is out of order",
        ),
        (
            lambda: calendar((((time(9), time()), (time(12), time(18))),) * 7),
            "Monday: 12:00-18:00 overlaps",  # the first lasts until midnight
        ),
        (lambda: calendar(special_days={(12, 24): ()}), "12-24: no span"),
        (
            lambda: calendar(
                special_days={date(2026, 5, 4): NINE_TO_SIX}, closed_days={date(2026, 5, 4): "x"}
            ),
            "2026-05-04: both closed and special",
        ),
        (
            lambda: calendar(special_days={(1, 2): ((time(9), time(8)),)}),
            "01-02: 09:00-08:00 ends before",
        ),
    ],
)
def test_a_calendar_that_cannot_work_is_refused(make, words):
    with pytest.raises(CalendarError, match=words):
        make()


def test_spans_may_touch():
    desk = calendar((((time(9), time(12)), (time(12), time(18))),) * 7)
    assert desk.between(at("2026-05-04T00:00Z"), at("2026-05-05T00:00Z")) == timedelta(hours=9)


def test_a_search_ends():
    closed = BusinessCalendar(PARIS, OFFICE, Holidays("always", lambda day: "Sunday for ever"))
    with pytest.raises(CalendarError, match=f"no open time in the {SEARCH_DAYS} days"):
        closed.next_open(at("2026-05-04T10:00+02:00"))
    with pytest.raises(CalendarError, match="no open time"):
        closed.next_working_day(date(2026, 5, 4))


@pytest.mark.parametrize("call", [as_utc, calendar().is_open, calendar().next_open])
def test_naive_instants_are_refused(call):
    with pytest.raises(ValueError, match="no time zone"):
        call(datetime(2026, 5, 4, 10))


def test_negative_time_cannot_be_added():
    with pytest.raises(ValueError, match="cannot be negative"):
        calendar().add(at("2026-05-04T10:00Z"), timedelta(hours=-1))


@pytest.mark.parametrize(
    "local, zone, instant",
    [
        ("2026-03-29T02:30:00", "Europe/Paris", "2026-03-29T01:00:00Z"),  # skipped: the jump
        ("2026-03-29T02:00:00", "Europe/Paris", "2026-03-29T01:00:00Z"),
        ("2026-03-29T02:00:00.25", "Europe/Paris", "2026-03-29T01:00:00Z"),
        ("2026-03-29T02:59:59.999999", "Europe/Paris", "2026-03-29T01:00:00Z"),
        ("2026-03-29T03:00:00", "Europe/Paris", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30:00", "Europe/Paris", "2026-10-25T00:30:00Z"),  # twice: the first
        ("2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:30:00Z"),  # half an hour
        ("2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T10:00:00Z"),  # a day left out
        ("2026-04-24T00:00:00", "Africa/Cairo", "2026-04-23T22:00:00Z"),  # no midnight
    ],
)
def test_first_instant(local, zone, instant):
    assert first_instant(at(local), ZoneInfo(zone)) == at(instant)


@pytest.mark.parametrize(
    "day, zone, hours",
    [
        (date(2026, 3, 29), "Europe/Paris", 23),
        (date(2026, 10, 25), "Europe/Paris", 25),
        (date(2026, 10, 4), "Australia/Lord_Howe", 23.5),
        (date(2011, 12, 30), "Pacific/Apia", 0),
        (date(2026, 4, 24), "Africa/Cairo", 23),
        (date(2010, 11, 7), "America/St_Johns", 25),  # the change at 00:01 goes back a date
        (date(2028, 2, 29), "Europe/Paris", 24),
    ],
)
def test_a_local_day_lasts_as_long_as_it_does(day, zone, hours):
    found = calendar(ALL_DAY, zone=ZoneInfo(zone)).day(day)
    assert found.end - found.start == timedelta(hours=hours)


def test_a_moment_in_an_hour_shown_twice_over_midnight_belongs_to_one_day():
    desk = calendar(ALL_DAY, zone=ZoneInfo("America/St_Johns"))
    twice = at("2010-11-07T02:45:00Z")  # the clock shows 23:15 of the 6th for the second time
    assert desk.is_open(twice)
    assert next(desk.days_from(twice)).start == at("2010-11-07T02:30:00Z")


def test_night_spans_over_the_changes():
    night = calendar((((time(1), time(2, 30)), (time(2, 45), time(4))),) * 7)
    spring = night.day(date(2026, 3, 29)).spans  # 02:00-03:00 is skipped
    assert spring == (
        (at("2026-03-29T00:00Z"), at("2026-03-29T01:00Z")),
        (at("2026-03-29T01:00Z"), at("2026-03-29T02:00Z")),
    )
    autumn = night.day(date(2026, 10, 25)).spans  # 02:00-03:00 twice; the first time counts
    assert autumn == (
        (at("2026-10-24T23:00Z"), at("2026-10-25T00:30Z")),
        (at("2026-10-25T00:45Z"), at("2026-10-25T03:00Z")),
    )


def test_days_are_remembered_but_not_for_ever(monkeypatch):
    monkeypatch.setattr("mailflow.core.calendar._CACHED_DAYS", 2)
    desk = calendar()
    for number in range(5):
        desk.day(date(2026, 5, 4 + number))
    assert len(desk._days) <= 2
    assert desk.day(date(2026, 5, 4)).start == datetime(2026, 5, 3, 22, tzinfo=UTC)


def test_day_text():
    assert day_text((1, 2)) == "01-02"
    assert day_text(date(2026, 1, 2)) == "2026-01-02"


def test_calendars_with_the_same_rules_are_equal():
    assert calendar() == calendar()
    assert BusinessCalendar(PARIS, OFFICE) == BusinessCalendar(PARIS, OFFICE)
    assert BusinessCalendar(PARIS, OFFICE).is_working_day(date(2026, 5, 1))  # no holidays
