"""Does a mail cost the same on a desk with a million tickets as on an almost empty one?

    python benchmarks/scale.py [--folder FOLDER] [--tickets 1000000] [--mails 300] [--url URL]

Both desks handle the same kinds of mail in turn, a batch each, so that what else the machine does
falls on both: requests, clients' replies (by References, by reply address, by subject), agents'
commands. A mail is taken in, processed and its answers are sent, to a gateway that takes all. The
almost empty desk has 300 tickets: there must be something to reply to.

Then each distinct statement that the large desk was asked is explained; those that read a large
table from end to end are listed, and those that take longer there than on the small desk.
FOLDER keeps the large desk for the next run.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fill import ORGANISATIONS, PEOPLE, prepare
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stories import MAILBOX, NOW, mail_bytes
from story_texts import PROBLEM, SAYS, TRAINING, VAGUE

from mailflow.adapters.imap import Fetched
from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Inbound, MailboxEntry, OutboxMail, Ticket
from mailflow.config import load_config
from mailflow.core.threads import ThreadRole, make_reply_token
from mailflow.desk import Desk, open_desk
from mailflow.logs import set_up_logs
from mailflow.services.intake import poll, take_in
from mailflow.services.outbox import send_due
from mailflow.services.process import process_due
from mailflow.settings import Logging
from tests.factories_desk import MovableClock
from tests.services.life import FakeGateway
from tests.statements import LARGE_TABLES, Recorder

BATCH = 20
SMALL = 300  # tickets of the almost empty desk
KINDS = ("request",) * 8 + ("by References",) * 3 + ("by reply address",) * 3 + (
    "by our Message-ID",) * 2 + ("by subject", "vague", "training", "command")  # fmt: skip


class Side:
    """One of the two desks, and those who write to it."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovableClock(NOW)
        self.desk: Desk = open_desk(load_config(folder / "config.toml"), self.clock)
        self.recorder = Recorder(self.desk.database.engine)
        self.gateway = FakeGateway()
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []
        with self.desk.database.read() as session:
            live = select(Ticket.id).where(
                Ticket.state == "open",
                Ticket.subject.in_([each[0] for each in PROBLEM.values()]),
                Ticket.created_at < NOW,  # not those of an earlier run, whose time is ahead
            )
            self._targets = list(session.scalars(live.order_by(Ticket.id)))
            last_uid = select(MailboxEntry.uid).order_by(MailboxEntry.id.desc()).limit(1)
            self._uid = session.scalar(last_uid) or 0
            self._first = session.scalar(select(func.max(Inbound.id))) or 0
            self._first_sent = session.scalar(select(func.max(OutboxMail.id))) or 0
        self._dice = random.Random(self._first)  # other mails in each run
        self._dice.shuffle(self._targets)

    def handle(self, count: int) -> None:
        """Handle a batch of mails and note what it took."""
        with self.desk.database.read() as session:
            mails = [self._mail(session, KINDS[number % len(KINDS)]) for number in range(count)]
        self.clock.now += timedelta(seconds=7)
        self.recorder.is_on = True
        begin, cpu = time.perf_counter(), time.process_time()
        take_in(self.desk, mails)
        self.work()
        self.seconds.append((time.perf_counter() - begin) / count)
        self.cpu_seconds.append((time.process_time() - cpu) / count)
        self.recorder.is_on = False

    def work(self) -> None:
        """Process what is due and send what is owed."""
        while process_due(self.desk):
            pass
        while send_due(self.desk, self.gateway):
            pass

    def poll(self) -> float:
        """Look into a mailbox without news; return the seconds, the best of three."""
        seconds = []
        for _ in range(3):
            begin = time.perf_counter()
            poll(self.desk, EmptyMailbox())  # type: ignore[arg-type]
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    def _mail(self, session: Session, kind: str) -> Arrived:
        self._uid += 1
        return Arrived(self._write(session, kind), "imap", (*MAILBOX, self._uid))

    def _write(self, session: Session, kind: str) -> bytes:
        dice = self._dice
        language = dice.choice(("fr", "en"))
        now = self.clock()
        texts = {"request": PROBLEM, "vague": VAGUE, "training": TRAINING}
        if kind in texts:
            domain = f"company{int(ORGANISATIONS * dice.random() ** 2)}.example"
            sender = f"Person <person{dice.randrange(PEOPLE)}@{domain}>"
            subject, text = texts[kind][language]
            return mail_bytes(sender, subject, self._id(domain), now, text)
        ticket = session.get_one(Ticket, self._targets.pop())
        role = ThreadRole.AGENT if kind == "command" else ThreadRole.CLIENT
        address = str(ticket.agent) if kind == "command" else ticket.requester
        text = SAYS["priority 4" if kind == "command" else "more"][ticket.language]
        sent = select(OutboxMail.message_id).where(
            OutboxMail.ticket_id == ticket.id, OutboxMail.kind.startswith("agent_new")
            if kind == "command" else OutboxMail.kind == "registration"
        )  # fmt: skip
        received = select(Inbound.message_id).where(Inbound.ticket_id == ticket.id)
        answers, to, subject = "", "support@support.example", f"Re: {ticket.subject}"
        if kind == "by References":
            answers = session.scalar(received.limit(1)) or ""
        elif kind == "by reply address":
            key = self.desk.database.thread_key()
            to = f"support+{make_reply_token(key, ticket.id, role)}@support.example"
        elif kind == "by subject":
            subject = f"{subject} [{ticket.reference}]"
        else:
            answers = session.scalar(sent.limit(1)) or ""
        domain = address.rpartition("@")[2]
        sender = f"Person <{address}>"
        return mail_bytes(sender, subject, self._id(domain), now, text, answers=answers, to=to)

    def _id(self, domain: str) -> str:
        return f"<{self._dice.getrandbits(96):024x}@{domain}>"

    def outcomes(self) -> dict[str, int]:
        """Return what became of the mails. Raises RuntimeError where one was not handled."""
        query = (
            select(Inbound.outcome, func.count(Inbound.id))
            .where(Inbound.id > self._first)
            .group_by(Inbound.outcome)
            .order_by(Inbound.outcome)
        )
        with self.desk.database.read() as session:
            found = {str(outcome): count for outcome, count in session.execute(query)}
            unsent = session.scalar(
                select(func.count(OutboxMail.id)).where(
                    OutboxMail.id > self._first_sent, OutboxMail.status != "sent"
                )
            )
        if "None" in found or unsent or sum(found.values()) != BATCH * len(self.seconds):
            raise RuntimeError(f"not all was handled: {found}, {unsent} mails not sent")
        return found

    def close(self) -> None:
        """Close the database."""
        self.desk.database.close()


