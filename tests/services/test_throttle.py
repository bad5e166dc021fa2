"""A flood from one sender is spread over time; the others are served at once; nothing is lost."""

from sqlalchemy import select

from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Inbound
from mailflow.services.intake import take_in
from mailflow.services.process import process_due
from tests.factories_desk import DeskFactory, MovableClock

LIMIT = 5


def mail(sender: str, number: int) -> Arrived:
    """A machine's mail: processed without triage, which is not what is looked at here."""
    text = (
        f"From: {sender}\nTo: support@support.example\nSubject: alarm {number}\n"
        f"Message-ID: <{number}.{sender}>\nAuto-Submitted: auto-generated\n\nalarm {number}\n"
    )
    return Arrived(text.encode(), "file")


def test_a_flood_waits_and_the_others_do_not(
    desk_factory: DeskFactory, clock: MovableClock
) -> None:
    desk = desk_factory(clock=clock, limits={"max_mails_per_sender_and_minute": LIMIT})
    flood = [mail("alarms@client.example", number) for number in range(23)]
    take_in(desk, [*flood, mail("claire@client.example", 1)])

    def done() -> dict[str, int]:
        with desk.database.read() as session:
            rows = session.scalars(select(Inbound).where(Inbound.status == "done")).all()
        found: dict[str, int] = {}
        for row in rows:
            found[row.sender or ""] = found.get(row.sender or "", 0) + 1
        return found

    while process_due(desk):
        pass
    assert done() == {"alarms@client.example": LIMIT, "claire@client.example": 1}
    for minute in range(2, 6):  # five minutes for 23 mails at five a minute
        clock.advance(seconds=61)
        while process_due(desk):
            pass
        assert done()["alarms@client.example"] == min(minute * LIMIT, 23)
