"""What a fault is, and how one is played: work, fault, end of the fault, recovery, account."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select

from mailflow.adapters.tables import Inbound, OutboxMail
from tests.reliability.faults_account import Account
from tests.reliability.faults_bench import Bench
from tests.reliability.proxy import Make, Meddler, Proxy

GOAL_SECONDS = 60.0  # from the end of a fault until everything is settled
MAILS = 2  # that come when a fault begins; one more comes half-way

Act = Callable[[Bench], None]
Holds = Callable[[Bench], list[str]]
Which = Callable[[Bench], Proxy]


def nothing(_bench: Bench) -> None:
    """Do nothing: some faults end by themselves."""


@dataclass(frozen=True)
class Fault:
    """One row: how a fault begins and ends, and what must hold while it lasts.

    `setting` is the bench it needs (see `open_bench`). `lasts` is in seconds of the fake clocks.
    `repeats` is how many mails may be taken twice, `refused` how many must end as refused for
    good, `unsure` how many may be given up because nobody knows whether they were sent; of both
    kinds an agent is told. `padding` makes mails longer, in bytes; `quick` shortens the time limits, `idles` lets
    the daemon wait in IDLE when the fault has begun, both with fake clocks only. `bug` names a
    known fault of mailflow because of which the row fails.
    """

    name: str
    begin: Act
    end: Act
    holds: tuple[Holds, ...] = ()
    setting: str = "tls"
    needs: str = ""
    lasts: float = 40.0
    repeats: int = 0
    refused: int = 0
    unsure: int = 0
    padding: int = 0
    quick: bool = False
    idles: bool = False
    bug: str = ""


@dataclass(frozen=True)
class Played:
    """How it went: seconds to recovery, the account, and what did not hold meanwhile."""

    seconds: float
    account: Account
    broken: tuple[str, ...]


class Driver(Protocol):
    """Lets time pass: fake or real."""

    def pass_time(self, seconds: float) -> None:
        """Work for `seconds`."""

    def check(self, find: Callable[[], list[str]]) -> list[str]:
        """Return what `find` complains of; where the time is real, after some patience."""

    def recover(self) -> float:
        """Work until all is settled; return the seconds it took."""


def play(fault: Fault, bench: Bench, driver: Driver, lasts: float | None = None) -> Played:
    """Play one fault; a bench that does not work without it raises AssertionError."""
    bench.deliver()
    driver.recover()
    before = bench.account()
    assert bench.is_settled() and not before.complaints, before
    bench.note_start()
    fault.begin(bench)
    try:
        half = (fault.lasts if lasts is None else lasts) / 2
        bench.deliver(MAILS, padding=fault.padding)
        driver.pass_time(half)
        bench.deliver(padding=fault.padding)
        driver.pass_time(half)
        broken = driver.check(lambda: [each for holds in fault.holds for each in holds(bench)])
    finally:
        fault.end(bench)
        bench.undo.close()
    seconds = driver.recover()
    return Played(seconds, bench.account(), tuple(broken))


def complaints_of(fault: Fault, played: Played) -> tuple[str, ...]:
    """Return in words what was not as the row promises."""
    account = played.account
    found = [*played.broken, *account.complaints]
    if len(account.doubled) > fault.repeats:
        found.append(f"{len(account.doubled)} mails taken twice: {account.doubled}")
    if account.refused != fault.refused:
        found.append(f"{account.refused} refused for good instead of {fault.refused}")
    if account.unsure > fault.unsure:
        found.append(f"{account.unsure} given up as unsure, more than {fault.unsure}")
    if played.seconds > GOAL_SECONDS:
        found.append(f"recovered after {played.seconds:.0f} s")
    return tuple(found)


# What may be asked of a fault while it lasts.


def decides(bench: Bench) -> list[str]:
    """Mails are taken in and decided, whatever becomes of the answers."""
    with bench.desk.database.read() as session:
        states = session.scalars(select(Inbound.status)).all()
    expected = len(bench.delivered) + len(bench.ingested)
    done = sum(state == "done" for state in states)
    return [] if done == expected else [f"{done} of {expected} mails decided: {set(states)}"]


def answers_others(bench: Bench) -> list[str]:
    """Mails that came by another way are answered."""
    wanted = {bench.sender_of(nonce) for nonce in bench.ingested}
    if not wanted:
        return ["no mail came by another way"]
    reached = {each for mail in bench.sink.accepted for each in mail.recipients}
    return [f"no answer to {each}" for each in sorted(wanted - reached)]


def sends_nothing(bench: Bench) -> list[str]:
    """Nothing is taken by the sink, so nothing new may count as sent."""
    count = len(bench.sink.accepted) - bench.accepted_before
    return [f"{count} mails were sent"] if count else []


def gives_nothing_up(bench: Bench) -> list[str]:
    """A fault that passes fails no mail for good."""
    with bench.desk.database.read() as session:
        failed = session.scalars(select(OutboxMail.error).where(OutboxMail.status == "failed"))
        broken = [f"given up: {error}" for error in failed]
        states = select(Inbound.reason).where(Inbound.status == "quarantined")
        return broken + [f"in quarantine: {reason}" for reason in session.scalars(states)]


def tells_the_truth(bench: Bench) -> list[str]:
    """What is marked as sent was taken, at this moment, too."""
    return bench.account_so_far().wrong


def has_struck(bench: Bench) -> list[str]:
    """A fault that did no harm shows nothing."""
    strikes = bench.strikes + bench.imap.strikes + bench.smtp.strikes
    return [] if strikes else ["the fault never struck"]


# How most faults begin and end.


def spoil(which: Which, make: Make, *, cut: bool = False) -> Act:
    """Spoil new and standing connections; with `cut` the standing ones end."""

    def begin(bench: Bench) -> None:
        which(bench).spoil(make, standing=not cut)
        if cut:
            which(bench).cut_all()

    return begin


def heal(bench: Bench) -> None:
    """End what the proxies do."""
    bench.imap.heal()
    bench.smtp.heal()


def imap(bench: Bench) -> Proxy:
    """The proxy before the mailbox."""
    return bench.imap


def smtp(bench: Bench) -> Proxy:
    """The proxy before the SMTP server."""
    return bench.smtp


def first(count: int, make: Make) -> Make:
    """Spoil only the first `count` connections."""
    left = iter(range(count))
    return lambda: make() if next(left, None) is not None else Meddler()
