"""Deadlines as a pure function of a ticket's event log and the policy kept with it.

The clock stands while the ticket waits for the client, while a resolution awaits the client's
word, and while it is closed. It is one clock: what makes it go on ends only its own standing.

| event | the clock |
|---|---|
| registered | starts; only the first one counts |
| priority_changed, workaround with a priority | goes by another target, from the registration on |
| paused, resolved, closed | stands, if it does not already |
| resumed | goes on, if it stood for 'paused' |
| resolution_refused | goes on, if it stood for 'paused' or 'resolved' |
| reopened | goes on, whatever it stood for |

Source: contract, 'Le calcul des délais de résolution d'un Problème démarre à compter de l'envoi
de cette notification'.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailflow.core.calendar import as_utc
from mailflow.core.sla import Interval, Pause, SlaPolicy, due_at, explain, left, used

REASONS = {
    "paused": "paused: waiting for the client",
    "resolved": "the clock stands: a resolution is proposed",
    "closed": "the clock stands: closed",
}
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
    breached = due is not None and due < now and not _is_resolved_at(facts, due)
    return Deadline(
        priority=priority,
        registered_at=registered_at,
        pauses=pauses,
        due_at=due,
        used=used(policy, priority, registered_at, now, pauses),
        left=left(policy, priority, registered_at, now, pauses),
        breached=breached,
        breached_at=due if breached else None,
        standing=facts.stands_for is not None,
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
    stands_for: str | None  # 'paused', 'resolved' or 'closed' since the last pause began
    answered: tuple[Pause, ...]  # when a resolution was proposed, or the ticket closed


def _gather(events: Sequence[ClockEvent], now: datetime) -> _Facts:
    """Read the event log up to `now`."""
    known = sorted((each for each in events if as_utc(each.at) <= now), key=lambda each: each.at)
    start = next((each for each in known if each.kind == "registered"), None)
    if start is None:
        raise ValueError("no 'registered' event: no clock runs before the registration was sent")
    priority = _priority_of(start)
    log = _Log()
    for event in known:
        if event.kind not in KINDS:
            raise ValueError(f"event {event.kind!r}: expected one of {', '.join(sorted(KINDS))}")
        if event.kind == "priority_changed" or (event.kind == "workaround" and event.priority):
            priority = _priority_of(event)
        elif event.kind in REASONS:
            log.stand(event.kind, as_utc(event.at))
        elif log.stands_for in _ENDS.get(event.kind, ()):
            log.go_on(as_utc(event.at))
    pauses, answered = log.ended()
    return _Facts(priority, as_utc(start.at), pauses, log.stands_for, answered)


class _Log:
    """The standing clock while events are read: each change of reason begins a new pause."""

    def __init__(self) -> None:
        self.stands_for: str | None = None
        self._since: datetime | None = None
        self._found: list[tuple[str, Pause]] = []

    def stand(self, kind: str, at: datetime) -> None:
        """Stand from `at` on; a closed ticket stays closed."""
        if self.stands_for == kind or self.stands_for == "closed":
            return
        if self.stands_for == "resolved" and kind == "paused":
            return
        self.go_on(at)
        self.stands_for, self._since = kind, at

    def go_on(self, at: datetime | None) -> None:
        """End the standing, or record it as still open if `at` is None."""
        if self.stands_for is not None and self._since is not None:
            pause = Pause(self._since, at, REASONS[self.stands_for])
            self._found.append((self.stands_for, pause))
        if at is not None:
            self.stands_for = self._since = None

    def ended(self) -> tuple[tuple[Pause, ...], tuple[Pause, ...]]:
        """Return all pauses, and those in which an answer was on the table."""
        self.go_on(None)
        return (
            tuple(pause for _, pause in self._found),
            tuple(pause for kind, pause in self._found if kind != "paused"),
        )


def _is_resolved_at(facts: _Facts, due: datetime) -> bool:
    """Say whether the due moment found an answer that still stands.

    Only a `calendar` deadline can: between its own moment and the roll to the next opening.
    An answer that the client refused later does not count.
    """
    return any(each.start <= due and each.end is None for each in facts.answered)


def _priority_of(event: ClockEvent) -> int:
    if event.priority is None:
        raise ValueError(f"event {event.kind!r} at {event.at.isoformat()}: without a priority")
    return event.priority
