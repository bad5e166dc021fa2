"""Read a mailbox over IMAP. UID and UIDVALIDITY are the only keys; flags decide nothing."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from mailflow.adapters.imap_failures import FAILURES, Failing
from mailflow.adapters.tls import client_context
from mailflow.errors import ConfigError, GatewayError
from mailflow.logs import log
from mailflow.settings import Imap

BATCH_MAILS = 50
BATCH_BYTES = 16_000_000
IDLE_SLICE_SECONDS = 1.0
HALF_A_LINE = "unterminated line"  # how imaplib says that a line was cut
STORED_FLAG = b"$MailflowStored"
NO_SUCH_FOLDER = "TRYCREATE"  # RFC 3501 section 7.1


@dataclass(frozen=True, slots=True)
class Fetched:
    """A mail from the mailbox. `oversize`: only its header was fetched, it stays where it is."""

    uid: int
    raw: bytes
    size: int
    oversize: bool = False


class ImapMailbox:
    """A mailbox folder that is open for reading and filing."""

    def __init__(self, settings: Imap, max_mail_bytes: int) -> None:
        self._settings = settings
        self._max_bytes = max_mail_bytes
        self._client: IMAPClient | None = None
        self.uidvalidity = 0
        self.uidnext = 0

    @property
    def name(self) -> str:
        """What the ledger calls this mailbox: user and server."""
        return f"{self._settings.username}@{self._settings.host}:{self._settings.port}"

    @property
    def is_open(self) -> bool:
        """Whether a session stands; a failure ends it."""
        return self._client is not None

    def __enter__(self) -> "ImapMailbox":
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect, log in, make the processed folder if it is missing, and select the folder.

        Raises GatewayError (`permanent` where the login is refused) or ConfigError.
        """
        self.close()
        settings = self._settings
        try:
            client = IMAPClient(
                settings.host,
                settings.port,
                ssl=settings.tls == "tls",
                ssl_context=client_context(settings) if settings.tls == "tls" else None,
                timeout=settings.timeout_seconds,
            )
        except FAILURES as error:
            raise GatewayError(f"IMAP {self.name}: cannot connect: {error}") from error
        self._client = client
        try:
            # a command in several writes would wait for the server's delayed acknowledgement
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._log_in(client)
            target = settings.processed_folder
            if settings.after_processing == "move" and not client.folder_exists(target):
                client.create_folder(target)
                client.subscribe_folder(target)
            self.select(settings.folder)
        except LoginError as error:
            self.close()
            refused = not isinstance(error.__context__, IMAPClient.AbortError)  # not cut off
            what = "login refused" if refused else "login failed"
            raise GatewayError(f"IMAP {self.name}: {what}: {error}", permanent=refused) from error
        except FAILURES as error:
            self.close()
            raise GatewayError(f"IMAP {self.name}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _log_in(self, client: IMAPClient) -> None:
        settings = self._settings
        if settings.tls == "starttls":
            if not client.has_capability("STARTTLS"):
                raise ConfigError(
                    f"IMAP {self.name}: the server offers no STARTTLS; the password was not sent. "
                    'Set tls = "tls" (usually port 993) or mend the server'
                )
            client.starttls(client_context(settings))
        secret = settings.secret()
        if settings.oauth2_token_command is not None:
            client.oauth2_login(settings.username, secret)
        else:
            client.login(settings.username, secret)

    def select(self, folder: str, *, readonly: bool = False) -> None:
        """Select `folder`; what the server said of its UIDs is in `uidvalidity` and `uidnext`."""
        with self._failing():
            answer = self._ready().select_folder(folder, readonly=readonly)
            self.uidvalidity = int(answer[b"UIDVALIDITY"])
            self.uidnext = int(answer.get(b"UIDNEXT", 0))

    def uids(self, first: int = 1) -> list[int]:
        """Return the UIDs of the selected folder from `first` on, in ascending order."""
        with self._failing():
            criteria = ["UNDELETED"] if first <= 1 else ["UID", f"{first}:*", "UNDELETED"]
            found = self._ready().search(criteria)
            return sorted(uid for uid in found if uid >= first)  # n:* always names the last one

    def fetch(self, uids: Sequence[int]) -> Iterator[list[Fetched]]:
        """Fetch mails in batches, without touching their flags.

        A mail that vanished meanwhile is left out. One above the size limit comes with its
        header only.
        """
        with self._failing():
            for start in range(0, len(uids), BATCH_MAILS * 4):
                chunk = uids[start : start + BATCH_MAILS * 4]
                answer = self._fetch(chunk, "RFC822.SIZE")
                sizes = {uid: int(answer[uid][b"RFC822.SIZE"]) for uid in chunk if uid in answer}
                for batch in _batches(sizes, self._max_bytes):
                    yield self._fetch_batch(batch, sizes)

    def _fetch_batch(self, batch: list[int], sizes: dict[int, int]) -> list[Fetched]:
        oversize = sizes[batch[0]] > self._max_bytes
        part = "BODY.PEEK[HEADER]" if oversize else "BODY.PEEK[]"
        answer = self._fetch(batch, part)
        key = part.replace(".PEEK", "").encode()
        return [
            Fetched(uid, answer[uid][key], sizes[uid], oversize)
            for uid in batch
            if answer.get(uid, {}).get(key) is not None
        ]

    def _fetch(self, uids: Sequence[int], part: str) -> dict[int, dict[bytes, Any]]:
        client = self._ready()
        return dict(_despite_expunges(client, lambda: client.fetch(uids, [part])))

    def file(self, uids: Sequence[int]) -> bool:
        """Move the mails to the processed folder, or flag them, by configuration.

        Doing it twice does no harm: a UID that is gone is passed over. False where the server
        refuses, its mailbox full, it may be: the mails lie where they were, to be filed later,
        and the session goes on.
        """
        if not uids:
            return True
        with self._failing():
            client = self._ready()
            try:
                self._file(client, uids)
            except IMAPClientError as error:
                is_broken = isinstance(error, IMAPClient.AbortError) or NO_SUCH_FOLDER in str(error)
                if is_broken:
                    raise
                log.warning("imap.not_filed", mails=len(uids), error=str(error))
                return False
        return True

    def _file(self, client: IMAPClient, uids: Sequence[int]) -> None:
        if self._settings.after_processing == "flag":
            client.add_flags(uids, [STORED_FLAG], silent=True)
            return
        target = self._settings.processed_folder
        if client.has_capability("MOVE"):
            _despite_expunges(client, lambda: client.move(uids, target))
            return
        _despite_expunges(client, lambda: client.copy(uids, target))
        client.add_flags(uids, [b"\\Deleted"], silent=True)
        if client.has_capability("UIDPLUS"):
            client.uid_expunge(uids)

    def wait_until(self, is_over: Callable[[], bool]) -> bool:
        """Wait in IDLE until the server reports something or `is_over`; True for a report.

        `is_over` is asked once a second, so that a signal is seen in time.
        """
        with self._failing():
            client = self._ready()
            client.idle()
            try:
                reported = _watch(client, is_over)
                client.idle_done()
                return reported
            except IMAPClient.AbortError as error:
                if HALF_A_LINE not in str(error):
                    raise
            except BaseException:
                self.close()
                raise
        self.open()  # half of a report came, and IMAPClient lost it: a new session sees it all
        return True

    def can_idle(self) -> bool:
        """Whether waiting in IDLE is wanted and possible."""
        with self._failing():
            return self._settings.idle and bool(self._ready().has_capability("IDLE"))

    def folders(self) -> list[str]:
        """Return the names of all folders."""
        with self._failing():
            return [name for _flags, _delimiter, name in self._ready().list_folders()]

    def capabilities(self) -> frozenset[str]:
        """Return what the server says it can do, in capitals: 'IDLE', 'MOVE'."""
        with self._failing():
            names = self._ready().capabilities()
            return frozenset(name.decode("ascii", "replace").upper() for name in names)

    def close(self) -> None:
        """End the session, politely if it still stands."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.logout()
            except FAILURES:
                with suppress(*FAILURES):
                    client.shutdown()

    def _ready(self) -> IMAPClient:
        if self._client is None:
            raise GatewayError(f"IMAP {self.name}: not connected")
        return self._client

    def _failing(self) -> Failing:
        return Failing(self.name, self.close)


def _despite_expunges(client: IMAPClient, act: Callable[[], Any]) -> Any:
    """Do `act`, once more where another session has taken some of the mails away meanwhile.

    After NOOP the server knows that we know, and passes over them. Source: RFC 5530 EXPUNGEISSUED.
    """
    try:
        return act()
    except IMAPClientError as error:
        if "EXPUNGEISSUED" not in str(error):
            raise
        client.noop()
        return act()


def _watch(client: IMAPClient, is_over: Callable[[], bool]) -> bool:
    """Ask in slices of a second whether the server reported something."""
    while not is_over():
        began = time.monotonic()
        if client.idle_check(timeout=IDLE_SLICE_SECONDS):
            return True
        if time.monotonic() - began < IDLE_SLICE_SECONDS / 2:
            return True  # woken by nothing readable: a closed connection, maybe
    return False


def _batches(sizes: dict[int, int], max_bytes: int) -> Iterator[list[int]]:
    """Split UIDs into batches by count and size; a mail over `max_bytes` stands alone."""
    batch: list[int] = []
    total = 0
    for uid, size in sizes.items():
        if size > max_bytes:
            yield [uid]
            continue
        if batch and (len(batch) == BATCH_MAILS or total + size > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(uid)
        total += size
    if batch:
        yield batch
