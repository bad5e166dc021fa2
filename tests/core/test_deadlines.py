"""Deadlines from a ticket's event log."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailflow.core.calendar import BusinessCalendar, Holidays
from mailflow.core.deadlines import ClockEvent, deadline_of, timeline_of
from mailflow.core.sla import Clock, SlaPolicy, Target

HOLIDAYS = Holidays("FR", {date(2026, 5, 8): "Fête de la Victoire"}.get)
POLICY = SlaPolicy(
    "test",
    {
        1: Target(timedelta(hours=4), Clock.BUSINESS_HOURS),
        2: Target(timedelta(hours=48), Clock.WORKING_DAYS),
        3: Target(timedelta(hours=72), Clock.WORKING_DAYS),
        4: Target(timedelta(weeks=1), Clock.CALENDAR),
    },
    BusinessCalendar(ZoneInfo("Europe/Paris"), (((time(9), time(18)),),) * 5 + ((), ()), HOLIDAYS),
)


def at(text):
    """'4 10:00' is 4 May 2026, 10:00 in Paris."""
    day, _, clock = text.partition(" ")
    return datetime.fromisoformat(f"2026-05-{int(day):02}T{clock}+02:00")


def log(*rows):
    return [ClockEvent(at(moment), kind, *priority) for moment, kind, *priority in rows]


REGISTERED = ("4 10:00", "registered", 1)


@pytest.mark.parametrize(
    "rows, now, due, used, left, breached, standing",
    [
        # running: due at 14:00
        ([REGISTERED], "4 12:00", "4 14:00", 2, 2, False, False),
        # at the deadline it is not breached yet
        ([REGISTERED], "4 14:00", "4 14:00", 4, 0, False, False),
        ([REGISTERED], "4 14:00:01", "4 14:00", 4 + 1 / 3600, -1 / 3600, True, False),
        # waiting for the client
        ([REGISTERED, ("4 11:00", "paused")], "4 17:00", None, 1, 3, False, True),
        (
            [REGISTERED, ("4 11:00", "paused"), ("4 12:00", "resumed")],
            "4 13:00",
            "4 15:00",
            2,
            2,
            False,
            False,
        ),
        # what is known later does not count yet
        ([REGISTERED, ("4 11:00", "paused")], "4 10:30", "4 14:00", 0.5, 3.5, False, False),
        # resolved in time: no deadline while the client's word is awaited
        ([REGISTERED, ("4 11:00", "resolved")], "7 11:00", None, 1, 3, False, True),
        # ... and refused: the clock goes on
        (
            [REGISTERED, ("4 11:00", "resolved"), ("5 11:00", "resolution_refused")],
            "5 12:00",
            "5 14:00",
            2,
            2,
            False,
            False,
        ),
        # resolved too late: stays breached
        ([REGISTERED, ("4 15:00", "resolved")], "5 11:00", "4 14:00", 5, -1, True, True),
        # resolved at the very deadline: in time
        ([REGISTERED, ("4 14:00", "resolved")], "5 11:00", "4 14:00", 4, 0, False, True),
        # closed, and reopened within the grace time: the same clock
        (
            [
                REGISTERED,
                ("4 11:00", "resolved"),
                ("4 12:00", "closed"),
                ("6 10:00", "reopened"),
            ],
            "6 11:00",
            "6 13:00",
            2,
            2,
            False,
            False,
        ),
        # resolved while waiting; the client's no ends both
        (
            [
                REGISTERED,
                ("4 11:00", "paused"),
                ("4 12:00", "resolved"),
                ("4 13:00", "resolution_refused"),
            ],
            "4 14:00",
            "4 16:00",
            2,
            2,
            False,
            False,
        ),
        # an answer that is neither yes nor no does not start the clock of a resolved ticket
        (
            [REGISTERED, ("4 11:00", "resolved"), ("4 12:00", "resumed")],
            "4 14:00",
            None,
            1,
            3,
            False,
            True,
        ),
        # waiting is not asked twice; a pause in a closed ticket is none
        (
            [
                REGISTERED,
                ("4 11:00", "paused"),
                ("4 11:30", "paused"),
                ("4 12:00", "closed"),
                ("4 12:10", "resolved"),
                ("4 12:20", "paused"),
                ("4 12:30", "resolution_refused"),
            ],
            "4 13:00",
            None,
            1,
            3,
            False,
            True,
        ),
        # what makes a running clock go on changes nothing
        ([REGISTERED, ("4 11:00", "resumed")], "4 12:00", "4 14:00", 2, 2, False, False),
        # priority 2 from the registration on: Friday 8 May is closed
        (
            [("6 10:00", "registered", 1), ("6 13:00", "priority_changed", 2)],
            "6 14:00",
            "11 10:00",
            4,
            44,
            False,
            False,
        ),
        # a raised priority may be late at once
        (
            [("4 10:00", "registered", 3), ("5 10:00", "priority_changed", 1)],
            "5 10:00",
            "4 14:00",
            9,
            -5,
            True,
            False,
        ),
        # a workaround ends the P1 regime; the rest has the policy's priority
        (
            [REGISTERED, ("4 12:00", "workaround", 3)],
            "4 15:00",
            "7 10:00",
            5,
            67,
            False,
            False,
        ),
        # one without a priority changes nothing
        ([REGISTERED, ("4 12:00", "workaround")], "4 13:00", "4 14:00", 3, 1, False, False),
        # registered once only
        ([REGISTERED, ("4 12:00", "registered", 3)], "4 13:00", "4 14:00", 3, 1, False, False),
    ],
)
def test_deadline_of(rows, now, due, used, left, breached, standing):
    found = deadline_of(log(*rows), POLICY, at(now))
    assert found.due_at == (due and at(due))
    assert found.used == timedelta(hours=used)
    assert found.left == timedelta(hours=left)
    assert found.breached is breached
    assert found.breached_at == (at(due) if breached else None)
    assert found.standing is standing
    assert found == deadline_of(list(reversed(log(*rows))), POLICY, at(now))  # in any order


def test_a_calendar_deadline_answered_before_the_roll_is_kept():
    rows = [("9 12:00", "registered", 4), ("16 20:00", "resolved")]  # due Saturday 16th, rolled
    found = deadline_of(log(*rows), POLICY, at("20 10:00"))
    assert (found.due_at, found.breached, found.standing) == (at("18 09:00"), False, True)
    closed = deadline_of(log(*rows, ("19 10:00", "closed")), POLICY, at("20 10:00"))
    assert not closed.breached
    refused = deadline_of(log(*rows, ("19 10:00", "resolution_refused")), POLICY, at("20 10:00"))
    assert (refused.breached, refused.breached_at) == (True, at("18 09:00"))
    waiting = deadline_of(
        log(("9 12:00", "registered", 4), ("16 20:00", "paused")), POLICY, at("20 10:00")
    )
    assert waiting.breached  # a pause within the roll does not move it


def test_pauses_say_why():
    rows = [
        REGISTERED,
        ("4 11:00", "paused"),
        ("4 12:00", "resolved"),
        ("4 13:00", "closed"),
        ("5 10:00", "reopened"),
    ]
    found = deadline_of(log(*rows), POLICY, at("5 10:30"))
    assert [each.reason for each in found.pauses] == [
        "paused: waiting for the client",
        "the clock stands: a resolution is proposed",
        "the clock stands: closed",
    ]
    assert [each.reason for each in timeline_of(log(*rows), POLICY, at("5 10:30"))] == [
        "counted: opening hours",
        "paused: waiting for the client",
        "the clock stands: a resolution is proposed",
        "the clock stands: closed",
        "counted: opening hours",
    ]


def test_the_timeline_ends_at_the_due_date_or_now():
    assert timeline_of(log(REGISTERED), POLICY, at("4 11:00"))[-1].end == at("4 14:00")
    waiting = timeline_of(log(REGISTERED, ("4 11:00", "paused")), POLICY, at("4 12:00"))
    assert (waiting[-1].end, waiting[-1].counted) == (at("4 12:00"), False)


def test_an_edit_of_the_rules_moves_no_old_deadline():
    """The policy is the one kept with the ticket; a new one is another value."""
    shorter = replace(POLICY, targets=POLICY.targets | {1: Target(timedelta(1), Clock.CALENDAR)})
    old = deadline_of(log(REGISTERED), POLICY, at("4 11:00"))
    assert (
        old.due_at == at("4 14:00") != deadline_of(log(REGISTERED), shorter, at("4 11:00")).due_at
    )


@pytest.mark.parametrize(
    "rows, words",
    [
        ([], "no 'registered' event"),
        ([("5 10:00", "registered", 1)], "no 'registered' event"),  # not yet
        ([("4 10:00", "registered")], "without a priority"),
        ([REGISTERED, ("4 10:00", "priority_changed")], "without a priority"),
        ([REGISTERED, ("4 10:00", "frozen")], "event 'frozen': expected one of closed"),
    ],
)
def test_refusals(rows, words):
    with pytest.raises(ValueError, match=words):
        deadline_of(log(*rows), POLICY, at("4 11:00"))
