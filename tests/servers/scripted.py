"""Servers that misbehave as told, and remember every line that they were sent."""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType

DROP = "drop"  # an answer: close the connection instead
SECONDS = 10.0


class Talk:
    """One connection: lines in, lines out."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rb")
        self.lines: list[str] = []

    def line(self) -> str | None:
        """Return the next line without its end; None when the client is gone."""
        try:
            raw = self._stream.readline()
        except OSError:
            return None
        if not raw:
            return None
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        self.lines.append(line)
        return line

    def until_dot(self) -> bytes | None:
        """Return a mail's lines up to the single dot; None when the client is gone."""
        found = b""
        while True:
            line = self._stream.readline()
            if not line:
                return None
            if line == b".\r\n":
                return found
            found += line

    def say(self, *lines: str) -> None:
        """Send lines."""
        self._connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hang_up(self) -> None:
        """End the connection, from another thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection at once."""
        self._stream.close()
        self._connection.close()


class ScriptedServer:
    """Listens on a free loopback port; each connection is talked to in `converse`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        self.talks: list[Talk] = []

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def hang_up(self) -> None:
        """End all connections without a word."""
        for talk in self.talks:
            talk.hang_up()

    @property
    def lines(self) -> list[str]:
        """Every line of all connections."""
        return [line for talk in self.talks for line in talk.lines]

    def converse(self, talk: Talk) -> None:
        """Hold one conversation."""
        raise NotImplementedError

    def __enter__(self):
        acceptor = threading.Thread(target=self._accept, daemon=True)
        acceptor.start()
        self._threads.append(acceptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closing = True
        with socket.socket() as knock:  # wakes the acceptor
            knock.settimeout(SECONDS)
            knock.connect(("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(timeout=SECONDS)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _address = self._listener.accept()
            if self._is_closing:
                connection.close()
                return
            connection.settimeout(SECONDS)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        if self._context is not None:
            try:
                connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:  # the client did not trust us
                connection.close()
                return
        talk = Talk(connection)
        self.talks.append(talk)
        try:
            self.converse(talk)
        except OSError:
            pass  # the client went away in the middle
        finally:
            talk.close()


class ScriptedImap(ScriptedServer):
    """An IMAP server with an empty INBOX. It takes LOGIN, and XOAUTH2 with the token `token`.

    `capability` is what it says it can do; `drop_at` names a command at which it hangs up,
    `silent_at` one that it does not answer.
    """

    def __init__(
        self,
        capability: str = "IMAP4rev1 IDLE AUTH=XOAUTH2 SASL-IR",
        token: str = "",
        drop_at: str = "",
        silent_at: str = "",
    ) -> None:
        super().__init__()
        self._capability = capability
        self._token = token
        self._drop_at = drop_at
        self._silent_at = silent_at

    def converse(self, talk: Talk) -> None:
        """Answer the few commands that a client needs before it sees mails."""
        talk.say("* OK ready")
        while (line := talk.line()) is not None:
            tag, _, rest = line.partition(" ")
            command = rest.split(" ")[0].upper()
            if command == "UID":
                command = rest.split(" ")[1].upper()
            if command == self._drop_at:
                return
            if command == self._silent_at:
                continue
            if command == "LOGOUT":
                talk.say("* BYE", f"{tag} OK")
                return
            self._answer(talk, tag, command)

    def _answer(self, talk: Talk, tag: str, command: str) -> None:
        done = f"{tag} OK done"
        if command == "CAPABILITY":
            talk.say(f"* CAPABILITY {self._capability}", done)
        elif command == "AUTHENTICATE":
            talk.say("+ ")
            given = base64.b64decode(talk.line() or "").decode()
            if given == f"user=support\1auth=Bearer {self._token}\1\1":
                talk.say(done)
            else:
                talk.say("+ eyJzdGF0dXMiOiI0MDAifQ==")
                talk.line()
                talk.say(f"{tag} NO [AUTHENTICATIONFAILED] wrong token")
        elif command == "LIST":
            talk.say('* LIST () "/" Processed', done)
        elif command == "SELECT":
            talk.say("* 0 EXISTS", "* FLAGS ()", "* OK [UIDVALIDITY 7]", "* OK [UIDNEXT 1]", done)
        elif command == "SEARCH":
            talk.say("* SEARCH", done)
        elif command == "IDLE":
            talk.say("+ idling")
            if talk.line() == "DONE":
                talk.say(done)
        else:
            talk.say(done)


class ScriptedSmtp(ScriptedServer):
    """An SMTP server whose answers are given: by 'greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.' and so on.

    An answer is one line or DROP; a list of them is used up in order, the last one stays. An
    answer for a recipient stands under 'RCPT address'.
    """

    DEFAULTS: Mapping[str, str] = {
        "greeting": "220 ready",
        "DATA": "354 go on",
        "QUIT": "221 bye",
        ".": "250 taken",
    }

    def __init__(
        self,
        answers: Mapping[str, str | list[str]] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(context)
        self._answers = {
            key: [value] if isinstance(value, str) else list(value)
            for key, value in (answers or {}).items()
        }
        self.mails: list[bytes] = []  # as they were received, whatever was answered

    def converse(self, talk: Talk) -> None:
        """Answer as told."""
        if not self._reply(talk, "greeting"):
            return
        while (line := talk.line()) is not None:
            verb = line.split(" ")[0].upper()
            if verb == "RCPT":
                whole = f"RCPT {line.partition('<')[2].partition('>')[0]}"
                verb = whole if whole in self._answers else verb
            if not self._reply(talk, verb):
                return
            if verb == "DATA" and self._went_on:
                mail = talk.until_dot()
                if mail is None:
                    return
                self.mails.append(mail)
                if not self._reply(talk, "."):
                    return

    def _reply(self, talk: Talk, verb: str) -> bool:
        """Say what was told for `verb`; False when the talk is over."""
        left = self._answers.get(verb, [self.DEFAULTS.get(verb, "250 OK")])
        answer = left.pop(0) if len(left) > 1 else left[0]
        self._went_on = answer.startswith("354")
        if answer == DROP:
            return False
        talk.say(*answer.split("\n"))
        return verb != "QUIT" and not answer.startswith("421")
