"""Parsing in a child: the same result, and an error in place of a hang or of full memory."""

import os
import signal

import pytest

from mailflow.adapters import sandboxed_parse
from mailflow.adapters.parse import parse_message
from mailflow.adapters.sandboxed_parse import parse_in_child, stop_child
from mailflow.errors import MessageError

MAIL = b"From: a@b.example\nSubject: Export\n\nBonjour\n"
HUGE = b"From: a@b.example\n\n" + b"hello, this is a text\n" * 1_000_000
OWN = frozenset({"a@b.example"})


def test_a_child_reads_as_the_process_itself_and_is_used_again() -> None:
    try:
        assert parse_in_child(MAIL, OWN, seconds=10, memory_mb=300) == parse_message(MAIL, OWN)
        child = sandboxed_parse._child
        assert parse_in_child(MAIL, frozenset(), seconds=10, memory_mb=300).subject == "Export"
        assert sandboxed_parse._child is child
    finally:
        stop_child()


def test_time_memory_and_crashes_are_errors_and_the_next_mail_is_read() -> None:
    try:
        with pytest.raises(MessageError, match=r"more than 0\.01 s"):
            parse_in_child(HUGE, frozenset(), seconds=0.01, memory_mb=300)
        with pytest.raises(MessageError, match="more than 15 MB"):
            parse_in_child(HUGE, frozenset(), seconds=20, memory_mb=15)
        assert parse_in_child(MAIL, OWN, seconds=10, memory_mb=300).text == "Bonjour"
        child = sandboxed_parse._child
        assert child is not None
        os.kill(child.process.pid, signal.SIGKILL)
        child.process._process.wait()
        assert parse_in_child(MAIL, OWN, seconds=10, memory_mb=300).text == "Bonjour"
    finally:
        stop_child()
