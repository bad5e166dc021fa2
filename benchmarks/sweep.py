"""How long a sweep takes with 10,000 open tickets, a million closed ones beside them.

    python benchmarks/sweep.py [--folder FOLDER] [--tickets 1000000] [--open 10000] [--due 1000]

Three things that run beside the mails: the sweep when nothing is due, the sweep when reminders of
1,000 tickets are, and the morning digests. The floor is the one indexed question that any sweep
has to ask. FOLDER is the desk that `scale.py` keeps; without it one is filled.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fill import prepare
from sqlalchemy import func, select
from stories import NOW

from mailflow.adapters.tables import OutboxMail, Reminder, Ticket
from mailflow.config import load_config
from mailflow.desk import Desk, open_desk
from mailflow.logs import set_up_logs
from mailflow.services.digest import send_digests
from mailflow.services.sweep import sweep
from mailflow.settings import Logging
from tests.factories_desk import MovableClock
from tests.statements import LARGE_TABLES, Recorder

TIMES = 20


def seconds_of(work: Callable[[], object], times: int = TIMES) -> float:
    """Return the median seconds of doing `work`."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def count_due(desk: Desk) -> int:
    """The floor: ask which reminders are due."""
    with desk.database.read() as session:
        due = select(Reminder.id).where(
            Reminder.status == "pending", Reminder.moment <= desk.clock()
        )
        return len(session.scalars(due).all())


def let_come_due(desk: Desk, clock: MovableClock, tickets: int) -> int:
    """Put the clock forward until so many tickets have a reminder due; return how many have."""
    with desk.database.read() as session:
        moments = (
            select(func.min(Reminder.moment))
            .where(Reminder.status == "pending")
            .group_by(Reminder.ticket_id)
            .order_by(func.min(Reminder.moment))
            .limit(tickets)
        )
        clock.now = max(clock.now, session.scalars(moments).all()[-1])
        query = select(func.count(Reminder.ticket_id.distinct())).where(
            Reminder.status == "pending", Reminder.moment <= clock.now
        )
        return session.scalar(query) or 0


def sweep_all(desk: Desk) -> int:
    """Sweep until nothing is due; return how many sweeps that took."""
    sweeps = 1
    while sweep(desk):
        sweeps += 1
    return sweeps


def main() -> None:
    parser = argparse.ArgumentParser(description="sweeps of a desk with many open tickets")
    parser.add_argument("--folder", type=Path, help="the desk, filled if it is not there")
    parser.add_argument("--url", help="its database; by default SQLite in FOLDER")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=10_000)
    parser.add_argument("--due", type=int, default=1000)
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        prepare(folder, given.url, closed=given.tickets - given.open, still_open=given.open)
        clock = MovableClock(NOW)
        desk = open_desk(load_config(folder / "config.toml"), clock)
        recorder = Recorder(desk.database.engine)
        measure(desk, clock, given.due, recorder)
        recorder.report_scans(LARGE_TABLES)
        recorder.report_slowest()
        desk.database.close()


def measure(desk: Desk, clock: MovableClock, due: int, recorder: Recorder) -> None:
    """Print what each kind of sweep takes; the recorder hears the desk, not our questions."""
    with desk.database.read() as session:
        states = select(Ticket.state, func.count(Ticket.id)).group_by(Ticket.state)
        counts = Counter(dict(session.execute(states).all()))
    print(", ".join(f"{state} {count:,}" for state, count in counts.most_common()))
    recorder.is_on = True
    sweep_all(desk)
    floor = seconds_of(lambda: count_due(desk))
    idle = seconds_of(lambda: sweep(desk))
    print(f"nothing due:  sweep {1000 * idle:8.2f} ms, floor {1000 * floor:.2f} ms")
    digests = seconds_of(lambda: send_digests(desk), 1)
    again = seconds_of(lambda: send_digests(desk), 3)
    print(f"digests:      {1000 * digests:8.0f} ms for all agents, {1000 * again:.1f} ms when sent")
    recorder.is_on = False
    due = let_come_due(desk, clock, due)
    recorder.is_on = True
    floor = seconds_of(lambda: count_due(desk))
    begin, cpu = time.perf_counter(), time.process_time()
    sweeps = sweep_all(desk)
    taken, cpu = time.perf_counter() - begin, time.process_time() - cpu
    recorder.is_on = False
    with desk.database.read() as session:
        owed = select(func.count(OutboxMail.id)).where(OutboxMail.status == "pending")
        mails = session.scalar(owed)
    print(
        f"{due:,} tickets due: {taken:.2f} s in {sweeps} sweeps ({cpu:.2f} s cpu), "
        f"{1000 * taken / due:.2f} ms a ticket, {mails} mails owed; floor {1000 * floor:.2f} ms"
    )


if __name__ == "__main__":
    main()
