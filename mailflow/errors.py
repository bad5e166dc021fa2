"""One exception class for each way to react."""


class MailflowError(Exception):
    """Base of all errors that mailflow raises on purpose."""


class ConfigError(MailflowError):
    """Refuse to start. The message names the file, the key, what was expected and the mend."""


class MessageError(MailflowError):
    """This mail can never be processed: set it aside in quarantine for a human."""


class StateError(MailflowError):
    """An operation that the ticket's state does not allow. The message says why."""


class GatewayError(MailflowError):
    """IMAP, SMTP or the database failed. Retry, unless `permanent`.

    `maybe_done`: the other side may have done it all the same, as when the connection breaks
    between the end of a mail and the reply to it.
    """

    def __init__(self, message: str, *, permanent: bool = False, maybe_done: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.maybe_done = maybe_done
