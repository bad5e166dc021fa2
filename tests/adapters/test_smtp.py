"""The SMTP adapter against aiosmtpd, and against servers that refuse or break off."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from mailflow.adapters.smtp import SmtpGateway
from mailflow.demo.servers import PASSWORD, USER, EmbeddedSmtp, free_port
from mailflow.errors import ConfigError, GatewayError
from mailflow.settings import Smtp
from tests.servers.certificates import Certificates
from tests.servers.scripted import DROP, ScriptedSmtp, Talk

FROM = "support@support.example"
TO = ["claire@client.example"]
MAIL = b"Subject: x\r\n\r\n.a line that begins with a dot\r\nhello\r\n"


EHLO = {
    "one by one": "250 mx.example",
    "at once": "250-mx.example\n250 PIPELINING",
}


@pytest.fixture(params=EHLO)
def ehlo(request: pytest.FixtureRequest) -> dict[str, str | list[str]]:
    """What a server offers that takes one command after the other, or several at once."""
    return {"EHLO": EHLO[request.param]}


def settings_for(port: int, **more: Any) -> Smtp:
    return Smtp(**{"host": "127.0.0.1", "port": port, "tls": "none", "timeout_seconds": 10, **more})


def send(port: int, recipients: list[str] | None = None, **more: Any) -> str:
    with SmtpGateway(settings_for(port, **more)) as gateway:
        return gateway.send(FROM, recipients or TO, MAIL)


def test_a_mail_arrives_byte_for_byte(smtp_server: EmbeddedSmtp) -> None:
    assert send(smtp_server.port, ["a@client.example", "b@client.example"]) == "accepted"
    (mail,) = smtp_server.accepted
    assert (mail.sender, mail.recipients) == (FROM, ("a@client.example", "b@client.example"))
    assert mail.content == MAIL


def test_many_mails_go_over_one_connection() -> None:
    with ScriptedSmtp() as server:
        with SmtpGateway(settings_for(server.port)) as gateway:
            for _ in range(3):
                gateway.send(FROM, TO, MAIL)
        assert len(server.talks) == 1
        assert len(server.mails) == 3
        assert server.lines[-1].upper() == "QUIT"


def test_a_connection_that_timed_out_between_mails_is_opened_anew() -> None:
    with ScriptedSmtp() as server, SmtpGateway(settings_for(server.port)) as gateway:
        gateway.send(FROM, TO, MAIL)
        server.hang_up()
        gateway.send(FROM, TO, MAIL)
        assert len(server.talks) == 2
        assert len(server.mails) == 2


@pytest.mark.parametrize(
    ("verb", "answer", "permanent"),
    [
        ("RCPT", "550 5.1.1 no such user", True),
        ("RCPT", "551 elsewhere", True),
        ("RCPT", "450 4.2.0 greylisted", False),
        ("RCPT", "452 too many recipients", False),
        ("RCPT", "530 log in first", False),  # our login's fault, not the recipient's
        ("DATA", "554 no", True),
        ("DATA", "451 later", False),
        (".", "552 too large", True),
        (".", "554 5.7.1 looks like spam", True),
        (".", "451 4.3.0 try again later", False),
        ("MAIL", "550 sender refused", False),  # the desk's own address: no mail's fault
        ("MAIL", "451 later", False),
    ],
)
def test_a_refusal_says_whether_to_try_again(
    ehlo: dict[str, str | list[str]], verb: str, answer: str, permanent: bool
) -> None:
    answers = {**ehlo, verb: [answer, "354 go on" if verb == "DATA" else "250 OK"]}
    with ScriptedSmtp(answers) as server:
        with SmtpGateway(settings_for(server.port)) as gateway:
            with pytest.raises(GatewayError, match=answer[:3]) as raised:
                gateway.send(FROM, TO, MAIL)
            assert raised.value.permanent is permanent
            assert not raised.value.maybe_done
            gateway.send(FROM, TO, MAIL)  # the next mail is not affected
        assert len(server.mails) == (2 if verb == "." else 1)


def test_a_refused_copy_fails_the_mail_before_its_content(
    ehlo: dict[str, str | list[str]],
) -> None:
    """Nobody gets it, so that a retry doubles nothing."""
    with ScriptedSmtp({**ehlo, "RCPT c@client.example": "450 later"}) as server:
        with pytest.raises(GatewayError, match="RCPT TO c@client"):
            send(server.port, ["a@client.example", "c@client.example", "b@client.example"])
        assert server.mails == []
        assert "DATA" not in server.lines
        assert "rset" in [line.lower() for line in server.lines]


@pytest.mark.parametrize(
    ("verb", "maybe_done"),
    [
        ("MAIL", False),
        ("RCPT", False),
        (".", True),  # after the final dot: the server may have taken it
    ],
)
def test_a_connection_that_breaks_off_may_have_taken_the_mail(
    ehlo: dict[str, str | list[str]], verb: str, maybe_done: bool
) -> None:
    with ScriptedSmtp({**ehlo, verb: [DROP, "250 OK"]}) as server:
        with SmtpGateway(settings_for(server.port)) as gateway:
            with pytest.raises(GatewayError) as raised:
                gateway.send(FROM, TO, MAIL)
            assert raised.value.maybe_done is maybe_done
            assert not raised.value.permanent
            assert not gateway.is_open
            gateway.send(FROM, TO, MAIL)
        assert len(server.talks) == 2


@pytest.mark.parametrize("greeting", ["421 too busy", "554 not from there"])
def test_a_server_that_turns_us_away_is_tried_again(greeting: str) -> None:
    with ScriptedSmtp({"greeting": greeting}) as server:
        with pytest.raises(GatewayError, match="cannot connect") as raised:
            send(server.port)
        assert not raised.value.permanent


class Hesitant(ScriptedSmtp):
    """Answers MAIL only when the recipients have been named as well."""

    def converse(self, talk: Talk) -> None:
        talk.say("220 ready")
        talk.line()
        talk.say("250-mx.example", "250 PIPELINING")
        asked = [talk.line() for _ in range(3)]
        talk.say(*("250 OK" for _ in asked))
        talk.line()
        talk.say("354 go on")
        self.mails.append(talk.until_dot() or b"")
        talk.say("250 taken")


def test_sender_and_recipients_are_named_at_once_where_the_server_takes_that() -> None:
    with Hesitant() as server:
        assert send(server.port, ["a@client.example", "b@client.example"]) == "taken"
    assert server.lines[1:4] == [
        f"MAIL FROM:<{FROM}>",
        "RCPT TO:<a@client.example>",
        "RCPT TO:<b@client.example>",
    ]
    assert len(server.mails) == 1


def test_a_recipient_refused_for_good_stays_so_where_the_connection_ends_after_that() -> None:
    class Abrupt(ScriptedSmtp):
        def converse(self, talk: Talk) -> None:
            talk.say("220 ready")
            talk.line()
            talk.say("250-mx.example", "250 PIPELINING")
            for _ in range(3):
                talk.line()
            talk.say("250 OK", "550 no such user")

    with Abrupt() as server, pytest.raises(GatewayError, match="550 no such user") as raised:
        send(server.port, ["a@client.example", "b@client.example"])
    assert raised.value.permanent


def test_a_server_that_shuts_down_between_mails_is_tried_again(
    ehlo: dict[str, str | list[str]],
) -> None:
    with ScriptedSmtp({**ehlo, "MAIL": ["250 OK", "421 shutting down", "250 OK"]}) as server:
        with SmtpGateway(settings_for(server.port)) as gateway:
            gateway.send(FROM, TO, MAIL)
            with pytest.raises(GatewayError, match="421"):
                gateway.send(FROM, TO, MAIL)
            gateway.send(FROM, TO, MAIL)
        assert len(server.mails) == 2


def test_nobody_listens() -> None:
    with ScriptedSmtp() as server:
        port = server.port
    with pytest.raises(GatewayError, match="cannot connect"):
        send(port)


class Guarded(Controller):
    """An aiosmtpd server that wants STARTTLS and a login."""

    def __init__(self, handler: Any, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(handler, hostname="127.0.0.1", port=free_port())

    def factory(self) -> SMTP:
        return SMTP(
            self.handler,
            tls_context=self._context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )

    def _authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
    ) -> AuthResult:
        right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)


@contextmanager
def guarded(context: ssl.SSLContext) -> Iterator[tuple[int, EmbeddedSmtp]]:
    keeper = EmbeddedSmtp()
    controller = Guarded(keeper, context)
    controller.start()
    try:
        yield controller.port, keeper
    finally:
        controller.stop()


@pytest.fixture
def context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def login(password_file: str) -> dict[str, str]:
    return {"username": USER, "password_file": password_file}


@pytest.fixture
def safe(certificates: Certificates) -> dict[str, str]:
    return {"host": "localhost", "tls": "starttls", "ca_file": str(certificates.ca)}


def test_starttls_and_login(
    context: ssl.SSLContext, safe: dict[str, str], login: dict[str, str]
) -> None:
    with guarded(context) as (port, keeper):
        assert send(port, **safe, **login) == "accepted"
        assert len(keeper.accepted) == 1


def test_starttls_to_another_host_or_authority_is_refused(
    context: ssl.SSLContext, certificates: Certificates, login: dict[str, str]
) -> None:
    with guarded(context) as (port, keeper):
        with pytest.raises(GatewayError, match=r"127\.0\.0\.1"):
            send(port, tls="starttls", ca_file=str(certificates.ca), **login)
        with pytest.raises(GatewayError, match="certificate verify failed"):
            send(port, host="localhost", tls="starttls", **login)
        assert keeper.accepted == []


@pytest.mark.parametrize(
    ("ca", "host", "message"),
    [
        ("ours", "localhost", None),
        ("ours", "127.0.0.1", r"127\.0\.0\.1"),
        ("system", "localhost", "certificate verify failed"),
    ],
)
def test_tls_from_the_start(
    context: ssl.SSLContext, certificates: Certificates, ca: str, host: str, message: str | None
) -> None:
    ca_file = str(certificates.ca) if ca == "ours" else None
    with ScriptedSmtp(context=context) as server:
        if message is None:
            assert send(server.port, host=host, tls="tls", ca_file=ca_file) == "taken"
        else:
            with pytest.raises(GatewayError, match=message):
                send(server.port, host=host, tls="tls", ca_file=ca_file)
            assert server.lines == []


@pytest.mark.parametrize(
    "ehlo",
    ["250 mx.example", "250-mx.example\n250 AUTH PLAIN LOGIN", "250-mx.example\n250 SIZE 10"],
)
def test_without_starttls_nothing_is_sent_in_clear(ehlo: str, login: dict[str, str]) -> None:
    refused = pytest.raises(GatewayError, match="no STARTTLS; nothing was sent in clear")
    with ScriptedSmtp({"EHLO": ehlo}) as server, refused:
        send(server.port, tls="starttls", **login)
    assert {line.split()[0].upper() for line in server.lines} == {"EHLO"}


def test_a_starttls_that_is_refused_does_not_go_on_in_clear(login: dict[str, str]) -> None:
    answers = {"EHLO": "250-mx.example\n250 STARTTLS", "STARTTLS": "454 not now"}
    with ScriptedSmtp(answers) as server, pytest.raises(GatewayError):
        send(server.port, tls="starttls", **login)
    assert {line.split()[0].upper() for line in server.lines} <= {"EHLO", "STARTTLS", "QUIT"}


def test_a_wrong_password_is_no_fault_of_a_mail(
    context: ssl.SSLContext, safe: dict[str, str], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("wrong")
    with guarded(context) as (port, keeper):
        with pytest.raises(GatewayError, match="login refused") as raised:
            send(port, username=USER, password_file=str(wrong), **safe)
        assert keeper.accepted == []
    assert not raised.value.permanent
    assert not raised.value.maybe_done


def test_a_login_that_nobody_asks_for_is_a_mistake_in_the_configuration(
    login: dict[str, str],
) -> None:
    with ScriptedSmtp() as server, pytest.raises(ConfigError, match=r"smtp\.username.*no login"):
        send(server.port, **login)


@pytest.mark.parametrize(
    ("answer", "works"),
    [("235 welcome", True), ("334 eyJzdGF0dXMiOiI0MDEifQ==", False), ("535 no", False)],
)
def test_xoauth2_sends_the_token_of_the_command(answer: str, works: bool) -> None:
    answers = {
        "EHLO": "250-mx.example\n250 AUTH XOAUTH2",
        "AUTH": answer,
        "": "535 wrong token",  # to the empty line that follows the server's 334
    }
    with ScriptedSmtp(answers) as server:
        keys = {"username": USER, "oauth2_token_command": "echo the-token"}
        if works:
            assert send(server.port, **keys) == "taken"
        else:
            with pytest.raises(GatewayError, match="login refused"):
                send(server.port, **keys)
            assert server.mails == []
    # base64 of user=support^Aauth=Bearer the-token^A^A
    expected = "AUTH XOAUTH2 dXNlcj1zdXBwb3J0AWF1dGg9QmVhcmVyIHRoZS10b2tlbgEB"
    assert expected in server.lines


def test_check_connects_and_logs_in(
    context: ssl.SSLContext, safe: dict[str, str], login: dict[str, str]
) -> None:
    with guarded(context) as (port, keeper):
        with SmtpGateway(settings_for(port, **safe, **login)) as gateway:
            gateway.check()
            assert gateway.is_open
        assert keeper.accepted == []
