"""What a deadline costs: microseconds each, and as a ratio to a floor measured in the same run.

The floor is what no implementation can avoid: reading the zone's clock once for each instant
that comes in and goes out, with `zoneinfo`. Run: python benchmarks/deadlines.py [count]
"""

import random
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mailflow.adapters.policies import load_policies
from mailflow.core.sla import Pause, due_at, explain

LIMIT = 200.0  # microseconds, the most that a deadline may cost on average
PARIS = ZoneInfo("Europe/Paris")


def cases(count: int) -> list[tuple[int, datetime, list[Pause]]]:
    """Registrations over two years, none to four pauses each."""
    rng = random.Random(3)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = []
    for _ in range(count):
        registered = start + timedelta(seconds=rng.uniform(0, 730 * 86400))
        pauses = []
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            begin = registered + timedelta(hours=rng.uniform(-2, 60))
            pauses.append(Pause(begin, begin + timedelta(hours=rng.uniform(0, 100))))
        found.append((rng.choice([1, 2, 3, 4]), registered, pauses))
    return found


def microseconds(run: object, count: int) -> float:
    """Time one call of `run` and return microseconds for each of its `count` cases."""
    assert callable(run)
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) / count * 1e6


def main() -> int:
    """Print the figures; exit 1 if a deadline costs more than the limit."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    policy = load_policies().sla_for()
    work = cases(count)

    def floor() -> None:
        for _, registered, pauses in work:
            local = registered.astimezone(PARIS)
            local.astimezone(UTC)
            for pause in pauses:
                pause.start.astimezone(PARIS).astimezone(UTC)

    def all_due() -> None:
        for priority, registered, pauses in work:
            due_at(policy, priority, registered, pauses)

    def all_explained() -> None:
        for priority, registered, pauses in work:
            explain(policy, priority, registered, pauses)

    cold = microseconds(all_due, count)  # each day of the calendar is worked out once
    base = min(microseconds(floor, count) for _ in range(3))
    due = min(microseconds(all_due, count) for _ in range(3))
    explained = microseconds(all_explained, count)
    print(f"cases                {count}")
    print(f"floor (zoneinfo)     {base:8.2f} µs")
    print(f"due_at, cold         {cold:8.2f} µs  {cold / base:6.1f} x floor")
    print(f"due_at               {due:8.2f} µs  {due / base:6.1f} x floor  (limit {LIMIT:.0f} µs)")
    print(f"explain              {explained:8.2f} µs  {explained / base:6.1f} x floor")
    for priority in (1, 2, 3, 4):
        some = [case for case in work if case[0] == priority]
        began = time.perf_counter()
        for _, registered, pauses in some:
            due_at(policy, priority, registered, pauses)
        each = (time.perf_counter() - began) / len(some) * 1e6
        print(f"due_at P{priority}            {each:8.2f} µs")
    return 0 if due < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
