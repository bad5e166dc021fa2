"""A process of our own that answers requests over its standard input and output."""

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, BinaryIO, cast

from mailflow.errors import ConfigError, MailflowError

START_SECONDS = 20.0  # for the interpreter and the imports
READY = b"ready"
_LENGTH = struct.Struct(">Q")


class Child:
    """A process that runs `code` and, once it has said that it is ready, answers in order.

    It ends with its standard input: when its parent closes it, or dies.
    """

    def __init__(self, code: str, arguments: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which ends us when it has finished
        )
        self._inlet = cast("IO[bytes]", self._process.stdin)
        self._outlet = cast("IO[bytes]", self._process.stdout)
        self._is_ready = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait for its first word.

        Raises ConfigError with its words where it refuses to start, MailflowError where it does
        not say anything in time.
        """
        if self._is_ready:
            return
        try:
            word = self.receive(seconds)
        except TimeoutError:
            word = None
        if word != READY:
            self.stop()
            if word is not None:
                raise ConfigError(word.decode("utf-8", "replace"))
            raise MailflowError(f"the process {self.pid} did not start within {seconds:g} s")
        self._is_ready = True

    def send(self, request: bytes) -> None:
        """Hand a request over. Raises BrokenPipeError where the process has ended."""
        self._inlet.write(_LENGTH.pack(len(request)) + request)
        self._inlet.flush()

    def receive(self, seconds: float) -> bytes | None:
        """One answer; None if the process ended. Raises TimeoutError when `seconds` are over."""
        deadline = time.monotonic() + seconds
        head = self._read(_LENGTH.size, deadline)
        if head is None:
            return None
        return self._read(_LENGTH.unpack(head)[0], deadline)

    def _read(self, wanted: int, deadline: float) -> bytes | None:
        pieces = []
        descriptor = self._outlet.fileno()
        while wanted:
            left = max(deadline - time.monotonic(), 0.0)  # over: it may have answered in our sleep
            if not select.select([descriptor], [], [], left)[0]:
                raise TimeoutError
            piece = os.read(descriptor, min(wanted, 1 << 20))
            if not piece:
                return None
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def stop(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            self._inlet.close()
        self._outlet.close()

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None


def serve_requests(
    answer: Callable[[bytes], bytes],
    outlet: BinaryIO | None = None,
    meanwhile: Sequence[Callable[[], object]] = (),
) -> None:
    """The child's side: say that we are ready, then answer until the input ends.

    `meanwhile` is done first, piece by piece, as long as no request waits.
    """
    inlet, outlet = sys.stdin.buffer, outlet or sys.stdout.buffer
    try:
        _write(outlet, READY)
        for piece in meanwhile:
            if select.select([inlet], [], [], 0)[0]:
                break
            piece()
        while head := inlet.read(_LENGTH.size):
            _write(outlet, answer(inlet.read(_LENGTH.unpack(head)[0])))
    except MemoryError:
        os._exit(3)
    except BrokenPipeError:  # our parent died; there is nobody left to tell
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(4)


def refuse(reason: str, outlet: BinaryIO) -> None:
    """The child's side: say why we cannot start."""
    _write(outlet, reason.encode())


def _write(outlet: BinaryIO, answer: bytes) -> None:
    outlet.write(_LENGTH.pack(len(answer)) + answer)
    outlet.flush()
