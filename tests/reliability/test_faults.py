"""Each fault of the mailbox, the database and the clock, played with clocks that the tests move."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import faults_clock, faults_database, faults_imap
from tests.reliability.faults_rows import Check, rows
from tests.reliability.faults_table import Fault

TOP = Path(__file__).resolve().parents[2]
FAULTS = (*faults_imap.FAULTS, *faults_database.FAULTS, *faults_clock.FAULTS)


# CPython leaves a socket open where the reset comes before the handshake begins
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("fault", rows(FAULTS))
def test_a_fault_loses_and_doubles_nothing(fault: Fault, play_stepwise: Check) -> None:
    assert play_stepwise(fault) == ()


@pytest.mark.slow
def test_the_command_plays_a_fault_for_real() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.reliability.faults",
            "--only",
            "SMTP latency",
            "--lasts",
            "1",
        ],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SMTP latency" in done.stdout
    assert "1 faults played, 0 not as promised" in done.stdout
