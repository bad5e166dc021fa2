"""Which reminder moments exist: before a deadline, to a client who owes an answer, for progress.

All of it is computed anew from the facts; what was sent already is a parameter. So a moved
deadline moves its reminders, and a resolved ticket has none left.
Source: contract, 'Conditions de soumission des Problèmes', Priorité 1 and 'validation du Client'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailflow.core.calendar import BusinessCalendar, as_utc
from mailflow.core.policy import Chase, Clock, Recipient, SlaPolicy, Stage, Target
from mailflow.core.sla import Pause, due_at, reached_at, target_length, used

BREACH = 1.0


@dataclass(frozen=True, slots=True)
class ReminderMoment:
    """A stage of the policy and the UTC instant from which its reminder is due."""

    stage: str
    due_moment: datetime
    to: Recipient


@dataclass(frozen=True, slots=True)
class ClientReminders:
    """Reminders to a client, and when the wait ends; None: it never ends by itself."""

    reminders: tuple[datetime, ...]
    ends_at: datetime | None


def reminder_moments(
    policy: SlaPolicy, priority: int, registered_at: datetime, pauses: Sequence[Pause] = ()
) -> tuple[ReminderMoment, ...]:
    """Return the moments of all stages, from the mildest to the most urgent.

    Each is the instant at which that much of the target has been counted, pauses skipped; on
    the `calendar` clock a share means the time before the deadline rolls, and the breach is the
    rolled deadline. A stage whose instant lies behind an open pause is left out: it comes when
    the clock goes on.

    In opening hours only, unless the stage says otherwise: a moment outside them waits for the
    next opening. A warning that would thereby reach the deadline is sent before it instead,
    `send_before_closing` ahead of the last closing time, or at its own moment where support was
    not open in between. The breach itself waits for the next opening.
    Raises as `due_at`.
    """
    registered_at = as_utc(registered_at)
    due = due_at(policy, priority, registered_at, pauses)
    found: list[ReminderMoment] = []
    for stage in policy.reminders.get(priority, ()):
        if stage.at == BREACH:
            moment = due
        else:
            counted = _counted_before(stage, target_length(policy, priority, registered_at))
            moment = reached_at(policy, priority, registered_at, counted, pauses)
        if moment is None:
            continue
        if stage.open_hours_only:
            moment = _in_opening_hours(policy, stage, moment, registered_at, due)
        if found:  # a shift never turns the order of urgency around
            moment = max(moment, found[-1].due_moment)
        found.append(ReminderMoment(stage.name, moment, stage.to))
    return tuple(found)


def client_reminders(
    calendar: BusinessCalendar, chase: Chase, asked_at: datetime
) -> ClientReminders:
    """Return when a client who was asked at `asked_at` (aware) is reminded, and when it ends.

    The same local time, `chase.every` working days apart, within opening hours. `chase` is
    `policy.missing_information` (the end is `abandoned`; any later answer revives the request)
    or `policy.confirmation` (never closed in silence unless the policy says so).
    """
    moments = tuple(
        calendar.add_working_days(asked_at, chase.every * number)
        for number in range(1, chase.count + 2)
    )
    return ClientReminders(moments[:-1], moments[-1] if chase.closes else None)


def next_progress_prompt(
    policy: SlaPolicy,
    priority: int,
    registered_at: datetime,
    after: datetime,
    pauses: Sequence[Pause] = (),
) -> datetime | None:
    """Return the first progress prompt later than `after`; None if none will come as it is."""
    every = policy.progress_every.get(priority)
    if every is None:
        return None
    hours = _opening_hours_clock(policy)
    passed = used(hours, 1, registered_at, after, pauses) // every
    return reached_at(hours, 1, registered_at, every * (passed + 1), pauses)


def _counted_before(stage: Stage, length: timedelta) -> timedelta:
    if isinstance(stage.at, timedelta):
        return length - stage.at
    return length * stage.at


def _in_opening_hours(
    policy: SlaPolicy, stage: Stage, moment: datetime, registered_at: datetime, due: datetime | None
) -> datetime:
    """Return `moment`, or the instant in opening hours that takes its place."""
    calendar = policy.calendar
    if calendar.is_within_hours(moment):
        return moment
    opening = calendar.next_open(moment)
    if stage.at == BREACH or due is None or opening < due:
        return opening
    closing = calendar.last_close(moment)
    if closing is None or closing <= registered_at:
        return moment
    return calendar.next_open(max(closing - policy.send_before_closing, registered_at))


def _opening_hours_clock(policy: SlaPolicy) -> SlaPolicy:
    """Return a policy that counts opening hours, whatever the target's clock is."""
    any_length = Target(timedelta(hours=1), Clock.BUSINESS_HOURS)
    return SlaPolicy(policy.version, {1: any_length}, policy.calendar)
