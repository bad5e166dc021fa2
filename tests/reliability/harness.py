"""Kill the daemon at chosen or random instants, then compare mailbox, database and sink.

    python -m tests.reliability.harness --times 100              100 deaths at each failpoint
    python -m tests.reliability.harness --random 1000 --mails 10000
    python -m tests.reliability.harness --times 100 --journal    with the last window closed

Each mail carries a nonce in its subject. The daemon runs in a forked child (the triage models are
loaded and used once, in the parent), which a failpoint or the parent ends with SIGKILL. Then a
child without failpoints runs until nothing is left, and the checker looks at what really happened:
it reads the mailbox over IMAP, the database by SQL, and the files that the SMTP server wrote.
"""

import argparse
import random
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import mailflow
from mailflow.logs import set_up_logs
from mailflow.settings import Logging
from tests.reliability.checker import Findings, check
from tests.reliability.children import end_with_servers, warm_triager
from tests.reliability.desk_files import CONFIG, ORGANISATIONS
from tests.reliability.mails import kind_of, make_mails
from tests.reliability.random_kills import kill_at_random
from tests.reliability.stage import Servers, _end

__all__ = ["CONFIG", "ORGANISATIONS", "_end", "make_mails"]  # others stand on the same desk

FAILPOINTS = (
    "intake-fetched",
    "intake-committed",
    "intake-filed",
    "process-claimed",
    "process-committed",
    "outbox-claimed",
    "outbox-offered",
    "smtp-mail",
    "smtp-rcpt",
    "smtp-data",
    "smtp-content",
    "smtp-accepted",
    "outbox-marked",
)
WINDOWS = frozenset({"smtp-content", "smtp-accepted"})  # from the final dot to our note of it
PASSED_ONCE = frozenset(  # in most runs: mails are stored and decided in batches
    {"intake-fetched", "intake-committed", "intake-filed", "process-committed", "outbox-offered"}
)
RUNS = 8  # with a failpoint in each round, fewer than make a mail suspect (process.MOST_DEATHS)
SETTLE_SECONDS = 1


@dataclass
class Tally:
    """What came of the rounds of one failpoint."""

    deaths: int = 0
    rounds: int = 0
    unclean: int = 0
    repeated: int = 0
    marked: int = 0
    wrong: list[str] = field(default_factory=list)


def failpoints_in_source() -> frozenset[str]:
    """Return the names of the failpoints that mailflow passes."""
    files = Path(str(mailflow.__file__)).parent.rglob("*.py")
    return frozenset(
        name for file in files for name in re.findall(r'\breach\("([a-z-]+)"\)', file.read_text())
    )


def reference(servers: Servers) -> dict[str, tuple[str, ...]]:
    """Return what becomes of each kind of mail in a run that nobody interrupts.

    Raises RuntimeError where even that run is not clean.
    """
    desk = servers.new_round()
    mails = make_mails(12)
    desk.deliver(mails)
    desk.finish()
    found = check(desk, mails)
    if not found.is_clean(window=False):
        raise RuntimeError(f"the uninterrupted run is not clean: {found.wrong + found.repeated}")
    return {kind_of(nonce): fate for nonce, fate in found.fates.items()}


def die_at(
    servers: Servers,
    failpoint: str,
    times: int,
    mails: list[bytes],
    expected: dict[str, tuple[str, ...]],
    chance: random.Random,
    *,
    journal: bool,
) -> Tally:
    """Die `times` times at `failpoint`, a few times in each round, and check each round.

    In a round mails come in portions; each daemon dies at its first, second or third passage of
    the failpoint, with old work and new before it. Raises RuntimeError where it is never reached.
    """
    tally = Tally()
    while tally.deaths < times:
        desk = servers.new_round()
        before = tally.deaths
        for number in range(RUNS):
            desk.deliver(mails[number::RUNS])
            passage = 1 if failpoint in PASSED_ONCE else chance.randint(1, 3)
            if tally.deaths < times:
                tally.deaths += desk.run(f"{failpoint}:{passage}") == -signal.SIGKILL
        if tally.deaths == before:
            raise RuntimeError(f"no run reached the failpoint {failpoint}")
        desk.finish()
        found = check(desk, mails, expected)
        tally.rounds += 1
        tally.repeated += len(found.repeated)
        tally.marked += found.marked
        tally.wrong += found.wrong
        if not found.is_clean(window=failpoint in WINDOWS and not journal):
            tally.unclean += 1
            tally.wrong += [f"repeated: {each}" for each in found.repeated]
    return tally


