"""Parse a mail in a child process, with limits on time and memory.

For mails that failed once, or that look dangerous. A child is kept for the next mail, so that a
parse costs little more than in the process itself; one that died or overran is replaced.
"""

import atexit
import pickle
import resource
import sys
import threading
from pathlib import Path
from typing import cast

from mailflow.adapters.child import Child, serve_requests
from mailflow.core.messages import InboundMessage
from mailflow.errors import MailflowError, MessageError

MAX_MAILS = 200  # a child is replaced after so many, in case one of them left something behind
_CODE = "from mailflow.adapters.sandboxed_parse import serve; serve()"


class _Child:
    """One process that parses a mail at a time."""

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self.mails = 0
        self.process = Child(_CODE, [str(memory_mb)])
        try:
            self.process.wait_until_ready()
        except MailflowError as error:
            raise MessageError("the parsing process did not start") from error

    def parse(self, raw: bytes, own_addresses: frozenset[str], seconds: float) -> InboundMessage:
        self.mails += 1
        try:
            self.process.send(pickle.dumps((raw, own_addresses)))
            answer = self.process.receive(seconds)
        except BrokenPipeError:
            answer = None
        except TimeoutError:
            self.process.stop()
            raise MessageError(f"parsing took more than {seconds:g} s") from None
        if answer is None:
            self.process.stop()
            raise MessageError(
                f"the parsing process died: the mail needs more than {self.memory_mb} MB, or "
                "crashes the parser"
            )
        return cast("InboundMessage", pickle.loads(answer))  # noqa: S301  (by our own child)


_lock = threading.Lock()
_child: _Child | None = None


def parse_in_child(
    raw: bytes, own_addresses: frozenset[str], *, seconds: float, memory_mb: int
) -> InboundMessage:
    """Parse `raw` as `parse_message` does, in a process that may use that much and no more.

    `memory_mb` bounds the child's address space beyond what Python and the libraries map.
    Raises MessageError if time or memory ran out or the child crashed; the next call finds a
    fresh child. Calls from several threads wait for each other.
    """
    with _lock:
        return _get_child(memory_mb).parse(raw, own_addresses, seconds)


def _get_child(memory_mb: int) -> _Child:
    global _child  # noqa: PLW0603  (one child for the whole process)
    usable = (
        _child is not None
        and _child.process.is_alive()
        and _child.memory_mb == memory_mb
        and _child.mails < MAX_MAILS
    )
    if _child is None or not usable:
        if _child is not None:
            _child.process.stop()
        _child = _Child(memory_mb)
    return _child


def stop_child() -> None:
    """End the child that is kept, if there is one."""
    global _child  # noqa: PLW0603
    with _lock:
        if _child is not None:
            _child.process.stop()
            _child = None


atexit.register(stop_child)


def serve() -> None:
    """The child's side: read mails from standard input, write results to standard output."""
    from mailflow.adapters.language import detect_language
    from mailflow.adapters.parse import parse_message

    parse_message(b"From: a@b.example\n\nready")  # load now what is loaded at first need
    detect_language("vroeger kwamen zulke zinnen vaker voor")
    _limit_memory(int(sys.argv[1]))

    def answer(request: bytes) -> bytes:
        raw, own_addresses = pickle.loads(request)  # noqa: S301  (by our own parent)
        return pickle.dumps(parse_message(raw, own_addresses))

    serve_requests(answer)


def _limit_memory(megabytes: int) -> None:
    """Allow so much address space beyond what is mapped already. Linux only; elsewhere no limit."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
    limit = mapped + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
