"""A ticket's due time and reminders follow its event log, and the policy kept with it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailflow.adapters.policies import load_policies
from mailflow.core.decisions import Audience, Notice, NoticeKind
from mailflow.core.tickets import Action
from mailflow.data import shipped_folder
from mailflow.services.clock import clock_events, deadline, refresh
from mailflow.services.sweep import sweep
from tests.services.life import (
    events,
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

# The clock of these tests starts on Tuesday 3 March 2026 at 10:00 in Paris.


@pytest.mark.parametrize(
    "priority, due, planned",
    [
        (1, "2026-03-03 14:00", ["half", "soon", "escalation", "breach"]),
        (2, "2026-03-05 10:00", ["half", "soon", "escalation", "breach"]),
        (3, "2026-03-06 10:00", ["soon", "escalation", "breach"]),
        (4, "2026-03-10 10:00", ["soon", "escalation", "breach"]),
    ],
)
def test_a_registration_that_was_accepted_starts_the_clock(desk, clock, priority, due, planned):
    number = new_ticket(desk, priority)
    assert ticket(desk, number).due_at is None
    assert reminders(desk, number) == []
    send_all(desk)
    assert ticket(desk, number).due_at == paris(due)
    assert stages(desk, number, "pending") == planned


def test_a_pause_withdraws_reminders_and_going_on_plans_them_for_the_new_deadline(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=1)
    say(desk, number, "#wait\nUn instant.")
    assert ticket(desk, number).due_at is None
    assert stages(desk, number, "pending") == []
    clock.advance(minutes=30)
    step(desk, number, "resumed", Action.CLIENT_REPLIED)
    assert ticket(desk, number).due_at == paris("2026-03-03 14:30")
    planned = reminders(desk, number, status="pending")
    assert {each.deadline for each in planned} == {paris("2026-03-03 14:30")}
    assert [each.stage for each in planned] == ["half", "soon", "escalation", "breach"]


def test_what_was_sent_before_a_short_pause_is_not_repeated_nor_anything_milder(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=3, minutes=1)  # both 'half' and 'soon' are due: only 'soon' is sent
    assert sweep(desk) == 2  # and a progress prompt
    assert stages(desk, number, "sent") == ["soon"]
    assert stages(desk, number, "superseded") == ["half"]
    say(desk, number, "#wait\nUn instant.")
    clock.advance(minutes=5)
    step(desk, number, "resumed", Action.CLIENT_REPLIED)
    assert sweep(desk) == 0
    assert stages(desk, number, "pending") == ["escalation", "breach"]


def test_a_pause_of_no_length_takes_the_withdrawn_reminders_up_again(desk, clock):
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 19:00")  # breached long ago, nothing swept yet
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 20:00")
    say(desk, number, "#wait\nUn instant.")
    clock.now = paris("2026-03-03 21:00")  # by night no opening time passes
    step(desk, number, "resumed", Action.CLIENT_REPLIED)
    assert ticket(desk, number).due_at == paris("2026-03-04 13:00")
    assert stages(desk, number, "pending") == ["half", "soon", "escalation", "breach"]
    assert stages(desk, number, "pending", "progress") == ["progress"]


def test_a_new_priority_is_a_new_deadline_whose_missed_stage_is_told(desk, clock):
    number = registered(desk, 3)
    clock.now = paris("2026-03-05 17:00")
    assert sweep(desk) == 1
    assert stages(desk, number, "sent") == ["soon"]
    clock.advance(minutes=1)
    say(desk, number, "#priority 2 bloquant")  # due since 10:00: breached at once
    assert ticket(desk, number).due_at == paris("2026-03-05 10:00")
    assert sweep(desk) == 1
    assert [each.data["stage"] for each in events(desk, number, "escalated")] == ["breach"]
    clock.advance(minutes=1)
    say(desk, number, "#priority 3 finalement non")
    assert ticket(desk, number).due_at == paris("2026-03-06 10:00")
    assert sweep(desk) == 0  # 'soon' was sent for this very deadline


def test_the_breach_stays_in_the_log_when_the_priority_is_lowered(desk, clock):
    number = registered(desk, 1)
    clock.now = paris("2026-03-03 14:01")
    sweep(desk)
    say(desk, number, "#priority 4 moins grave")
    with desk.database.read() as session:
        found = deadline(session, desk, ticket(desk, number), clock.now)
    assert not found.breached
    (breach,) = events(desk, number, "escalated")
    assert breach.data["stage"] == "breach" and breach.data["breached"]


@pytest.mark.parametrize(
    "order", ["#resolve\nCorrigé.", "#close force doublon", "#exclude training"]
)
def test_a_ticket_that_is_done_has_no_reminders(desk, clock, order):
    number = registered(desk, 2)
    assert say(desk, number, order).refused == ()
    assert ticket(desk, number).due_at is None
    assert stages(desk, number, "pending") == []
    clock.advance(days=30)
    sweep(desk)
    assert stages(desk, number, "sent") == []


def test_a_refused_resolution_goes_on_with_the_same_clock(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=1)
    say(desk, number, "#resolve\nCorrigé.")
    clock.advance(hours=1)
    step(desk, number, "resolution_refused", Action.REFUSE)
    assert ticket(desk, number).due_at == paris("2026-03-03 15:00")


def test_reopening_goes_on_with_the_same_clock(desk, clock):
    number = registered(desk, 2)
    clock.advance(hours=1)
    say(desk, number, "#resolve\nCorrigé.")
    step(desk, number, "confirmed", Action.CONFIRM)
    clock.advance(hours=24)
    step(desk, number, "reopened", Action.REOPEN)
    assert ticket(desk, number).due_at == paris("2026-03-06 10:00")


def test_edited_rules_move_no_deadline_that_was_told(desk, clock, tmp_path):
    old = registered(desk, 2)
    rules = (shipped_folder("rules") / "sla.toml").read_text("utf-8")
    edited = rules.replace('P2 = { time = "48h"', 'P2 = { time = "1h"')
    assert edited != rules
    (tmp_path / "sla.toml").write_text(edited, "utf-8")
    changed = replace(desk, policies=load_policies(tmp_path))
    with changed.database.begin() as session:
        refresh(session, changed, session.merge(ticket(desk, old)), clock.now)
    new = registered(changed, 2)
    assert ticket(desk, old).due_at == paris("2026-03-05 10:00")
    assert ticket(desk, new).due_at == paris("2026-03-03 11:00")
    assert ticket(desk, old).policy_version != ticket(desk, new).policy_version
    clock.advance(hours=1)
    say(changed, old, "#priority 3 moins grave")  # even then by the rules of its registration
    assert ticket(desk, old).due_at == paris("2026-03-06 10:00")


def test_an_organisation_has_targets_of_its_own(desk, clock):
    (client,) = desk.organisations
    own = replace(desk, organisations=(replace(client, targets={"2": "8h business_hours"}),))
    assert ticket(desk, registered(own, 2)).due_at == paris("2026-03-03 18:00")


def test_the_priority_before_the_registration_is_part_of_it(desk, clock):
    """An agent's choice, then another by the client's answer: the notice says what holds."""
    number = new_ticket(desk, 3, missing=["steps"])
    say(desk, number, "#priority 1 bloquant")
    notice = Notice(NoticeKind.REGISTRATION, Audience.CLIENT)
    step(
        desk,
        number,
        "completed",
        Action.REGISTER,
        changes={"priority": 2},
        notices=(notice,),
    )
    send_all(desk)
    found = ticket(desk, number)
    assert found.priority == 2
    assert found.due_at == found.registered_at + timedelta(hours=48)
    assert [each.kind for each in clock_events(events(desk, number))] == ["registered"]


def test_refreshing_twice_changes_nothing(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=2)
    sweep(desk)

    def rows():
        return [(each.id, each.status, each.moment) for each in reminders(desk, number)]

    before = rows()
    for _ in range(2):
        with desk.database.begin() as session:
            refresh(session, desk, session.merge(ticket(desk, number)), clock.now)
    assert rows() == before


def test_a_clock_that_was_put_back_stops_no_ticket(desk, clock):
    number = registered(desk, 1)
    clock.advance(hours=-1)
    say(desk, number, "#priority 3 une raison")
    assert ticket(desk, number).priority == 3
    clock.advance(hours=2)
    say(desk, number, "#wait\nUn instant.")
    clock.advance(hours=-1)
    say(desk, number, "#resolve\nFait.")
    assert ticket(desk, number).state == "resolved"
