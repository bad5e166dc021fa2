"""Mails are decided in batches; where a batch fails, each mail is decided alone."""

from typing import Any

import pytest
from sqlalchemy import func, select

from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.desk import Desk
from mailflow.services import process, reading
from mailflow.services.process import process_due
from tests.factories_desk import deliver
from tests.factories_mail import make_mail


def reports(count: int) -> list[bytes]:
    return [
        make_mail(subject=f"Invoices {number}", message_id=f"<m{number}@client.example>")
        for number in range(count)
    ]


def rows(desk: Desk) -> list[tuple[str, int | None]]:
    with desk.database.read() as session:
        found = session.execute(select(Inbound.status, Inbound.ticket_id).order_by(Inbound.id))
        return [(status, ticket_id) for status, ticket_id in found]


def count(desk: Desk, table: type[Ticket | OutboxMail]) -> int:
    with desk.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_batch_gives_each_mail_its_ticket_and_its_answer(desk: Desk) -> None:
    deliver(desk, *reports(4))
    assert process_due(desk) == 4
    assert [status for status, _ in rows(desk)] == ["done"] * 4
    assert len({ticket_id for _, ticket_id in rows(desk)}) == count(desk, Ticket) == 4
    with desk.database.read() as session:
        references = session.scalars(select(Ticket.reference).order_by(Ticket.id)).all()
        causes = session.scalars(select(OutboxMail.once).order_by(OutboxMail.id)).all()
    assert [str(each)[-4:] for each in references] == ["0001", "0002", "0003", "0004"]
    assert [once.partition("/")[0] for once in causes] == ["in-1", "in-2", "in-3", "in-4"]


def test_one_mail_that_fails_does_not_take_its_batch_along(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk, *reports(3))
    real = process.apply

    def sometimes(
        session: Any, desk: Desk, decision: Any, cause: str, *rest: Any, **more: Any
    ) -> Any:
        if cause == "in-2":
            raise KeyError("a mistake of ours")
        return real(session, desk, decision, cause, *rest, **more)

    monkeypatch.setattr(process, "apply", sometimes)
    process_due(desk)
    assert [status for status, _ in rows(desk)] == ["done", "new", "done"]
    assert count(desk, Ticket) == count(desk, OutboxMail) == 2


def test_a_claim_that_another_worker_took_over_is_left_to_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk, *reports(3))

    def take_over(name: str) -> None:
        if name == "process-claimed":
            with desk.database.begin() as session:
                session.get_one(Inbound, 2).claimed_by = "other:1:x"

    monkeypatch.setattr(reading, "reach", take_over)
    process_due(desk)
    assert [status for status, _ in rows(desk)] == ["done", "processing", "done"]
    assert count(desk, Ticket) == 2


def test_a_second_mail_of_the_thread_in_the_same_batch_joins_the_ticket(desk: Desk) -> None:
    first = make_mail("The export fails.", subject="Export", message_id="<a@client.example>")
    second = make_mail(
        subject="Re: Export",
        message_id="<b@client.example>",
        In_Reply_To="<a@client.example>",
    )
    deliver(desk, first, second)
    process_due(desk)
    assert count(desk, Ticket) == 1
    assert len({ticket_id for _, ticket_id in rows(desk)}) == 1


def test_the_quota_of_automatic_mails_holds_within_a_batch(desk_factory: Any) -> None:
    desk = desk_factory(support={"max_automatic_mails_per_day": 2})
    deliver(desk, *reports(4))
    process_due(desk)
    assert count(desk, Ticket) == 4
    with desk.database.read() as session:
        told = select(func.count()).where(OutboxMail.recipient.like("%client%"))
        assert session.scalar(told) == 2
