"""A desk, its servers, and a proxy before each of them."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from mailflow.adapters.policies import Policies, load_policies
from mailflow.adapters.render import Renderer
from mailflow.adapters.triager import Triager
from mailflow.core.messages import InboundMessage
from mailflow.core.triage import Triage
from mailflow.daemon import Daemon
from mailflow.demo.servers import PASSWORD, USER, EmbeddedSmtp
from mailflow.desk import Desk
from tests.factories import make_triage
from tests.factories_desk import DeskFactory, MovableClock, deliver
from tests.factories_mail import make_mail
from tests.reliability.faults_account import Account, check_sink, is_settled, take_account
from tests.reliability.faults_certificates import FaultyCertificates
from tests.reliability.faults_postgresql import FaultyPostgreSQL
from tests.reliability.proxy import Proxy
from tests.servers.boxes import Box

JOURNAL = "journal@support.example"
DEFAULTS = {"timeout_seconds": 30.0}  # as without the key
QUICK = {"timeout_seconds": 0.5}


class Certain:
    """A triager that takes every mail for a complete report: triage is not what fails here."""

    def triage(self, _message: InboundMessage) -> Triage:
        """Return the triage of one mail."""
        return make_triage()

    def triage_many(self, messages: Sequence[InboundMessage]) -> list[Triage]:
        """Return the triage of each mail, in order."""
        return [self.triage(message) for message in messages]


class LiveClock(MovableClock):
    """The true time, put forward or back by what `advance` was told."""

    def __init__(self) -> None:
        self._offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def advance(self, **span: float) -> datetime:
        """Put the clock forward by `span`, or back where it is negative."""
        self._offset += timedelta(**span)
        return self()


class Sink(EmbeddedSmtp):
    """The SMTP server: it wants a login, and copies to the journal in the same transaction."""

    def __init__(self, box: Box, certificates: FaultyCertificates, *, starttls: bool) -> None:
        super().__init__()
        self._box = box
        self._tls = certificates.right if starttls else None

    def __enter__(self) -> "Sink":
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=_may_log_in,
            auth_require_tls=False,
            tls_context=self._tls,
        )
        self._controller.start()
        return self

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take the mail, its copy first."""
        if JOURNAL in envelope.rcpt_tos:
            with self._box.session() as client:
                client.append("Journal", envelope.content)
        return await super().handle_DATA(server, session, envelope)


def _may_log_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=data == right)


