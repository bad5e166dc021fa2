"""`mailflow tickets`: look at tickets, and act on them from a terminal."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy import select

from mailflow.adapters.store import events_of, get_ticket
from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.adapters.urgency import most_urgent
from mailflow.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    Reference,
    console,
    desk_from,
    errors,
    print_json,
)
from mailflow.cli.why import why
from mailflow.desk import Desk

tickets_app = typer.Typer(no_args_is_help=True, help="Look at tickets and act on them.")
STATE_COLOURS = {
    "open": "green",
    "pending": "yellow",
    "incomplete": "yellow",
    "resolved": "cyan",
    "held": "magenta",
    "excluded": "blue",
}


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    tickets_app.command("why")(why)
    app.add_typer(tickets_app, name="tickets")


@tickets_app.command("list")
def list_tickets(
    config: ConfigOption = DEFAULT_CONFIG,
    state: Annotated[str | None, typer.Option(help="Only tickets in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the most urgent first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List tickets, those with the nearest deadline first.

    Example: mailflow tickets list --state open
    """
    desk = desk_from(config)
    with desk.database.read() as session:
        rows = most_urgent(session, limit, state)
    if as_json:
        for row in rows:
            print_json(ticket_json(row))
        return
    console.print(ticket_table(desk, list(rows)))


def ticket_table(desk: Desk, rows: list[Ticket]) -> Table:
    """Return tickets as a table for a terminal."""
    table = Table(title=f"{len(rows)} tickets", title_justify="left")
    for heading in ("Reference", "State", "P", "Due", "What, and who", "To check"):
        table.add_column(heading, no_wrap=heading in ("Reference", "State", "P", "Due"))
    now = desk.clock()
    for row in rows:
        colour = STATE_COLOURS.get(row.state, "white")
        due = _local(desk, row.due_at)
        if row.due_at is not None and row.due_at < now:
            due = f"[bold red]{due}[/]"
        reasons = [_shortened(each, 60) for each in row.review]
        table.add_row(
            row.reference or f"#{row.id}",
            f"[{colour}]{row.state}[/]",
            f"P{row.priority}" if row.priority else "–",
            due,
            f"{escape(_shortened(row.summary, 60))}\n[dim]{escape(row.requester)}[/]",
            escape("\n".join(reasons[:2])),
        )
    return table


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


@tickets_app.command("show")
def show(
    reference: Reference, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False
) -> None:
    """Show a ticket: its facts, its mails, its events.

    Example: mailflow tickets show MF-2026-000123
    """
    desk = desk_from(config)
    with desk.database.read() as session:
        row = get_ticket(session, reference)
        mails = session.scalars(
            select(Inbound).where(Inbound.ticket_id == row.id).order_by(Inbound.id)
        ).all()
        sent = session.scalars(
            select(OutboxMail).where(OutboxMail.ticket_id == row.id).order_by(OutboxMail.id)
        ).all()
        events = events_of(session, row.id)
    if as_json:
        print_json(
            ticket_json(row)
            | {
                "mails": [_mail_json(mail) for mail in mails],
                "sent": [_sent_json(mail) for mail in sent],
                "events": [_event_json(event) for event in events],
            }
        )
        return
    facts = Table(show_header=False, box=None)
    for key, value in ticket_json(row).items():
        if value not in (None, [], ""):
            shown = _local(desk, getattr(row, key)) if key.endswith("_at") else str(value)
            facts.add_row(f"[bold]{key}[/]", escape(shown))
    console.print(facts)
    log = Table(title="Events", title_justify="left")
    for heading in ("When", "What", "Who", "Details"):
        log.add_column(heading)
    for event in events:
        log.add_row(_local(desk, event.at), event.kind, escape(event.actor), _details(event))
    console.print(log)
    thread = Table(title="Mails", title_justify="left")
    for heading in ("When", "", "Who", "What"):
        thread.add_column(heading)
    lines: list[tuple[datetime, str, str, str]] = [
        (mail.received_at, "←", mail.sender or "", f"{mail.outcome}: {mail.reason}")
        for mail in mails
    ]
    lines += [
        (mail.created_at, "→", mail.recipient, f"{mail.kind} ({mail.status})") for mail in sent
    ]
    for at, arrow, who, what in sorted(lines):
        thread.add_row(_local(desk, at), arrow, escape(who), escape(what))
    console.print(thread)


