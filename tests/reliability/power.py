"""Cut the power at any instant of a day at a desk on SQLite, and look at what is left.

    python -m tests.reliability.power --cuts 1000 --seed 1

A day is recorded once: each write, truncation, deletion and sync of SQLite's, and between them what
the world saw (commits that returned, mails moved in the mailbox, mails that the SMTP server took).
A cut is made at a step of that record. Of what was not synced by then the disk has nothing, or
(in half of the cuts) any part, one write of it torn between two sectors. Then the database is checked,
and the work taken up on it and finished; every fourth time the power fails once more on the way.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailflow.adapters.triager import Triager
from mailflow.logs import set_up_logs
from mailflow.settings import Logging
from tests.reliability.power_check import (
    Facts,
    Findings,
    Rows,
    check_cut,
    check_end,
    facts_of,
    noting_commits,
)
from tests.reliability.power_disk import Disk, put
from tests.reliability.power_record import Mark, Record, Sync, recording
from tests.reliability.power_work import Day, World, make_day

MAILS = 8


@dataclass
class Recorded:
    """A day, or what was left of it after a cut, as it was recorded."""

    day: Day
    before: World
    start: Rows  # what the database held at first
    record: Record

    def world_at(self, point: int) -> World:
        """Return what the world had seen when the first `point` steps were done."""
        return self.before.after(self.record.steps[:point])

    def points(self, count: int, chance: random.Random) -> list[int]:
        """Choose where to cut, in order: spans between syncs, then a step in the span.

        Chosen by steps alone, most cuts would fall into the few commits that write much.
        """
        steps = self.record.steps
        ends = [n for n, step in enumerate(steps, 1) if isinstance(step, Sync | Mark)]
        spans = list(zip([0, *ends], [*ends, len(steps)], strict=True))
        return sorted(chance.randint(*chance.choice(spans)) for _ in range(count))


def record_day(day: Day, before: World | None = None, start: Rows = frozenset()) -> Recorded:
    """Live the day, or the rest of it, and record it."""
    before = before or World()
    with recording(day.folder) as record, noting_commits(record, start):
        world = before.after(())
        world.record = record
        day.live(world)
    return Recorded(day, before, start, record)


@dataclass(frozen=True)
class Cut:
    """A database as a power cut left it, in `folder`, and what had been seen until then."""

    folder: Path
    world: World
    rows: Rows
    what: str


def cuts(
    recorded: Recorded, points: Sequence[int], chance: random.Random, folder: Path, found: Findings
) -> Iterator[Cut]:
    """Make and check a cut at each of `points` (ascending), in one of two ways."""
    disk = Disk(recorded.record)
    steps = recorded.record.steps
    done = 0
    day = recorded.day.elsewhere(folder)
    for point in points:
        for step in steps[done:point]:
            disk.take(step)
        done = point
        tears = chance.random() < 0.5
        files = disk.with_some_unsynced(chance) if tears else disk.without_unsynced()
        put(files, day.folder)
        what = f"cut {point} of {len(steps)}{', torn' if tears else ''}"
        found.cuts += 1
        rows = check_cut(day.folder, steps[:point], steps[point:], recorded.start, found, what)
        put(files, day.folder)  # as the cut left it: looking has folded the log in
        world = recorded.world_at(point)
        world.cuts.append(len(world.taken))
        yield Cut(day.folder, world, rows, what)


def finish(recorded: Recorded, cut: Cut, expected: Facts, found: Findings) -> Recorded | None:
    """Take the work up after a cut and bring it to its end, recorded; check that end.

    Returns the record, or None where the work could not go on.
    """
    found.finished += 1
    try:
        rest = record_day(recorded.day.at(cut.folder), cut.world, cut.rows)
    except Exception as error:  # whatever it is, it counts, and the other cuts are made
        found.note("stuck", 1, f"{cut.what}: {type(error).__name__}: {error}")
        return None
    world = rest.world_at(len(rest.record.steps))
    check_end(cut.folder, world, expected, found, cut.what)
    return rest


def run(
    day: Day, number: int, seed: int, scratch: Path, *, finish_each: int = 1, again_each: int = 4
) -> Findings:
    """Make `number` cuts. The work is finished after each `finish_each`-th of them; after each
    `again_each`-th of these the power fails once more, at any point of the finishing.
    """
    chance = random.Random(seed)
    found = Findings()
    whole = record_day(day)
    expected = facts_of(day.folder)
    check_end(day.folder, whole.world_at(len(whole.record.steps)), expected, found, "no cut")
    points = whole.points(number, chance)
    for index, cut in enumerate(cuts(whole, points, chance, scratch / "cut", found)):
        if not finish_each or index % finish_each:
            continue
        rest = finish(whole, cut, expected, found)
        if rest is not None and again_each and found.finished % again_each == 0:
            point = rest.points(1, chance)
            for second in cuts(rest, point, chance, scratch / "again", found):
                finish(rest, second, expected, found)
    return found


def main() -> int:
    """Run what the options ask for; print the figures; return 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mails", type=int, default=MAILS, help="mails of the day")
    parser.add_argument(
        "--finish-each", type=int, default=1, help="finish after each n-th; 0: never"
    )
    parser.add_argument("--synchronous", choices=("FULL", "NORMAL", "OFF"), help="weaken mailflow")
    given = parser.parse_args()
    set_up_logs(Logging(level="error"))
    pragmas = (f"synchronous={given.synchronous}",) if given.synchronous else ()
    with tempfile.TemporaryDirectory(prefix="mailflow-power-") as name:
        scratch = Path(name)
        day = make_day(scratch / "day", Triager.load(), given.mails, pragmas)
        found = run(day, given.cuts, given.seed, scratch, finish_each=given.finish_each)
    print(
        f"{found.cuts} cuts, the work finished after {found.finished} of them\n"
        f"{found.rows_lost} committed rows lost, {found.half_done} commits half done, "
        f"{found.damaged} databases damaged, {found.unfounded} answers to uncommitted mails\n"
        f"{found.mails_lost} mails lost, {found.doubled} doubled, {found.different} ended "
        f"differently, {found.stuck} not at all\n"
        f"{found.repeated} mails sent once more, all of them marked: the cut took the note of them"
    )
    for line in found.examples:
        print(" ", line[:300])
    return 1 if found.bad else 0


if __name__ == "__main__":
    sys.exit(main())
