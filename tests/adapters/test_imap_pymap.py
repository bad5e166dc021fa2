"""The mailbox adapter against the embedded server, and servers that refuse or break off."""

import threading
from pathlib import Path
from typing import Any

import pytest

from mailflow.adapters.imap import ImapMailbox
from mailflow.demo.servers import PASSWORD, USER, EmbeddedImap
from mailflow.errors import ConfigError, GatewayError
from mailflow.settings import Imap
from tests.factories_mail import make_mail
from tests.servers.boxes import Box
from tests.servers.scripted import ScriptedImap

LIMIT = 1_000_000


def settings_for(port: int, **more: Any) -> Imap:
    keys = {"host": "127.0.0.1", "tls": "none", "username": USER, "timeout_seconds": 10}
    return Imap(**{**keys, "port": port, **more})


def test_fetching_leaves_the_flags_alone(pymap_box: Box, password_file: str) -> None:
    pymap_box.deliver(make_mail("One"), make_mail("Two"))
    with ImapMailbox(pymap_box.settings(password_file), LIMIT) as mailbox:
        (batch,) = mailbox.fetch(mailbox.uids())
    assert [b"One" in batch[0].raw, b"Two" in batch[1].raw] == [True, True]
    assert [mail.size for mail in batch] == [len(mail.raw) for mail in batch]
    assert set(pymap_box.flags().values()) == {frozenset()}


def test_the_ledger_name_tells_mailboxes_apart(pymap_box: Box, password_file: str) -> None:
    settings = pymap_box.settings(password_file)
    assert ImapMailbox(settings, LIMIT).name == f"support@127.0.0.1:{pymap_box.port}"


def test_idle_reports_a_new_mail(pymap_box: Box, password_file: str) -> None:
    with ImapMailbox(pymap_box.settings(password_file), LIMIT) as mailbox:
        over = threading.Timer(20, lambda: None)
        over.start()
        delivery = threading.Thread(target=pymap_box.deliver, args=(make_mail(),))

        def is_over() -> bool:
            if delivery.ident is None:
                delivery.start()  # IDLE stands now
            return not over.is_alive()

        try:
            assert mailbox.wait_until(is_over)
        finally:
            over.cancel()
            over.join()
            delivery.join()
        assert mailbox.uids() == [101]


def test_a_restarted_server_ends_the_wait_and_the_next_session_works(
    imap_server: EmbeddedImap, password_file: str
) -> None:
    with ImapMailbox(settings_for(imap_server.port, password_file=password_file), LIMIT) as mailbox:
        restarted = []

        def is_over() -> bool:
            if not restarted:  # IDLE stands now
                imap_server.__exit__(None, None, None)
                imap_server.__enter__()
                restarted.append(True)
            return False

        with pytest.raises(GatewayError):
            mailbox.wait_until(is_over)
        mailbox.open()
        assert mailbox.uids() == []


def test_a_refused_login_is_permanent(imap_server: EmbeddedImap, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("wrong")
    mailbox = ImapMailbox(settings_for(imap_server.port, password_file=str(wrong)), LIMIT)
    with pytest.raises(GatewayError, match="login refused") as raised:
        mailbox.open()
    assert raised.value.permanent
    assert not mailbox.is_open


def test_without_starttls_the_password_stays_here(password_file: str) -> None:
    """A server, or somebody on the way, that says it cannot encrypt."""
    with ScriptedImap() as server:
        settings = settings_for(server.port, tls="starttls", password_file=password_file)
        with pytest.raises(ConfigError, match="no STARTTLS; the password was not sent"):
            ImapMailbox(settings, LIMIT).open()
    assert server.lines  # it was asked what it can do
    assert not any(PASSWORD in line or "LOGIN" in line.upper() for line in server.lines)


def test_a_starttls_that_is_refused_does_not_go_on_in_clear(password_file: str) -> None:
    """The server offers it, says OK, and then speaks no TLS."""
    with ScriptedImap(capability="IMAP4rev1 STARTTLS", drop_at="STARTTLS") as server:
        settings = settings_for(server.port, tls="starttls", password_file=password_file)
        with pytest.raises(GatewayError):
            ImapMailbox(settings, LIMIT).open()
    assert not any(PASSWORD in line for line in server.lines)


def test_xoauth2_sends_the_token_of_the_command(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token\nsecond line\n")
    with ScriptedImap(token="first-token") as server:
        settings = settings_for(server.port, oauth2_token_command=f"cat {token}")
        with ImapMailbox(settings, LIMIT) as mailbox:
            assert mailbox.uidvalidity == 7
        assert not any("LOGIN" in line for line in server.lines)

        token.write_text("expired\n")  # asked for anew at each login
        with pytest.raises(GatewayError, match="login refused") as raised:
            mailbox.open()
        assert raised.value.permanent
        assert "expired" not in str(raised.value)


def test_a_token_command_that_fails_is_told_in_words() -> None:
    with ScriptedImap() as server:
        settings = settings_for(server.port, oauth2_token_command="exit 3")
        with pytest.raises(ConfigError, match="exit code 3"):
            ImapMailbox(settings, LIMIT).open()
    assert not any("AUTHENTICATE" in line for line in server.lines)


def test_a_connection_cut_without_goodbye_ends_the_wait(password_file: str) -> None:
    """A router forgot the connection: no BYE, only silence and an end of file."""
    calls = []
    with ScriptedImap() as server:
        settings = settings_for(server.port, password_file=password_file)

        def is_over() -> bool:
            calls.append(True)
            if len(calls) == 1:
                server.hang_up()
            return len(calls) > 5

        with ImapMailbox(settings, LIMIT) as mailbox, pytest.raises(GatewayError):
            mailbox.wait_until(is_over)
    assert len(calls) < 5  # seen at once, not in a loop that burns a processor


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "LIST", "SEARCH"])
def test_a_connection_that_breaks_off_is_a_gateway_error(command: str, password_file: str) -> None:
    with ScriptedImap(drop_at=command) as server:
        mailbox = ImapMailbox(settings_for(server.port, password_file=password_file), LIMIT)
        with pytest.raises(GatewayError) as raised, mailbox:
            mailbox.uids()
    assert not raised.value.permanent
    assert not mailbox.is_open


def test_a_server_that_says_nothing_is_given_up_in_time(password_file: str) -> None:
    with ScriptedImap(silent_at="SELECT") as server:
        settings = settings_for(server.port, password_file=password_file, timeout_seconds=0.2)
        with pytest.raises(GatewayError, match=r"timed out|no answer"):
            ImapMailbox(settings, LIMIT).open()
