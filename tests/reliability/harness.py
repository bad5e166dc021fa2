"""Kill the daemon at chosen or random instants, then compare mailbox, database and sink.

    python -m tests.reliability.harness --times 100              every failpoint
    python -m tests.reliability.harness --random 1000 --mails 10000
    python -m tests.reliability.harness --times 100 --journal    with the last window closed

Each mail carries a nonce in its subject. The daemon runs in a forked child (the triage models are
loaded once, in the parent), which a failpoint or the parent ends with SIGKILL. Then a child without
failpoints runs until nothing is left, and the checker looks at what really happened: it reads the
mailbox over IMAP, the database by SQL, and the files that the SMTP server wrote.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from imapclient import IMAPClient
from sqlalchemy import select

from mailflow.adapters.database import open_database
from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.adapters.triager import Triager
from mailflow.config import load_config
from mailflow.daemon import Daemon
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap, free_port, wait_for_port
from mailflow.demo.stage import demo_mails
from mailflow.desk import open_desk
from mailflow.logs import set_up_logs
from mailflow.settings import Logging
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot, find_dovecot
from tests.servers.postgresql import PostgreSQL, find_postgresql

FAILPOINTS = (
    "intake-fetched",
    "intake-committed",
    "intake-filed",
    "process-claimed",
    "process-committed",
    "outbox-claimed",
    "smtp-mail",
    "smtp-rcpt",
    "smtp-accepted",
    "outbox-marked",
)
WINDOW = "smtp-accepted"  # between the server's reply and our note of it
JOURNAL = "journal@support.example"
NONCE = re.compile(r"nonce([0-9]{6})")

CONFIG = """\
[support]
address = "support@support.example"
max_automatic_mails_per_day = 1000

[imap]
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{user}"
password_env = "HARNESS_PASSWORD"

[smtp]
host = "127.0.0.1"
port = {smtp}
tls = "none"

[database]
url = "{url}"

