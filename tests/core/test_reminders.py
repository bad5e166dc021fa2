"""Which reminder moments exist, and which one to send."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailflow.core.calendar import BusinessCalendar
from mailflow.core.policy import Chase, Clock, Recipient, SlaPolicy, Stage, Target
from mailflow.core.reminders import (
    client_reminders,
    next_progress_prompt,
    reminder_moments,
)
from mailflow.core.sla import Pause, due_at

OFFICE = (((time(9), time(18)),),) * 5 + ((), ())
STAGES = (
    Stage("half", Recipient.AGENT, 0.5),
    Stage("soon", Recipient.AGENT, 0.75),
    Stage("escalation", Recipient.SUPERVISOR, timedelta(minutes=30)),
    Stage("breach", Recipient.SUPERVISOR, 1.0, open_hours_only=False),
)
POLICY = SlaPolicy(
    "test",
    {
        1: Target(timedelta(hours=4), Clock.BUSINESS_HOURS),
        2: Target(timedelta(hours=48), Clock.WORKING_DAYS),
        3: Target(timedelta(hours=1), Clock.WORKING_DAYS),
        4: Target(timedelta(weeks=1), Clock.CALENDAR),
    },
    BusinessCalendar(ZoneInfo("Europe/Paris"), OFFICE),
    reminders={1: STAGES, 2: STAGES, 3: STAGES[:1], 4: STAGES},
    progress_every={1: timedelta(hours=1)},
)


def at(text):
    day, _, clock = text.partition(" ")
    return datetime.fromisoformat(f"2026-05-{int(day):02}T{clock}+02:00")


def pauses_of(*pairs):
    return [Pause(at(start), end and at(end)) for start, end in pairs]


@pytest.mark.parametrize(
    "priority, registered, pauses, moments",
    [
        # shares and time left on opening hours
        (1, "4 10:00", [], ["4 12:00", "4 13:00", "4 13:30", "4 14:00"]),
        # over night; what falls on closing time sharp stays there
        (1, "4 16:00", [], ["4 18:00", "5 10:00", "5 10:30", "5 11:00"]),
        # pauses are skipped
        (1, "4 10:00", [("4 11:00", "4 12:00")], ["4 13:00", "4 14:00", "4 14:30", "4 15:00"]),
        # behind an open pause nothing is due yet; what lies before it is
        (1, "4 10:00", [("4 12:30", None)], ["4 12:00"]),
        (1, "4 10:00", [("4 10:30", None)], []),
        # round the clock: 22:00 and 10:00; the night waits, the warning of 21:30 cannot
        (2, "11 22:00", [], ["13 09:00", "13 10:00", "13 17:30", "13 22:00"]),
        # time left on the clock before the roll: Saturday 11:30 would wait until the deadline
        (4, "9 12:00", [], ["13 09:00", "14 18:00", "15 17:30", "18 09:00"]),
    ],
)
def test_reminder_moments(priority, registered, pauses, moments):
    found = reminder_moments(POLICY, priority, at(registered), pauses_of(*pauses))
    assert [each.due_moment for each in found] == [at(each) for each in moments]
    assert [each.stage for each in found] == [each.name for each in STAGES[: len(found)]]


def test_a_breach_may_wait_for_the_opening():
    policy = replace(POLICY, reminders={2: (Stage("breach", Recipient.AGENT, 1.0),)})
    (found,) = reminder_moments(policy, 2, at("11 22:00"))
    assert found.due_moment == at("14 09:00")
    assert found.to is Recipient.AGENT


def test_a_warning_at_its_own_moment_where_support_never_opened():
    (found,) = reminder_moments(POLICY, 3, at("11 22:00"))  # due at 23:00
    assert found.due_moment == at("11 22:30")


def test_a_warning_before_closing_never_comes_before_the_registration():
    policy = replace(POLICY, targets={3: Target(timedelta(hours=3), Clock.WORKING_DAYS)})
    (found,) = reminder_moments(policy, 3, at("11 17:45"))  # half at 19:15, due at 20:45
    assert found.due_moment == at("11 17:45")


def test_a_warning_before_closing_stays_within_a_short_span():
    short = (((time(9), time(12)), (time(17, 50), time(18))),) * 7
    policy = replace(POLICY, calendar=BusinessCalendar(ZoneInfo("Europe/Paris"), short))
    found = reminder_moments(policy, 2, at("11 22:00"))
    assert found[2].due_moment == at("13 17:50")  # not 17:30, when support is closed


def test_a_warning_of_a_desk_that_never_opened_before():
    first = at("14 09:00").date()
    calendar = BusinessCalendar(
        ZoneInfo("Europe/Paris"), ((),) * 7, special_days={first: OFFICE[0]}
    )
    policy = replace(POLICY, calendar=calendar)
    found = reminder_moments(policy, 4, at("6 12:00"))
    assert found[1].due_moment < found[3].due_moment == at("14 09:00")


def test_no_stages_no_moments():
    assert reminder_moments(replace(POLICY, reminders={}), 1, at("4 10:00")) == ()


def test_no_warning_comes_after_its_deadline():
    for hour in range(24 * 8):
        registered = at("4 00:10") + timedelta(hours=hour)
        for priority in (1, 2, 3, 4):
            found = reminder_moments(POLICY, priority, registered)
            due = due_at(POLICY, priority, registered)
            moments = [each.due_moment for each in found]
            assert moments == sorted(moments)
            assert all(registered <= each <= due for each in moments)
            assert all(each < due for each in moments[:3])


@pytest.mark.parametrize(
    "asked, chase, reminders, ends",
    [
        ("4 10:00", Chase(2, 2, True), ["6 10:00", "8 10:00"], "12 10:00"),
        ("8 10:00", Chase(2, 1, True), ["11 10:00", "12 10:00"], "13 10:00"),  # over a weekend
        ("8 20:00", Chase(1, 1, True), ["12 09:00"], "13 09:00"),  # asked in the evening
        ("4 10:00", Chase(2, 3, False), ["7 10:00", "12 10:00"], None),  # never closed in silence
        ("4 10:00", Chase(0, 2, True), [], "6 10:00"),
    ],
)
def test_client_reminders(asked, chase, reminders, ends):
    found = client_reminders(POLICY.calendar, chase, at(asked))
    assert found.reminders == tuple(at(each) for each in reminders)
    assert found.ends_at == (ends and at(ends))


@pytest.mark.parametrize(
    "registered, until, pauses, prompts, following",
    [
        ("4 10:00", "4 10:59", [], [], "4 11:00"),
        ("4 10:00", "4 12:00", [], ["4 11:00", "4 12:00"], "4 13:00"),
        ("4 16:30", "5 10:00", [], ["4 17:30", "5 09:30"], "5 10:30"),  # working hours only
        ("4 10:00", "4 13:00", [("4 10:30", "4 12:00")], ["4 12:30"], "4 13:30"),
        ("4 10:00", "4 13:00", [("4 11:30", None)], ["4 11:00"], None),  # waiting: no prompt
    ],
)
def test_progress_prompts(registered, until, pauses, prompts, following):
    pauses = pauses_of(*pauses)
    moment = at(registered)
    for expected in prompts:  # one after the other, as the daemon plans them
        moment = next_progress_prompt(POLICY, 1, at(registered), moment, pauses)
        assert moment == at(expected)
    after = next_progress_prompt(POLICY, 1, at(registered), at(until), pauses)
    assert after == (following and at(following))


def test_only_some_priorities_have_prompts():
    assert next_progress_prompt(POLICY, 2, at("4 10:00"), at("5 10:00")) is None