@dataclass
class Bench:
    """Servers, the proxies before them, and a desk that knows the proxies only."""

    box: Box
    imap: Proxy
    smtp: Proxy
    sink: Sink
    certificates: FaultyCertificates
    folder: Path
    clock: MovableClock
    desk: Desk
    daemon: Daemon
    postgresql: FaultyPostgreSQL | None = None
    is_live: bool = False  # the time is real
    strikes: int = 0  # of faults that are not the proxies'
    delivered: list[str] = field(default_factory=list)  # the nonces of the mails in the mailbox
    ingested: list[str] = field(default_factory=list)  # of those that came by another way
    latency: float = 0.005  # seconds for each piece of data, each way
    accepted_before: int = 0  # mails that the sink had when the fault began
    undo: ExitStack = field(default_factory=ExitStack)  # what the end of a fault releases

    def deliver(self, count: int = 1, *, padding: int = 0) -> None:
        """Put mails into the mailbox, past the proxy; `padding` makes them longer, in bytes."""
        mails = [self._mail(self.delivered, padding) for _ in range(count)]
        self.box.deliver(*mails)

    def ingest(self) -> None:
        """Hand a mail to the desk as `mailflow ingest` does: it needs no IMAP server."""
        deliver(self.desk, self._mail(self.ingested, 0))

    def note_start(self) -> None:
        """Remember how things stood when a fault began."""
        self.accepted_before = len(self.sink.accepted)

    @staticmethod
    def sender_of(nonce: str) -> str:
        """The client who wrote the mail."""
        return f"claire.{nonce}@client.example"

    def _mail(self, names: list[str], padding: int) -> bytes:
        number = len(self.delivered) + len(self.ingested)
        nonce = f"nonce{number:06d}"
        names.append(nonce)
        return make_mail(
            subject=f"Export des factures impossible {nonce}",
            sender=self.sender_of(nonce),
            message_id=f"<{nonce}@client.example>",
            X_Padding=" ".join(["padding"] * (padding // 8)),
        )

    def is_settled(self) -> bool:
        """Whether every mail met its fate and nothing is owed; False while the database is gone."""
        nonces = [*self.delivered, *self.ingested]
        return is_settled(self.desk, nonces) and not self.box.uids()

    def account_so_far(self) -> Account:
        """Compare outbox and sink, in the midst of a fault."""
        return check_sink(self.desk, list(self.sink.accepted))

    def account(self) -> Account:
        """Compare mailbox, database and sink."""
        accepted = list(self.sink.accepted)
        return take_account(self.desk, self.box, accepted, self.delivered, self.ingested)


@contextmanager
def open_bench(
    folder: Path,
    migrated: Path,
    box: Box,
    certificates: FaultyCertificates,
    clock: MovableClock,
    *,
    setting: str = "tls",
    postgresql: FaultyPostgreSQL | None = None,
    quick: bool = False,
) -> Iterator[Bench]:
    """Start proxies and a desk on `box`.

    `setting` is 'tls' (both connections, from the first byte), 'starttls', 'journal',
    'small disk', or what only says of which kind `box` and `postgresql` are: 'quota',
    'postgresql'. `quick` shortens the time limits where the clocks are not real.
    """
    context = None if setting == "starttls" else certificates.right
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(box, certificates, starttls=setting == "starttls"))
        imap = stack.enter_context(Proxy(box.port, context))
        smtp = stack.enter_context(Proxy(sink.port, context))
        secure = {
            "host": "localhost",
            "tls": "starttls" if setting == "starttls" else "tls",
            "ca_file": str(certificates.authority),
        }
        login = {"username": USER, "password_file": "password.txt"}
        wanted: dict[str, dict[str, Any]] = {
            "imap": {**box.section(), **secure, "port": imap.port},
            "smtp": {**login, **secure, "port": smtp.port},
            "limits": {"max_mails_per_sender_and_minute": 1000},
        }
        if setting == "journal":
            wanted["journal"] = _journal(box)
        if setting == "small disk":
            wanted["database"] = {"url": stack.enter_context(_small_disk(folder, migrated))}
        if postgresql is not None:
            wanted["database"] = {"url": postgresql.new_database()}
        if isinstance(clock, LiveClock):
            wanted["imap"].update(DEFAULTS)
            wanted["smtp"].update(DEFAULTS)
        elif quick:
            wanted["imap"].update(QUICK, poll_seconds=0.3)
            wanted["smtp"].update(QUICK)
        factory = DeskFactory(folder, migrated, cast(Triager, Certain()))
        stack.callback(factory.close)
        desk = factory("desk", clock, **wanted)
        desk.renderer, desk.policies = _renderer(desk.zone.key), _policies()
        daemon = Daemon(desk, sweep_seconds=20)
        bench = Bench(box, imap, smtp, sink, certificates, folder, clock, desk, daemon, postgresql)
        stack.callback(daemon.close)
        stack.enter_context(bench.undo)
        yield bench


@cache
def _renderer(zone: str) -> Renderer:
    """The shipped templates, compiled once for all benches."""
    return Renderer(None, zone)


@cache
def _policies() -> Policies:
    """The shipped policies, with their calendars."""
    return load_policies(None)


def _journal(box: Box) -> dict[str, Any]:
    with box.session() as client:
        client.create_folder("Journal")
    return {
        "address": JOURNAL,
        "host": "127.0.0.1",
        "port": box.port,
        "tls": "none",
        "username": box.user,
        "password_file": "password.txt",
        "folder": "Journal",
        "settle_seconds": 1,
    }


SMALL_DISK_BYTES = 2_000_000


@contextmanager
def _small_disk(folder: Path, migrated: Path) -> Iterator[str]:
    """A file system in memory, with room for little more than an empty database."""
    place = folder / "small"
    place.mkdir()
    options = f"size={SMALL_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=True)
    try:
        shutil.copy(migrated, place / "mailflow.db")
        yield f"sqlite:///{place / 'mailflow.db'}"
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
