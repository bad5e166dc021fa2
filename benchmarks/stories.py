"""Tickets that are played through at a real desk: the models that `fill.py` copies.

Every row of a filled database was written by mailflow itself once: a client's mail is processed,
answered, reminded of and closed by the services of the daemon, on a clock that runs fast.
"""

import heapq
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from story_texts import BLOCKED, PROBLEM, SAYS, TRAINING, VAGUE

from mailflow.adapters.store import Arrived
from mailflow.adapters.tables import Inbound, OutboxMail, Reminder, Ticket
from mailflow.config import load_config
from mailflow.core.commands import parse_orders
from mailflow.desk import Desk, open_desk
from mailflow.services.intake import take_in
from mailflow.services.outbox import send_due
from mailflow.services.process import process_due
from mailflow.services.sweep import sweep
from mailflow.services.ticket_actions import order_by_reference
from tests.factories_desk import MovableClock
from tests.services.life import FakeGateway

CLOSED_WEEK = datetime(2026, 1, 12, tzinfo=UTC)  # a Monday; no holiday until April
NOW = datetime(2026, 3, 17, 9, 40, tzinfo=UTC)  # a Tuesday, 10:40 in Paris
SECOND = timedelta(seconds=1)  # between two turns of the desk that plays, at least
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAILBOX = ("support@127.0.0.1", "INBOX", 1)

SECRET = "BENCH_PASSWORD"  # noqa: S105  (the name of a variable)

CONFIG = """\
[support]
address = "support@support.example"
name = "Support"
max_automatic_mails_per_day = 1000

[imap]
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{user}"
password_env = "{secret}"

[smtp]
host = "127.0.0.1"
port = {smtp}
tls = "none"

[database]
url = "{url}"

[trust]
authserv_id = "mx.support.example"

[limits]
max_mails_per_sender_and_minute = 1000

[logging]
format = "json"
level = "{level}"
"""
AGENT = """\
[[agent]]
name = "Agent Number{number}"
address = "agent{number}@support.example"
languages = ["fr", "en"]
supervisor = "chief@support.example"

"""
CHIEF = """\
[[agent]]
name = "Chief Supervisor"
address = "chief@support.example"
languages = ["fr", "en"]
role = "supervisor"
"""
AGENTS = 12

Act = tuple[timedelta, str, str]  # how long after the act before, who (client …), what of SAYS


@dataclass(frozen=True, slots=True)
class Story:
    """One way a ticket goes. `weight`: how many of a hundred tickets go it."""

    mail: dict[str, tuple[str, str]]
    weight: int
    acts: tuple[Act, ...] = ()


CLOSED = (
    Story(PROBLEM, 45, ((2 * HOUR, "operator", "spam"),)),
    Story(TRAINING, 25, ((HOUR, "operator", "close"),)),
    Story(PROBLEM, 15, ((3 * HOUR, "operator", "close"),)),
    Story(PROBLEM, 5, ((3 * HOUR, "agent", "resolve"), (DAY, "client", "yes"))),
    Story(BLOCKED, 2, ((HOUR, "agent", "resolve"), (HOUR, "client", "yes"))),
    Story(VAGUE, 4),  # abandoned after the last reminder
    Story(
        VAGUE,
        2,
        ((HOUR, "client", "details"), (2 * DAY, "agent", "resolve"), (HOUR, "client", "yes")),
    ),
    Story(
        PROBLEM,
        2,
        (
            (HOUR, "agent", "priority 4"),
            (HOUR, "agent", "wait"),
            (DAY, "client", "more"),
            (DAY, "agent", "resolve"),
            (2 * HOUR, "client", "yes"),
        ),
    ),
)
OPEN = (
    Story(PROBLEM, 50),
    Story(PROBLEM, 15, ((HOUR, "agent", "priority 4"),)),
    Story(PROBLEM, 8, ((2 * HOUR, "agent", "answer"), (HOUR, "client", "more"))),
    Story(PROBLEM, 5, ((HOUR, "agent", "priority 2"),)),
    Story(BLOCKED, 2, ((HOUR, "client", "more"),)),
    Story(PROBLEM, 10, ((2 * HOUR, "agent", "wait"),)),
    Story(VAGUE, 10),
)
CLOSED_STARTS = (timedelta(hours=8, minutes=30), timedelta(days=2, hours=9, minutes=40))
OPEN_SINCE = (HOUR / 2, DAY, DAY + 4 * HOUR, 4 * DAY, 4 * DAY + 4 * HOUR, 5 * DAY)


