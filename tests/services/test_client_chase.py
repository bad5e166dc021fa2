"""Reminders to clients: so many working days apart, an end that is said, never in silence."""

from dataclasses import replace

import pytest

from mailflow.core.tickets import Action
from mailflow.services.sweep import sweep
from tests.services.life import (
    CLIENT,
    events,
    mails,
    new_ticket,
    paris,
    registered,
    reminders,
    say,
    send_all,
    stages,
    step,
    ticket,
)


def moments(desk, number, track):
    return [each.moment for each in reminders(desk, number, track, status="pending")]


def test_missing_information_is_asked_for_twice_more_then_the_ticket_is_abandoned(desk, clock):
    number = new_ticket(desk, missing=["steps"])  # Tuesday 3 March at 10:00
    assert moments(desk, number, "missing") == [
        paris("2026-03-05 10:00"), paris("2026-03-09 10:00"), paris("2026-03-11 10:00"),
    ]  # fmt: skip
    for moment in moments(desk, number, "missing"):
        clock.now = moment
        sweep(desk)
        send_all(desk)
    assert mails(desk, number) == [
        ("request_information", CLIENT),
        ("missing_reminder", CLIENT),
        ("missing_reminder", CLIENT),
        ("abandoned", CLIENT),
    ]
    assert ticket(desk, number).state == "abandoned"


def test_an_answer_revives_an_abandoned_ticket_and_the_reminders(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    for moment in moments(desk, number, "missing"):
        clock.now = moment
        sweep(desk)
    step(desk, number, "revived", Action.REVIVE)
    assert moments(desk, number, "missing")[0] == paris("2026-03-13 10:00")


def test_an_answer_withdraws_the_reminders_and_a_new_question_plans_new_ones(desk, clock):
    number = new_ticket(desk, missing=["steps", "feature"])
    clock.advance(hours=5)
    step(desk, number, "asked", Action.ASK, changes={"asked": ["steps"]})
    assert moments(desk, number, "missing")[0] == paris("2026-03-05 15:00")
    assert len(stages(desk, number, "withdrawn", "missing")) == 3
    step(desk, number, "completed", Action.REGISTER)
    assert moments(desk, number, "missing") == []


def test_after_a_long_outage_the_last_reminder_comes_before_the_end(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    clock.now = paris("2026-03-20 14:00")  # a Friday; all three moments were missed
    assert sweep(desk) == 1
    assert sweep(desk) == 0
    assert ticket(desk, number).state == "incomplete"
    assert stages(desk, number, "sent", "missing") == ["missing-2"]
    assert moments(desk, number, "missing") == [paris("2026-03-24 14:00")]
    clock.now = paris("2026-03-24 14:00")
    sweep(desk)
    assert ticket(desk, number).state == "abandoned"


def test_a_late_reminder_leaves_the_usual_time_before_the_next(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    clock.now = paris("2026-03-06 17:00")  # the first was due the day before
    sweep(desk)
    assert moments(desk, number, "missing") == [
        paris("2026-03-10 17:00"), paris("2026-03-12 17:00"),
    ]  # fmt: skip


def test_nobody_is_reminded_by_night_after_an_outage(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    clock.now = paris("2026-03-05 22:00")
    assert sweep(desk) == 0
    clock.now = paris("2026-03-06 09:00")
    assert sweep(desk) == 1
    assert stages(desk, number, "sent", "missing") == ["missing-1"]


def test_a_resolution_without_an_answer_stays_open(desk, clock):
    number = registered(desk)
    say(desk, number, "#resolve\nCorrigé.")
    planned = moments(desk, number, "confirmation")
    assert planned == [paris("2026-03-06 10:00"), paris("2026-03-11 10:00")]
    for moment in planned:
        clock.now = moment
        sweep(desk)
    clock.advance(days=90)
    assert sweep(desk) == 0
    assert ticket(desk, number).state == "resolved"
    assert mails(desk, number, "confirmation_reminder") == [("confirmation_reminder", CLIENT)] * 2


def test_closing_without_an_answer_is_an_option_that_tells_the_client(desk_factory, clock):
    desk = desk_factory(clock=clock, support={"close_without_answer": True})
    number = registered(desk)
    say(desk, number, "#resolve\nCorrigé.")
    planned = moments(desk, number, "confirmation")
    assert planned[-1] == paris("2026-03-16 10:00")
    for moment in planned:
        clock.now = moment
        sweep(desk)
        send_all(desk)
    assert ticket(desk, number).state == "closed"
    assert mails(desk, number, "closed") == [("closed", CLIENT)]
    (closed,) = events(desk, number, "closed")
    assert closed.actor == "mailflow" and "no answer" in closed.data["reason"]


@pytest.mark.parametrize(
    "kind, action",
    [
        ("confirmed", Action.CONFIRM),
        ("resolution_refused", Action.REFUSE),
        ("reopened", Action.REOPEN),
    ],
)
def test_an_answer_to_a_resolution_withdraws_its_reminders(desk, clock, kind, action):
    number = registered(desk)
    say(desk, number, "#resolve\nCorrigé.")
    clock.advance(days=3)
    step(desk, number, kind, action)
    assert moments(desk, number, "confirmation") == []
    sweep(desk)
    assert mails(desk, number, "confirmation_reminder") == []


def test_planning_twice_plans_once(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    for _ in range(3):
        step(desk, number, "received")
    assert len(reminders(desk, number, "missing")) == 3


def test_another_worker_sends_nothing_again(desk, clock):
    number = new_ticket(desk, missing=["steps"])
    clock.now = paris("2026-03-05 10:00")
    assert [sweep(each) for each in (desk, replace(desk, worker="other"), desk)] == [1, 0, 0]
    assert len(mails(desk, number, "missing_reminder")) == 1