class EmptyMailbox:
    """The mailbox that all mails of the ledger came from, with nothing new in it."""

    name = MAILBOX[0]
    uidvalidity = MAILBOX[2]

    def select(self, folder: str) -> None:
        """Open the folder."""

    def uids(self, first: int) -> list[int]:
        """Return the UIDs from `first` on."""
        return []

    def fetch(self, uids: Sequence[int]) -> Sequence[list[Fetched]]:
        """Return the mails in batches."""
        return []

    def file(self, uids: Sequence[int]) -> None:
        """Move mails away."""


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds a mail, medians over the batches."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, side: Side, skip: int) -> "Times":
        """The times of a side, the first `skip` batches left out."""
        return cls(
            1000 * statistics.median(side.seconds[skip:]),
            1000 * statistics.median(side.cpu_seconds[skip:]),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of a mail on a small and a large desk")
    parser.add_argument("--folder", type=Path, help="where the large desk is kept")
    parser.add_argument("--url", help="the large desk's database; by default SQLite in FOLDER")
    parser.add_argument("--small-url", help="the small desk's database; by default SQLite")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--open", type=int, default=10_000)
    parser.add_argument("--mails", type=int, default=300)
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    with tempfile.TemporaryDirectory() as temporary:
        small, large = Path(temporary) / "small", given.folder or Path(temporary) / "large"
        prepare(small, given.small_url, closed=0, still_open=SMALL)
        prepare(large, given.url, closed=given.tickets - given.open, still_open=given.open)
        sides = [Side(small), Side(large)]
        sides[1].desk.triager = sides[0].desk.triager
        for folder in (small, large):
            keep_in_memory(folder)
        for number in range(given.mails // BATCH + 1):
            for side in sides if number % 2 else reversed(sides):
                side.handle(BATCH)
        report(sides)
        for side in sides:
            side.close()


def keep_in_memory(folder: Path) -> None:
    """Read a database once, so that it lies in memory as far as there is room: its daemon is old.

    PostgreSQL was filled just now.
    """
    path = folder / "mailflow.db"
    if path.exists():
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def report(sides: Sequence[Side]) -> None:
    """Print the cost of a mail on both, and which statements stand out on the large one."""
    small, large = (Times.of(side, 1) for side in sides)
    batches = len(sides[0].seconds) - 1
    print(f"{BATCH * batches} mails each, medians of {batches} batches, in ms a mail:")
    for name, side, times in zip(("small", "large"), sides, (small, large), strict=True):
        sql = sum(each.seconds for each in side.recorder.statements.values())
        asked = sum(each.count for each in side.recorder.statements.values())
        mails = BATCH * len(side.seconds)
        print(
            f"  {name}  {times.wall:7.2f} wall {times.cpu:7.2f} cpu; in statements "
            f"{1000 * sql / mails:6.2f}, {asked / mails:.1f} of them"
        )
    for name, side in zip(("small", "large"), sides, strict=True):
        found = ", ".join(f"{count} {outcome}" for outcome, count in side.outcomes().items())
        print(f"  {name}  {found}")
    print(f"  ratio  {large.wall / small.wall:7.2f} wall {large.cpu / small.cpu:7.2f} cpu")
    small_poll, large_poll = (side.poll() for side in sides)
    print(
        f"  a poll without news: {1000 * small_poll:.2f} ms small, {1000 * large_poll:.2f} ms large"
    )
    sides[1].recorder.report_scans(LARGE_TABLES)
    print("statements that take longer on the large desk, by the difference in all:")
    known = sides[0].recorder.statements
    slower = [
        (each.seconds - known[key].seconds * each.count / known[key].count, each, known[key])
        for key, each in sides[1].recorder.statements.items()
        if key in known
    ]
    for seconds, each, before in sorted(slower, key=lambda found: -found[0])[:8]:
        print(
            f"  {1000 * seconds:8.1f} ms: {before.milliseconds:.2f} -> {each.milliseconds:.2f} ms "
            f"x {each.count}: {each.short}"
        )


if __name__ == "__main__":
    main()
