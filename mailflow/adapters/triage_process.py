"""Triage in a process of its own: models and parsers cannot end the daemon, and a second core
reads the next mails while this one answers the last.
"""

import os
import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from mailflow.adapters.child import Child, refuse, serve_requests
from mailflow.core.messages import InboundMessage
from mailflow.core.triage import Triage
from mailflow.core.triage_features import is_small_log
from mailflow.errors import ConfigError, MailflowError

START_SECONDS = 60.0  # models on a busy machine
ANSWER_SECONDS = 120.0  # for one batch; what takes longer hangs
_CODE = "from mailflow.adapters.triage_process import serve; serve()"


class TriageDiedError(MailflowError):
    """The process that triages ended or hung over these mails; the next request gets a new one."""


class Handed:
    """Mails handed over for triage."""

    def __init__(self, collect: Callable[["Handed"], None]) -> None:
        self._collect = collect
        self.result: list[Triage] | Exception | None = None

    def get(self) -> list[Triage]:
        """Return the triages, in order; wait for them. Raises what went wrong over there."""
        if self.result is None:
            self._collect(self)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result or []


class TriageProcess:
    """Asks a child for triages. One request is under way at a time; the next one waits for it."""

    def __init__(self, rules_folder: Path | None, model_folder: Path | None) -> None:
        self._arguments = [str(rules_folder or ""), str(model_folder or "")]
        self._child: Child | None = None
        self._under_way: Handed | None = None

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        return self._child.pid if self._child is not None else 0

    def start(self) -> None:
        """Start the child without waiting for it; it loads while we open connections."""
        if self._child is None or not self._child.is_alive():
            self.close()
            self._child = Child(_CODE, self._arguments)

    def wait_until_ready(self) -> None:
        """Wait for rules and model. Raises ConfigError, with what to mend, where one is broken."""
        self.start()
        assert self._child is not None  # noqa: S101
        self._child.wait_until_ready(START_SECONDS)

    def triage(self, message: InboundMessage) -> Triage:
        """Return the triage of one mail."""
        return self.triage_many([message])[0]

    def triage_many(self, messages: Sequence[InboundMessage]) -> list[Triage]:
        """Return the triage of each mail, in order."""
        return self.hand_over(messages).get()

    def hand_over(self, messages: Sequence[InboundMessage]) -> Handed:
        """Hand mails over and go on; `get` of what is returned waits for the answer."""
        if self._under_way is not None:
            self._collect(self._under_way)
        handed = Handed(self._collect)
        if not messages:
            handed.result = []
            return handed
        try:
            self.wait_until_ready()
            assert self._child is not None  # noqa: S101
            self._child.send(pickle.dumps([_without_files(each) for each in messages]))
        except (OSError, MailflowError) as error:
            handed.result = self._end(f"it did not take the mails: {error}")
        else:
            self._under_way = handed
        return handed

    def close(self) -> None:
        """End the child."""
        self._under_way = None
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _collect(self, handed: Handed) -> None:
        if self._under_way is not handed or self._child is None:
            handed.result = TriageDiedError("the triage process was closed")
            return
        self._under_way = None
        try:
            answer = self._child.receive(ANSWER_SECONDS)
        except TimeoutError:
            handed.result = self._end(f"no answer within {ANSWER_SECONDS:g} s")
            return
        if answer is None:
            handed.result = self._end("it ended over these mails")
            return
        told = pickle.loads(answer)  # noqa: S301  (by our own child)
        handed.result = (
            MailflowError(f"triage failed: {told}")
            if isinstance(told, str)
            else cast("list[Triage]", told)
        )

    def _end(self, reason: str) -> TriageDiedError:
        self.close()
        return TriageDiedError(f"the triage process: {reason}")


def _without_files(message: InboundMessage) -> InboundMessage:
    """Return a mail without what triage does not read: headers, and contents of most files."""
    files = (
        each if is_small_log(each) else replace(each, content=b"") for each in message.attachments
    )
    return replace(message, headers=(), quoted="", attachments=tuple(files))


def serve() -> None:
    """The child's side: load rules and model, then triage what comes."""
    from mailflow.adapters.triager import Triager

    rules, model = (Path(each) if each else None for each in sys.argv[1:3])
    outlet = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    try:
        triager = Triager.load(rules, model)
    except ConfigError as error:
        refuse(str(error), outlet)
        return

    def answer(request: bytes) -> bytes:
        messages = pickle.loads(request)  # noqa: S301  (by our own parent)
        try:
            return pickle.dumps(triager.triage_many(messages))
        except Exception as error:
            return pickle.dumps(f"{type(error).__name__}: {error}")

    serve_requests(answer, outlet, triager.first_needs())