def _act(reference: str, config: Any, line: str, text: str = "") -> None:
    from mailflow.core.commands import parse_orders
    from mailflow.services.ticket_actions import order_by_reference

    desk = desk_from(config)
    transcript = order_by_reference(desk, reference, parse_orders(f"{line}\n\n{text}"))
    for done in transcript.done:
        console.print(f"[green]done[/]     {escape(done)}")
    for refused in transcript.refused:
        errors.print(f"[red]refused[/]  {escape(refused)}")
    if transcript.refused:
        raise typer.Exit(1)


Message = Annotated[str, typer.Option("-m", "--message", help="What the client is told.")]


@tickets_app.command("set-priority")
def set_priority(
    reference: Reference,
    priority: Annotated[int, typer.Argument(min=1, max=4)],
    reason: Annotated[str, typer.Option("--reason", help="The client is told of it.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Change the priority; the deadline is counted anew from the registration."""
    _act(reference, config, f"#priority {priority} {reason}")


@tickets_app.command("validate")
def validate(reference: Reference, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Confirm what triage proposed; a held or incomplete ticket is registered as it is."""
    _act(reference, config, "#validate")


@tickets_app.command("ask")
def ask(reference: Reference, message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Ask the client something; the clock pauses until the answer."""
    _act(reference, config, "#ask", message)


@tickets_app.command("answer")
def answer(reference: Reference, message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Write to the client in the ticket's thread."""
    _act(reference, config, "", message)


@tickets_app.command("wait")
def wait(reference: Reference, message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Wait for the client; the clock pauses."""
    _act(reference, config, "#wait", message)


@tickets_app.command("workaround")
def workaround(
    reference: Reference, message: Message, config: ConfigOption = DEFAULT_CONFIG
) -> None:
    """Propose a way round; the clock stands until the client answers."""
    _act(reference, config, "#workaround", message)


@tickets_app.command("resolve")
def resolve(reference: Reference, message: Message, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Propose a solution; only the client's yes closes the ticket."""
    _act(reference, config, "#resolve", message)


@tickets_app.command("close")
def close(
    reference: Reference,
    reason: Annotated[str, typer.Option("--force", help="Why it is closed unconfirmed.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Close without the client's confirmation, with a reason that is kept."""
    _act(reference, config, f"#close force {reason}")


@tickets_app.command("reopen")
def reopen(reference: Reference, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Open again; the same clock goes on."""
    _act(reference, config, "#reopen")


@tickets_app.command("assign")
def assign(
    reference: Reference,
    agent: Annotated[str, typer.Argument(help="Name or address of an agent.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put an agent in charge."""
    _act(reference, config, f"#assign {agent}")


def ticket_json(row: Ticket) -> dict[str, Any]:
    """Return the facts of a ticket that programs read."""
    keys = (
        "id",
        "reference",
        "state",
        "kind",
        "exclusion",
        "priority",
        "proposed_priority",
        "requested_priority",
        "subject",
        "summary",
        "requester",
        "requester_name",
        "organisation",
        "language",
        "agent",
        "asked",
        "review",
        "contact",
        "created_at",
        "registered_at",
        "due_at",
        "resolved_at",
        "closed_at",
        "linked_to",
        "undelivered",
    )
    found = {key: getattr(row, key) for key in keys}
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in found.items()}


def _mail_json(row: Inbound) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": row.received_at.isoformat(),
        "from": row.sender,
        "subject": row.subject,
        "message_id": row.message_id,
        "outcome": row.outcome,
        "reason": row.reason,
    }


def _sent_json(row: OutboxMail) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "to": row.recipient,
        "status": row.status,
        "message_id": row.message_id,
        "sent_at": row.sent_at.isoformat() if row.sent_at else None,
        "maybe_duplicate": row.maybe_duplicate,
        "error": row.error,
    }


def _event_json(row: Event) -> dict[str, Any]:
    return {"at": row.at.isoformat(), "kind": row.kind, "actor": row.actor, "data": row.data}


def _details(event: Event) -> str:
    shown = {k: v for k, v in event.data.items() if k != "triage" and v not in (None, "", [])}
    return escape("; ".join(f"{key}: {value}" for key, value in shown.items())[:200])


def _local(desk: Desk, moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(desk.zone):%Y-%m-%d %H:%M}"
