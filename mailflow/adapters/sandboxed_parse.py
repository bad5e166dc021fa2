"""Parse a mail in a child process, with limits on time and memory.

For mails that failed once, or that look dangerous. A child is kept for the next mail, so that a
parse costs little more than in the process itself; one that died or overran is replaced.
"""

import atexit
import contextlib
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, BinaryIO, cast

from mailflow.core.messages import InboundMessage
from mailflow.errors import MessageError

START_SECONDS = 20.0  # for the interpreter and the imports, which are not the mail's fault
MAX_MAILS = 200  # a child is replaced after so many, in case one of them left something behind
_LENGTH = struct.Struct(">Q")
_CHILD = "from mailflow.adapters.sandboxed_parse import serve; serve()"


class _Child:
    """One process that parses a mail at a time."""

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self.mails = 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.inlet = cast("IO[bytes]", self.process.stdin)
        self.outlet = cast("IO[bytes]", self.process.stdout)
        if self._receive(START_SECONDS) != b"ready":
            self.stop()
            raise MessageError("the parsing process did not start")

    def parse(self, raw: bytes, own_addresses: frozenset[str], seconds: float) -> InboundMessage:
        self.mails += 1
        request = pickle.dumps((raw, own_addresses))
        try:
            self.inlet.write(_LENGTH.pack(len(request)) + request)
            self.inlet.flush()
            answer = self._receive(seconds)
        except BrokenPipeError:
            answer = None
        except TimeoutError:
            self.stop()
            raise MessageError(f"parsing took more than {seconds:g} s") from None
        if answer is None:
            self.stop()
            raise MessageError(
                f"the parsing process died: the mail needs more than {self.memory_mb} MB, or "
                "crashes the parser"
            )
        return cast("InboundMessage", pickle.loads(answer))  # noqa: S301  (by our own child)

    def _receive(self, seconds: float) -> bytes | None:
        """One answer; None if the child ended. Raises TimeoutError when `seconds` are over."""
        deadline = time.monotonic() + seconds
        head = self._read(_LENGTH.size, deadline)
        if head is None:
            return None
        return self._read(_LENGTH.unpack(head)[0], deadline)

    def _read(self, wanted: int, deadline: float) -> bytes | None:
        pieces = []
        descriptor = self.outlet.fileno()
        while wanted:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError
            piece = os.read(descriptor, min(wanted, 1 << 20))
            if not piece:
                return None
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(OSError):
            self.inlet.close()
        self.outlet.close()

    def is_alive(self) -> bool:
        return self.process.poll() is None


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
        and _child.is_alive()
        and _child.memory_mb == memory_mb
        and _child.mails < MAX_MAILS
    )
    if _child is None or not usable:
        if _child is not None:
            _child.stop()
        _child = _Child(memory_mb)
    return _child


def stop_child() -> None:
    """End the child that is kept, if there is one."""
    global _child  # noqa: PLW0603
    with _lock:
        if _child is not None:
            _child.stop()
            _child = None


atexit.register(stop_child)


def serve() -> None:
    """The child's side: read mails from standard input, write results to standard output."""
    from mailflow.adapters.language import detect_language
    from mailflow.adapters.parse import parse_message

    inlet, outlet = sys.stdin.buffer, sys.stdout.buffer
    parse_message(b"From: a@b.example\n\nready")  # load now what is loaded at first need
    detect_language("vroeger kwamen zulke zinnen vaker voor")
    _limit_memory(int(sys.argv[1]))
    try:
        _write(outlet, b"ready")
        while head := inlet.read(_LENGTH.size):
            request = inlet.read(_LENGTH.unpack(head)[0])
            raw, own_addresses = pickle.loads(request)  # noqa: S301  (by our own parent)
            del request
            _write(outlet, pickle.dumps(parse_message(raw, own_addresses)))
    except MemoryError:
        os._exit(3)
    except BrokenPipeError:  # our parent died; there is nobody left to tell
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(4)


def _limit_memory(megabytes: int) -> None:
    """Allow so much address space beyond what is mapped already. Linux only; elsewhere no limit."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return
    mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
    limit = mapped + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(outlet: BinaryIO, answer: bytes) -> None:
    outlet.write(_LENGTH.pack(len(answer)) + answer)
    outlet.flush()