def run_failpoints(given: argparse.Namespace, servers: Servers, expected: dict) -> int:
    """Die at each failpoint; print a line for each; return how many rounds were not clean."""
    here = failpoints_in_source()
    mails = make_mails(given.few)
    chance = random.Random(given.seed)
    unclean = 0
    for failpoint in given.failpoint or FAILPOINTS:
        if failpoint not in here:
            print(f"{failpoint:20} not in mailflow: passed over", flush=True)
            continue
        began = time.monotonic()
        tally = die_at(
            servers, failpoint, given.times, mails, expected, chance, journal=given.journal
        )
        unclean += tally.unclean
        print(
            f"{failpoint:20} {tally.deaths:4} deaths  {tally.rounds:3} rounds  "
            f"{tally.unclean:2} not clean  {tally.repeated:3} repeated  {tally.marked:3} marked  "
            f"{time.monotonic() - began:5.0f} s",
            flush=True,
        )
        for line in tally.wrong[:10]:
            print("  ", line)
    return unclean


def run_random(given: argparse.Namespace, servers: Servers, expected: dict) -> int:
    """Kill at random instants; print what was found; return 1 if it was not clean."""
    mails = make_mails(given.mails)
    desk = servers.new_round()
    began = time.monotonic()
    kills = kill_at_random(desk, given.random, mails, random.Random(given.seed), print)
    seconds = time.monotonic() - began
    found = check(desk, mails, expected)
    print(
        f"{kills.during_work} kills while work was in progress, {kills.idle} with none left, in "
        f"{seconds:.0f} s; {summary(found)}",
        flush=True,
    )
    if found.repeated:
        print(f"  from taken to killed: at most {kills.longest_gap(desk.sink) * 1000:.0f} ms")
    for line in found.wrong[:20]:
        print("  ", line)
    is_enough = kills.during_work >= given.random
    return int(not (found.is_clean(window=not given.journal) and is_enough))


def summary(found: Findings) -> str:
    """Return the figures of a long run."""
    return (
        f"{found.mails} mails: {len(found.lost)} lost, {len(found.doubled_tickets)} tickets "
        f"doubled, {len(found.doubled_mails)} mails doubled, {len(found.repeated)} repeated under "
        f"the same Message-ID ({found.marked} marked), {len(found.noted_twice)} noted twice, "
        f"{len(found.different)} different"
    )


def main() -> int:
    """Run what the options ask for; print a table; return 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=0, help="deaths at each failpoint")
    parser.add_argument("--random", type=int, default=0, help="random kills")
    parser.add_argument("--mails", type=int, default=24, help="mails of the random run")
    parser.add_argument("--few", type=int, default=24, help="mails of a failpoint's round")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failpoint", choices=FAILPOINTS, action="append")
    given = parser.parse_args()
    end_with_servers()
    set_up_logs(Logging(level="error"))
    settle = SETTLE_SECONDS if given.journal else None
    with Servers(warm_triager(), postgresql=given.postgresql, settle=settle) as servers:
        expected = reference(servers)
        unclean = run_failpoints(given, servers, expected) if given.times else 0
        unclean += run_random(given, servers, expected) if given.random else 0
    return 1 if unclean else 0


if __name__ == "__main__":
    sys.exit(main())
