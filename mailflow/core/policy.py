"""The numbers of the contract as values: targets, reminders, times of grace.

Source: contract, 'Conditions de soumission des Problèmes'; the shipped numbers stand in
`rules/sla.toml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from mailflow.core.calendar import BusinessCalendar


class Clock(StrEnum):
    """Which time counts towards a target."""

    BUSINESS_HOURS = "business_hours"  # only opening hours
    WORKING_DAYS = "working_days"  # all 24 hours of working days, none of closed days
    CALENDAR = "calendar"  # all time; the deadline rolls forward to the next opening


class Recipient(StrEnum):
    """Who gets a reminder."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Target:
    """How long a priority may take, on which clock.

    On the `calendar` clock the whole weeks of `duration` are local: the same local time seven
    days later. The rest, and everything on other clocks, is elapsed time: a day over a change
    of summer time counts its real 23 or 25 hours. Raises ValueError unless positive.
    """

    duration: timedelta
    clock: Clock

    def __post_init__(self) -> None:
        if self.duration <= timedelta(0):
            raise ValueError(f"target of {self.duration}: expected a positive duration")


@dataclass(frozen=True, slots=True)
class Stage:
    """A reminder: at a share of the target used (1.0: the breach), or with `at` time left."""

    name: str
    to: Recipient
    at: float | timedelta
    open_hours_only: bool = True


@dataclass(frozen=True, slots=True)
class Chase:
    """Reminders to a client who owes an answer: `count` of them, `every` so many working days.

    `closes`: when the last one stays unanswered as long, the ticket is abandoned or closed.
    """

    count: int
    every: int
    closes: bool


@dataclass(frozen=True, slots=True)
class SlaPolicy:
    """All the numbers of the contract in force for one ticket. `version` names its content."""

    version: str
    targets: Mapping[int, Target]
    calendar: BusinessCalendar
    reminders: Mapping[int, tuple[Stage, ...]] = field(default_factory=dict)
    send_before_closing: timedelta = timedelta(minutes=30)
    missing_information: Chase = Chase(count=2, every=2, closes=True)
    confirmation: Chase = Chase(count=2, every=3, closes=False)
    progress_every: Mapping[int, timedelta] = field(default_factory=dict)
    priority_after_workaround: int = 3
    reopening_grace: timedelta = timedelta(days=14)

    def target(self, priority: int) -> Target:
        """Return the target of `priority`. Raises ValueError for one that has none."""
        if priority not in self.targets:
            known = ", ".join(str(each) for each in sorted(self.targets))
            raise ValueError(f"priority {priority}: expected one of {known}")
        return self.targets[priority]
