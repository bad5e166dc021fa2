"""An SMTP server in a process of its own: each mail it takes is one file, written before its 250.

A copy for the journal address goes into an IMAP folder within the same SMTP transaction.
"""

import argparse
import asyncio
import itertools
import signal
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from mailflow.demo.servers import PASSWORD


class Sink:
    """Keeps what it takes as `NUMBER.eml`, the envelope's recipients as `NUMBER.to`."""

    def __init__(self, folder: Path, journal: str, imap_port: int, user: str) -> None:
        self._folder = folder
        self._journal = journal
        self._imap_port = imap_port
        self._user = user
        self._numbers = itertools.count(1)

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, replies: list[str]
    ) -> list[str]:
        """Offer what servers in use offer: several commands at once (RFC 2920)."""
        session.host_name = hostname
        return [replies[0], "250-PIPELINING", *replies[1:]]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail as a whole, be the client still there or not."""
        recipients, content = list(envelope.rcpt_tos), bytes(envelope.content)
        return await asyncio.shield(self._take(recipients, content))

    async def _take(self, recipients: list[str], content: bytes) -> str:
        number = next(self._numbers)
        draft = self._folder / f"{number}.part"  # whoever waits for us sees that we are at it
        draft.write_bytes(content)
        (self._folder / f"{number}.to").write_text("\n".join(recipients))
        if self._journal in recipients:
            try:
                await asyncio.to_thread(self._keep_in_journal, content)
            except (IMAPClientError, OSError) as error:
                draft.unlink()
                return f"451 the journal failed: {error}"
        draft.rename(self._folder / f"{number}.eml")
        return "250 accepted"

    def _keep_in_journal(self, content: bytes) -> None:
        with IMAPClient("127.0.0.1", self._imap_port, ssl=False) as client:
            client.login(self._user, PASSWORD)
            client.append("Journal", content)


async def serve(port: int, sink: Sink) -> None:
    """Serve until terminated."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: SMTP(sink, loop=loop), "127.0.0.1", port)
    async with server:
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--journal", default="")
    parser.add_argument("--imap-port", type=int, default=0)
    parser.add_argument("--user", default="")
    given = parser.parse_args()
    asyncio.run(serve(given.port, Sink(given.folder, given.journal, given.imap_port, given.user)))


if __name__ == "__main__":
    sys.exit(main())
