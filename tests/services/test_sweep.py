"""What a sweep sends, to whom, and what it leaves alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from mailflow.adapters.tables import Reminder, Ticket
from mailflow.core.tickets import Action
from mailflow.services import sweep as sweep_module
from mailflow.services.sweep import in_hours, sweep
from mailflow.workers import worker_name
from tests.services.life import (
    ALICE,
    events,
    mails,
    paris,
    registered,
    reminders,
    say,
    send_all,
    stages,
    step,
    ticket,
)

ALICE_MAIL, BOB, SYLVIE = "alice@support.example", "bob@support.example", "sylvie@support.example"


def of_agents(desk, number):
    return mails(desk, number, "agent_reminder", "agent_escalation")


@pytest.mark.parametrize(
    "now, sent",
    [
        ("2026-03-03 11:59", []),
        ("2026-03-03 12:00", [("agent_reminder", ALICE_MAIL)]),  # the moment itself
        # from here on an outage: one mail, and the agent whose own were skipped reads it too
        ("2026-03-03 13:10", [("agent_reminder", ALICE_MAIL)]),
        ("2026-03-03 13:40", [("agent_escalation", SYLVIE), ("agent_escalation", ALICE_MAIL)]),
        ("2026-03-04 10:00", [("agent_escalation", SYLVIE), ("agent_escalation", ALICE_MAIL)]),
    ],
)
def test_the_most_urgent_missed_stage_is_sent_once(desk, clock, now, sent):
    number = registered(desk, 1)
    clock.now = paris(now)
    sweep(desk)
    sweep(desk)
    sweep(replace(desk, worker=worker_name()))
    assert of_agents(desk, number) == sent


def test_each_stage_goes_to_its_reader_in_time(desk, clock):
    number = registered(desk, 1)
    for time in ("12:00", "13:00", "13:30", "14:00"):
        clock.now = paris(f"2026-03-03 {time}")
        sweep(desk)
        say(desk, number, "#note\nje regarde")  # not silent
    assert of_agents(desk, number) == [
        ("agent_reminder", ALICE_MAIL),
        ("agent_reminder", ALICE_MAIL),
        ("agent_escalation", SYLVIE),
        ("agent_escalation", SYLVIE),
    ]
    found = events(desk, number, "reminded", "escalated")
    assert [(each.data["stage"], each.data["left"]) for each in found] == [
        ("half", "2 h 00"), ("soon", "1 h 00"), ("escalation", "0 h 30"), ("breach", "0 h 00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "priority, registered_at, back_at, stage, sent_at",
    [
        # 'soon' fell on Tuesday at 16:00, while the desk was down
        (4, "2026-03-05 10:00", "2026-03-10 20:00", "soon", "2026-03-11 09:00"),
        # P2 due at 22:00: a warning that waited for the morning would come too late
        (2, "2026-03-03 22:00", "2026-03-05 20:00", "escalation", "2026-03-05 20:00"),
        # the breach of a P2 waits for the opening, that of a P1 for nothing
        (2, "2026-03-03 19:30", "2026-03-05 20:00", "breach", "2026-03-06 09:00"),
        (1, "2026-03-03 10:00", "2026-03-03 20:00", "breach", "2026-03-03 20:00"),
        # late by less than a sweep or two is in time
        (3, "2026-03-03 12:00", "2026-03-05 18:05", "soon", "2026-03-05 18:05"),
    ],
)
def test_after_an_outage_nobody_is_written_to_by_night(
    desk, clock, priority, registered_at, back_at, stage, sent_at
):
    clock.now = paris(registered_at)
    number = registered(desk, priority)
    clock.now = paris(back_at)
    sweep(desk)
    if back_at != sent_at:
        assert of_agents(desk, number) == []
        clock.now = paris(sent_at)
        sweep(desk)
    (row,) = reminders(desk, number, status="sent")
    assert (row.stage, row.done_at) == (stage, paris(sent_at))


def test_nothing_is_sent_while_the_ticket_waits_or_when_its_deadline_moved(desk, clock):
    number = registered(desk, 1)
    with desk.database.begin() as session:  # as if another worker paused it meanwhile
        session.get_one(Ticket, number).state = "pending"
    clock.advance(hours=3)
    assert sweep(desk) == 0
    assert {each.status for each in reminders(desk, number) if each.moment <= clock.now} == {
        "withdrawn"
    }


def test_without_an_agent_in_charge_all_are_told(desk, clock):
    number = registered(desk, 1)
    with desk.database.begin() as session:
        session.get_one(Ticket, number).agent = None
    clock.advance(hours=2)
    sweep(desk)
    assert {reader for _, reader in of_agents(desk, number)} == {ALICE_MAIL, BOB, SYLVIE}


def test_a_ticket_that_fails_stops_no_other(desk, clock, monkeypatch):
    bad, good = registered(desk, 1), registered(desk, 1)
    clock.advance(hours=2)
    real = sweep_module._remind_of_deadline

    def fail(session, desk, ticket, *args, **more):
        if ticket.id == bad:
            raise RuntimeError("broken")
        real(session, desk, ticket, *args, **more)

    monkeypatch.setattr(sweep_module, "_remind_of_deadline", fail)
    with pytest.raises(RuntimeError):
        sweep(desk)
    assert stages(desk, good, "sent") == ["half"]
    assert "half" in stages(desk, bad, "pending")  # nothing of it was kept: it is due again
    monkeypatch.undo()
    sweep(desk)
    assert stages(desk, bad, "sent") == ["half"]


def test_prompts_for_a_p1_come_each_working_hour_until_a_workaround(desk, clock):
    clock.now = paris("2026-03-03 16:30")
    number = registered(desk, 1)
    prompted = []
    for minutes in range(1, 60 * 24):
        clock.now = paris("2026-03-03 16:30") + timedelta(minutes=minutes)
        if minutes == 60 * 18 + 10:  # 10:40
            say(desk, number, "#workaround\nPassez par le portail.")
        sweep(desk)
        found = events(desk, number, "progress_prompted")
        if len(found) > len(prompted):
            prompted.append(clock.now)
    assert prompted == [
        paris("2026-03-03 17:30"),
        paris("2026-03-04 09:30"),  # half an hour before closing, half after opening
        paris("2026-03-04 10:30"),
    ]
    assert mails(desk, number, "agent_prompt") == [("agent_prompt", ALICE_MAIL)] * 2 + [
        ("agent_prompt", ticket(desk, number).agent)
    ]


def test_a_lower_priority_ends_the_prompts_even_one_that_is_due(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=1)
    say(desk, number, "#priority 2 un seul site")
    sweep(desk)
    assert events(desk, number, "progress_prompted") == []
    say(desk, number, "#priority 1 tous les sites")
    assert [each.moment for each in reminders(desk, number, "progress", status="pending")] == [
        paris("2026-03-03 12:00")
    ]


def test_silence_at_a_reminder_hands_the_ticket_over_once(desk, clock):
    number = registered(desk, 1)
    assert ticket(desk, number).agent == ALICE_MAIL
    clock.now = paris("2026-03-03 12:00")
    sweep(desk)
    clock.now = paris("2026-03-03 13:00")
    sweep(desk)
    assert ticket(desk, number).agent == BOB
    assert of_agents(desk, number) == [("agent_reminder", ALICE_MAIL), ("agent_reminder", BOB)]
    assert mails(desk, number, "agent_new")[-1] == ("agent_new", BOB)
    assert "unanswered" in events(desk, number, "assigned")[-1].data["reason"]
    clock.now = paris("2026-03-03 13:30")  # Bob is silent too: the supervisor has it now
    sweep(desk)
    assert ticket(desk, number).agent == BOB


@pytest.mark.parametrize("sign", ["#note\nje cherche", "Nous cherchons.", "#priority 1"])
def test_any_sign_of_the_agent_keeps_the_ticket(desk, clock, sign):
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 12:00")
    sweep(desk)
    clock.advance(minutes=10)
    say(desk, number, sign, ALICE)
    clock.now = paris("2026-03-03 13:00")
    sweep(desk)
    assert ticket(desk, number).agent == ALICE_MAIL


def test_with_nobody_else_on_duty_the_ticket_stays(desk, clock):
    away = tuple(
        agent if agent.address == ALICE_MAIL else replace(agent, on_duty={6: ()})
        for agent in desk.agents
    )
    alone = replace(desk, agents=away)
    number = registered(alone, 1)
    for time in ("12:00", "13:00"):
        clock.now = paris(f"2026-03-03 {time}")
        sweep(alone)
    assert ticket(desk, number).agent == ALICE_MAIL


def test_the_mails_of_a_sweep_can_be_sent(desk, clock):
    number = registered(desk, 1)
    for _ in range(6):
        clock.advance(hours=1)
        sweep(desk)
        send_all(desk)
    with desk.database.read() as session:
        assert session.scalars(select(Reminder).where(Reminder.status == "pending")).all() != []
    assert len(mails(desk, number, "agent_prompt")) == 6


def test_idempotence(desk, clock):
    number = registered(desk, 2)
    step(desk, number, "client_replied", Action.CLIENT_REPLIED)
    clock.advance(days=1)
    assert [sweep(desk) for _ in range(4)] == [1, 0, 0, 0]


def test_tickets_that_are_due_together_share_a_transaction(desk, clock):
    for _ in range(3):
        registered(desk, 2)
    clock.advance(days=1)
    commits = []
    event.listen(desk.database.engine, "commit", commits.append)
    assert sweep(desk) == 3
    assert len(commits) == 2  # the question what is due, and one for all that follows


@pytest.mark.parametrize(
    "duration, text",
    [
        (timedelta(0), "0 h 00"),
        (timedelta(seconds=-20), "0 h 00"),
        (timedelta(hours=1, minutes=5), "1 h 05"),
        (timedelta(minutes=-10), "-0 h 10"),
        (timedelta(hours=48), "48 h 00"),
    ],
)
def test_in_hours(duration, text):
    assert in_hours(duration) == text
