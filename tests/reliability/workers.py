"""Several workers on one PostgreSQL: stop them past their claims, terminate their backends.

    python -m tests.reliability.workers --workers 8 --mails 10000 --stops 200 --terminations 500
    python -m tests.reliability.workers ... --journal       with the last window closed

Each worker is a daemon in a child process, on the same mailbox, database and SMTP server; mails
come while they work. A worker is stopped (SIGSTOP) for longer than its lease and its claims are
good for, so that others take its work over while it believes to have it, then goes on (SIGCONT).
Meanwhile backends of the database are terminated. When all that is done, the workers go on until
nothing is left, and the checker compares mailbox, database and the mails that were really taken.

The one repeat that SMTP cannot exclude is a mail that the server took while its worker could not
note that: it must be marked `maybe_duplicate` and keep its Message-ID. With a journal there must
be none.
"""

import argparse
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing

from mailflow import daemon
from mailflow.logs import set_up_logs
from mailflow.settings import Logging
from tests.reliability.chaos import TICK_SECONDS, Chaos, Claims, Count
from tests.reliability.checker import Findings, check
from tests.reliability.children import end_with_servers, warm_triager
from tests.reliability.harness import reference, summary
from tests.reliability.mails import make_mails
from tests.reliability.stage import Round, Servers

SETTLE_SECONDS = 5  # of the journal: longer than the sink needs, on a busy machine too
MOST_WAITING = 400  # mails, before fewer come
STUCK_SECONDS = 180.0  # without progress at the end: then something is left for ever
START_SECONDS = 180.0
END_SECONDS = 60.0
SAY_SECONDS = 15.0


class StuckError(Exception):
    """The workers do not bring the work to an end."""


