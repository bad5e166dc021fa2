"""A TCP proxy that spoils what passes between mailflow and a server, as a test tells it to.

It runs on a thread of its own. Each new connection is handed to a new `Meddler`; the plain one
passes everything on.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

SECONDS = 10.0
CHUNK = 65536
NO_LINGER = struct.pack("ii", 1, 0)  # closing sends RST, and what is unsent is dropped
GONE = (OSError, EOFError, asyncio.CancelledError)  # ssl.SSLError is an OSError

Make = Callable[[], "Meddler"]


class Meddler:
    """What is done to one connection: nothing. Each subclass spoils something.

    `context` is shown instead of the proxy's own certificate where it is set. A connection that
    does not mend stays spoilt when the fault ends: only new ones are whole.
    """

    context: ssl.SSLContext | None = None
    mends = True

    async def accepted(self, link: "Link", connection: socket.socket) -> bool:
        """Called before any TLS handshake; False closes the connection."""
        return True

    async def opened(self, link: "Link") -> None:
        """Called before the first byte passes."""

    async def from_client(self, link: "Link", data: bytes) -> bytes:
        """Return what goes on to the server of what the client sent."""
        return data

    async def from_server(self, link: "Link", data: bytes) -> bytes:
        """Return what goes on to the client of what the server sent."""
        return data


class Link:
    """One connection of a client through the proxy."""

    def __init__(self, proxy: "Proxy", meddler: Meddler) -> None:
        self._proxy = proxy
        self.meddler = meddler
        self._client: asyncio.StreamWriter | None = None
        self._server: asyncio.StreamWriter | None = None
        self.is_over = False

    def struck(self) -> None:
        """Note that the fault did its harm."""
        self._proxy.note_strike()

    def say(self, data: bytes) -> None:
        """Send the client something that the server never said."""
        if self._client is not None and not self.is_over:
            self._client.write(data)

    def close(self, *, reset: bool = False) -> None:
        """End both sides: in good order after what is on its way, or with RST."""
        self.is_over = True
        for writer in (self._client, self._server):
            if writer is None:
                continue
            if reset:
                end_with_reset(writer.get_extra_info("socket"))
                writer.transport.abort()
            else:
                writer.close()

    def cut(self, side: str, last: bytes, *, reset: bool) -> None:
        """Pass the last bytes that came from `side`, then end both sides."""
        writer = self._server if side == "client" else self._client
        if writer is not None and last:
            writer.write(last)
        self.close(reset=reset)

    async def run(self, connection: socket.socket, port: int) -> None:
        """Hold the connection until one side ends it."""
        try:
            if not await self.meddler.accepted(self, connection):
                connection.close()  # from here on it belongs to the streams
                return
            context = self.meddler.context or self._proxy.context
            reader, self._client = await _streams(connection, context)
            from_server, self._server = await asyncio.open_connection("127.0.0.1", port)
            await self.meddler.opened(self)
            tasks = [
                asyncio.ensure_future(self._pump(reader, self._server, "from_client")),
                asyncio.ensure_future(self._pump(from_server, self._client, "from_server")),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except GONE:
            pass
        finally:
            self.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
    ) -> None:
        while not self.is_over:
            data = await reader.read(CHUNK)
            if not data:
                return
            passed = await getattr(self.meddler, name)(self, data)
            if passed and not writer.is_closing():
                writer.write(passed)
                await writer.drain()


class Proxy:
    """Listens on a free loopback port and leads to `server_port`, over TLS with a `context`."""

    def __init__(self, server_port: int, context: ssl.SSLContext | None = None) -> None:
        self.server_port = server_port
        self.context = context
        self._make: Make = Meddler
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = threading.Condition()
        self._strikes = 0

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._listener.close()
        self._loop.close()

    @property
    def strikes(self) -> int:
        """How often a fault did harm so far: a test in which it never did shows nothing."""
        with self._news:
            return self._strikes

    def note_strike(self) -> None:
        """Count a strike and wake who waits for it."""
        with self._news:
            self._strikes += 1
            self._news.notify_all()

    def wait_for_strikes(self, count: int, seconds: float = SECONDS) -> bool:
        """Wait until a fault has done harm `count` times in all; False when the time is over."""
        with self._news:
            return self._news.wait_for(lambda: self._strikes >= count, seconds)

    def spoil(self, make: Make, *, standing: bool = False) -> None:
        """Hand each new connection to what `make` returns; with `standing` those there are, too."""

        async def begin() -> None:
            self._make = make
            for link in self._links if standing else ():
                link.meddler = make()

        self._do(begin())

    def heal(self) -> None:
        """Let new connections pass whole from now on, and those standing that mend."""

        async def end() -> None:
            self._make = Meddler
            for link in self._links:
                if link.meddler.mends:
                    link.meddler = Meddler()

        self._do(end())

    def cut_all(self) -> None:
        """End all connections with RST."""

        async def cut() -> None:
            for link in list(self._links):
                self.note_strike()
                link.close(reset=True)

        self._do(cut())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        accepting = self._loop.create_task(self._accept())
        self._loop.run_forever()
        accepting.cancel()
        self._loop.run_until_complete(asyncio.gather(accepting, return_exceptions=True))

    async def _accept(self) -> None:
        while True:
            connection, _address = await self._loop.sock_accept(self._listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        link = Link(self, self._make())
        self._links.add(link)
        try:
            await link.run(connection, self.server_port)
        finally:
            self._links.discard(link)

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SECONDS / 2)


def end_with_reset(connection: Any) -> None:
    """Let the close of a socket send RST."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


async def _streams(
    connection: socket.socket, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of an accepted connection, after the handshake where there is one."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
