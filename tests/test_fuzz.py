"""A short run of the fuzzer; `python -m tests.fuzz` makes the long one."""

import random
import subprocess
import sys
from pathlib import Path

from tests.fuzz import mutate, mutated_mails

ROOT = Path(__file__).parent.parent


def test_a_thousand_mutated_mails_are_parsed_without_crash_or_hang() -> None:
    """In a process of its own, so that its memory is the parser's alone."""
    command = [sys.executable, "-m", "tests.fuzz", "--count", "1000", "--seed", "20240305"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1000 mails" in result.stdout
    assert " 0 failures" in result.stdout


def test_the_same_seed_makes_the_same_mail() -> None:
    sources = [b"From: a@b.example\n\nhello\n", b"Subject: x\n\ny\n"]
    first = mutate(sources[0], sources, random.Random(7))
    assert first == mutate(sources[0], sources, random.Random(7))
    assert list(mutated_mails(3, 5)) == list(mutated_mails(3, 5))