@dataclass
class Part:
    """A story with its time, its language and its client; `number` tells it from the others."""

    number: int
    story: Story
    language: str
    start: datetime
    is_closed: bool
    ticket_id: int = 0
    last_mail: str = ""  # the Message-ID of what the client wrote last

    @property
    def client(self) -> str:
        """The address, to be replaced in copies."""
        return f"client{self.number}@model{self.number}.example"

    @property
    def name(self) -> str:
        """The client's name, to be replaced in copies."""
        return f"Client {self.number}"

    @property
    def organisation(self) -> str:
        """The organisation's name, to be replaced in copies."""
        return f"Model Company{self.number}"


def write_desk(
    folder: Path,
    url: str,
    organisations: str,
    *,
    level: str = "error",
    imap: int = 1,
    user: str = "support",
    smtp: int = 1,
) -> Path:
    """Write the configuration of a desk into `folder`; return its path. Port 1 is nobody's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        CONFIG.format(url=url, level=level, imap=imap, user=user, secret=SECRET, smtp=smtp), "utf-8"
    )
    (folder / "organisations.toml").write_text(organisations, "utf-8")
    agents = "".join(AGENT.format(number=number) for number in range(1, AGENTS + 1))
    (folder / "agents.toml").write_text(agents + CHIEF, "utf-8")
    return path


def plan_parts() -> list[Part]:
    """Return what is played: each story in each language, at several times."""
    numbers = itertools.count(1)
    parts = []
    for language in ("fr", "en"):
        for begin in CLOSED_STARTS:
            for index, story in enumerate(CLOSED):
                start = CLOSED_WEEK + begin + timedelta(minutes=17 * index)
                parts.append(Part(next(numbers), story, language, start, True))
        for since in OPEN_SINCE:
            for index, story in enumerate(OPEN):
                start = NOW - since - timedelta(minutes=13 * index)
                parts.append(Part(next(numbers), story, language, start, False))
    return parts


def play(folder: Path) -> tuple[Desk, list[Part]]:
    """Play all parts at a desk below `folder`; return it and the parts with their tickets."""
    parts = plan_parts()
    organisations = "".join(
        f'[[organisation]]\nname = "{each.organisation}"\n'
        f'domains = ["model{each.number}.example"]\ncontract_start = 2020-01-01\n\n'
        for each in parts
    )
    clock = MovableClock(min(part.start for part in parts))
    url = f"sqlite:///{folder / 'models.db'}"
    desk = open_desk(load_config(write_desk(folder, url, organisations)), clock)
    Play(desk, clock).run(parts)
    return desk, parts


class Play:
    """The stage: a desk with a fast clock, turns of the daemon, and those who write to it."""

    def __init__(self, desk: Desk, clock: MovableClock) -> None:
        self._desk = desk
        self._clock = clock
        self._gateway = FakeGateway()
        self._uids = itertools.count(1)
        self._dice = random.Random(7)

    def run(self, parts: list[Part]) -> None:
        """Act all parts in the order of time, with a turn of the daemon after each act."""
        acts = [(each.start, each.number, -1) for each in parts]
        heapq.heapify(acts)
        by_number = {each.number: each for each in parts}
        for now in self._times(acts):
            self._clock.now = now
            while acts and acts[0][0] <= now:
                at, number, index = heapq.heappop(acts)
                part = by_number[number]
                self._act(part, index)
                if index + 1 < len(part.story.acts):
                    pause = part.story.acts[index + 1][0]
                    heapq.heappush(acts, (at + pause, number, index + 1))
            self._turn()

    def _times(self, acts: list[tuple[datetime, int, int]]) -> Iterator[datetime]:
        """The moments at which something happens: acts, and reminders in between, until NOW."""
        now = acts[0][0]
        while now < NOW:
            yield now
            with self._desk.database.read() as session:
                reminder = session.scalar(
                    select(func.min(Reminder.moment)).where(Reminder.status == "pending")
                )
            ahead = [each for each in (reminder, acts[0][0] if acts else None) if each is not None]
            now = max(min(ahead, default=NOW), now + SECOND)
        yield NOW

    def _turn(self) -> None:
        for work in (lambda: process_due(self._desk), self._send, lambda: sweep(self._desk)):
            while work():
                pass
        self._send()

    def _send(self) -> int:
        while send_due(self._desk, self._gateway):
            pass
        return 0

    def _act(self, part: Part, index: int) -> None:
        if index < 0:
            self._deliver(part, self._request(part))
            return
        _, who, what = part.story.acts[index]
        words = SAYS[what][part.language]
        if who == "operator":
            order_by_reference(self._desk, f"#{part.ticket_id}", parse_orders(words))
            return
        with self._desk.database.read() as session:
            mail = self._reply(session, part, who, words)
        self._deliver(part, mail)

    def _deliver(self, part: Part, raw: bytes) -> None:
        entry = (*MAILBOX, next(self._uids))
        (stored,) = take_in(self._desk, [Arrived(raw, "imap", entry)])
        while process_due(self._desk):
            pass
        with self._desk.database.read() as session:
            row = session.get_one(Inbound, stored.inbound_id)
        if row.ticket_id is None or (part.ticket_id and row.ticket_id != part.ticket_id):
            raise RuntimeError(f"part {part.number}: {row.outcome}: {row.reason}")
        part.ticket_id = row.ticket_id

    def _message_id(self, domain: str) -> str:
        return f"<{self._dice.getrandbits(96):024x}@{domain}>"

    def _request(self, part: Part) -> bytes:
        subject, text = part.story.mail[part.language]
        part.last_mail = self._message_id(f"model{part.number}.example")
        return mail_bytes(
            f"{part.name} <{part.client}>", subject, part.last_mail, self._clock(), text
        )

    def _reply(self, session: Session, part: Part, who: str, words: str) -> bytes:
        """Answer the last mail that the desk wrote to the client, or to the agent in charge."""
        ticket = session.get_one(Ticket, part.ticket_id)
        is_agent = who == "agent"
        address = str(ticket.agent) if is_agent else part.client
        last = session.scalar(
            select(OutboxMail)
            .where(OutboxMail.ticket_id == ticket.id, OutboxMail.recipient == address)
            .order_by(OutboxMail.id.desc())
            .limit(1)
        )
        if last is None:
            raise RuntimeError(f"part {part.number}: {who} has no mail to answer")
        domain = address.rpartition("@")[2]
        part.last_mail = self._message_id(domain)
        name = part.name if not is_agent else "Agent"
        return mail_bytes(
            f"{name} <{address}>",
            f"Re: {ticket.subject}",
            part.last_mail,
            self._clock(),
            words,
            answers=last.message_id,
        )


def mail_bytes(
    sender: str,
    subject: str,
    message_id: str,
    date: datetime,
    text: str,
    *,
    answers: str = "",
    to: str = "support@support.example",
) -> bytes:
    """Return a short mail; with `answers`, a reply to the mail with that Message-ID."""
    domain = sender.rpartition("@")[2].rstrip(">")
    thread = f"In-Reply-To: {answers}\nReferences: {answers}\n" if answers else ""
    return (
        f"Authentication-Results: mx.support.example; dmarc=pass header.from={domain}\n"
        f"From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: {message_id}\n{thread}"
        f"Date: {format_datetime(date)}\nMIME-Version: 1.0\n"
        f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n"
    ).encode()
