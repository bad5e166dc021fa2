"""Two ways to let time pass at a bench: turn by turn, with clocks that we move, or for real."""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mailflow.adapters.smtp import SmtpGateway
from mailflow.daemon import Backoff
from mailflow.errors import GatewayError
from mailflow.services.journal import settle
from tests.reliability.faults_bench import Bench

STEP = 10.0  # seconds of the fake clocks between two turns of the daemon
MOST_TURNS = 12  # while a fault lasts; a long one is played in longer steps
PATIENCE = 70.0  # seconds of real time: more than two time limits, which hold up the loop
LONG_ENOUGH = 300.0  # after this much fake time nothing recovers any more


class Stepper:
    """Drives the daemon turn by turn; all its clocks move only between turns."""

    def __init__(self, bench: Bench, *, idles: bool = False) -> None:
        self._bench = bench
        self._idles = idles
        self._monotonic = 0.0
        for name in ("_imap_backoff", "_smtp_backoff", "_database_backoff"):
            if not hasattr(bench.daemon, name):
                raise AttributeError(f"the daemon has no {name} any more")
            setattr(bench.daemon, name, Backoff(lambda: self._monotonic))
        bench.daemon._gateway = SmtpGateway(bench.desk.config.smtp, lambda: self._monotonic)

    def turn(self, seconds: float = STEP) -> None:
        """Let the daemon do one round, then let time pass."""
        bench = self._bench
        bench.daemon.turn()
        with suppress(GatewayError):
            settle(bench.desk)  # a job of the daemon's, which keeps to the real time
        self._monotonic += seconds
        bench.clock.advance(seconds=seconds)

    def pass_time(self, seconds: float) -> None:
        """Work for `seconds` of fake time; wait in IDLE first, until the next poll, if told to."""
        if self._idles:
            self._bench.daemon._wait()
        step = max(STEP, seconds / MOST_TURNS)
        for _ in range(math.ceil(seconds / step)):
            self.turn(step)

    def check(self, find: Callable[[], list[str]]) -> list[str]:
        """Return what `find` complains of."""
        return find()

    def recover(self) -> float:
        """Work until all is settled; return how many fake seconds that took."""
        passed = 0.0
        while not self._bench.is_settled() and passed < LONG_ENOUGH:
            self.turn()
            passed += STEP
        return passed


class Live:
    """Runs the daemon on a thread, with real clocks."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None

    def __enter__(self) -> "Live":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bench.daemon.stop()
        self._thread.join(120)

    def _run(self) -> None:
        try:
            self._bench.daemon.run()
        except BaseException as error:
            self.failure = error

    def pass_time(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def check(self, find: Callable[[], list[str]]) -> list[str]:
        """Return what `find` still complains of after some patience: mails are on their way."""
        until = time.monotonic() + PATIENCE
        while (found := find()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def recover(self, longest: float = 300.0) -> float:
        """Wait until all is settled; return how many seconds that took."""
        start = time.monotonic()
        while not self._bench.is_settled() and time.monotonic() < start + longest:
            time.sleep(0.1)
        return time.monotonic() - start
