"""How soon a mail is answered: from its delivery until the SMTP server has taken the answer.

    python benchmarks/latency.py [--mails 30] [--folder FOLDER]

A real Dovecot, an SMTP server that notes the moment of each acceptance, and `mailflow run` in a
process of its own, as a user starts it, waiting in IDLE. Mails come one by one, seconds apart. The
floor is a small script in mailflow's place: IDLE, fetch, move, one canned answer, nothing kept.
Also: start-up, from the start of the process until the answer to a mail that lay there is taken,
and what the daemon and its children occupy afterwards. FOLDER is a desk that `fill.py` made with
`--open 0`: what was open when it was filled would all be overdue today.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from smtplib import SMTP
from typing import Any

from aiosmtpd.controller import Controller
from imapclient import IMAPClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fill import organisations
from stories import SECRET, mail_bytes, write_desk
from story_texts import PROBLEM, TRAINING, VAGUE

from mailflow.config import load_config
from mailflow.demo.servers import PASSWORD, free_port
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import MISSING, Dovecot, find_dovecot

ROOT = Path(__file__).resolve().parents[1]
PAUSES = (0.5, 3.0)  # seconds between two mails, at random
LONGEST_WAIT = 60.0


class Sink:
    """An SMTP server that notes who was written to, and when it took the mail."""

    def __init__(self) -> None:
        self.port = free_port()
        self._news = threading.Condition()
        self._taken: dict[str, float] = {}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> "Sink":
        self._controller.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._controller.stop()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take the mail."""
        with self._news:
            for recipient in envelope.rcpt_tos:
                self._taken.setdefault(recipient, time.monotonic())
            self._news.notify_all()
        return "250 accepted"

    def wait_for(self, recipient: str) -> float:
        """Return when the first mail to `recipient` was taken. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: recipient in self._taken, LONGEST_WAIT):
                raise TimeoutError(f"{recipient} got no answer within {LONGEST_WAIT:.0f} s")
            return self._taken[recipient]


def client(number: int) -> str:
    """A client that writes once, so that an answer is known by its recipient."""
    return f"client{number}@company{number}.example"


def request(number: int) -> bytes:
    """A request in French or English: complete in one, excluded or incomplete in others."""
    texts = (PROBLEM, PROBLEM, VAGUE, TRAINING)[number % 4]
    subject, text = texts["fr" if number % 2 else "en"]
    message_id = f"<latency-{number}-{time.time_ns()}@company{number}.example>"
    return mail_bytes(f"Client <{client(number)}>", subject, message_id, datetime.now(UTC), text)


def deliver(port: int, user: str, mail: bytes) -> float:
    """Append a mail to the mailbox; return when the server had it."""
    with IMAPClient("127.0.0.1", port, ssl=False) as session:
        session.login(user, PASSWORD)
        session.append("INBOX", mail)
        return time.monotonic()


@contextmanager
def process(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `command` with the secret in its environment; end it as a service manager would."""
    environment = {**os.environ, SECRET: PASSWORD}
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(timeout=20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def measure(sink: Sink, port: int, user: str, numbers: Sequence[int]) -> list[float]:
    """Deliver a mail after another; return the seconds until each was answered."""
    dice = random.Random(3)
    seconds = []
    for number in numbers:
        time.sleep(dice.uniform(*PAUSES))
        delivered = deliver(port, user, request(number))
        seconds.append(sink.wait_for(client(number)) - delivered)
    return seconds


def answer_all(imap_port: int, user: str, smtp_port: int) -> None:
    """The floor: wait in IDLE, fetch, move, send a canned answer over a connection that is kept."""
    with IMAPClient("127.0.0.1", imap_port, ssl=False) as session, SMTP(
        "127.0.0.1", smtp_port
    ) as smtp:  # fmt: skip
        session.login(user, os.environ[SECRET])
        session.select_folder("INBOX")
        while True:
            session.noop()  # or the search would not know of the very last mail
            uids = session.search()
            for uid, found in session.fetch(uids, ["BODY.PEEK[]"]).items() if uids else ():
                mail = message_from_bytes(found[b"BODY[]"])
                to = mail["From"].partition("<")[2].rstrip(">")
                smtp.sendmail(
                    "support@support.example",
                    [to],
                    f"From: support@support.example\r\nTo: {to}\r\nSubject: Re\r\n\r\nok\r\n",
                )
                session.move([uid], "Processed")
            if not uids:
                session.idle()
                session.idle_check(timeout=2)
                session.idle_done()


def print_times(name: str, seconds: Sequence[float]) -> None:
    """Print the spread of what was measured."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    print(
        f"  {name:9} median {statistics.median(ordered):6.3f} s, p95 {p95:6.3f} s, "
        f"max {ordered[-1]:6.3f} s, {len(ordered)} mails"
    )


def family(pid: int) -> list[int]:
    """Return a process and all that it started, directly or not."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have used."""
    ticks = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def print_memory(pid: int) -> None:
    """Print what the daemon and its children occupy; pages that they share count once."""
    shares = []
    for each in family(pid):
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        (pss,) = (int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
        shares.append(pss)
    each = " + ".join(f"{share:.0f}" for share in shares)
    print(f"  resident memory after the run: {sum(shares):.0f} MB ({each})")


def notes(log: Path) -> Iterator[dict[str, Any]]:
    """Yield what the daemon logged."""
    for line in log.read_text("utf-8").splitlines():
        with suppress(ValueError):
            yield json.loads(line)


def print_start(log: Path, began: datetime) -> None:
    """Print when the daemon made each kind of note first, in seconds since its start."""
    first: dict[str, float] = {}
    for note in notes(log):
        at = datetime.fromisoformat(note["timestamp"])
        first.setdefault(note["event"], (at - began).total_seconds())
    print("    " + ", ".join(f"{event} {seconds:.2f} s" for event, seconds in first.items()))


def print_steps(log: Path) -> None:
    """Print the medians between the daemon's own notes: stored, processed, first mail sent."""
    steps: dict[str, list[float]] = {"stored → processed": [], "processed → sent": []}
    last: dict[str, datetime] = {}
    for note in notes(log):
        at, event = datetime.fromisoformat(note["timestamp"]), note["event"]
        if event == "mail.processed" and "mail.stored" in last:
            steps["stored → processed"].append((at - last.pop("mail.stored")).total_seconds())
        elif event == "mail.sent" and "mail.processed" in last:
            steps["processed → sent"].append((at - last.pop("mail.processed")).total_seconds())
        last[event] = at
    for name, seconds in steps.items():
        if seconds:
            print(f"  {name}: median {1000 * statistics.median(seconds):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description="latency of an idle daemon, and its memory")
    parser.add_argument("--mails", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="a desk that was filled, instead of a new one")
    given = parser.parse_args()
    if find_dovecot() is None:
        print(MISSING)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tls").mkdir()
        server = stack.enter_context(Dovecot(make_certificates(folder / "tls")))
        sink = stack.enter_context(Sink())
        user, floor_user = server.add_user(), server.add_user()
        with IMAPClient("127.0.0.1", server.port, ssl=False) as session:
            session.login(floor_user, PASSWORD)
            session.create_folder("Processed")
        url = f"sqlite:///{folder / 'mailflow.db'}"
        if given.folder is not None:
            url = load_config(given.folder / "config.toml").database.url
        config = write_desk(
            folder,
            url,
            organisations(),
            level="info",
            imap=server.port,
            user=user,
            smtp=sink.port,
        )
        command = [sys.executable, __file__, "--floor", f"{server.port},{floor_user},{sink.port}"]
        with process(command, folder / "floor.log"):
            measure(sink, server.port, floor_user, [1])
            floor = measure(sink, server.port, floor_user, range(2, given.mails + 2))
        first = 1001
        deliver(server.port, user, request(first))
        command = [sys.executable, "-m", "mailflow", "run", "-c", str(config)]
        begin, began_at = time.monotonic(), datetime.now(UTC)
        with process(command, folder / "daemon.log") as daemon:
            started = sink.wait_for(client(first)) - begin
            start_cpu = cpu_seconds(daemon.pid)
            numbers = range(first + 1, first + 1 + given.mails)
            seconds = measure(sink, server.port, user, numbers)
            print("from delivery until the answer was taken:")
            print_times("floor", floor)
            print_times("mailflow", seconds)
            ratio = statistics.median(seconds) / statistics.median(floor)
            print(f"  ratio to the floor {ratio:.1f}")
            print_steps(folder / "daemon.log")
            print(
                f"  start-up, until the answer to a mail that lay there was taken: "
                f"{started:.2f} s, {start_cpu:.2f} s of it processor time"
            )
            print_start(folder / "daemon.log", began_at)
            print_memory(daemon.pid)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--floor"]:
        ports = sys.argv[2].split(",")
        answer_all(int(ports[0]), ports[1], int(ports[2]))
    main()