def make_trouble(
    chaos: Chaos, given: argparse.Namespace, mails: list[bytes], say: Callable[[str], None]
) -> None:
    """Deliver the mails while workers are stopped and backends terminated, in equal measure.

    Raises StuckError where nothing is done for long.
    """
    chance = random.Random(given.seed + 1)
    desk, count = chaos.desk, chaos.count
    most_stopped = max(given.workers * 3 // 4, 1)
    stop_pause = chaos.claims.claim * 1.2 / most_stopped
    terminate_pause = stop_pause * given.stops / max(given.terminations, 1) or 0.3
    began = time.monotonic()
    next_stop = next_end = next_look = began
    next_say = began + SAY_SECONDS
    delivered, is_busy = 0, True
    while (
        count.stops < given.stops
        or count.terminations < given.terminations
        or (delivered < len(mails))
    ):
        now = time.monotonic()
        chaos.resume_due()
        if now >= next_look:
            waiting = desk.work_left().inbound + desk.unread()
            wanted = _wanted(given, count, delivered, waiting)
            desk.deliver(mails[delivered:wanted])
            delivered = wanted
            is_busy = bool(waiting) or delivered == len(mails)
            chaos.watch(has_work=bool(waiting))
            _raise_if_stuck(chaos)
            next_look = now + 0.5
        if is_busy and count.stops < given.stops and now >= next_stop:
            if chaos.stopped < most_stopped:
                chaos.stop_one()
            next_stop = now + chance.expovariate(1 / stop_pause)
        if count.terminations < given.terminations and now >= next_end:
            chaos.terminate_one()
            next_end = now + chance.expovariate(1 / terminate_pause)
        if now >= next_say:
            say(_progress(count, delivered, desk, now - began))
            next_say = now + SAY_SECONDS
        time.sleep(TICK_SECONDS)


def _wanted(given: argparse.Namespace, count: Count, delivered: int, waiting: int) -> int:
    """How many mails should have come: as many as there was trouble, more where none wait."""
    if waiting >= MOST_WAITING:
        return delivered
    parts = [_part(count.stops, given.stops), _part(count.terminations, given.terminations)]
    wanted = max(int(given.mails * min(*parts, 1.0)), delivered)
    if not waiting:
        trouble = given.stops - count.stops + given.terminations - count.terminations
        wanted = max(wanted, delivered + math.ceil((given.mails - delivered) / (trouble + 1)))
    return min(wanted, delivered + MOST_WAITING)


def bring_to_an_end(chaos: Chaos, mails: int) -> None:
    """Let all workers go on until nothing is left. Raises StuckError if that does not come."""
    chaos.resume_due(all_of_them=True)
    while True:
        left = chaos.desk.work_left()
        if not left and not chaos.desk.unread() and chaos.desk.taken_in() >= mails:
            return
        chaos.watch(has_work=True)
        _raise_if_stuck(chaos)
        time.sleep(0.2)


def _raise_if_stuck(chaos: Chaos) -> None:
    if chaos.count.longest_pause > STUCK_SECONDS:
        raise StuckError(f"nothing was done for {STUCK_SECONDS:.0f} s: {chaos.desk.work_left()}")


def _part(done: int, wanted: int) -> float:
    return done / wanted if wanted else 1.0


def _progress(count: Count, delivered: int, desk: Round, seconds: float) -> str:
    left = desk.work_left()
    return (
        f"{seconds:5.0f} s  {count.stops} stops, {count.terminations} terminations, {delivered} "
        f"mails came, {left.inbound} to process, {left.outbox} to send, longest pause "
        f"{count.longest_pause:.0f} s"
    )


def table(count: Count, found: Findings, seconds: float) -> str:
    """Return the figures of a run."""
    takeovers = sorted(count.takeovers)
    passed_on = "none was needed"
    if takeovers:
        passed_on = f"median {statistics.median(takeovers):.1f} s, longest {takeovers[-1]:.1f} s"
    lines = {
        "duration": f"{seconds:.0f} s",
        "stops past the claims": count.stops,
        "  of workers that held mails to process": count.stopped_with_mails,
        "  of workers that held mails to send": count.stopped_with_outbox,
        "  of the holder of the mailbox": count.stopped_with_lease,
        "mails to process taken over": count.mails_taken_over,
        "mails to send taken over": count.outbox_taken_over,
        "mailbox taken over after": passed_on,
        "backends terminated": count.terminations,
        "  of them in a transaction": count.terminated_in_transaction,
        "workers that ended in the midst of work": count.ended,
        "workers that had to start again": count.ended_at_start,
        "longest time without progress": f"{count.longest_pause:.1f} s",
        "result": summary(found),
    }
    return "\n".join(f"{name:42} {value}" for name, value in lines.items())


def run(given: argparse.Namespace, servers: Servers) -> int:
    """Do all that was asked for; print a table; return 0 if every promise held."""
    expected = reference(servers)
    desk = servers.new_round()
    mails = make_mails(given.mails)
    began = time.monotonic()
    settle = SETTLE_SECONDS + daemon.JOURNAL_SECONDS + 2.0 if given.journal else 0.0
    claims = Claims(given.lease, given.claim, settle)
    stuck = ""
    chance = random.Random(given.seed)
    with closing(Chaos(desk, given.workers, claims, chance, triages_apart=given.apart)) as chaos:
        try:
            chaos.wait_until_started(START_SECONDS)
            make_trouble(chaos, given, mails, lambda line: print(line, flush=True))
            bring_to_an_end(chaos, len(mails))
        except StuckError as error:
            stuck = str(error)
        bad_ends = chaos.end(END_SECONDS)
        count = chaos.count
    found = check(desk, mails, expected)
    print(table(count, found, time.monotonic() - began), flush=True)
    problems = [stuck] if stuck else []
    if bad_ends:
        problems.append(f"{bad_ends} workers did not end well when asked to")
    if count.ended:
        problems.append(f"{count.ended} workers ended in the midst of work")
    problems += found.wrong + [f"repeated: {each}" for each in found.repeated if given.journal]
    for line in problems[:30]:
        print("  ", line)
    return int(bool(problems))


def main() -> int:
    """Read the options and run. Returns 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--terminations", type=int, default=50)
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("--apart", action="store_true", help="triage in processes of their own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lease", type=float, default=5.0, help="of the mailbox, in seconds")
    parser.add_argument("--claim", type=float, default=15.0, help="of a mail, in seconds")
    parser.add_argument("--log", default="error", help="level of what the workers say")
    given = parser.parse_args()
    end_with_servers()
    set_up_logs(Logging(level=given.log))
    settle = SETTLE_SECONDS if given.journal else None
    with Servers(warm_triager(), postgresql=True, settle=settle) as servers:
        return run(given, servers)


if __name__ == "__main__":
    sys.exit(main())
