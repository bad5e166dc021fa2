"""The desk of the demonstration: its files, its clock, its servers, and who writes to it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from email.utils import format_datetime
from importlib.resources import files
from pathlib import Path

from sqlalchemy import func, select

from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.config import load_config
from mailflow.core.messages import Address
from mailflow.daemon import Daemon
from mailflow.demo.servers import PASSWORD, USER, Accepted, EmbeddedImap, EmbeddedSmtp
from mailflow.desk import Desk, open_desk
from mailflow.errors import GatewayError

START = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)  # a Monday, 9:15 in Paris
SECRET = "MAILFLOW_DEMO_PASSWORD"  # noqa: S105  (the name of a variable)
LONGEST_WAIT = 60.0

CONFIG = """\
[support]
address = "support@support.example"
name = "Support"
quotation_address = "sales@support.example"

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

[trust]
authserv_id = "mx.support.example"

[logging]
level = "error"
"""
ORGANISATIONS = """\
[[organisation]]
name = "Brasserie du Lac"
domains = ["brasserie-du-lac.example"]
language = "fr"
contract_start = 2025-01-01

[[organisation]]
name = "Northwind Mills"
domains = ["northwind-mills.example"]
language = "en"
contract_start = 2025-06-01
"""
AGENTS = """\
[[agent]]
name = "Anne Leroy"
address = "anne.leroy@support.example"
languages = ["fr", "en"]
supervisor = "sam.hill@support.example"

[[agent]]
name = "Ben Wood"
address = "ben.wood@support.example"
languages = ["en"]
supervisor = "sam.hill@support.example"

[[agent]]
name = "Sam Hill"
address = "sam.hill@support.example"
languages = ["en", "fr"]
role = "supervisor"
"""


class FastClock:
    """A clock that runs as time does and can be put forward."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._zero = time.monotonic()

    def __call__(self) -> datetime:
        """Return the demonstration's now."""
        return self._start + timedelta(seconds=time.monotonic() - self._zero)

    def forward(self, duration: timedelta) -> None:
        """Let `duration` pass at once."""
        self._start += duration


@dataclass
class Stage:
    """Everything at work: the servers, the desk, its daemon in a thread of its own."""

    folder: Path
    imap: EmbeddedImap
    smtp: EmbeddedSmtp
    desk: Desk
    clock: FastClock

    def deliver(self, *mails: bytes) -> None:
        """Let mails arrive in the support mailbox, and wait until all is done that follows."""
        with self.desk.database.read() as session:
            before = session.scalar(select(func.count(Inbound.id))) or 0
        self.imap.deliver(*mails)
        self.wait(before + len(mails))

    def wait(self, mails: int = 0) -> None:
        """Wait until `mails` came in and nothing is left to process or to send."""
        until = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < until:
            with self.desk.database.read() as session:
                came = session.scalar(select(func.count(Inbound.id))) or 0
                busy = session.scalar(
                    select(func.count(Inbound.id)).where(Inbound.status.in_(("new", "processing")))
                )
                owed = session.scalar(
                    select(func.count(OutboxMail.id)).where(
                        OutboxMail.status.in_(("pending", "sending"))
                    )
                )
            if came >= mails and not busy and not owed:
                return
            time.sleep(0.05)
        raise GatewayError(f"the demonstration did not get on within {LONGEST_WAIT:.0f} s")

    def sent(self, kind: str, subject: str) -> Accepted:
        """Return the last mail of a kind about the ticket with `subject`, as the server got it."""
        with self.desk.database.read() as session:
            row = session.scalars(
                select(OutboxMail)
                .join(Ticket, Ticket.id == OutboxMail.ticket_id)
                .where(OutboxMail.kind == kind, Ticket.subject == subject)
                .order_by(OutboxMail.id.desc())
            ).first()
        if row is None or row.content is None:
            raise GatewayError(f"no mail '{kind}' was sent about {subject!r}")
        wanted = f"Message-ID: {row.message_id}".encode()
        return next(mail for mail in self.smtp.accepted if wanted in mail.content)

    def reply(self, to: Accepted, author: Address, text: str, number: int) -> bytes:
        """Return what `author`'s mail program writes as an answer to a mail of ours."""
        mail = message_from_bytes(to.content, policy=default)
        part = mail.get_body(("plain",))
        quoted = part.get_content() if part else ""
        quote = "\n".join(f"> {line}".rstrip() for line in quoted.strip().splitlines())
        attribution = "Le lun. 2 mars 2026 à 09:20, Support <support@support.example> a écrit :"
        body = f"{text}\n\n{attribution}\n\n{quote}\n"
        references = " ".join([*str(mail["References"] or "").split(), str(mail["Message-ID"])])
        head = {
            "Authentication-Results": f"mx.support.example; dmarc=pass header.from={author.domain}",
            "From": f"{author.name} <{author.address}>",
            "To": "Support <support@support.example>",
            "Subject": "Re: " + str(mail["Subject"]).removeprefix("Re: "),
            "Message-ID": f"<reply-{number}@{author.domain}>",
            "In-Reply-To": str(mail["Message-ID"]),
            "References": references.replace(" ", "\n "),
            "Date": format_datetime(self.clock()),
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Transfer-Encoding": "8bit",
        }
        lines = [f"{name}: {value}" for name, value in head.items()]
        return ("\n".join(lines) + f"\n\n{body}").encode()


@contextmanager
def open_stage(folder: Path) -> Iterator[Stage]:
    """Start the servers and the daemon, all files below `folder`; stop them at the end."""
    os.environ[SECRET] = PASSWORD
    with EmbeddedImap() as imap, EmbeddedSmtp() as smtp:
        text = CONFIG.format(imap=imap.port, smtp=smtp.port, user=USER, secret=SECRET)
        (folder / "config.toml").write_text(text, "utf-8")
        (folder / "organisations.toml").write_text(ORGANISATIONS, "utf-8")
        (folder / "agents.toml").write_text(AGENTS, "utf-8")
        clock = FastClock(START)
        desk = open_desk(load_config(folder / "config.toml"), clock)
        daemon = Daemon(desk, sweep_seconds=1)
        thread = threading.Thread(target=daemon.run, name="mailflow", daemon=True)
        thread.start()
        try:
            yield Stage(folder, imap, smtp, desk, clock)
        finally:
            daemon.stop()
            thread.join(timeout=10)
            desk.database.close()


def demo_mails() -> list[tuple[str, bytes]]:
    """Return the names and bytes of the mails that come with mailflow."""
    folder = files("mailflow.demo") / "mails"
    found = [each for each in folder.iterdir() if each.name.endswith(".eml")]
    return [(each.name, each.read_bytes()) for each in sorted(found, key=lambda each: each.name)]
