"""An IMAP server (pymap) and an SMTP server (aiosmtpd) on free loopback ports.

Both are real servers that speak the real protocols; the tests use them too.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from imapclient import IMAPClient

from mailflow.errors import GatewayError

USER = "support"
PASSWORD = "only-on-loopback"  # noqa: S105  (the server lives for seconds on this machine)
START_SECONDS = 20.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedImap:
    """A pymap server in a process of its own, with one empty mailbox in memory."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EmbeddedImap":
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            "from pymap.main import main; main()",
            *("--host", "127.0.0.1", "--port", str(self.port), "--no-tls"),
            *("--no-service", "admin", "--no-service", "managesieve"),
            *("dict", "--demo-user", USER, "--demo-password", PASSWORD),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port, "pymap", self._process)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def deliver(self, *mails: bytes, folder: str = "INBOX") -> None:
        """Put mails into the mailbox, as a mail server would."""
        with IMAPClient("127.0.0.1", self.port, ssl=False) as client:
            client.login(USER, PASSWORD)
            for mail in mails:
                client.append(folder, mail)


def wait_for_port(port: int, name: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until something listens on `port`. Raises GatewayError when it does not come up."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise GatewayError(f"{name} ended at once with code {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise GatewayError(f"{name} did not start within {START_SECONDS:.0f} s")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mail that the SMTP server took."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)


class EmbeddedSmtp:
    """An SMTP server that keeps what it takes. `refuse` may answer a recipient with an error."""

    def __init__(self, refuse: Callable[[str], str | None] = lambda recipient: None) -> None:
        self.port = free_port()
        self.accepted: list[Accepted] = []
        self._refuse = refuse
        self._news = threading.Condition()
        self._controller: Controller | None = None

    def __enter__(self) -> "EmbeddedSmtp":
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self.port, data_size_limit=60_000_000
        )
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._controller is not None:
            self._controller.stop()

    def wait_for(self, count: int, seconds: float = 30.0) -> list[Accepted]:
        """Return what was taken, once there are `count` mails or the time is over."""
        with self._news:
            self._news.wait_for(lambda: len(self.accepted) >= count, timeout=seconds)
            return list(self.accepted)

    async def handle_RCPT(  # noqa: N802  (aiosmtpd's name)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Answer RCPT TO."""
        answer = self._refuse(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take the mail and keep it."""
        mail = Accepted(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.content)
        with self._news:
            self.accepted.append(mail)
            self._news.notify_all()
        return "250 accepted"
