"""Stop workers past their claims, terminate backends of the database, and watch what follows."""

import os
import random
import signal
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import sqlalchemy
from sqlalchemy import text

from mailflow import daemon
from mailflow.adapters import database, leases
from mailflow.desk import Desk
from mailflow.services import outbox, outbox_claim, reading
from tests.reliability.children import fork
from tests.reliability.stage import Round

TICK_SECONDS = 0.05
SWEEP_SECONDS = 2
LONG = 0.25  # the share of stops that last until a mail in doubt was sent again
AIMED = 0.7  # the share of the trouble that is aimed at who is at work
IN_TRANSACTION = ("active", "idle in transaction", "idle in transaction (aborted)")

BACKENDS = text(
    "SELECT pid, state FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
HELD_MAILS = text("SELECT id FROM inbound WHERE status = 'processing' AND claimed_by LIKE :worker")
HELD_OUTBOX = text(
    "SELECT id FROM outbox_mail WHERE status = 'sending' AND claimed_by LIKE :worker"
)
LEASE_HOLDER = text("SELECT holder FROM lease LIMIT 1")
PROGRESS = text(
    "SELECT (SELECT count(*) FROM inbound WHERE status NOT IN ('new', 'processing')) + "
    "(SELECT count(*) FROM outbox_mail WHERE status IN ('sent', 'failed'))"
)


@dataclass(frozen=True, slots=True)
class Claims:
    """How long a worker may be away, in seconds, shorter than in production."""

    lease: float = 5.0  # of the mailbox
    claim: float = 15.0  # of mails to process and to send
    settle: float = 0.0  # how much later a mail in doubt is sent again, where there is a journal

    def put_in_force(self) -> None:
        """Change the durations in this very process, which must be a child of the harness."""
        _set(leases, "DURATION", timedelta(seconds=self.lease))
        _set(daemon, "RENEW_SECONDS", self.lease / 3)
        _set(reading, "LEASE", timedelta(seconds=self.claim))
        _set(outbox_claim, "LEASE", timedelta(seconds=self.claim))
        _set(outbox, "CLAIM_MARGIN", timedelta(seconds=self.claim / 3))
        if hasattr(database, "IDLE_MILLISECONDS"):  # of a transaction in which nothing is asked
            _set(database, "IDLE_MILLISECONDS", round(self.claim * 500))


def _set(module: ModuleType, name: str, value: object) -> None:
    if not hasattr(module, name):
        raise AttributeError(f"{module.__name__}.{name} is gone: the harness must follow")
    setattr(module, name, value)


class _Started(daemon.Daemon):
    """A daemon that leaves a mark once it is at work: from then on it must not end by itself."""

    def __init__(self, desk: Desk, mark: Path) -> None:
        super().__init__(desk, sweep_seconds=SWEEP_SECONDS)
        self._mark = mark

    def turn(self) -> bool:
        self._mark.touch()
        return super().turn()


@dataclass
class Worker:
    """A daemon in a child process. `resume_at`: when it goes on, by the monotonic clock."""

    pid: int
    resume_at: float | None = None
    held_mails: set[int] = field(default_factory=set)  # claimed when it was stopped
    held_outbox: set[int] = field(default_factory=set)


@dataclass
class Count:
    """What was done to the workers, and what was seen of it."""

    stops: int = 0
    stopped_with_mails: int = 0
    stopped_with_outbox: int = 0
    stopped_with_lease: int = 0
    mails_taken_over: int = 0  # claimed by a stopped worker, taken over or done meanwhile
    outbox_taken_over: int = 0
    takeovers: list[float] = field(default_factory=list)  # seconds until another had the mailbox
    terminations: int = 0
    terminated_in_transaction: int = 0
    ended: int = 0  # workers that ended by themselves, in the midst of their work
    ended_at_start: int = 0  # workers that refused to start without the database
    longest_pause: float = 0.0  # seconds in which nothing was done though there was work


class Chaos:
    """The workers of one round, and what happens to them."""

    def __init__(
        self,
        desk: Round,
        count: int,
        claims: Claims,
        chance: random.Random,
        *,
        triages_apart: bool = False,
    ) -> None:
        self.desk = desk
        self.claims = claims
        self._triages_apart = triages_apart
        self._chance = chance
        self._engine = sqlalchemy.create_engine(desk.url, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        self._lease_lost_at: float | None = None
        self._lease_of: str | None = None
        self._progress = 0
        self._progress_at = time.monotonic()
        self.count = Count()
        self.workers = [Worker(self._start()) for _ in range(count)]

    def _start(self) -> int:
        def work() -> None:
            self.claims.put_in_force()
            desk = self.desk.desk()
            if self._triages_apart:
                desk.triage_apart()
            _Started(desk, self._mark(os.getpid())).run()

        return fork(work)

    def _mark(self, pid: int) -> Path:
        return self.desk.folder / f"{pid}.started"

    def wait_until_started(self, seconds: float) -> None:
        """Wait until all workers are at work. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not all(self._mark(worker.pid).exists() for worker in self.workers):
            if time.monotonic() > until:
                raise TimeoutError("not all workers started")
            time.sleep(TICK_SECONDS)
        self._progress_at = time.monotonic()

    def close(self) -> None:
        """End all workers at once, and the connection."""
        for worker in self.workers:
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
        self.workers = []
        self._connection.close()
        self._engine.dispose()

    @property
    def stopped(self) -> int:
        """How many workers are stopped at this moment."""
        return sum(worker.resume_at is not None for worker in self.workers)

    def stop_one(self) -> None:
        """Stop a worker, mostly one at work, for longer than anything it holds is good for."""
        running = [each for each in self.workers if each.resume_at is None]
        at_work = [each for each in running if self._holds_something(each)]
        is_aimed = at_work and self._chance.random() < AIMED
        worker = self._chance.choice(at_work if is_aimed else running)
        os.kill(worker.pid, signal.SIGSTOP)
        seconds = self.claims.claim * self._chance.uniform(1.05, 1.3)
        if self._chance.random() < LONG:
            seconds += self.claims.settle
        worker.resume_at = time.monotonic() + seconds
        worker.held_mails = self._held(HELD_MAILS, worker)
        worker.held_outbox = self._held(HELD_OUTBOX, worker)
        self.count.stops += 1
        self.count.stopped_with_mails += bool(worker.held_mails)
        self.count.stopped_with_outbox += bool(worker.held_outbox)
        holder = str(self._connection.scalar(LEASE_HOLDER) or "")
        if holder.split(":")[1:2] == [str(worker.pid)]:
            self.count.stopped_with_lease += 1
            self._lease_of, self._lease_lost_at = holder, time.monotonic()

    def resume_due(self, *, all_of_them: bool = False) -> None:
        """Let those workers go on whose time has come."""
        for worker in self.workers:
            if worker.resume_at is None:
                continue
            if all_of_them or time.monotonic() >= worker.resume_at:
                mails = worker.held_mails - self._held(HELD_MAILS, worker)
                outbox_mails = worker.held_outbox - self._held(HELD_OUTBOX, worker)
                self.count.mails_taken_over += len(mails)
                self.count.outbox_taken_over += len(outbox_mails)
                worker.resume_at = None
                os.kill(worker.pid, signal.SIGCONT)

    def terminate_one(self) -> None:
        """Terminate a backend of a worker, mostly one in a transaction where there is one."""
        found = self._connection.execute(BACKENDS).all()
        at_work = [row for row in found if row.state in IN_TRANSACTION]
        chosen = at_work if at_work and self._chance.random() < AIMED else found
        if not chosen:
            return
        backend = self._chance.choice(chosen)
        statement = text("SELECT pg_terminate_backend(:pid)")
        if self._connection.scalar(statement, {"pid": backend.pid}):
            self.count.terminations += 1
            self.count.terminated_in_transaction += backend.state in IN_TRANSACTION

    def watch(self, *, has_work: bool) -> int:
        """Replace workers that ended, measure takeovers and pauses; return what was done so far."""
        now = time.monotonic()
        for worker in self.workers:
            if os.waitpid(worker.pid, os.WNOHANG)[0]:
                if self._mark(worker.pid).exists():
                    self.count.ended += 1
                else:
                    self.count.ended_at_start += 1
                worker.pid, worker.resume_at = self._start(), None
        if self._lease_lost_at is not None:
            holder = self._connection.scalar(LEASE_HOLDER)
            if holder not in (None, self._lease_of):
                self.count.takeovers.append(now - self._lease_lost_at)
                self._lease_lost_at = None
        progress = int(self._connection.scalar(PROGRESS) or 0)
        if progress != self._progress or not has_work:
            self._progress, self._progress_at = progress, now
        self.count.longest_pause = max(self.count.longest_pause, now - self._progress_at)
        return progress

    def end(self, seconds: float) -> int:
        """Ask all workers to end; return how many did not, within that time, end well."""
        for worker in self.workers:
            os.kill(worker.pid, signal.SIGTERM)
        left, bad = list(self.workers), 0
        until = time.monotonic() + seconds
        while left and time.monotonic() < until:
            for worker in list(left):
                pid, status = os.waitpid(worker.pid, os.WNOHANG)
                if pid:
                    left.remove(worker)
                    bad += status != 0
            time.sleep(TICK_SECONDS)
        self.workers = left
        return bad + len(left)

    def _holds_something(self, worker: Worker) -> bool:
        return bool(self._held(HELD_MAILS, worker) or self._held(HELD_OUTBOX, worker))

    def _held(self, query: sqlalchemy.TextClause, worker: Worker) -> set[int]:
        return set(self._connection.scalars(query, {"worker": f"%:{worker.pid}:%"}))
