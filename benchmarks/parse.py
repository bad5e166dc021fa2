"""How long a mail takes: mailflow, mail-parser alone, and the standard library, in one run.

`python -m benchmarks.parse [FOLDER]` reads the .eml files of a folder (the corpus of the tests by
default) and prints microseconds a mail, the best of several rounds. The standard library is asked
for less than mailflow gives: the body, then body and headers, decoded by its modern policy.
"""

import argparse
import email
import email.policy
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import mailparser

from mailflow.adapters.parse import parse_message

MAILS = Path(__file__).parent.parent / "tests" / "data" / "mails"
HEADERS = ("from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references")


def standard_body(raw: bytes) -> EmailMessage:
    """Parse with the standard library and decode the body."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    if body is not None:
        body.get_content()
    return message


def standard_headers(raw: bytes) -> None:
    """Parse with the standard library; decode the body and the headers that mailflow reads."""
    message = standard_body(raw)
    for name in HEADERS:
        str(message[name])


def timed(read: Callable[[bytes], object], mails: list[bytes], rounds: int) -> tuple[float, int]:
    """Return the best time a mail, in microseconds, and how many mails raised."""
    best = float("inf")
    failures = 0
    for _ in range(rounds):
        failures = 0
        started = time.perf_counter()
        for raw in mails:
            try:
                read(raw)
            except Exception:
                failures += 1
        best = min(best, time.perf_counter() - started)
    return best / len(mails) * 1e6, failures


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=MAILS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    mails = [path.read_bytes() for path in sorted(arguments.folder.glob("*.eml"))]
    if not mails:
        parser.error(f"no .eml file in {arguments.folder}")
    readers: tuple[tuple[str, Callable[[bytes], object]], ...] = (
        ("standard library, body", standard_body),
        ("standard library, body and headers", standard_headers),
        ("mail-parser alone", mailparser.parse_from_bytes),
        ("mailflow, everything", parse_message),
    )
    print(f"{len(mails)} mails, best of {arguments.rounds} rounds")
    for name, read in readers:
        timed(read, mails, 1)
        took, failures = timed(read, mails, arguments.rounds)
        print(f"{name:36s} {took:8.0f} µs a mail, {failures} raised")


if __name__ == "__main__":
    main()
