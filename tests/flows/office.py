"""A desk, and everyone who writes to it: mails in, rows and mails out."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime, getaddresses

from sqlalchemy import select

from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.core.messages import Address
from mailflow.demo.servers import Accepted
from mailflow.desk import Desk
from mailflow.services.outbox import send_due
from mailflow.services.process import process_due
from mailflow.services.sweep import sweep
from tests.factories_desk import MovableClock, deliver

CLAIRE = Address("Claire Martin", "claire@client.example")
PAUL = Address("Paul Durand", "paul@client.example")  # Claire's colleague
TOM = Address("Tom Baker", "tom@client.example")  # who writes English
MALLORY = Address("Mallory", "mallory@elsewhere.example")  # who belongs to nothing
ALICE = Address("Alice Agent", "alice@support.example")
BOB = Address("Bob Agent", "bob@support.example")
SYLVIE = Address("Sylvie Supervisor", "sylvie@support.example")
OSCAR = Address("Oscar Observer", "oscar@support.example")
SUPPORT = Address("Support", "support@support.example")
OURS = "mx.support.example"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Sent:
    """A mail that went out, as its readers get it."""

    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    kind: str = ""

    @property
    def mail(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=default)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        """The plain text, its line ends and no-break spaces made plain."""
        part = self.mail.get_body(("plain",))
        text: str = part.get_content() if part else ""
        return text.replace("\r\n", "\n").replace("\u00a0", " ").replace("\u202f", " ")

    @property
    def html(self) -> str:
        part = self.mail.get_body(("html",))
        return part.get_content() if part else ""

    @property
    def everything(self) -> str:
        """All that the mail says: its headers, its texts and the names of its files."""
        mail = self.mail
        heads = "\n".join(f"{name}: {value}" for name, value in mail.items())
        names = "\n".join(part.get_filename() or "" for part in mail.iter_attachments())
        return "\n".join((heads, self.text, self.html, names))

    def __getitem__(self, header: str) -> str | None:
        value = self.mail[header]
        return None if value is None else str(value)

    def ids(self, header: str) -> list[str]:
        """Return the message ids in `header`."""
        return re.findall(r"<[^<>\s]+>", self[header] or "")

    def files(self) -> dict[str, bytes]:
        return {p.get_filename() or "": p.get_content() for p in self.mail.iter_attachments()}


class Post:
    """The way out: takes every mail and keeps it."""

    is_open = True

    def __init__(self) -> None:
        self.taken: list[Accepted] = []

    def send(
        self, sender: str, recipients: Sequence[str], content: bytes, may_send: object = None
    ) -> str:
        self.taken.append(Accepted(sender, tuple(recipients), content))
        return "250 ok"

    def close(self) -> None:
        """Nothing is open."""


class Office:
    """The desk at work. `receive` lets mails arrive and returns what went out because of them."""

    def __init__(self, desk: Desk, clock: MovableClock) -> None:
        self.desk = desk
        self.clock = clock
        self.post = Post()
        self.sent: list[Sent] = []
        self.ids: list[int] = []

    def receive(self, *mails: bytes) -> list[Sent]:
        self.clock.advance(minutes=1)
        self.ids = list(deliver(self.desk, *mails))
        return self.work()

    def work(self, sweeping: bool = False) -> list[Sent]:
        """Process, sweep if wished, and send; return what went out."""
        while process_due(self.desk):
            pass
        if sweeping:
            sweep(self.desk)
        before = len(self.post.taken)
        while send_due(self.desk, self.post):  # type: ignore[arg-type]
            pass
        new = [self._known(each) for each in self.post.taken[before:]]
        self.sent += new
        return new

    def later(self, **span: float) -> list[Sent]:
        """Let time pass; return what went out at its end."""
        self.clock.advance(**span)
        return self.work(sweeping=True)

    def _known(self, taken: Accepted) -> Sent:
        message_id = str(message_from_bytes(taken.content, policy=default)["Message-ID"])
        with self.desk.database.read() as session:
            kind = session.scalar(
                select(OutboxMail.kind).where(OutboxMail.message_id == message_id)
            )
        return Sent(taken.recipients, taken.content, kind or "?")

    def ticket(self, number: int | None = None) -> Ticket:
        """Return a ticket, the latest where none is named."""
        with self.desk.database.read() as session:
            query = select(Ticket).order_by(Ticket.id.desc()).limit(1)
            row = session.scalars(query if number is None else query.where(Ticket.id == number))
            return row.one()

    def tickets(self) -> list[Ticket]:
        with self.desk.database.read() as session:
            return list(session.scalars(select(Ticket).order_by(Ticket.id)))

    def inbound(self, number: int | None = None) -> Inbound:
        """Return a mail that came in, the last of the latest batch where none is named."""
        with self.desk.database.read() as session:
            return session.get_one(Inbound, number or self.ids[-1])

    def events(self, ticket_id: int | None = None) -> list[Event]:
        """Return a ticket's log, the latest ticket's where none is named."""
        number = ticket_id or self.ticket().id
        with self.desk.database.read() as session:
            query = select(Event).where(Event.ticket_id == number).order_by(Event.id)
            return list(session.scalars(query))

    def event_kinds(self, ticket_id: int | None = None) -> list[str]:
        return [event.kind for event in self.events(ticket_id)]

    def rows(self, query: Callable[..., object]) -> list[object]:
        with self.desk.database.read() as session:
            return list(session.scalars(select(query)))  # type: ignore[call-overload]

    def last(self, kind: str, to: Address | None = None) -> Sent:
        """Return the last mail of a kind that went out, to somebody where named."""
        return next(
            each
            for each in reversed(self.sent)
            if each.kind == kind and (to is None or to.address in each.recipients)
        )


def kinds(mails: Sequence[Sent]) -> list[str]:
    """Return 'kind → reader' of each mail, sorted: the copies' readers after the first."""
    return sorted(f"{each.kind} → {' '.join(_short(r) for r in each.recipients)}" for each in mails)


