"""The faults of a connection, for `tests.reliability.proxy`: each is a meddler."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Literal

from tests.reliability.proxy import Link, Meddler, end_with_reset

Side = Literal["client", "server"]
KEPT = 64  # bytes in which a marker may have been split


class Latency(Meddler):
    """Everything arrives `seconds` later, in both directions."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def from_client(self, link: Link, data: bytes) -> bytes:
        """Hold it for a while."""
        link.struck()
        await asyncio.sleep(self._seconds)
        return data

    async def from_server(self, link: Link, data: bytes) -> bytes:
        """Hold it for a while."""
        await asyncio.sleep(self._seconds)
        return data


class Refused(Meddler):
    """The connection is reset before a word is said; with TLS, `bytes_in` into the handshake."""

    def __init__(self, bytes_in: int = 0) -> None:
        self._bytes_in = bytes_in

    async def accepted(self, link: Link, connection: socket.socket) -> bool:
        """End it."""
        if self._bytes_in:
            await asyncio.get_running_loop().sock_recv(connection, self._bytes_in)
        link.struck()
        end_with_reset(connection)
        return False


class Certificate(Meddler):
    """Another certificate than the right one is shown."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    async def accepted(self, link: Link, connection: socket.socket) -> bool:
        """Note it: a client that checks will not go on."""
        link.struck()
        return True


class Marked(Meddler):
    """Waits for the bytes `since` to pass, in any case and on either side; then `harm` begins.

    An empty marker is there from the start.
    """

    def __init__(self, since: bytes) -> None:
        self._since = since.lower()
        self._tails = {"client": b"", "server": b""}
        self._is_on = not since

    async def from_client(self, link: Link, data: bytes) -> bytes:
        """Look for the marker, then let `harm` decide."""
        return self._pass(link, "client", data)

    async def from_server(self, link: Link, data: bytes) -> bytes:
        """Look for the marker, then let `harm` decide."""
        return self._pass(link, "server", data)

    def harm(self, link: Link, side: Side, before: bytes, data: bytes) -> bytes:
        """Return what passes of what came from `side` up to the marker and after it."""
        raise NotImplementedError

    def _pass(self, link: Link, side: Side, data: bytes) -> bytes:
        if self._is_on:
            return self.harm(link, side, b"", data)
        seen = self._tails[side] + data
        found = seen.lower().find(self._since)
        self._tails[side] = seen[-KEPT:]
        if found < 0:
            return data
        self._is_on = True
        split = found + len(self._since) - (len(seen) - len(data))
        return self.harm(link, side, data[:split], data[split:])


class Silence(Marked):
    """After the marker nothing passes any more, and the connection stays open."""

    mends = False

    def __init__(self, since: bytes = b"") -> None:
        super().__init__(since)
        self._has_struck = False

    def harm(self, link: Link, side: Side, before: bytes, data: bytes) -> bytes:
        """Swallow it."""
        if not self._has_struck:
            self._has_struck = True
            link.struck()
        return before


class Cut(Marked):
    """After the marker `count` bytes of `side` pass, then the connection ends; RST by default."""

    def __init__(self, side: Side, count: int, since: bytes = b"", *, reset: bool = True) -> None:
        super().__init__(since)
        self._side = side
        self._left = count
        self._reset = reset

    def harm(self, link: Link, side: Side, before: bytes, data: bytes) -> bytes:
        """Count, and cut where it is time."""
        if side != self._side or not data:
            return before + data
        passed = data[: self._left]
        self._left -= len(passed)
        if self._left:
            return before + passed
        link.struck()
        link.cut(side, before + passed, reset=self._reset)
        return b""


class Call(Marked):
    """Calls `what` once when the marker passes; everything passes whole."""

    def __init__(self, since: bytes, what: Callable[[], None]) -> None:
        super().__init__(since)
        self._what = what
        self._is_done = False

    def harm(self, link: Link, side: Side, before: bytes, data: bytes) -> bytes:
        """Call it the first time."""
        if not self._is_done:
            self._is_done = True
            link.struck()
            self._what()
        return before + data


class Commands(Meddler):
    """Splits what the client says into lines."""

    def __init__(self) -> None:
        self._buffer = b""

    async def from_client(self, link: Link, data: bytes) -> bytes:
        """Hand each whole line on."""
        self._buffer += data
        passed = b""
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            passed += self.line(link, line + b"\n")
        return passed

    def line(self, link: Link, line: bytes) -> bytes:
        """Return what passes of one line of the client."""
        raise NotImplementedError


class SmtpTalk(Commands):
    """Tells an SMTP client's commands from the content of its mails."""

    def __init__(self) -> None:
        super().__init__()
        self._in_content = False

    def line(self, link: Link, line: bytes) -> bytes:
        """Hand the line on under its verb; '.' is the end of a mail, '' a line of its content."""
        if not self._in_content:
            verb = line.split(b" ")[0].strip().upper().decode("ascii", "replace")
            self._in_content = verb == "DATA"
            return self.said(link, verb, line)
        if line.rstrip(b"\r\n") == b".":
            self._in_content = False
            return self.said(link, ".", line)
        return self.said(link, "", line)

    def said(self, link: Link, verb: str, line: bytes) -> bytes:
        """Return what passes of a line."""
        raise NotImplementedError


