"""Short runs of the harness; `python -m tests.reliability.harness` has the long ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.harness import FAILPOINTS, failpoints_in_source

TOP = Path(__file__).resolve().parents[2]


def run(*options: str, harness: str = "harness") -> None:
    """Run a harness in a process of its own, since it forks; what it prints is shown."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.reliability.{harness}", *options],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_failpoint_of_the_program_is_tried() -> None:
    assert set(FAILPOINTS) == failpoints_in_source()


@pytest.mark.slow
def test_dying_at_any_failpoint_leaves_what_an_uninterrupted_run_leaves() -> None:
    run("--times", "2", "--few", "8")


@pytest.mark.slow
def test_with_a_journal_even_the_last_window_repeats_nothing() -> None:
    run("--times", "6", "--few", "12", "--failpoint", "smtp-content",
        "--failpoint", "smtp-accepted", "--journal")  # fmt: skip


@pytest.mark.slow
def test_random_kills_lose_nothing_and_double_no_ticket() -> None:
    run("--random", "12", "--mails", "60")


@pytest.mark.slow
@pytest.mark.postgresql
def test_the_same_on_postgresql() -> None:
    run("--times", "3", "--few", "8", "--postgresql", "--failpoint", "process-claimed",
        "--failpoint", "outbox-claimed", "--failpoint", "smtp-accepted")  # fmt: skip
