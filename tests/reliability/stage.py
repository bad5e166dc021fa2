"""Where daemons are killed: servers that live on, and rounds, each with its own empty desk."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy
from imapclient import IMAPClient
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from mailflow.adapters.database import open_database
from mailflow.adapters.tables import Inbound, OutboxMail
from mailflow.adapters.triager import Triager
from mailflow.config import load_config
from mailflow.daemon import Daemon
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, free_port, wait_for_port
from mailflow.demo.stage import START
from mailflow.desk import Desk, open_desk
from tests.reliability.children import fork, wait_for
from tests.reliability.desk_files import JOURNAL, write_desk
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot, find_dovecot
from tests.servers.postgresql import MISSING, PostgreSQL, find_postgresql

FOLDERS = ("INBOX", "Processed", "Journal")
MOST_RUNS = 20  # without a failpoint, until nothing is left


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do: mails to process, mails to send."""

    inbound: int
    outbox: int

    def __bool__(self) -> bool:
        return bool(self.inbound or self.outbox)


@dataclass
class Round:
    """One desk: an empty mailbox, an empty database, an empty sink."""

    folder: Path  # its configuration
    sink: Path  # the mails that the SMTP server took
    imap_port: int
    user: str
    url: str
    triager: Triager
    offset: timedelta = timedelta(0)  # how far the desk's clock was put forward
    zero: float = field(default_factory=time.monotonic)

    def desk(self) -> Desk:
        """Open the desk, for use in this very process. Its clock starts on a Monday morning."""
        zero, offset = self.zero, self.offset

        def clock() -> datetime:
            return START + offset + timedelta(seconds=time.monotonic() - zero)

        desk = open_desk(load_config(self.folder / "config.toml"), clock)
        desk.__dict__["triager"] = self.triager
        return desk

    def run(self, failpoint: str | None = None) -> int:
        """Run the daemon once in a child; return 0, or the signal that ended it, negative.

        Three minutes have passed at the desk since the last run: claims have run out.
        """
        self.offset += timedelta(minutes=3)

        def work() -> None:
            if failpoint is not None:
                os.environ["MAILFLOW_FAILPOINT"] = failpoint
            Daemon(self.desk()).run_once()

        return wait_for(fork(work))

    def finish(self) -> None:
        """Run until nothing is left to do. Raises RuntimeError if that does not come about."""
        for _ in range(MOST_RUNS):
            if self.run() != 0:
                raise RuntimeError("a run without a failpoint failed")
            if not self.work_left():
                return
        raise RuntimeError("the work does not come to an end")

    def work_left(self) -> Work:
        """Count what waits in the database."""
        with self.engine() as connection:
            waiting = Inbound.status.in_(("new", "processing"))
            owed = OutboxMail.status.not_in(("sent", "failed"))
            return Work(
                connection.scalar(select(func.count(Inbound.id)).where(waiting)) or 0,
                connection.scalar(select(func.count(OutboxMail.id)).where(owed)) or 0,
            )

    def taken_in(self) -> int:
        """Count the mails in the database."""
        with self.engine() as connection:
            return connection.scalar(select(func.count(Inbound.id))) or 0

    def unread(self) -> int:
        """Count what waits in the mailbox."""
        with self.session() as client:
            return int(client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"])

    def most_attempts(self) -> int:
        """Return how often the most tried mail that is not done was claimed."""
        with self.engine() as connection:
            waiting = Inbound.status.in_(("new", "processing"))
            return connection.scalar(select(func.max(Inbound.attempts)).where(waiting)) or 0

    @contextmanager
    def engine(self) -> Iterator[sqlalchemy.Connection]:
        """A connection to the database that goes round mailflow's own code."""
        engine = sqlalchemy.create_engine(self.url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def deliver(self, mails: list[bytes]) -> None:
        """Put mails into the mailbox."""
        if not mails:
            return
        with self.session() as client:
            for start in range(0, len(mails), 200):
                client.multiappend("INBOX", mails[start : start + 200])

    @contextmanager
    def session(self) -> Iterator[IMAPClient]:
        """A session on the mailbox."""
        with IMAPClient("127.0.0.1", self.imap_port, ssl=False) as client:
            client.login(self.user, PASSWORD)
            yield client


class Servers:
    """An IMAP server (Dovecot, else pymap), the SMTP sink, PostgreSQL where it is asked for."""

    def __init__(
        self, triager: Triager, *, postgresql: bool = False, settle: int | None = None
    ) -> None:
        """`settle`: the journal's settle time in seconds; None for no journal."""
        self._triager = triager
        self._postgresql = postgresql
        self._settle = settle
        self._stack = ExitStack()
        self._rounds = 0
        self._cluster: PostgreSQL | None = None
        self._template = ""  # the URL of an empty database with the current schema

    def __enter__(self) -> "Servers":
        os.environ["HARNESS_PASSWORD"] = PASSWORD
        os.environ.pop("MAILFLOW_FAILPOINT", None)
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="mailflow-harness-")
            self.folder = Path(stack.enter_context(temporary))
            self.imap_port, self.user = self._start_imap(stack)
            self.smtp_port = self._start_sink(stack)
            self._template = f"sqlite:///{self.folder / 'template.db'}"
            if self._postgresql:
                programs = find_postgresql()
                if programs is None:
                    raise RuntimeError(MISSING)
                self._cluster = stack.enter_context(PostgreSQL(programs))
                self._template = self._cluster.new_database()
            open_database(self._template).close()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def new_round(self) -> Round:
        """Empty what the last round left and return a new desk. Only one is in use at a time."""
        self._rounds += 1
        folder = self.folder / f"round{self._rounds}"
        folder.mkdir()
        shutil.rmtree(self.folder / f"round{self._rounds - 1}", ignore_errors=True)
        for file in self._sink.iterdir():
            file.unlink()
        url = self._new_database(folder)
        write_desk(
            folder,
            imap=self.imap_port,
            smtp=self.smtp_port,
            user=self.user,
            url=url,
            settle=self._settle,
        )
        fresh = Round(folder, self._sink, self.imap_port, self.user, url, self._triager)
        with fresh.session() as client:
            for name in FOLDERS:
                if not client.folder_exists(name):
                    client.create_folder(name)
                client.select_folder(name)
                if client.search():
                    client.delete_messages("1:*", silent=True)
                    client.expunge()
        return fresh

    def _new_database(self, folder: Path) -> str:
        if self._cluster is None:
            shutil.copy(self.folder / "template.db", folder / "desk.db")
            return f"sqlite:///{folder / 'desk.db'}"
        template = make_url(self._template)
        engine = sqlalchemy.create_engine(
            template.set(database="postgres"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            old, new = f"round{self._rounds - 1}", f"round{self._rounds}"
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {old} WITH (FORCE)")
            connection.exec_driver_sql(f"CREATE DATABASE {new} TEMPLATE {template.database}")
        engine.dispose()
        return template.set(database=new).render_as_string(hide_password=False)

    def _start_imap(self, stack: ExitStack) -> tuple[int, str]:
        if find_dovecot() is None:
            return stack.enter_context(EmbeddedImap()).port, USER
        (self.folder / "tls").mkdir()
        server = stack.enter_context(Dovecot(make_certificates(self.folder / "tls")))
        return server.port, server.add_user()

    def _start_sink(self, stack: ExitStack) -> int:
        self._sink = self.folder / "sink"
        self._sink.mkdir()
        port = free_port()
        command = [sys.executable, "-m", "tests.reliability.sink", str(port), str(self._sink)]
        command += ["--imap-port", str(self.imap_port), "--user", self.user]
        command += [] if self._settle is None else ["--journal", JOURNAL]
        process = subprocess.Popen(command)
        stack.callback(_end, process)
        wait_for_port(port, "the SMTP sink", process)
        return port


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=10)
