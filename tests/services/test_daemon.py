"""The daemon: it stops when told to, goes on when something fails, and doubles nothing."""

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailflow import daemon as daemon_module
from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.daemon import Backoff, Daemon
from mailflow.demo.servers import EmbeddedImap, EmbeddedSmtp
from mailflow.desk import Desk
from mailflow.errors import GatewayError
from mailflow.services import process, reading
from mailflow.services.process import process_due
from mailflow.services.reading import MOST_DEATHS
from mailflow.services.setbacks import MOST_ATTEMPTS
from tests.factories_desk import DeskFactory, MovableClock, deliver
from tests.factories_mail import make_mail
from tests.servers.boxes import Box
from tests.servers.dovecot import Dovecot

SECONDS = 60.0
COMMAND = [sys.executable, "-m", "mailflow"]


def statuses(desk: Desk) -> list[str]:
    with desk.database.read() as session:
        return list(session.scalars(select(Inbound.status).order_by(Inbound.id)))


def tickets(desk: Desk) -> int:
    with desk.database.read() as session:
        return session.scalar(select(func.count(Ticket.id))) or 0


def to_clients(server: EmbeddedSmtp) -> list[str]:
    return [
        recipient
        for mail in server.accepted
        for recipient in mail.recipients
        if recipient.endswith("@client.example")
    ]


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[threading.Thread]:
    """Run the daemon on a thread; it must end by itself when asked to."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            daemon.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        daemon.stop()
        thread.join(SECONDS)
    assert not thread.is_alive()
    assert failures == []


class Lines:
    """The standard error of a process, read on a thread: wait for what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._news = threading.Condition()
        self._is_over = False
        self.found: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait_for(self, word: str, count: int = 1) -> bool:
        """Wait until `word` was said `count` times, or the process ended."""

        def is_said() -> bool:
            return sum(word in line for line in self.found) >= count

        with self._news:
            self._news.wait_for(lambda: is_said() or self._is_over, SECONDS)
            return is_said()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._news:
                self.found.append(line)
                self._news.notify_all()
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(SECONDS)


