"""Hand mails to the SMTP server, over one connection for many."""

import base64
import select
import smtplib
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

from mailflow.adapters.tls import client_context
from mailflow.errors import ConfigError, GatewayError
from mailflow.failpoints import reach
from mailflow.settings import Smtp

FRESH_SECONDS = 5.0  # a connection used this shortly ago is not asked whether it still stands


class _Failpoint(smtplib.SMTP):
    """Knows when a content's final dot was sent; passes failpoints around the content."""

    content_sent = False
    _dot_sent = False

    def send(self, s: Any) -> None:
        super().send(s)
        self._dot_sent = isinstance(s, bytes) and s.endswith(b"\r\n.\r\n")
        self.content_sent = self.content_sent or self._dot_sent

    def getreply(self) -> tuple[int, bytes]:
        if self._dot_sent:
            self._dot_sent = False
            reach("smtp-content")
        code, reply = super().getreply()
        if code == 354:  # to DATA: the server waits for the content
            reach("smtp-data")
        return code, reply


class _Connection(_Failpoint):
    """SMTP in clear, or made private by STARTTLS."""


class _TlsConnection(_Failpoint, smtplib.SMTP_SSL):
    """SMTP over TLS from the first byte."""


class SmtpGateway:
    """A connection to the SMTP server, opened at the first mail and kept."""

    def __init__(self, settings: Smtp, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._used_at = 0.0
        self._connection: _Failpoint | None = None

    def __enter__(self) -> "SmtpGateway":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(
        self,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        may_send: Callable[[], bool] = lambda: True,
    ) -> str | None:
        """Send one mail and return the server's reply to it: then it has taken it over.

        `may_send` is asked last, right before the content; None is returned where it says no.
        A recipient that the server refuses fails the mail as a whole, before any content is
        sent, so that nobody gets it twice. Raises GatewayError; `permanent` for a 5xx reply to
        a recipient or to the content, `maybe_done` where the reply to the content is missing.
        """
        connection = self._connected()
        connection.content_sent = False
        try:
            self._introduce(connection, sender, recipients)
            if not may_send():
                self._reset()
                return None
            code, reply = connection.data(content)
            reach("smtp-accepted")
            if not 200 <= code <= 599:  # half a reply, the rest was cut off
                raise smtplib.SMTPServerDisconnected(f"an incomplete reply: {code}")
            if code != 250:
                self._fail("DATA", code, reply)
            self._used_at = self._monotonic()
            return reply.decode("utf-8", "replace")
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            if isinstance(error, smtplib.SMTPDataError):
                raise _error("DATA", error.smtp_code, error.smtp_error) from error
            raise GatewayError(
                f"SMTP {self._where()}: {error or type(error).__name__}",
                maybe_done=connection.content_sent,
            ) from error
        except GatewayError:
            self._reset()
            raise

    def _introduce(self, connection: _Failpoint, sender: str, recipients: Sequence[str]) -> None:
        """Say whom a mail is from and for. Raises GatewayError where one of them is refused."""
        commands = [f"MAIL FROM:{smtplib.quoteaddr(sender)}"]
        commands += [f"RCPT TO:{smtplib.quoteaddr(recipient)}" for recipient in recipients]
        replies = iter(_ask(connection, commands))
        code, reply = next(replies)
        if code != 250:  # our own address is refused: the server's fault or the operator's
            raise GatewayError(f"SMTP MAIL FROM: {code} {reply.decode('utf-8', 'replace')}")
        reach("smtp-mail")
        for recipient, (code, reply) in zip(recipients, replies, strict=True):
            if code not in (250, 251):
                self._fail(f"RCPT TO {recipient}", code, reply)
        reach("smtp-rcpt")

    @property
    def is_open(self) -> bool:
        """Whether a session stands: after an error, that it concerned one mail only."""
        return self._connection is not None

    def check(self) -> None:
        """Connect and log in. Raises GatewayError or ConfigError."""
        self._connected()

    def close(self) -> None:
        """End the connection, politely if it still stands."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (smtplib.SMTPException, OSError):
                connection.close()

    def _connected(self) -> _Failpoint:
        if self._connection is not None:
            is_fresh = self._monotonic() - self._used_at < FRESH_SECONDS
            if is_fresh and not _has_news(self._connection):
                return self._connection
            try:
                if self._connection.noop()[0] == 250:
                    return self._connection
            except (smtplib.SMTPException, OSError):
                pass
            self.close()
        try:
            self._connection = self._open()
        except (smtplib.SMTPException, OSError, ssl.SSLError) as error:
            refused = isinstance(error, smtplib.SMTPAuthenticationError)
            what = "login refused" if refused else "cannot connect"
            raise GatewayError(f"SMTP {self._where()}: {what}: {error}") from error
        return self._connection

    def _open(self) -> _Failpoint:
        settings = self._settings
        if settings.tls == "tls":
            connection: _Failpoint = _TlsConnection(
                settings.host,
                settings.port,
                timeout=settings.timeout_seconds,
                context=client_context(settings),
            )
        else:
            connection = _Connection(settings.host, settings.port, timeout=settings.timeout_seconds)
        try:
            if settings.tls == "starttls":
                connection.ehlo()
                if not connection.has_extn("starttls"):
                    raise GatewayError(
                        f"SMTP {self._where()}: the server offers no STARTTLS; nothing was sent in "
                        'clear. Set tls = "tls" (usually port 465) or mend the server'
                    )
                connection.starttls(context=client_context(settings))
            connection.ehlo()
            self._login(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _login(self, connection: smtplib.SMTP) -> None:
        settings = self._settings
        if settings.username is None:
            return
        secret = settings.secret()
        if settings.oauth2_token_command is not None:
            token = f"user={settings.username}\1auth=Bearer {secret}\1\1"
            encoded = base64.b64encode(token.encode()).decode()
            code, reply = connection.docmd("AUTH", f"XOAUTH2 {encoded}")
            if code == 334:  # the server explains the refusal and waits for an empty line
                code, reply = connection.docmd("")
            if code != 235:
                raise smtplib.SMTPAuthenticationError(code, reply)
            return
        if not connection.has_extn("auth"):
            raise ConfigError(
                f"smtp.username: the server {self._where()} offers no login; remove username"
            )
        connection.login(settings.username, secret)

    def _fail(self, verb: str, code: int, reply: bytes) -> None:
        raise _error(verb, code, reply)

    def _reset(self) -> None:
        if self._connection is not None:
            try:
                self._connection.rset()
            except (smtplib.SMTPException, OSError):
                self.close()

    def _where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"


def _ask(connection: smtplib.SMTP, commands: Sequence[str]) -> Iterable[tuple[int, bytes]]:
    """Ask one thing after the other, or all at once of a server that takes it (RFC 2920).

    A connection that ends before the last reply gives no reply to the rest, `(0, why)`.
    """
    if not connection.has_extn("pipelining"):
        return map(connection.docmd, commands)
    connection.send("".join(f"{command}\r\n" for command in commands))
    replies: list[tuple[int, bytes]] = []
    try:
        replies += (connection.getreply() for _ in commands)
    except smtplib.SMTPServerDisconnected as error:
        replies += [(0, str(error).encode())] * (len(commands) - len(replies))
    return replies


def _has_news(connection: smtplib.SMTP) -> bool:
    """Whether the server said something unasked, or closed: then it is asked how it stands."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def _error(verb: str, code: int, reply: bytes | str) -> GatewayError:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return GatewayError(f"SMTP {verb}: {code} {text}", permanent=500 <= code < 600 and code != 530)
