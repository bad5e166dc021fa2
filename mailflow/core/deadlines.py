"""Deadlines as a pure function of a ticket's event log and the policy kept with it.

The clock stands while the ticket waits for the client, while a resolution awaits the client's
word, and while it is closed. It is one clock: what makes it go on ends only its own standing.

| event | the clock |
|---|---|
| registered | starts; only the first one counts |
| priority_changed, workaround with a priority | goes by another target, from the registration on |
| paused, resolved, closed | stands; a later one of these takes over from one before it |
| resumed | goes on, if it stood for 'paused' |
| resolution_refused | goes on, if it stood for 'paused' or 'resolved' |
| reopened | goes on, whatever it stood for |

Source: contract, 'Le calcul des délais de résolution d'un Problème démarre à compter de l'envoi
de cette notification'.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailflow.core.calendar import as_utc
from mailflow.core.sla import Interval, Pause, SlaPolicy, due_at, explain, left, used

REASONS = {
    "paused": "paused: waiting for the client",
    "resolved": "the clock stands: a resolution is proposed",
    "closed": "the clock stands: closed",
}
_RANKS = {"": 0, "paused": 1, "resolved": 2, "closed": 3}  # a lower one changes nothing
_ENDS = {
    "resumed": frozenset({"paused"}),
    "resolution_refused": frozenset({"paused", "resolved"}),
    "reopened": frozenset(REASONS),
}
KINDS = frozenset({"registered", "priority_changed", "workaround", *REASONS, *_ENDS})


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """What happened at an aware instant, as far as the clock goes. `kind` is one of `KINDS`.

    `priority` comes with 'registered' and 'priority_changed', and may with 'workaround'.
    """

    at: datetime
    kind: str
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """A ticket's deadline as of a moment. Instants are UTC.

    `due_at` is None while an open pause lies before it. `used` and `left` are clock time; `left`
    is negative after the deadline. `breached` once the due moment has passed without a
    resolution; at the moment itself not yet. `standing`: the clock stands now.
    """

    priority: int
    registered_at: datetime
    pauses: tuple[Pause, ...]
    due_at: datetime | None
    used: timedelta
    left: timedelta
    breached: bool
    breached_at: datetime | None
    standing: bool


def deadline_of(events: Sequence[ClockEvent], policy: SlaPolicy, now: datetime) -> Deadline:
    """Return the deadline as of `now` (aware); events after it are not known yet.

    `policy` is the version in force at the registration. Events come in any order; those of one
    instant keep theirs.
    Raises ValueError without a 'registered' event, for an unknown kind or a missing priority.
    """
    now = as_utc(now)
    facts = _gather(events, now)
    priority, registered_at, pauses = facts.priority, facts.registered_at, facts.pauses
    due = due_at(policy, priority, registered_at, pauses)
    breached = due is not None and due < now and not _is_answered_at(facts, due)
    return Deadline(
        priority=priority,
        registered_at=registered_at,
        pauses=pauses,
        due_at=due,
        used=used(policy, priority, registered_at, now, pauses),
        left=left(policy, priority, registered_at, now, pauses),
        breached=breached,
        breached_at=due if breached else None,
        standing=facts.standing,
    )


def timeline_of(
    events: Sequence[ClockEvent], policy: SlaPolicy, now: datetime
) -> tuple[Interval, ...]:
    """Return each stretch from registration to due date, counted or not, and why.

    While an open pause lies before the deadline the timeline ends at `now`.
    Raises ValueError as `deadline_of`.
    """
    facts = _gather(events, as_utc(now))
    due = due_at(policy, facts.priority, facts.registered_at, facts.pauses)
    until = now if due is None else None
    return explain(policy, facts.priority, facts.registered_at, facts.pauses, until)


@dataclass(frozen=True, slots=True)
class _Facts:
    priority: int
    registered_at: datetime
    pauses: tuple[Pause, ...]
    standing: bool
    answered_since: datetime | None  # a resolution is on the table, or confirmed, since then


def _gather(events: Sequence[ClockEvent], now: datetime) -> _Facts:
    """Read the event log up to `now`. Each reason to stand makes a pause of its own."""
    known = sorted((each for each in events if as_utc(each.at) <= now), key=lambda each: each.at)
    start = next((each for each in known if each.kind == "registered"), None)
    if start is None:
        raise ValueError("no 'registered' event: no clock runs before the registration was sent")
    priority = _priority_of(start)
    pauses: list[Pause] = []  # the last one is open while the clock stands
    stands_for = ""
    answered_since: datetime | None = None
    for event in known:
        at = as_utc(event.at)
        if event.kind not in KINDS:
            raise ValueError(f"event {event.kind!r}: expected one of {', '.join(sorted(KINDS))}")
        if event.kind == "priority_changed" or (event.kind == "workaround" and event.priority):
            priority = _priority_of(event)
        stands = _RANKS.get(event.kind, 0) > _RANKS[stands_for]
        goes_on = stands_for in _ENDS.get(event.kind, ())
        if stands_for and (stands or goes_on):
            pauses[-1] = replace(pauses[-1], end=at)
        if stands:
            stands_for = event.kind
            pauses.append(Pause(at, None, REASONS[stands_for]))
            answered_since = None if stands_for == "paused" else answered_since or at
        elif goes_on:
            stands_for, answered_since = "", None
    return _Facts(priority, as_utc(start.at), tuple(pauses), bool(stands_for), answered_since)


def _is_answered_at(facts: _Facts, due: datetime) -> bool:
    """Say whether the due moment found an answer that still stands.

    It can on the deadline itself, and on the `calendar` clock between the deadline's own moment
    and the next opening. An answer that the client refused later does not count.
    """
    return facts.answered_since is not None and facts.answered_since <= due


def _priority_of(event: ClockEvent) -> int:
    if event.priority is None:
        raise ValueError(f"event {event.kind!r} at {event.at.isoformat()}: without a priority")
    return event.priority
