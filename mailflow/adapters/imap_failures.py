"""What an IMAP session raises when it breaks, and the one error that we make of it."""

from collections.abc import Callable
from types import TracebackType

from imapclient.exceptions import IMAPClientError

from mailflow.errors import GatewayError

FAILURES = (IMAPClientError, OSError, ValueError, AssertionError)


class Failing:
    """Turn what IMAPClient raises within the block into GatewayError, and drop the session."""

    def __init__(self, name: str, close: Callable[[], None]) -> None:
        self._name = name
        self._close = close

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, FAILURES):
            self._close()
            what = "no answer in time" if isinstance(error, TimeoutError) else error
            raise GatewayError(f"IMAP {self._name}: {what}") from error