def _short(address: str) -> str:
    return address.partition("@")[0]


def write(
    sender: Address,
    subject: str,
    text: str,
    *,
    to: str = "Support <support@support.example>",
    cc: str | None = None,
    message_id: str | None = None,
    auth: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    files: Sequence[tuple[str, str, bytes]] = (),
    at: object = None,
) -> bytes:
    """Return a first mail of somebody's."""
    mail = EmailMessage(policy=SMTP.clone(max_line_length=900))  # long ids stay whole
    if auth is not None:
        mail["Authentication-Results"] = auth
    mail["From"] = f"{sender.name} <{sender.address}>"
    mail["To"] = to
    if cc:
        mail["Cc"] = cc
    mail["Subject"] = subject
    mail["Date"] = "Tue, 03 Mar 2026 10:00:00 +0100"
    mail["Message-ID"] = message_id or f"<{next(_numbers)}.mail@{sender.domain}>"
    for name, value in headers:
        mail[name] = value
    mail.set_content(text)
    for name, kind, content in files:
        maintype, _, subtype = kind.partition("/")
        mail.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)
    return mail.as_bytes()


def passed(sender: Address) -> str:
    """What our own server writes over a mail of a sender that it could prove."""
    return (
        f"{OURS}; spf=pass smtp.mailfrom={sender.address}; dmarc=pass header.from={sender.domain}"
    )


def answer(
    sent: Sent,
    sender: Address,
    text: str,
    *,
    proven: bool = True,
    quote: bool = True,
    cc: str | None = None,
    to: str = "Support <support@support.example>",
    subject: str | None = None,
    message_id: str | None = None,
    auth: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    files: Sequence[tuple[str, str, bytes]] = (),
    threaded: bool = True,
) -> bytes:
    """Return what somebody's mail program writes as an answer to a mail of ours."""
    mail = sent.mail
    thread: list[tuple[str, str]] = []
    if threaded:
        ids = [*sent.ids("References"), *sent.ids("Message-ID")]
        thread = [("In-Reply-To", sent["Message-ID"] or ""), ("References", " ".join(ids))]
    body = text
    if quote:
        quoted = "\n".join(f"> {line}".rstrip() for line in sent.text.strip().splitlines())
        body = f"{text}\n\nLe mar. 3 mars 2026 à 10:05, Support <{SUPPORT.address}> a écrit :\n\n{quoted}\n"
    return write(
        sender,
        subject if subject is not None else "Re: " + str(mail["Subject"]).removeprefix("Re: "),
        body,
        to=to,
        cc=cc,
        message_id=message_id,
        auth=auth if auth is not None else (passed(sender) if proven else None),
        headers=(*thread, *headers),
        files=files,
    )


def addresses(sent: Sent, header: str) -> list[str]:
    """Return the addresses in a header."""
    return [address for _, address in getaddresses([sent[header] or ""])]


def date_of(clock: MovableClock) -> str:
    """Return the clock's instant as a Date header."""
    return format_datetime(clock())