class SmtpReply(SmtpTalk):
    """Answers `verb` itself with `reply`: the server never hears of it.

    Verbs are 'greeting', 'EHLO', 'AUTH', 'MAIL', 'RCPT', 'DATA' and '.'. With `to` only mails
    are answered so that have a recipient with this in it. After a 421 the connection ends.
    """

    def __init__(self, verb: str, reply: str, to: str = "") -> None:
        super().__init__()
        self._verb = verb
        self._reply = f"{reply}\r\n".encode()
        self._to = to.encode()
        self._recipients = b""
        self._drops = False  # the content that comes, which the server must not see

    async def opened(self, link: Link) -> None:
        """Refuse the connection as a whole where that is asked for."""
        if self._verb == "greeting":
            self._answer(link)
            link.close()

    def said(self, link: Link, verb: str, line: bytes) -> bytes:
        """Answer the verb; pass the others on."""
        if verb == "MAIL":
            self._recipients = b""
        if verb == "RCPT":
            self._recipients = line if self._verb == "RCPT" else self._recipients + line
        is_meant = self._to in self._recipients
        if verb == self._verb and (is_meant or verb not in ("RCPT", "DATA", ".")):
            self._answer(link)
            self._in_content = self._drops = False
            return b""
        if verb == "DATA" and self._verb == "." and is_meant:
            self._drops = True
            link.say(b"354 go on\r\n")
        return b"" if self._drops else line

    def _answer(self, link: Link) -> None:
        link.struck()
        link.say(self._reply)
        if self._reply.startswith(b"421"):
            link.close()


class SwallowedReply(SmtpTalk):
    """The server takes the mail, but its reply to the final dot never comes.

    The connection is reset, or with `silent` stays open without a word.
    """

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__()
        self._silent = silent
        self._waits = False

    def said(self, link: Link, verb: str, line: bytes) -> bytes:
        """Pass everything, and know where a mail ends."""
        self._waits = verb == "."
        return line

    async def from_server(self, link: Link, data: bytes) -> bytes:
        """Drop the reply that matters."""
        if not self._waits:
            return data
        link.struck()
        if self._silent:
            link.meddler = Silence()
        else:
            link.close(reset=True)
        return b""


class ImapRefusal(Commands):
    """Answers an IMAP command with NO: `ImapRefusal("MOVE", "[OVERQUOTA] Quota exceeded")`."""

    def __init__(self, command: str, text: str) -> None:
        super().__init__()
        self._command = command.encode()
        self._text = text

    def line(self, link: Link, line: bytes) -> bytes:
        """Answer the command; pass the others on."""
        words = line.upper().split()
        command = words[2] if words[1:2] == [b"UID"] else b"".join(words[1:2])
        if command != self._command:
            return line
        link.struck()
        link.say(line.split(b" ")[0] + f" NO {self._text}\r\n".encode())
        return b""
