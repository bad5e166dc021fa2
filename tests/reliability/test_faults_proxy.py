"""The proxy and its faults: each does to a connection what its name says, and no more."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.reliability.faults_certificates import make_faulty_certificates
from tests.reliability.faults_wire import (
    Call,
    Certificate,
    Cut,
    ImapRefusal,
    Latency,
    Refused,
    Silence,
    SmtpReply,
    SwallowedReply,
)
from tests.reliability.proxy import Make, Meddler, Proxy
from tests.servers.certificates import Certificates
from tests.servers.scripted import ScriptedServer, ScriptedSmtp, Talk

SECONDS = 10.0
BRIEFLY = 0.2  # how long silence is listened to

Through = Callable[[Make], "Client"]


class Echo(ScriptedServer):
    """Says each line back."""

    def converse(self, talk: Talk) -> None:
        """Hold one conversation."""
        while (line := talk.line()) is not None:
            talk.say(line)


class Ear(ScriptedServer):
    """Says nothing."""

    def converse(self, talk: Talk) -> None:
        """Hold one conversation."""
        while talk.line() is not None:
            pass


class Client:
    """A connection, and what can be read from it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self._stream = self._socket.makefile("rb")

    def say(self, *lines: str) -> None:
        """Send lines."""
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self) -> str:
        """Return the next line."""
        return self._stream.readline().decode().rstrip("\r\n")

    def ask(self, *lines: str) -> str:
        """Send lines; return the next one that comes."""
        self.say(*lines)
        return self.line()

    def rest(self) -> bytes:
        """Return what comes until the end. Raises ConnectionResetError at RST."""
        return self._stream.read()

    def hears_nothing(self) -> bool:
        """Whether the connection stands, and nothing comes."""
        self._socket.settimeout(BRIEFLY)
        try:
            return not self._socket.recv(1) and False
        except TimeoutError:
            return True

    def close(self) -> None:
        """Close it."""
        self._stream.close()
        self._socket.close()


@contextlib.contextmanager
def spoilt(server: ScriptedServer, make: Make) -> Iterator[tuple[Proxy, Client]]:
    with server, Proxy(server.port) as proxy:
        proxy.spoil(make)
        with contextlib.closing(Client(proxy.port)) as client:
            yield proxy, client


def test_the_plain_proxy_passes_everything() -> None:
    with spoilt(Echo(), Meddler) as (proxy, client):
        assert client.ask("one") == "one"
        assert client.ask("x" * 200_000) == "x" * 200_000
        assert proxy.strikes == 0


def test_latency_changes_nothing_but_the_time() -> None:
    with spoilt(Echo(), partial(Latency, 0.001)) as (proxy, client):
        assert client.ask("one") == "one"
        assert proxy.strikes > 0


def test_a_refused_connection_is_reset() -> None:
    with pytest.raises(ConnectionResetError), spoilt(Echo(), Refused) as (_, client):
        client.rest()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_cut_lets_so_many_bytes_pass_and_resets(count: int) -> None:
    """The line of the marker passes whole, then the bytes are counted."""
    with spoilt(Echo(), partial(Cut, "server", count, b"now")) as (proxy, client):
        assert client.ask("before") == "before"
        client.say("NOW!")
        got = b""
        with pytest.raises(ConnectionResetError):
            while piece := client._socket.recv(1):
                got += piece
        assert got == b"NOW!\r\n"[:count]
        assert proxy.strikes == 1


def test_a_cut_on_the_clients_side_keeps_the_rest_from_the_server() -> None:
    server = Ear()
    with spoilt(server, partial(Cut, "client", 3, b"DATA\r\n", reset=False)) as (_, client):
        client.say("DATA", "content")
        with contextlib.suppress(ConnectionResetError):
            client.rest()
    assert server.lines == ["DATA", "con"]


def test_a_marker_that_comes_in_pieces_is_found() -> None:
    with spoilt(Echo(), partial(Silence, b"FETCH")) as (proxy, client):
        client._socket.sendall(b"FET")
        client.say("CH")
        assert client.hears_nothing()
        assert proxy.strikes == 1


def test_silence_outlasts_the_fault_on_its_connection_only() -> None:
    with spoilt(Echo(), Silence) as (proxy, client):
        client.say("one")
        assert proxy.wait_for_strikes(1)
        proxy.heal()
        client.say("two")
        assert client.hears_nothing()
        with contextlib.closing(Client(proxy.port)) as other:
            assert other.ask("three") == "three"


