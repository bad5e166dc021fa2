"""Kill a daemon at random instants while mails keep coming."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailflow.daemon import Daemon
from tests.reliability.checker import read_sink
from tests.reliability.children import fork, kill
from tests.reliability.stage import Round

FIRST_MEAN = 1.0  # seconds that a daemon lives; then it follows the mails
SHORTEST_MEAN, LONGEST_MEAN = 0.05, 10.0
SHORTEST_LIFE = 0.02
MOST_ATTEMPTS = 7  # a mail tried so often is left in peace until it is done: 10 end in quarantine
PEACE_SECONDS = 60.0
SAY_EVERY = 50
KEPT_UP = (
    0.8  # of an even share comes with each kill: some kills meet no work and have to be made up
)
BACKLOG = 3  # shares that may wait before fewer come


@dataclass
class Kills:
    """The kills that were made, and when."""

    during_work: int = 0
    idle: int = 0  # nothing was left to do when the daemon was killed
    at: list[float] = field(default_factory=list)  # seconds since the epoch

    def longest_gap(self, sink: Path) -> float:
        """Return the longest time from a repeated mail's being taken to the next kill."""
        copies: dict[str, list[float]] = {}
        for mail in read_sink(sink):
            copies.setdefault(mail.message_id, []).append(mail.at)
        gaps = [
            min((kill for kill in self.at if kill >= taken), default=float("inf")) - taken
            for times in copies.values()
            for taken in times[:-1]
        ]
        return max(gaps, default=0.0)


def kill_at_random(
    desk: Round, count: int, mails: list[bytes], chance: random.Random, say: Callable[[str], None]
) -> Kills:
    """Kill the daemon until `count` kills met work in progress, then let all be finished.

    Mails come in step with the kills. A daemon lives longer, on average, while mails pile up, and
    shorter while none are left.
    """
    kills = Kills()
    left, delivered, mean = 0, 0, FIRST_MEAN
    began = time.monotonic()
    while kills.during_work < count and (left or delivered < len(mails)):
        share = math.ceil(KEPT_UP * (len(mails) - delivered) / (count - kills.during_work))
        if left < BACKLOG * share:
            desk.deliver(mails[delivered : delivered + share])
            delivered = min(delivered + share, len(mails))
        pid = fork(lambda: Daemon(desk.desk()).run())
        time.sleep(max(chance.expovariate(1 / mean), SHORTEST_LIFE))
        kill(pid)
        kills.at.append(time.time())
        work = desk.work_left()
        left = work.inbound + work.outbox + desk.unread()
        if left:
            kills.during_work += 1
            if kills.during_work % SAY_EVERY == 0:
                say(
                    f"{kills.during_work} kills, {delivered} mails came, {work.inbound} wait, "
                    f"a life lasts {mean:.1f} s, {time.monotonic() - began:.0f} s"
                )
        else:
            kills.idle += 1
        mean *= 0.7 if not left else 1.05 if left >= BACKLOG * share else 0.95
        mean = min(max(mean, SHORTEST_MEAN), LONGEST_MEAN)
        _leave_in_peace(desk)
    desk.deliver(mails[delivered:])
    desk.finish()
    return kills


def _leave_in_peace(desk: Round) -> None:
    """Let a mail be processed over which the daemon died so often that it becomes suspect."""
    if desk.most_attempts() < MOST_ATTEMPTS:
        return
    pid = fork(lambda: Daemon(desk.desk()).run())
    until = time.monotonic() + PEACE_SECONDS
    while desk.most_attempts() >= MOST_ATTEMPTS and time.monotonic() < until:
        time.sleep(0.05)
    kill(pid)