@contextlib.contextmanager
def mailflow_run(config: Path) -> Iterator[tuple["subprocess.Popen[str]", Lines]]:
    """`mailflow run` as an operator starts it."""
    with subprocess.Popen(
        [*COMMAND, "run", "-c", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        lines = Lines(started)
        try:
            yield started, lines
        finally:
            if started.poll() is None:
                started.kill()
            started.wait()
            lines.join()


@pytest.fixture
def box_desk(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp, dovecot_box: Box
) -> Callable[..., Desk]:
    def make(**more: dict[str, object]) -> Desk:
        imap = {**dovecot_box.section(poll_seconds=600), **more.pop("imap", {})}
        return flow_desk_factory(imap=imap, smtp={"port": smtp_server.port}, **more)

    return make


@pytest.mark.dovecot
def test_a_mail_delivered_during_idle_is_answered(
    box_desk: Callable[..., Desk], dovecot_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    """The next poll would be in ten minutes: only IDLE brings this mail in."""
    desk = box_desk()
    worker = Daemon(desk, sweep_seconds=600)
    in_idle = watch_idle(worker)
    with running(worker):
        assert in_idle.wait(SECONDS)
        dovecot_box.deliver(make_mail())
        answers = smtp_server.wait_for(2, SECONDS)
    assert to_clients(smtp_server) == ["claire@client.example"]
    assert len(answers) == 2  # the registration, and the agent's notice
    registration = message_from_bytes(answers[0].content)
    assert "MF-2026-000001" in str(registration["Subject"])
    assert dovecot_box.uids() == []


def watch_idle(worker: Daemon) -> threading.Event:
    """Return an event that is set whenever the daemon asks whether its wait in IDLE is over."""
    seen = threading.Event()
    real = worker._is_wait_over

    def watched(until: float) -> bool:
        seen.set()
        return real(until)

    worker._is_wait_over = watched  # type: ignore[method-assign]
    return seen


@pytest.mark.dovecot
def test_a_server_restarted_during_idle_is_found_again(
    box_desk: Callable[..., Desk], dovecot: Dovecot, dovecot_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    desk = box_desk()
    worker = Daemon(desk, sweep_seconds=600)
    in_idle = watch_idle(worker)
    with running(worker):
        assert in_idle.wait(SECONDS)
        dovecot.restart()
        dovecot_box.deliver(make_mail())
        assert len(smtp_server.wait_for(2, SECONDS)) == 2
    assert tickets(desk) == 1


def test_the_embedded_servers_do_too(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp, imap_server: EmbeddedImap
) -> None:
    """pymap: IDLE, then a server that forgot everything, UIDVALIDITY included."""
    desk = flow_desk_factory(
        imap={"port": imap_server.port, "poll_seconds": 600}, smtp={"port": smtp_server.port}
    )
    worker = Daemon(desk, sweep_seconds=600)
    in_idle = watch_idle(worker)
    mail = make_mail()
    with running(worker):
        assert in_idle.wait(SECONDS)
        imap_server.deliver(mail)
        assert len(smtp_server.wait_for(2, SECONDS)) == 2
        imap_server.__exit__(None, None, None)
        imap_server.__enter__()
        imap_server.deliver(mail, make_mail("Bonjour, comment exporter la liste ?", "Une question"))
        assert len(smtp_server.wait_for(4, SECONDS)) >= 3
    assert tickets(desk) == 2  # the first mail came again, and was known


@pytest.mark.dovecot
def test_sigterm_ends_it_and_nothing_is_lost(
    desk_factory: DeskFactory, dovecot_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    """Told to stop with mails in hand: what it has begun is finished, the rest waits."""
    imap = dovecot_box.section()
    config = desk_factory.config(imap=imap, smtp={"port": smtp_server.port})
    dovecot_box.deliver(*[make_mail(message_id=f"<{n}@client.example>") for n in range(30)])
    with mailflow_run(config) as (started, lines):
        assert lines.wait_for("mail.processed"), lines.found
        started.send_signal(signal.SIGTERM)
        assert started.wait(SECONDS) == 0
    assert "daemon.stopped" in lines.found[-1]
    desk = desk_factory(imap=imap, smtp={"port": smtp_server.port})
    found = statuses(desk)
    assert len(found) == 30
    assert set(found) <= {"done", "new"}  # none half-way
    assert len(dovecot_box.uids("Processed")) == 30
    with desk.database.read() as session:
        sent = session.scalars(select(OutboxMail.status)).all()
    assert set(sent) <= {"sent", "pending"}
    assert len(smtp_server.accepted) == sent.count("sent")


@pytest.mark.dovecot
def test_sigterm_is_seen_in_idle(
    desk_factory: DeskFactory, dovecot_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    config = desk_factory.config(
        imap=dovecot_box.section(poll_seconds=600), smtp={"port": smtp_server.port}
    )
    with mailflow_run(config) as (started, lines):
        assert lines.wait_for("imap.connected"), lines.found
        started.send_signal(signal.SIGTERM)
        assert started.wait(SECONDS) == 0
    assert "daemon.stopped" in lines.found[-1]
    assert not any("only-on-loopback" in line for line in lines.found)  # no secret in the log


@pytest.mark.dovecot
def test_two_daemons_double_nothing(
    desk_factory: DeskFactory, dovecot_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    """Two processes, one mailbox, one SQLite file; then one of them dies without a word."""
    sections = {"imap": dovecot_box.section(), "smtp": {"port": smtp_server.port}}
    config = desk_factory.config(**sections)
    mails = [
        make_mail(sender=f"client{n}@client.example", message_id=f"<{n}@client.example>")
        for n in range(24)
    ]
    with mailflow_run(config) as (one, lines_of_one), mailflow_run(config) as (two, lines_of_two):
        dovecot_box.deliver(*mails[:12])
        assert lines_of_one.wait_for("daemon.started")
        assert lines_of_two.wait_for("daemon.started")
        assert lines_of_one.wait_for("mail.") or lines_of_two.wait_for("mail.")
        smtp_server.wait_for(12, SECONDS)
        one.kill()
        one.wait()
        dovecot_box.deliver(*mails[12:])
        smtp_server.wait_for(48, SECONDS)
        two.send_signal(signal.SIGTERM)
        assert two.wait(SECONDS) == 0

    desk = desk_factory(**sections)
    assert statuses(desk).count("done") + statuses(desk).count("processing") == 24
    with desk.database.read() as session:
        marked = session.scalar(
            select(func.count(OutboxMail.id)).where(OutboxMail.maybe_duplicate.is_(True))
        )
    addresses = to_clients(smtp_server)
    assert len(addresses) - len(set(addresses)) <= (marked or 0)  # at most what is marked
    assert tickets(desk) == statuses(desk).count("done")


def test_one_bad_mail_goes_to_quarantine_and_the_others_go_on(
    flow_desk_factory: DeskFactory, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = flow_desk_factory(clock=clock)
    deliver(desk, make_mail(), make_mail("bad one"), make_mail())
    real = process.decide

    def decide(message, *others):  # type: ignore[no-untyped-def]
        if "bad one" in message.text:
            raise RuntimeError("a mistake of ours")
        return real(message, *others)

    monkeypatch.setattr(process, "decide", decide)
    while process_due(desk):
        pass
    assert statuses(desk) == ["done", "new", "done"]
    for _ in range(MOST_ATTEMPTS):
        clock.advance(hours=2)
        process_due(desk)
    assert statuses(desk) == ["done", "quarantined", "done"]
    with desk.database.read() as session:
        row = session.scalars(select(Inbound).where(Inbound.status == "quarantined")).one()
        kinds = session.scalars(select(OutboxMail.kind)).all()
    assert (row.attempts, row.claimed_by) == (MOST_ATTEMPTS, None)
    assert "RuntimeError: a mistake of ours" in str(row.reason)
    assert "agent_problem" in kinds


@pytest.mark.parametrize("where", ["parse_message", "triage_many"])
def test_a_mistake_before_the_decision_hits_one_mail_only(
    flow_desk_factory: DeskFactory, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    desk = flow_desk_factory()
    deliver(desk, make_mail(), make_mail("bad one"), make_mail())
    place = reading if where == "parse_message" else type(desk.triager)
    real = getattr(place, where)

    def broken(*given: object) -> object:
        if "bad one" in repr([getattr(each, "text", each) for each in flat(given)]):
            raise RuntimeError("a mistake of ours")
        return real(*given)

    monkeypatch.setattr(place, where, broken)
    while process_due(desk):
        pass
    assert statuses(desk) == ["done", "new", "done"]


def flat(given: tuple[object, ...]) -> list[object]:
    return list(itertools.chain(*(each if isinstance(each, list) else [each] for each in given)))


def test_a_mail_that_ended_its_worker_too_often_is_set_aside(
    flow_desk_factory: DeskFactory, clock: MovableClock
) -> None:
    desk = flow_desk_factory(clock=clock)
    good, bad = deliver(desk, make_mail(), make_mail())
    with desk.database.begin() as session:
        row = session.get_one(Inbound, bad)
        row.status, row.attempts, row.claimed_by = "processing", MOST_DEATHS, "dead:1:x"
        row.claimed_until = clock.now
    while process_due(desk):
        pass
    assert statuses(desk) == ["done", "quarantined"]
    assert good == 1


def test_a_job_that_raises_is_counted_and_run_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def broken(_desk: Desk) -> int:
        calls.append(True)
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(daemon_module, "sweep", broken)
    worker = Daemon(desk)
    for expected in (1, 2):
        worker._jobs.run_all()
        assert worker.failed_jobs["sweep"] == expected
    assert len(calls) == 2
    assert "job.failed" in capsys.readouterr().out
    worker.close()


def test_a_database_that_fails_for_a_while_stops_nothing(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp, tmp_path: Path
) -> None:
    """Another program holds the write lock for longer than we wait."""
    desk = flow_desk_factory(smtp={"port": smtp_server.port})
    deliver(desk, make_mail())
    raw = sqlite3.connect(tmp_path / "desk" / "mailflow.db", isolation_level=None)
    with desk.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    try:
        raw.execute("BEGIN IMMEDIATE")
        worker = Daemon(desk)
        assert worker.turn() is False
        assert not worker._database_backoff.is_open() or worker._database_backoff._failures == 1
    finally:
        raw.execute("ROLLBACK")
        raw.close()
    worker._database_backoff.worked()
    assert worker.turn() is True
    worker.close()
    assert statuses(desk) == ["done"]
    assert to_clients(smtp_server) == ["claire@client.example"]


def test_a_failed_smtp_server_does_not_stop_the_processing(
    flow_desk_factory: DeskFactory, clock: MovableClock
) -> None:
    """Nobody listens at the SMTP port: the mails are read and answered later."""
    desk = flow_desk_factory(clock=clock)
    deliver(desk, make_mail())
    worker = Daemon(desk)
    worker.turn()
    worker.close()
    assert statuses(desk) == ["done"]
    with desk.database.read() as session:
        assert session.scalars(select(OutboxMail.status)).all() == ["pending"]
        assert session.scalars(select(Ticket.registered_at)).all() == [None]


def test_a_failed_imap_server_does_not_stop_the_rest(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp
) -> None:
    desk = flow_desk_factory(imap={}, smtp={"port": smtp_server.port})
    deliver(desk, make_mail())
    worker = Daemon(desk)
    worker.turn()
    worker.close()
    assert to_clients(smtp_server) == ["claire@client.example"]


def test_a_secret_that_cannot_be_had_is_tried_again(
    flow_desk_factory: DeskFactory, pymap_box: Box, tmp_path: Path
) -> None:
    """The token command fails for a moment: the daemon lives on and logs in later."""
    good = tmp_path / "token"
    keys = {"password_file": None, "password_command": f"cat {good}"}
    desk = flow_desk_factory(imap=pymap_box.section(**keys))
    worker = Daemon(desk)
    pymap_box.deliver(make_mail())
    worker.turn()
    assert statuses(desk) == []
    good.write_text("only-on-loopback\n")
    worker._imap_backoff.worked()
    worker.turn()
    worker.close()
    assert statuses(desk) == ["done"]


def test_run_once_takes_all_in_and_ends(
    flow_desk_factory: DeskFactory, pymap_box: Box, smtp_server: EmbeddedSmtp
) -> None:
    desk = flow_desk_factory(imap=pymap_box.section(), smtp={"port": smtp_server.port})
    pymap_box.deliver(make_mail(), make_mail("Bonjour, comment exporter la liste ?", "Question"))
    assert Daemon(desk).run_once() == 2
    assert Daemon(desk).run_once() == 0
    assert len(to_clients(smtp_server)) == 2


def test_run_once_does_what_it_can_and_then_fails(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp
) -> None:
    desk = flow_desk_factory(imap={}, smtp={"port": smtp_server.port})
    deliver(desk, make_mail())
    with pytest.raises(GatewayError, match="IMAP"):
        Daemon(desk).run_once()
    assert to_clients(smtp_server) == ["claire@client.example"]


def test_the_claims_of_a_dead_worker_of_this_host_are_taken_up(
    flow_desk_factory: DeskFactory, smtp_server: EmbeddedSmtp
) -> None:
    desk = flow_desk_factory(smtp={"port": smtp_server.port})
    deliver(desk, make_mail())
    died = subprocess.run(
        [sys.executable, "-c", _CLAIM, str(desk.config.path)],
        env={**os.environ, "MAILFLOW_FAILPOINT": "process-claimed"},
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert statuses(desk) == ["processing"]
    Daemon(desk).run_once()
    assert statuses(desk) == ["done"]


_CLAIM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mailflow.config import load_config
from mailflow.desk import open_desk
from mailflow.services.process import process_due

process_due(open_desk(load_config(Path(sys.argv[1])), lambda: datetime(2026, 3, 3, 9, tzinfo=UTC)))
"""


def test_backoff_grows_to_a_limit_and_starts_again() -> None:
    now = 0.0
    backoff = Backoff(lambda: now)
    assert backoff.is_open()
    pauses = [backoff.failed() for _ in range(12)]
    assert not backoff.is_open()
    assert pauses[0] == 0  # the first try again: at once
    assert max(pauses) <= 1.3 * daemon_module.LONGEST_BACKOFF
    assert min(pauses[6:]) >= 0.7 * daemon_module.LONGEST_BACKOFF
    now = max(pauses)
    assert backoff.is_open()
    backoff.worked()
    assert backoff.failed() == 0


def test_the_clock_of_waiting_is_not_the_wall_clock() -> None:
    """A change of the system's time must not hold the daemon up."""
    assert Backoff()._monotonic is time.monotonic
