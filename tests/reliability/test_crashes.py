"""Short runs of the harness; `python -m tests.reliability.harness` has the long ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def run(*options: str) -> None:
    """Run the harness in a process of its own, since it forks; what it prints is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.harness", *options],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_dying_at_any_failpoint_leaves_what_an_uninterrupted_run_leaves() -> None:
    run("--times", "1", "--few", "6")


@pytest.mark.slow
def test_with_a_journal_even_the_last_window_repeats_nothing() -> None:
    run("--times", "2", "--few", "6", "--failpoint", "smtp-accepted", "--journal")


@pytest.mark.slow
def test_random_kills_lose_nothing_and_double_no_ticket() -> None:
    run("--random", "15", "--mails", "36")


@pytest.mark.slow
@pytest.mark.postgresql
def test_the_same_on_postgresql() -> None:
    run("--times", "1", "--few", "6", "--postgresql", "--failpoint", "process-claimed",
        "--failpoint", "outbox-claimed", "--failpoint", "smtp-accepted")  # fmt: skip
