"""A mailbox on a running server, which one test has for itself."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imapclient import IMAPClient

from mailflow.demo.servers import PASSWORD
from mailflow.settings import Imap


def with_crlf(mail: bytes) -> bytes:
    """Return the mail with the line ends of the wire, whatever it has."""
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class Box:
    """A folder on a server, and the folder that mails go to afterwards."""

    port: int
    user: str
    folder: str
    processed: str
    kind: str  # 'pymap' or 'dovecot'

    def section(self, **more: Any) -> dict[str, Any]:
        """Return the keys of [imap] that lead here."""
        keys = {
            "port": self.port,
            "username": self.user,
            "folder": self.folder,
            "processed_folder": self.processed,
        }
        return {**keys, **more}

    def settings(self, password_file: str, /, **more: Any) -> Imap:
        """Return the settings of [imap] that lead here."""
        login = {"host": "127.0.0.1", "tls": "none", "timeout_seconds": 10}
        return Imap(**{**login, "password_file": password_file, **self.section(), **more})

    @contextlib.contextmanager
    def session(self) -> Iterator[IMAPClient]:
        """A session of somebody else on this mailbox."""
        client = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20)
        try:
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.login(self.user, PASSWORD)
            yield client
        finally:
            with contextlib.suppress(OSError, IMAPClient.Error):
                client.logout()
            with contextlib.suppress(OSError):
                client.shutdown()

    def deliver(self, *mails: bytes) -> None:
        """Put mails into the folder."""
        with self.session() as client:
            client.multiappend(self.folder, [with_crlf(mail) for mail in mails])

    def uids(self, folder: str | None = None) -> list[int]:
        """Return the UIDs of a folder, this one if none is named; deleted mails left out."""
        with self.session() as client:
            client.select_folder(folder or self.folder, readonly=True)
            return list(client.search(["UNDELETED"]))

    def flags(self) -> dict[int, frozenset[bytes]]:
        """Return the flags of each mail in the folder."""
        with self.session() as client:
            client.select_folder(self.folder, readonly=True)
            found = client.get_flags(client.search())
            return {uid: frozenset(flags) - {b"\\Recent"} for uid, flags in found.items()}

    def remove(self, *uids: int) -> None:
        """Take mails away, as another mail program does."""
        with self.session() as client:
            client.select_folder(self.folder)
            client.delete_messages(uids)
            client.expunge()

    def recreate(self, *mails: bytes) -> None:
        """Delete the folder and make it again: it gets another UIDVALIDITY."""
        with self.session() as client:
            client.delete_folder(self.folder)
            client.create_folder(self.folder)
        self.deliver(*mails)
