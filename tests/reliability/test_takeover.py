"""Two daemons on one mailbox and one PostgreSQL: where one dies, the other one reads on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from mailflow.adapters.tables import Lease
from mailflow.adapters.triager import Triager
from tests.reliability.mails import make_mails
from tests.reliability.stage import Round, Servers
from tests.reliability.test_crashes import run

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
SECONDS = 90.0
RUN = """
import socket, sys
from datetime import timedelta
import mailflow.daemon
from mailflow.adapters import leases
from mailflow.cli import main

config, host, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
socket.gethostname = lambda: host
leases.DURATION = timedelta(seconds=seconds)
mailflow.daemon.RENEW_SECONDS = seconds / 3
sys.argv = ["mailflow", "run", "-c", config]
main()
"""


@contextlib.contextmanager
def daemon(desk: Round, host: str, lease_seconds: float) -> Iterator["subprocess.Popen[str]"]:
    """`mailflow run`, as if on `host`; it is at work when the block begins."""
    log = desk.folder / f"{host}-{time.monotonic_ns()}.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(desk.folder / "config.toml"), host, str(lease_seconds)],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            text=True,
        )
    try:
        wait_until(lambda: "daemon.started" in log.read_text(), log)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Callable[[], bool], log: Path | None = None) -> None:
    until = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < until, log.read_text() if log else "it did not come about"
        time.sleep(0.05)


def holder(desk: Round) -> int:
    """The process that has the mailbox; 0 for none."""
    with desk.engine() as connection:
        found = connection.scalar(select(Lease.holder))
    return int(found.split(":")[1]) if found else 0


@pytest.mark.parametrize(
    "other_host, lease_seconds",
    [
        ("one.example", 3600.0),  # on the same host a dead process is seen to be dead
        ("two.example", 3.0),  # from elsewhere only its silence is seen: the lease runs out
    ],
)
def test_when_the_holder_of_the_mailbox_is_killed_the_other_daemon_reads_on(
    other_host: str, lease_seconds: float
) -> None:
    before, after = make_mails(2)
    with Servers(Triager.load(), postgresql=True) as servers:
        desk = servers.new_round()
        with (
            daemon(desk, "one.example", lease_seconds) as first,
            daemon(desk, other_host, lease_seconds) as second,
        ):
            desk.deliver([before])
            wait_until(lambda: desk.taken_in() == 1 and not desk.unread())
            held_by = holder(desk)
            assert held_by in (first.pid, second.pid)
            os.kill(held_by, signal.SIGKILL)
            (first if held_by == first.pid else second).wait()
            desk.deliver([after])
            wait_until(lambda: desk.taken_in() == 2 and not desk.unread())
            assert {held_by, holder(desk)} == {first.pid, second.pid}


def test_workers_that_sweep_at_the_same_instant_send_each_reminder_once() -> None:
    run("--workers", "8", "--tickets", "40", harness="sweeps")
