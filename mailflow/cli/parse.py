"""`mailflow parse`: read mails and show what a person would see in them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mailflow.core.message_record import as_record
from mailflow.core.messages import InboundMessage

_PARTS = (
    ("new_text", "green"),
    ("signature", "dim"),
    ("quoted", "dim"),
)


def register(app: typer.Typer) -> None:
    """Add this module's commands to `app`."""
    app.command("parse")(parse)


def parse(
    files: Annotated[list[Path], typer.Argument(help="Mails, as .eml files.", metavar="FILE…")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line and file, flushed at once.")
    ] = False,
) -> None:
    """Show what a mail says: who wrote it, what is new in it, what it is.

    [bold]Examples[/bold]

    mailflow parse mail.eml

    mailflow parse --json *.eml | jq .new_text

    No configuration is needed. A file that cannot be read is named on standard error, the others
    are still done, and the exit code is 1.
    """
    from mailflow.adapters.parse import parse_message

    failed = False
    for path in files:
        try:
            raw = path.read_bytes()
        except OSError as error:
            typer.echo(f"mailflow: cannot read {path}: {error.strerror or error}", err=True)
            failed = True
            continue
        message = parse_message(raw)
        if as_json:
            sys.stdout.write(json.dumps(as_record(str(path), message), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            _show(str(path), message)
    if failed:
        raise typer.Exit(1)


def _show(file: str, message: InboundMessage) -> None:
    """Print a mail for a person: what it is, then its parts."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    rows = [
        ("From", ", ".join(f"{a.name} <{a.address}>".strip() for a in message.senders) or "—"),
        ("Subject", message.subject or "—"),
        ("Date", message.date.isoformat(" ", "minutes") if message.date else "—"),
        ("Language", message.language),
        ("Class", f"{message.message_class} — {message.class_reason}"),
    ]
    if message.bounce:
        rows.append(("Bounced", ", ".join(
            f"{r.address} {r.status} {'for good' if r.permanent else 'for now'}"
            for r in message.bounce.recipients)))  # fmt: skip
    if message.forwarded and message.forwarded.sender:
        original = message.forwarded.sender
        rows.append(("Forwarded from", f"{original.name} <{original.address}>".strip()))
    for attachment in message.attachments:
        rows.append(
            (
                "Attachment",
                f"{attachment.filename} ({attachment.content_type}, {attachment.size} B)",
            )
        )
    for defect in message.defects:
        rows.append(("Defect", defect))
    for name, value in rows:
        table.add_row(name, Text(value))
    console.print(Text(file, style="bold"))
    console.print(table)
    for name, style in _PARTS:
        value = getattr(message, name)
        if value:
            console.print(Panel(Text(value), title=name.replace("_", " "), border_style=style))
