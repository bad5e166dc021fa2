"""Workers that sweep one PostgreSQL at the same instant: each reminder is sent once.

    python -m tests.reliability.sweeps --workers 8 --tickets 200

Tickets of priority 1 are registered at one moment; then, at each moment at which their agent or
supervisor must be told, all workers sweep at once, in processes of their own, as often as there is
something due. The checker counts what was written for each ticket at each of these moments.
"""

import argparse
import os
import sys
import time
from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import func, select

from mailflow.adapters.tables import Event, OutboxMail, Reminder
from mailflow.adapters.triager import Triager
from mailflow.demo.stage import START
from mailflow.desk import Desk
from mailflow.logs import set_up_logs
from mailflow.services.sweep import sweep
from mailflow.settings import Logging
from tests.reliability.children import end_with_servers, fork, wait_for
from tests.reliability.stage import Round, Servers
from tests.services.life import new_ticket, send_all

MOMENTS = {"half": 120, "soon": 180, "escalation": 210, "breach": 240}  # minutes of the four hours
TOLD = ("agent_reminder", "agent_escalation")


def open_desk_at(desk: Round, now: datetime) -> Desk:
    """Open the desk; its clock stands."""
    opened = desk.desk()
    opened.clock = lambda: now
    return opened


def sweep_at_once(desk: Round, workers: int, now: datetime) -> int:
    """Let all workers sweep at the same instant; return how many did not end well."""
    ready_read, ready_write = os.pipe()
    start_read, start_write = os.pipe()

    def work() -> None:
        os.close(start_write)
        worker = open_desk_at(desk, now)
        os.write(ready_write, b".")
        os.read(start_read, 1)  # returns when the last writer closes: for all at once
        while is_something_due(worker, now):
            sweep(worker)

    pids = [fork(work) for _ in range(workers)]
    seen = 0
    while seen < workers:
        seen += len(os.read(ready_read, workers))
    os.close(start_write)
    bad = sum(wait_for(pid) != 0 for pid in pids)
    for descriptor in (ready_read, ready_write, start_read):
        os.close(descriptor)
    return bad


def is_something_due(desk: Desk, now: datetime) -> bool:
    """Whether a reminder waits whose moment has come."""
    query = select(Reminder.id).where(Reminder.status == "pending", Reminder.moment <= now)
    with desk.database.read() as session:
        return session.scalar(query.limit(1)) is not None


def check(desk: Round, tickets: int) -> list[str]:
    """Return what is wrong: each ticket is told once at each moment, nothing else is."""
    wrong = []
    with desk.engine() as connection:
        due = select(Reminder.ticket_id, Reminder.stage, Reminder.status)
        told = select(Event.ticket_id, Event.data).where(Event.kind.in_(("reminded", "escalated")))
        mails = (
            select(OutboxMail.ticket_id, func.count())
            .where(OutboxMail.kind.in_(TOLD))
            .group_by(OutboxMail.ticket_id)
        )
        statuses = Counter((row.stage, row.status) for row in connection.execute(due))
        stages = Counter((row.ticket_id, row.data["stage"]) for row in connection.execute(told))
        counts = Counter(count for _, count in connection.execute(mails))
    for stage in MOMENTS:
        if statuses[stage, "sent"] != tickets:
            wrong.append(f"{stage}: {statuses[stage, 'sent']} of {tickets} reminders were sent")
    wrong += [f"ticket {each}: told {n} times" for each, n in stages.items() if n != 1]
    if counts != {len(MOMENTS): tickets}:
        wrong.append(f"mails for a ticket, and how many tickets: {dict(counts)}")
    return wrong


def main() -> int:
    """Run; print the figures; return 0 if each reminder was sent once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--tickets", type=int, default=200)
    given = parser.parse_args()
    end_with_servers()
    set_up_logs(Logging(level="error"))
    with Servers(Triager.load(), postgresql=True) as servers:
        desk = servers.new_round()
        first = open_desk_at(desk, START)
        for _ in range(given.tickets):
            new_ticket(first, 1)
        send_all(first)
        first.database.close()
        wrong = []
        for stage, minutes in MOMENTS.items():
            began = time.monotonic()
            bad = sweep_at_once(desk, given.workers, START + timedelta(minutes=minutes))
            wrong += [f"{stage}: {bad} workers failed"] if bad else []
            print(f"{stage:12} {given.workers} workers, {time.monotonic() - began:.1f} s")
        wrong += check(desk, given.tickets)
    print(f"{given.tickets} tickets, {len(MOMENTS)} moments: {len(wrong)} wrong")
    for line in wrong[:20]:
        print("  ", line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