[limits]
max_mails_per_sender_and_minute = 100000
"""
JOURNAL_CONFIG = """
[journal]
address = "{address}"
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{user}"
password_env = "HARNESS_PASSWORD"
folder = "Journal"
settle_seconds = 1
"""
ORGANISATIONS = """\
[[organisation]]
name = "Everybody"
domains = ["brasserie-du-lac.example", "northwind-mills.example"]
"""
AGENTS = """\
[[agent]]
name = "Anne Leroy"
address = "anne.leroy@support.example"
languages = ["fr", "en"]
"""


@dataclass
class Findings:
    """What the checker saw, counted."""

    mails: int = 0
    lost: list[str] = field(default_factory=list)
    doubled_tickets: list[str] = field(default_factory=list)
    doubled_mails: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    flagged: int = 0  # repeats that mailflow itself marked as possible duplicates

    def is_clean(self, *, window: bool = False) -> bool:
        """Whether nothing went wrong; in the window a repeat under the same id is allowed."""
        bad = self.lost + self.doubled_tickets + self.different
        return not bad and (window or not self.doubled_mails)


@dataclass
class Rig:
    """Servers that live on while daemons die, and one desk's files."""

    folder: Path
    imap_port: int
    user: str
    url: str
    triager: Triager
    offset: timedelta = timedelta(0)  # the desk's clock runs ahead, so that claims run out

    def run(self, failpoint: str | None = None, kill_after: float | None = None) -> int:
        """Run the daemon once in a child; return 0, or the signal that ended it, negative."""
        self.offset += timedelta(minutes=10)
        pid = os.fork()
        if pid == 0:
            self._child(failpoint)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _child(self, failpoint: str | None) -> None:
        code = 1
        try:
            if failpoint is not None:
                os.environ["MAILFLOW_FAILPOINT"] = failpoint
            offset = self.offset
            desk = open_desk(
                load_config(self.folder / "config.toml"), lambda: datetime.now(UTC) + offset
            )
            desk.__dict__["triager"] = self.triager
            Daemon(desk).run_once()
            code = 0
        except BaseException as error:  # the child must never run the parent's code
            print(f"child: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)

    def finish(self) -> None:
        """Run until nothing is left to do. Raises RuntimeError if that does not come about."""
        for _ in range(20):
            if self.run() != 0:
                raise RuntimeError("a run without a failpoint failed")
            if not self._is_busy():
                return
        raise RuntimeError("the work does not come to an end")

    def _is_busy(self) -> bool:
        database = open_database(self.url, migrate=False)
        try:
            with database.read() as session:
                waiting = select(Inbound.id).where(Inbound.status.in_(("new", "processing")))
                owed = select(OutboxMail.id).where(OutboxMail.status.not_in(("sent", "failed")))
                return bool(session.scalars(waiting).first() or session.scalars(owed).first())
        finally:
            database.close()

    def deliver(self, mails: list[bytes]) -> None:
        """Put mails into the mailbox."""
        with self.session() as client:
            for start in range(0, len(mails), 200):
                client.multiappend("INBOX", mails[start : start + 200])

    @contextmanager
    def session(self) -> Iterator[IMAPClient]:
        """A session on the mailbox."""
        with IMAPClient("127.0.0.1", self.imap_port, ssl=False) as client:
            client.login(self.user, PASSWORD)
            yield client

    def check(self, expected: dict[str, tuple[str, ...]] | None, sent: list[bytes]) -> Findings:
        """Compare what was delivered (`sent`) with mailbox, database and sink."""
        found = Findings(mails=len(sent))
        nonces = {NONCE.search(mail.decode("utf-8", "replace"))[0] for mail in sent}  # type: ignore[index]
        with self.session() as client:
            client.select_folder("INBOX", readonly=True)
            left = client.search(["UNDELETED"])
            client.select_folder("Processed", readonly=True)
            filed = client.search(["UNDELETED"])
        if left or len(filed) != len(sent):
            found.lost.append(f"mailbox: {len(left)} in INBOX, {len(filed)} filed")
        outcomes = self._outcomes(found, nonces)
        self._check_sink(found)
        if expected is not None:
            for nonce, facts in outcomes.items():
                kind = nonce[5:8]
                if expected.get(kind) != facts:
                    found.different.append(f"{nonce}: {facts} instead of {expected.get(kind)}")
        return found

    def _outcomes(self, found: Findings, nonces: set[str]) -> dict[str, tuple[str, ...]]:
        database = open_database(self.url, migrate=False)
        try:
            with database.read() as session:
                inbound = session.scalars(select(Inbound)).all()
                tickets = {row.id: row for row in session.scalars(select(Ticket))}
                outbox = session.scalars(select(OutboxMail)).all()
        finally:
            database.close()
        found.flagged = sum(row.maybe_duplicate for row in outbox)
        found.lost += [f"mail {row.id}: {row.reason}" for row in inbound if not row.subject]
        inbound = [row for row in inbound if row.subject]
        seen = Counter(NONCE.search(row.subject or "")[0] for row in inbound)  # type: ignore[index]
        found.lost += [f"{nonce}: not in the database" for nonce in nonces - set(seen)]
        found.doubled_tickets += [f"{nonce}: {n} rows" for nonce, n in seen.items() if n > 1]
        opened = Counter(NONCE.search(row.subject)[0] for row in tickets.values())  # type: ignore[index]
        found.doubled_tickets += [f"{nonce}: {n} tickets" for nonce, n in opened.items() if n > 1]
        sent = Counter(row.ticket_id for row in outbox if row.status == "sent")
        result = {}
        for row in inbound:
            nonce = NONCE.search(row.subject or "")[0]  # type: ignore[index]
            ticket = tickets.get(row.ticket_id or 0)
            facts = (row.status, row.outcome or "")
            if ticket is not None:
                started = "clock" if ticket.registered_at else "no clock"
                facts += (ticket.state, str(ticket.priority), started, str(sent[ticket.id]))
            result[nonce] = facts
        return result

    def _check_sink(self, found: Findings) -> None:
        ids: Counter[str] = Counter()
        for file in (self.folder / "sink").glob("*.eml"):
            mail = message_from_bytes(file.read_bytes(), policy=default)
            ids[str(mail["Message-ID"])] += 1
        database = open_database(self.url, migrate=False)
        try:
            with database.read() as session:
                for message_id, status in session.execute(
                    select(OutboxMail.message_id, OutboxMail.status)
                ):
                    count = ids.pop(message_id, 0)
                    if count > 1:
                        found.doubled_mails.append(f"{message_id}: taken {count} times")
                    if status == "sent" and count == 0:
                        found.lost.append(f"{message_id}: marked as sent, never taken")
        finally:
            database.close()
        found.different += [f"{message_id}: sent, but not ours" for message_id in ids]


@contextmanager
def open_rig(triager: Triager, *, postgresql: bool = False, journal: bool = False) -> Iterator[Rig]:
    """Start the servers for one round: Dovecot where there is one, else pymap."""
    os.environ["HARNESS_PASSWORD"] = PASSWORD
    os.environ.pop("MAILFLOW_FAILPOINT", None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailflow-rig-")))
        imap_port, user = _start_imap(stack, folder)
        url = f"sqlite:///{folder / 'desk.db'}"
        if postgresql:
            programs = find_postgresql()
            if programs is None:
                raise RuntimeError("PostgreSQL is not installed")
            url = stack.enter_context(PostgreSQL(programs)).new_database()
        (folder / "sink").mkdir()
        smtp_port = free_port()
        command = [sys.executable, "-m", "tests.reliability.sink", str(smtp_port)]
        command += [str(folder / "sink"), "--imap-port", str(imap_port), "--user", user]
        command += ["--journal", JOURNAL] if journal else []
        sink = subprocess.Popen(command)
        stack.callback(_end, sink)
        wait_for_port(smtp_port, "the SMTP sink", sink)
        config = CONFIG.format(imap=imap_port, smtp=smtp_port, user=user, url=url)
        if journal:
            config += JOURNAL_CONFIG.format(address=JOURNAL, imap=imap_port, user=user)
        (folder / "config.toml").write_text(config)
        (folder / "organisations.toml").write_text(ORGANISATIONS)
        (folder / "agents.toml").write_text(AGENTS)
        rig = Rig(folder, imap_port, user, url, triager)
        with rig.session() as client:
            for name in ("Processed", "Journal"):
                if not client.folder_exists(name):
                    client.create_folder(name)
        yield rig


def _start_imap(stack: ExitStack, folder: Path) -> tuple[int, str]:
    if find_dovecot() is None:
        return stack.enter_context(EmbeddedImap()).port, USER
    (folder / "tls").mkdir()
    server = stack.enter_context(Dovecot(make_certificates(folder / "tls")))
    return server.port, server.add_user()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=10)


def make_mails(count: int) -> list[bytes]:
    """Return `count` mails, the demonstration's in turn, each with its own nonce and id.

    The nonce's first three digits say which of the mails it is, so that all mails of one kind
    must meet the same fate.
    """
    sources = [content for name, content in demo_mails() if not name.startswith("12")]
    mails = []
    for number in range(count):
        kind = number % len(sources)
        head, _, body = sources[kind].partition(b"\n\n")
        nonce = f"nonce{kind:03d}{number // len(sources):03d}"
        lines = [_with_nonce(line, nonce) for line in head.split(b"\n")]
        mails.append((b"\n".join(lines) + b"\n\n" + body).replace(b"\n", b"\r\n"))
    return mails


def _with_nonce(line: bytes, nonce: str) -> bytes:
    if line.lower().startswith(b"message-id:"):
        return f"Message-ID: <{nonce}@brasserie-du-lac.example>".encode()
    return line + f" {nonce}".encode() if line.lower().startswith(b"subject:") else line


def reference(triager: Triager, mails: list[bytes]) -> dict[str, tuple[str, ...]]:
    """Return what becomes of each kind of mail in a run that nobody interrupts."""
    with open_rig(triager) as rig:
        rig.deliver(mails)
        rig.finish()
        found = Findings()
        nonces = {NONCE.search(mail.decode("utf-8", "replace"))[0] for mail in mails}  # type: ignore[index]
        return {nonce[5:8]: facts for nonce, facts in rig._outcomes(found, nonces).items()}


def kill_at(
    triager: Triager,
    failpoint: str,
    mails: list[bytes],
    expected: dict[str, tuple[str, ...]],
    *,
    postgresql: bool = False,
    journal: bool = False,
) -> tuple[int, Findings]:
    """Die at `failpoint` at its first, second … passage until a run gets through; then check."""
    deaths = 0
    with open_rig(triager, postgresql=postgresql, journal=journal) as rig:
        rig.deliver(mails)
        for passage in (1, 2, 3):
            code = rig.run(f"{failpoint}:{passage}")
            deaths += code == -signal.SIGKILL
        rig.finish()
        return deaths, rig.check(expected, mails)


def kill_at_random(
    triager: Triager,
    kills: int,
    mails: list[bytes],
    expected: dict[str, tuple[str, ...]],
    chance: random.Random,
    *,
    postgresql: bool = False,
    journal: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Findings:
    """Kill the daemon `kills` times at random instants while mails keep coming."""
    with open_rig(triager, postgresql=postgresql, journal=journal) as rig:
        share = max(len(mails) // kills, 1)
        waiting = list(mails)
        for number in range(kills):
            rig.deliver(waiting[:share])
            del waiting[:share]
            rig.run(kill_after=chance.uniform(0.02, 0.05 + 0.03 * share))
            if number % 50 == 49:
                say(f"{number + 1} kills")
        rig.deliver(waiting)
        rig.finish()
        return rig.check(expected, mails)


def main() -> int:
    """Run what the options ask for; print a table; return 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=0, help="rounds for each failpoint")
    parser.add_argument("--random", type=int, default=0, help="random kills")
    parser.add_argument("--mails", type=int, default=24, help="mails of the random run")
    parser.add_argument("--few", type=int, default=24, help="mails of a failpoint's round")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failpoint", choices=FAILPOINTS, action="append")
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    triager = Triager.load()
    few = make_mails(given.few)
    expected = reference(triager, make_mails(12))
    options = {"postgresql": given.postgresql, "journal": given.journal}
    bad = 0
    for failpoint in (given.failpoint or FAILPOINTS) if given.times else ():
        deaths, dirty, doubled = 0, 0, 0
        for _ in range(given.times):
            died, found = kill_at(triager, failpoint, few, expected, **options)
            window = failpoint == WINDOW and not given.journal
            deaths += died
            doubled += len(found.doubled_mails)
            if not found.is_clean(window=window):
                dirty += 1
                print(found)
        bad += dirty
        print(f"{failpoint:20} {deaths:5} deaths  {dirty:3} rounds not clean  {doubled:3} repeated")
    if given.random:
        mails = make_mails(given.mails)
        found = kill_at_random(
            triager, given.random, mails, expected, random.Random(given.seed), say=print, **options
        )
        print(
            f"{given.random} random kills, {found.mails} mails: {len(found.lost)} lost, "
            f"{len(found.doubled_tickets)} tickets doubled, {len(found.doubled_mails)} mails "
            f"repeated ({found.flagged} flagged), {len(found.different)} different"
        )
        for line in (found.lost + found.doubled_tickets + found.different)[:20]:
            print(" ", line)
        bad += not found.is_clean(window=not given.journal)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