def test_a_standing_connection_is_spoilt_and_mends() -> None:
    with spoilt(Echo(), Meddler) as (proxy, client):
        assert client.ask("a FETCH 1") == "a FETCH 1"
        proxy.spoil(partial(ImapRefusal, "FETCH", "[SERVERBUG] no"), standing=True)
        assert client.ask("b UID FETCH 1") == "b NO [SERVERBUG] no"
        assert client.ask("c SEARCH FETCH") == "c SEARCH FETCH"
        proxy.heal()
        assert client.ask("d FETCH 1") == "d FETCH 1"


def test_something_is_called_once_when_the_marker_passes() -> None:
    calls: list[bool] = []
    with spoilt(Echo(), partial(Call, b"now", lambda: calls.append(True))) as (_, client):
        assert client.ask("now") == "now"
        assert client.ask("now") == "now"
    assert calls == [True]


@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_reply_is_given_in_the_servers_stead(verb: str) -> None:
    server = ScriptedSmtp()
    talk = {"EHLO": "EHLO me", "MAIL": "MAIL FROM:<a@b>", "RCPT": "RCPT TO:<c@d>", "DATA": "DATA"}
    with spoilt(server, partial(SmtpReply, verb, "451 later")) as (_, client):
        assert client.line() == "220 ready"
        replies = {
            each: client.ask(line)
            for each, line in list(talk.items())[: list(talk).index(verb) + 1]
        }
    assert replies[verb] == "451 later"
    assert all(reply == "250 OK" for each, reply in replies.items() if each != verb)
    assert talk[verb] not in server.lines


def test_a_greeting_can_be_refused() -> None:
    with spoilt(ScriptedSmtp(), partial(SmtpReply, "greeting", "421 busy")) as (_, client):
        assert client.rest() == b"421 busy\r\n"


def send(client: Client, to: str) -> str:
    """Send a mail with a line that looks like a command; return the last reply."""
    client.ask("MAIL FROM:<a@b>")
    client.ask(f"RCPT TO:<{to}>")
    client.ask("DATA")
    return client.ask("Subject: x", "", "MAIL is what this is", ".")


def test_content_can_be_refused_for_some_recipients_only() -> None:
    server = ScriptedSmtp()
    with spoilt(server, partial(SmtpReply, ".", "554 spam", "@client")) as (_, client):
        client.line()
        assert send(client, "a@client") == "554 spam"
        assert client.ask("RSET") == "250 OK"
        assert send(client, "b@agents") == "250 taken"
    assert len(server.mails) == 1


@pytest.mark.parametrize("silent", [False, True])
def test_the_server_takes_the_mail_whose_reply_is_swallowed(silent: bool) -> None:
    server = ScriptedSmtp()
    with spoilt(server, partial(SwallowedReply, silent=silent)) as (proxy, client):
        client.line()
        client.ask("MAIL FROM:<a@b>")
        client.ask("RCPT TO:<c@d>")
        client.ask("DATA")
        client.say("Subject: x", "", "MAIL is what this is", ".")
        assert proxy.wait_for_strikes(1)
        if silent:
            assert client.hears_nothing()
        else:
            with pytest.raises(ConnectionResetError):
                client.rest()
    assert len(server.mails) == 1


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates):  # type: ignore[no-untyped-def]
    return make_faulty_certificates(tmp_path_factory.mktemp("faulty"), certificates)


@pytest.mark.parametrize(
    ("which", "why"),
    [("right", ""), ("expired", "certificate has expired"), ("untrusted", "verify failed")],
)
def test_the_certificates_are_what_they_are_called(faulty, which: str, why: str) -> None:  # type: ignore[no-untyped-def]
    trusting = ssl.create_default_context(cafile=str(faulty.authority))
    with Echo() as server, Proxy(server.port, faulty.right) as proxy:
        proxy.spoil(partial(Certificate, getattr(faulty, which)))
        raw = socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)
        with raw:
            if why:
                with pytest.raises(ssl.SSLCertVerificationError, match=why):
                    trusting.wrap_socket(raw, server_hostname="localhost")
                return
            with trusting.wrap_socket(raw, server_hostname="localhost") as safe:
                safe.sendall(b"one\r\n")
                assert safe.recv(100) == b"one\r\n"


def test_a_handshake_can_be_cut(faulty) -> None:  # type: ignore[no-untyped-def]
    trusting = ssl.create_default_context(cafile=str(faulty.authority))
    with Echo() as server, Proxy(server.port, faulty.right) as proxy:
        proxy.spoil(partial(Refused, 100))
        raw = socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)
        with raw, pytest.raises(OSError):
            trusting.wrap_socket(raw, server_hostname="localhost")
        assert proxy.strikes == 1
