"""The loop: take mails in, process them, send what is owed, sweep, wait. Signals set a flag."""

import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import schedule
from sqlalchemy import select, update

from mailflow.adapters.imap import ImapMailbox
from mailflow.adapters.leases import RENEW_SECONDS, hold, release
from mailflow.adapters.smtp import SmtpGateway
from mailflow.adapters.tables import Inbound, OutboxMail
from mailflow.adapters.triage_process import TriageProcess
from mailflow.desk import Desk
from mailflow.errors import ConfigError, GatewayError
from mailflow.logs import log
from mailflow.services.digest import MorningDigest
from mailflow.services.intake import poll
from mailflow.services.journal import settle
from mailflow.services.outbox import send_due
from mailflow.services.process import Pipeline
from mailflow.services.sweep import sweep
from mailflow.workers import is_dead

SWEEP_SECONDS = 20
DIGEST_SECONDS = 60
JOURNAL_SECONDS = 5
SLICE_SECONDS = 1.0  # the longest wait before a signal is seen
FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0


class Backoff:
    """When a broken server may be tried again: later each time, with jitter."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failures = 0
        self._until = 0.0

    def is_open(self) -> bool:
        """Whether a try is allowed now."""
        return self._monotonic() >= self._until

    def failed(self) -> float:
        """Note a failure; return the pause in seconds."""
        jitter = random.uniform(0.7, 1.3)  # noqa: S311
        growth = 2.0 ** (self._failures - 1) if self._failures else 0.0  # the first try: at once
        pause = jitter * min(FIRST_BACKOFF * growth, LONGEST_BACKOFF)
        self._failures = min(self._failures + 1, 10)
        self._until = self._monotonic() + pause
        return pause

    def worked(self) -> None:
        """Note a success: the next failure starts with the shortest pause again."""
        self._failures, self._until = 0, 0.0


class Daemon:
    """Everything that `mailflow run` does, one turn after the other."""

    def __init__(self, desk: Desk, sweep_seconds: int = SWEEP_SECONDS) -> None:
        self._desk = desk
        self._stop = threading.Event()
        self._mailbox: ImapMailbox | None = None
        self._gateway = SmtpGateway(desk.config.smtp)
        self._lease: str | None = None
        self._renew_at = 0.0
        self._imap_backoff = Backoff()
        self._smtp_backoff = Backoff()
        self._database_backoff = Backoff()
        self._jobs = schedule.Scheduler()
        self.failed_jobs: dict[str, int] = {}
        self._digest = MorningDigest(desk)
        self._pipeline = Pipeline(desk)
        self._every(sweep_seconds, "sweep", lambda: sweep(desk))
        self._every(DIGEST_SECONDS, "digest", self._digest)
        if desk.config.journal is not None:
            self._every(JOURNAL_SECONDS, "journal", lambda: settle(desk))

    def stop(self) -> None:
        """Ask the loop to end after the mail in hand. Safe from any thread or signal."""
        self._stop.set()

    def run(self) -> None:
        """Work until stopped. A failing server is tried again and again; the others go on."""
        self._catch_signals()
        log.info("daemon.started", worker=self._desk.worker)
        triager = self._desk.triager  # loaded before the first mail, not with it
        try:
            if isinstance(triager, TriageProcess):
                triager.wait_until_ready()
            self._recover()
            while not self._stop.is_set():
                busy = self.turn()
                if not busy:
                    self._wait()
            with suppress(GatewayError):
                self._pipeline.finish()
        finally:
            self.close()
        log.info("daemon.stopped")

    def run_once(self) -> int:
        """Take in all that is there, process and send it, sweep once; return the mails taken in.

        Raises GatewayError or ConfigError where a server fails, after doing what could be done
        without it.
        """
        failure: GatewayError | ConfigError | None = None
        taken = 0
        try:
            self._recover()
            try:
                taken = self._poll()
            except (GatewayError, ConfigError) as error:
                failure = error
            unsendable: GatewayError | ConfigError | None = None
            while self._pipeline.advance() and not self._stop.is_set():
                unsendable = unsendable or self._send_all(most=1)
            self._pipeline.finish()
            sweep(self._desk)
            self._digest()
            settle(self._desk)
            failure = failure or unsendable or self._send_all()
        finally:
            self.close()
        if failure is not None:
            raise failure
        return taken

    def _send_all(self, most: int | None = None) -> GatewayError | ConfigError | None:
        """Send what is due, in at most so many batches; return why it cannot be, if so."""
        batches = 0
        try:
            while not self._stop.is_set() and (most is None or batches < most):
                if not send_due(self._desk, self._gateway):
                    break
                batches += 1
        except (GatewayError, ConfigError) as error:
            return error
        return None

    def turn(self) -> bool:
        """Do one round of everything that is due; return whether there may be more at once."""
        if not self._database_backoff.is_open():
            return False
        busy = False
        try:
            busy |= self._try_imap()
            while not self._stop.is_set() and self._pipeline.advance():
                busy = True
                self._try_smtp()
            busy |= self._try_smtp()
            self._jobs.run_pending()
            self._database_backoff.worked()
        except GatewayError as error:
            log.error("database.failed", error=str(error), again_in=self._database_backoff.failed())
            self._pipeline.drop()
        return busy

    def close(self) -> None:
        """Close the connections and give the mailbox free for another worker."""
        self._gateway.close()
        if self._lease is not None:
            with suppress(GatewayError):
                release(self._desk.database, self._lease, self._desk.worker)
            self._lease = None
        self._close_mailbox()
        self._desk.end_triage()

    def _close_mailbox(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None

    def _every(self, seconds: int, name: str, job: Callable[[], object]) -> None:
        """Run `job` every so often. One that raises is logged, counted, and run again in turn."""

        def guarded() -> None:
            try:
                job()
            except Exception as error:
                self.failed_jobs[name] = self.failed_jobs.get(name, 0) + 1
                log.error("job.failed", job=name, count=self.failed_jobs[name], exc_info=error)

        self._jobs.every(seconds).seconds.do(guarded)

    def _try_imap(self) -> bool:
        if not self._imap_backoff.is_open():
            return False
        try:
            count = self._poll()
        except (GatewayError, ConfigError) as error:
            if self._mailbox is None or self._mailbox.is_open:  # not it but the database failed
                raise
            self._mailbox = None
            log.warning("imap.failed", error=str(error), again_in=self._imap_backoff.failed())
            return False
        self._imap_backoff.worked()
        return count > 0

    def _poll(self) -> int:
        settings = self._desk.config.imap
        if settings is None:
            return 0
        if not self._holds_mailbox():
            self._close_mailbox()
            return 0
        if self._mailbox is None:
            self._mailbox = ImapMailbox(settings, self._desk.config.limits.max_mail_bytes)
            self._mailbox.open()
            log.info("imap.connected", mailbox=self._mailbox.name)
        return poll(self._desk, self._mailbox)

    def _holds_mailbox(self) -> bool:
        """Whether reading the mailbox is ours: one worker does it, the others only process."""
        settings = self._desk.config.require_imap()
        name = f"{settings.username}@{settings.host}:{settings.port}/{settings.folder}"
        desk = self._desk
        self._lease = None
        if hold(desk.database, name, desk.worker, desk.clock()):
            self._lease, self._renew_at = name, time.monotonic() + RENEW_SECONDS
        return self._lease is not None

    def _is_wait_over(self, until: float) -> bool:
        """Asked once a second while waiting in IDLE; the lease is renewed on the way."""
        if self._stop.is_set() or time.monotonic() >= until:
            return True
        return time.monotonic() >= self._renew_at and not self._holds_mailbox()

    def _try_smtp(self) -> bool:
        if not self._smtp_backoff.is_open():
            return False
        try:
            sent = send_due(self._desk, self._gateway)
        except (GatewayError, ConfigError) as error:
            if self._gateway.is_open:  # not it but the database failed
                raise
            log.warning("smtp.failed", error=str(error), again_in=self._smtp_backoff.failed())
            return False
        self._smtp_backoff.worked()
        return sent > 0

    def _wait(self) -> None:
        """Wait for mail, a signal, or the next poll, whichever comes first."""
        settings = self._desk.config.imap
        until = time.monotonic() + (settings.poll_seconds if settings else SLICE_SECONDS)
        until = min(until, time.monotonic() + max(self._jobs.idle_seconds or 0, 0.05))
        if self._mailbox is None or not self._imap_backoff.is_open():
            self._stop.wait(min(SLICE_SECONDS, max(until - time.monotonic(), 0.05)))
            return
        try:
            if not self._mailbox.can_idle():
                self._stop.wait(max(until - time.monotonic(), 0.05))
                return
            self._mailbox.wait_until(lambda: self._is_wait_over(until))
        except (GatewayError, ConfigError) as error:
            self._close_mailbox()
            log.warning("imap.failed", error=str(error), again_in=self._imap_backoff.failed())

    def _recover(self) -> None:
        """Take up what dead workers of this host held, before their claims run out."""
        desk = self._desk
        now = desk.clock()
        with desk.database.begin() as session:
            for table in (Inbound, OutboxMail):
                holders = select(table.claimed_by).where(table.claimed_by.is_not(None)).distinct()
                dead = [name for name in session.scalars(holders) if name and is_dead(name)]
                if dead:
                    session.execute(
                        update(table).where(table.claimed_by.in_(dead)).values(claimed_until=now)
                    )
                    log.info("claims.recovered", table=table.__tablename__, workers=len(dead))

    def _catch_signals(self) -> None:
        def handle(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handle)
            signal.signal(signal.SIGINT, handle)
