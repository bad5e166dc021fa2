"""What one transaction has read, so that a batch of mails asks for each thing once.

Whoever changes a ticket's log, reminders or people holds the lock on its row, so that what was
read under it stays true until the commit. A row that is added through here is seen by whoever
asks next, before it is written.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import Event, Reminder, TicketPerson

Row = TypeVar("Row", Event, Reminder, TicketPerson)


class Loaded:
    """The rows of tickets that `session` knows, by ticket, and what it knows to be owed.

    `owed`: by cause, which outbox rows (`once`) there are. `quotas`: by address, how many
    automatic mails of the last 24 hours. `blobs`: by SHA-256, whether the file is stored. None
    says anything of what it does not hold.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.owed: dict[str, set[str]] = {}
        self.quotas: dict[str, int] = {}
        self.blobs: dict[str, bool] = {}
        self.loads: tuple[dict[str, int], dict[str, datetime]] | None = None
        self._events: dict[int, list[Event]] = {}
        self._reminders: dict[int, list[Reminder]] = {}
        self._people: dict[int, list[TicketPerson]] = {}

    def note_new(self, ticket_id: int) -> None:
        """A ticket made in this transaction has nothing yet: no need to ask."""
        self._events[ticket_id], self._reminders[ticket_id] = [], []
        self._people[ticket_id] = []

    def fetch(self, ticket_ids: Collection[int]) -> None:
        """Read logs, reminders and people of many tickets at once."""
        self._fetch(self._events, Event, ticket_ids)
        self._fetch(self._reminders, Reminder, ticket_ids)
        self._fetch(self._people, TicketPerson, ticket_ids)

    def events(self, ticket_id: int) -> list[Event]:
        """The ticket's log, oldest first."""
        return self._of(self._events, Event, ticket_id)

    def reminders(self, ticket_id: int) -> list[Reminder]:
        """The ticket's reminders on all tracks, whatever their status."""
        return self._of(self._reminders, Reminder, ticket_id)

    def people(self, ticket_id: int) -> list[TicketPerson]:
        """Who belongs to the ticket on the client's side."""
        return self._of(self._people, TicketPerson, ticket_id)

    def add_event(self, row: Event) -> None:
        """Append `row` to its ticket's log."""
        self._session.add(row)
        if row.ticket_id in self._events:
            self._events[row.ticket_id].append(row)

    def add_reminder(self, row: Reminder) -> None:
        """Plan a reminder."""
        self._session.add(row)
        if row.ticket_id in self._reminders:
            self._reminders[row.ticket_id].append(row)

    def add_person(self, row: TicketPerson) -> None:
        """Let somebody belong to a ticket."""
        self._session.add(row)
        if row.ticket_id in self._people:
            self._people[row.ticket_id].append(row)

    def _of(self, known: dict[int, list[Row]], table: type[Row], ticket_id: int) -> list[Row]:
        if ticket_id not in known:
            self._fetch(known, table, (ticket_id,))
        return known[ticket_id]

    def _fetch(
        self, known: dict[int, list[Row]], table: type[Row], ticket_ids: Iterable[int]
    ) -> None:
        wanted = [each for each in ticket_ids if each not in known]
        if not wanted:
            return
        known.update({each: [] for each in wanted})
        query = select(table).where(table.ticket_id.in_(wanted))
        query = query.order_by(*table.__mapper__.primary_key)  # as they were added
        for row in self._session.scalars(query):
            known[row.ticket_id].append(row)


def loaded(session: Session) -> Loaded:
    """Return what `session` knows of tickets. It ends with the session, so with its transaction."""
    found = session.info.get("loaded")
    if not isinstance(found, Loaded):
        found = session.info["loaded"] = Loaded(session)
    return found
