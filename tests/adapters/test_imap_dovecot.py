"""The mailbox adapter against a real Dovecot: TLS, logins, IDLE, servers that can do little."""

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailflow.adapters.imap import ImapMailbox
from mailflow.errors import GatewayError
from mailflow.settings import Imap
from tests.factories_mail import make_mail
from tests.servers.boxes import Box
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.dovecot

LIMIT = 1_000_000
Secure = Callable[..., Imap]


@pytest.fixture
def secure(
    dovecot: Dovecot, dovecot_box: Box, password_file: str, certificates: Certificates
) -> Secure:
    """Settings for TLS to the server under its right name; each can be changed."""

    def make(**changes: Any) -> Imap:
        keys = {
            "host": "localhost",
            "port": dovecot.tls_port,
            "tls": "tls",
            "ca_file": str(certificates.ca),
        }
        return dovecot_box.settings(password_file, **{**keys, **changes})

    return make


def opens(settings: Imap) -> bool:
    with ImapMailbox(settings, LIMIT) as mailbox:
        return mailbox.uidvalidity > 0


def test_tls_with_the_right_name_and_authority(secure: Secure) -> None:
    assert opens(secure())


def test_starttls_with_the_right_name_and_authority(secure: Secure, dovecot: Dovecot) -> None:
    assert opens(secure(port=dovecot.port, tls="starttls"))


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_certificate_of_an_unknown_authority_is_refused(
    secure: Secure, dovecot: Dovecot, tls: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_certificates(tmp_path_factory.mktemp("other"))
    port = dovecot.tls_port if tls == "tls" else dovecot.port
    for ca_file in (str(other.ca), None):  # None: the system's authorities
        with pytest.raises(GatewayError, match="certificate verify failed"):
            opens(secure(port=port, tls=tls, ca_file=ca_file))


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_certificate_for_another_host_is_refused(
    secure: Secure, dovecot: Dovecot, tls: str
) -> None:
    port = dovecot.tls_port if tls == "tls" else dovecot.port
    with pytest.raises(GatewayError, match=r"127\.0\.0\.1"):
        opens(secure(host="127.0.0.1", port=port, tls=tls))


def test_tls_to_a_port_that_speaks_none_fails(secure: Secure, dovecot: Dovecot) -> None:
    with pytest.raises(GatewayError, match="cannot connect"):
        opens(secure(port=dovecot.port))


@pytest.mark.parametrize("which", ["password", "user"])
def test_a_refused_login_is_permanent(secure: Secure, tmp_path: Any, which: str) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("wrong")
    changes = {"password_file": str(wrong)} if which == "password" else {"username": "nobody"}
    with pytest.raises(GatewayError, match="login refused") as raised:
        opens(secure(**changes))
    assert raised.value.permanent
    assert "wrong" not in str(raised.value)


def test_a_folder_that_is_not_there_is_named(dovecot_box: Box, password_file: str) -> None:
    with pytest.raises(GatewayError, match="doesn't exist"):
        opens(dovecot_box.settings(password_file, folder="Missing"))


def test_the_processed_folder_is_made_and_subscribed(dovecot_box: Box, password_file: str) -> None:
    settings = dovecot_box.settings(password_file, processed_folder="Traités & classés")
    with ImapMailbox(settings, LIMIT) as mailbox:
        assert "Traités & classés" in mailbox.folders()
    with dovecot_box.session() as client:
        assert "Traités & classés" in [name for _, _, name in client.list_sub_folders()]
    assert opens(settings)  # it is there now: no second try to make it


@pytest.fixture(params=["IMAP4rev1 UIDPLUS", "IMAP4rev1"])
def poor_box(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Box]:
    """A server that says it can do neither MOVE nor IDLE, and in the second case no UIDPLUS."""
    with Dovecot(certificates, {"imap_capability": request.param}) as server:
        box = Box(server.port, server.add_user(), "INBOX", "Processed", "dovecot")
        with box.session() as client:
            for number in range(3):
                client.append("INBOX", make_mail(f"Mail {number}"))
        yield box


def test_without_move_mails_are_copied_and_deleted(poor_box: Box, password_file: str) -> None:
    with ImapMailbox(poor_box.settings(password_file), LIMIT) as mailbox:
        assert not mailbox.can_idle()
        first, *others = mailbox.uids()
        mailbox.file([first])
        mailbox.file([first])  # twice does no harm
        assert mailbox.uids() == others
        mailbox.file(others)
        assert mailbox.uids() == []
    assert poor_box.uids() == []
    assert len(poor_box.uids("Processed")) >= 3


def test_moving_a_mail_that_is_gone_is_no_error(dovecot_box: Box, password_file: str) -> None:
    dovecot_box.deliver(make_mail(), make_mail())
    with ImapMailbox(dovecot_box.settings(password_file), LIMIT) as mailbox:
        gone, here = mailbox.uids()
        dovecot_box.remove(gone)
        mailbox.file([gone, here, 4_000_000])
    assert len(dovecot_box.uids("Processed")) == 1


def test_uids_are_those_from_the_first_on(dovecot_box: Box, password_file: str) -> None:
    """IMAP's 'n:*' names the last mail even where it lies before n."""
    dovecot_box.deliver(make_mail(), make_mail())
    with ImapMailbox(dovecot_box.settings(password_file), LIMIT) as mailbox:
        assert mailbox.uids() == [1, 2]
        assert mailbox.uids(2) == [2]
        assert mailbox.uids(3) == []
        assert mailbox.uidnext == 3


def test_large_mails_come_in_batches(
    dovecot_box: Box, password_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailflow.adapters.imap.BATCH_BYTES", 25_000)
    dovecot_box.deliver(*[make_mail("x" * 10_000) for _ in range(5)], make_mail("y" * 40_000))
    with ImapMailbox(dovecot_box.settings(password_file), 35_000) as mailbox:
        batches = list(mailbox.fetch(mailbox.uids()))
    assert [[mail.uid for mail in batch] for batch in batches] == [[1, 2], [3, 4], [6], [5]]
    assert [mail.oversize for batch in batches for mail in batch] == [False] * 4 + [True, False]


def test_a_mail_delivered_during_idle_wakes_the_waiter(
    dovecot_box: Box, password_file: str, idle_watch: "Watch"
) -> None:
    settings = dovecot_box.settings(password_file)
    with ImapMailbox(settings, LIMIT) as mailbox:
        assert mailbox.can_idle()
        idle_watch.start(mailbox)
        dovecot_box.deliver(make_mail())
        assert idle_watch.woken()
        mailbox.select(dovecot_box.folder)  # the session is whole afterwards
        assert mailbox.uids() == [1]


def test_a_mail_dropped_into_the_maildir_wakes_the_waiter(
    dovecot: Dovecot, dovecot_box: Box, password_file: str, idle_watch: "Watch"
) -> None:
    """As a delivery agent does it, without IMAP."""
    settings = dovecot_box.settings(password_file)
    with ImapMailbox(settings, LIMIT) as mailbox:
        idle_watch.start(mailbox)
        folder = dovecot.maildir(dovecot_box.user) / ".Support"
        (folder / "tmp" / "1.delivered").write_bytes(make_mail())
        (folder / "tmp" / "1.delivered").rename(folder / "new" / "1.delivered")
        assert idle_watch.woken()


def test_waiting_ends_when_it_is_told_to(dovecot_box: Box, password_file: str) -> None:
    with ImapMailbox(dovecot_box.settings(password_file), LIMIT) as mailbox:
        asked = iter([False, True])
        assert mailbox.wait_until(lambda: next(asked)) is False
        assert mailbox.uids() == []


def test_a_restarted_server_ends_the_session_and_the_next_one_works(
    dovecot: Dovecot, dovecot_box: Box, password_file: str, idle_watch: "Watch"
) -> None:
    with ImapMailbox(dovecot_box.settings(password_file), LIMIT) as mailbox:
        idle_watch.start(mailbox)
        dovecot.restart()
        assert isinstance(idle_watch.failure(), GatewayError)
        assert not mailbox.is_open
        with pytest.raises(GatewayError, match="not connected"):
            mailbox.uids()
        mailbox.open()
        assert mailbox.uids() == []


def test_a_restart_between_two_polls_is_a_gateway_error(
    dovecot: Dovecot, dovecot_box: Box, password_file: str
) -> None:
    with ImapMailbox(dovecot_box.settings(password_file), LIMIT) as mailbox:
        dovecot.restart()
        with pytest.raises(GatewayError):
            mailbox.select(dovecot_box.folder)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = Imap(host="127.0.0.1", port=port, tls="none", username="x", password_file="x")
    with pytest.raises(GatewayError, match="cannot connect"):
        opens(settings)


class Watch:
    """Waits in IDLE on a thread, and says what came of it."""

    def __init__(self) -> None:
        self._is_waiting = threading.Event()
        self._over = threading.Event()
        self._outcome: bool | BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, mailbox: ImapMailbox) -> None:
        """Begin to wait; return when the server is in IDLE."""
        self._thread = threading.Thread(target=self._run, args=(mailbox,))
        self._thread.start()
        assert self._is_waiting.wait(20)

    def woken(self) -> bool:
        """Whether the server reported something."""
        self.close()
        assert not isinstance(self._outcome, BaseException), self._outcome
        return bool(self._outcome)

    def failure(self) -> bool | BaseException | None:
        """What the waiting raised."""
        self.close()
        return self._outcome

    def close(self) -> None:
        """Wait for the end, at most 20 seconds."""
        if self._thread is not None:
            self._thread.join(20)
            self._over.set()
            self._thread.join()
            self._thread = None

    def _run(self, mailbox: ImapMailbox) -> None:
        def is_over() -> bool:
            self._is_waiting.set()  # asked for the first time when IDLE stands
            return self._over.is_set()

        try:
            self._outcome = mailbox.wait_until(is_over)
        except BaseException as error:
            self._outcome = error


@pytest.fixture
def idle_watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()
