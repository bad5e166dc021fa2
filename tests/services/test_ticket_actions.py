"""Orders on tickets in the database: what is done, what is refused, what is kept of it."""

import pytest
from sqlalchemy import select

from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Correction, Inbound, Ticket
from mailflow.core.acting import Actor
from mailflow.core.agents import Role
from mailflow.core.commands import parse_orders
from mailflow.errors import MailflowError
from mailflow.services.intake import take_in
from mailflow.services.ticket_actions import order_by_reference
from tests.services.life import (
    ALICE,
    CLIENT,
    events,
    mails,
    new_ticket,
    paris,
    registered,
    say,
    stages,
    ticket,
)

WATCHER = Actor("Otto Observer", "otto@support.example", Role.OBSERVER)


def mail_of(desk, number, text="Bonjour"):
    """A client's mail that belongs to the ticket."""
    raw = f"From: {CLIENT}\r\nSubject: x\r\n\r\n{text}\r\n".encode()
    (stored,) = take_in(desk, [Arrived(raw, "file")])
    with desk.database.begin() as session:
        row = session.get_one(Inbound, stored.inbound_id)
        row.ticket_id, row.sender, row.status = number, CLIENT, "done"
        row.message_class = "person"
    return stored.inbound_id


def test_several_orders_are_carried_out_in_turn_each_refused_alone(desk, clock):
    number = registered(desk, 3)
    said = say(desk, number, "#priority 2 bloquant\n#close\n#wait\nUn instant.")
    assert len(said.done) == 2 and len(said.refused) == 1
    found = ticket(desk, number)
    assert (found.priority, found.state) == (2, "pending")
    assert [kind for kind, _ in mails(desk, number)][-2:] == ["priority_changed", "waiting"]


def test_a_priority_needs_a_reason(desk):
    number = registered(desk, 3)
    assert "reason" in say(desk, number, "#priority 2").refused[0]
    assert ticket(desk, number).priority == 3


def test_a_priority_is_kept_to_learn_from(desk):
    number = registered(desk, 3)
    first = mail_of(desk, number)
    mail_of(desk, number, "encore")
    say(desk, number, "#priority 2 bloquant")
    with desk.database.read() as session:
        (found,) = session.scalars(select(Correction))
    assert (found.inbound_id, found.labels, found.agent, found.reason) == (
        first, {"priority": 2}, ALICE.address, "bloquant",
    )  # fmt: skip


def test_validating_an_incomplete_ticket_registers_it_as_it_is(desk):
    number = new_ticket(desk, None, missing=["steps"])
    said = say(desk, number, "#validate")
    found = ticket(desk, number)
    assert said.refused == ()
    assert (found.state, found.reference, found.priority) == ("open", "MF-2026-000001", 3)
    assert stages(desk, number, "pending", "missing") == []
    assert mails(desk, number)[-1] == ("registration", CLIENT)


def test_observers_change_nothing(desk):
    number = registered(desk, 3)
    before = len(events(desk, number))
    said = say(desk, number, "#priority 1 vite\nBonjour", WATCHER)
    assert said.done == () and len(said.refused) == 2
    assert len(events(desk, number)) == before


def test_a_note_stays_among_us(desk):
    number = registered(desk, 3)
    before = mails(desk, number)
    say(desk, number, "#note\nclient difficile")
    assert mails(desk, number) == before
    assert events(desk, number, "note")[0].data["text"] == "client difficile"


def test_merging_moves_the_mails_and_links_the_tickets(desk):
    first, second = registered(desk, 3), registered(desk, 3)
    mail = mail_of(desk, second)
    said = say(desk, second, "#merge MF-2026-000001")
    assert said.refused == ()
    found = ticket(desk, second)
    assert (found.state, found.linked_to, found.due_at) == ("closed", first, None)
    with desk.database.read() as session:
        assert session.get_one(Inbound, mail).ticket_id == first


@pytest.mark.parametrize("reference", ["MF-2026-000999", "MF-2026-000001"])
@pytest.mark.parametrize("verb", ["merge", "link"])
def test_a_ticket_that_is_not_there_or_is_this_very_one_cannot_be_linked(desk, verb, reference):
    number = registered(desk, 3)
    said = say(desk, number, f"#{verb} {reference}")
    assert said.done == () and reference in said.refused[0]
    found = ticket(desk, number)
    assert (found.state, found.linked_to) == ("open", None)
    assert events(desk, number, "merged", "linked") == []


def test_splitting_gives_the_last_mail_back_to_intake(desk):
    number = registered(desk, 3)
    first, last = mail_of(desk, number), mail_of(desk, number, "autre chose")
    say(desk, number, "#split")
    with desk.database.read() as session:
        assert session.get_one(Inbound, last).status == "new"
        assert session.get_one(Inbound, last).ticket_id is None
        assert session.get_one(Inbound, first).ticket_id == number


def test_the_only_mail_cannot_be_split_off(desk):
    number = registered(desk, 3)
    only = mail_of(desk, number)
    assert "only one mail" in say(desk, number, "#split").refused[0]
    with desk.database.read() as session:
        assert session.get_one(Inbound, only).ticket_id == number


def test_a_workaround_for_a_p1_ends_the_prompts(desk, clock):
    number = registered(desk, 1)
    assert stages(desk, number, "pending", "progress") == ["progress"]
    say(desk, number, "#workaround\nPassez par le portail.")
    assert stages(desk, number, "pending", "progress") == []
    found = ticket(desk, number)
    assert (found.state, found.workaround, found.due_at) == ("resolved", True, None)


def test_including_what_was_excluded_goes_on_with_its_clock(desk, clock):
    number = registered(desk, 2)
    clock.advance(hours=1)
    say(desk, number, "#exclude training")
    assert ticket(desk, number).due_at is None
    clock.advance(hours=1)
    say(desk, number, "#include")
    assert ticket(desk, number).due_at == paris("2026-03-05 11:00")


def test_the_operator_acts_by_reference(desk):
    number = registered(desk, 3)
    said = order_by_reference(desk, "mf-2026-000001", parse_orders("#priority 2 bloquant"))
    assert said.refused == ()
    assert ticket(desk, number).priority == 2
    with pytest.raises(MailflowError, match="no such ticket"):
        order_by_reference(desk, "MF-2026-000002", parse_orders("#validate"))


def test_the_same_order_in_the_same_mail_is_one_mail(desk):
    """A mail that is processed again after a crash owes nothing twice."""
    from mailflow.services.ticket_actions import order

    number = registered(desk, 3)
    for _ in range(2):
        with desk.database.begin() as session:
            row = session.get_one(Ticket, number)
            orders = parse_orders("Nous cherchons.")
            order(session, desk, row, orders, ALICE, "in-7", desk.clock())
    assert mails(desk, number, "answer") == [("answer", CLIENT)]
