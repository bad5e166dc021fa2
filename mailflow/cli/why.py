"""`mailflow tickets why`: how the deadline was reached, and each decision with its evidence."""

from datetime import datetime, timedelta
from typing import Any

from rich.markup import escape
from rich.table import Table

from mailflow.adapters.store import events_of, get_ticket
from mailflow.adapters.tables import Event, Ticket
from mailflow.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    Reference,
    console,
    desk_from,
    print_json,
)
from mailflow.core.deadlines import Deadline, timeline_of
from mailflow.core.sla import Interval
from mailflow.desk import Desk
from mailflow.services.clock import clock_events, deadline, policy_of
from mailflow.services.sweep import in_hours


def why(
    reference: Reference, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """Show why: each stretch of time from registration to due date, counted or not and for what
    reason, and each decision with the words that led to it.

    Example: mailflow tickets why MF-2026-000123
    """
    desk = desk_from(config)
    now = desk.clock()
    intervals: tuple[Interval, ...] = ()
    with desk.database.read() as session:
        ticket = get_ticket(session, reference)
        events = list(events_of(session, ticket.id))
        found = deadline(session, desk, ticket, now)
        policy = policy_of(session, desk, ticket)
        if found is not None:
            intervals = timeline_of(clock_events(events), policy, now)
    if as_json:
        print_json(_json(ticket, found, intervals, events))
        return
    _print_deadline(desk, ticket, found)
    if found is not None:
        target = policy.target(found.priority)
        console.print(
            f"Target of P{found.priority}: {in_hours(target.duration)} on the clock "
            f"'{target.clock.value}', policy {policy.version}\n"
        )
        console.print(_timeline(desk, intervals, now))
    for event in events:
        if event.kind == "triaged":
            console.print(_triage(event.data["triage"], _local(desk, event.at)))
    console.print(_decisions(desk, events))


def _print_deadline(desk: Desk, ticket: Ticket, found: Deadline | None) -> None:
    name = ticket.reference or f"#{ticket.id}"
    console.print(f"[bold]{name}[/] {escape(ticket.summary)}: {ticket.state}")
    if found is None:
        console.print("No clock runs: no registration was accepted by the mail server yet.\n")
        return
    due = _local(desk, found.due_at) if found.due_at else "none while the clock stands"
    state = "[bold red]breached[/]" if found.breached else "in time"
    if found.standing:
        state += ", the clock stands"
    console.print(
        f"Registered {_local(desk, found.registered_at)}, due [bold]{due}[/]: {state}; "
        f"used {in_hours(found.used)}, left {in_hours(found.left)}"
    )


def _timeline(desk: Desk, intervals: tuple[Interval, ...], now: datetime) -> Table:
    table = Table(title="From registration to due date", title_justify="left")
    for heading in ("From", "To", "Counted", "Sum", "Why"):
        table.add_column(heading, justify="right" if heading in ("Counted", "Sum") else "left")
    total = timedelta(0)
    for each in intervals:
        end = each.end or now
        length = end - each.start
        total += length if each.counted else timedelta(0)
        table.add_row(
            _local(desk, each.start),
            _local(desk, end),
            in_hours(length) if each.counted else "–",
            in_hours(total) if each.counted else "",
            each.reason,
            style=None if each.counted else "dim",
        )
    return table


def _triage(triage: dict[str, Any], when: str) -> Table:
    table = Table(title=f"Triage, {when}", title_justify="left")
    for heading in ("Decision", "Value", "Sure", "The client's words, and what read them"):
        table.add_column(heading)
    for name in ("kind", "exclusion", "priority", "requested_priority"):
        judged = triage[name]
        words: dict[str, list[str]] = {}
        for each in judged["evidence"]:
            words.setdefault(" ".join(each["text"].split())[:70], []).append(each["source"])
        lines = [f"« {text} » ({', '.join(dict.fromkeys(by))})" for text, by in words.items()]
        table.add_row(
            name,
            str(judged["value"] if judged["value"] is not None else "–"),
            f"{judged['confidence']:.0%}",
            escape("\n".join(lines)),
        )
    if triage["review"]["needed"]:
        table.caption = "To check: " + escape("; ".join(triage["review"]["reasons"]))
    return table


def _decisions(desk: Desk, events: list[Event]) -> Table:
    table = Table(title="What happened, and why", title_justify="left")
    for heading in ("When", "What", "Who", "Because"):
        table.add_column(heading)
    for event in events:
        table.add_row(
            _local(desk, event.at), event.kind, escape(event.actor), escape(_because(event))
        )
    return table


def _because(event: Event) -> str:
    """Return an event's data for a person: what was sent to whom, values that say something."""
    shown = []
    for key, value in event.data.items():
        if key == "triage" or value in (None, "", []):
            continue
        text = f"{value['kind']} to {value['to']}" if key == "mail" else value
        shown.append(f"{key}: {text}")
    return "; ".join(shown)


def _local(desk: Desk, moment: datetime) -> str:
    return f"{moment.astimezone(desk.zone):%a %Y-%m-%d %H:%M}"


def _json(
    ticket: Ticket, found: Deadline | None, intervals: tuple[Interval, ...], events: list[Event]
) -> dict[str, Any]:
    return {
        "reference": ticket.reference,
        "due_at": found.due_at.isoformat() if found and found.due_at else None,
        "used_seconds": found.used.total_seconds() if found else None,
        "left_seconds": found.left.total_seconds() if found else None,
        "breached": found.breached if found else False,
        "timeline": [
            {
                "start": each.start.isoformat(),
                "end": each.end.isoformat() if each.end else None,
                "counted": each.counted,
                "reason": each.reason,
            }
            for each in intervals
        ],
        "events": [
            {"at": e.at.isoformat(), "kind": e.kind, "actor": e.actor, "data": e.data}
            for e in events
        ],
    }
