"""What `mailflow demo` shows: mails and decisions, deadlines, a reminder, a closed ticket."""

from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from sqlalchemy import select

from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.cli.tickets import ticket_table
from mailflow.core.messages import Address
from mailflow.demo.servers import Accepted
from mailflow.demo.stage import Stage, demo_mails, open_stage

BLOCKED = "Plus personne ne peut se connecter"
EXPORT = "Export des factures"
CLAIRE = Address("Claire Martin", "claire.martin@brasserie-du-lac.example")
JULIE = Address("Julie Petit", "julie.petit@brasserie-du-lac.example")
ANNE = Address("Anne Leroy", "anne.leroy@support.example")
COLOURS = {
    "registered": "green",
    "asked": "yellow",
    "excluded": "blue",
    "held": "magenta",
    "ignored": "dim",
    "ordered": "cyan",
    "closed": "green",
}

STEPS = """Bonjour,

Voici comment faire : ouvrir Factures > Fournisseurs, choisir la période de février, cliquer sur
Exporter puis sur Excel. Le fichier s'ouvre et il n'y a que la ligne des titres.

Julie Petit"""
SOLUTION = """#résoudre

Bonjour,

Le serveur d'identification était arrêté. Il est de nouveau en service depuis 11 h 20 et nous
avons ajouté une surveillance. Pouvez-vous vérifier de votre côté ?"""
CONFIRMED = "C'est réglé, merci beaucoup !\n\nClaire Martin"


def run_demo(folder: Path, console: Console) -> None:
    """Play the demonstration into `folder`. Raises GatewayError when a server does not start."""
    console.rule("[bold]mailflow demo")
    console.print(f"Everything is kept in [bold]{folder}[/]; only 127.0.0.1 is used.\n")
    with console.status("Starting the IMAP server, the SMTP server and the daemon…"):
        opened = open_stage(folder)
        stage = opened.__enter__()
    try:
        _arrivals(stage, console)
        _follow_up(stage, console)
        _two_hours_later(stage, console)
        _solved(stage, console)
        console.print(_tickets(stage))
        _keep_mails(stage, console)
    finally:
        opened.__exit__(None, None, None)


def _arrivals(stage: Stage, console: Console) -> None:
    console.rule("1. Monday, 9:15: mails arrive")
    mails = demo_mails()
    with console.status(f"{len(mails)} mails are delivered; the daemon reads and answers them…"):
        stage.deliver(*(content for _, content in mails))
    console.print(_decisions(stage, 0))
    console.print(_answer(stage, "registration", BLOCKED, "What the client with P1 gets"))
    console.print(_answer(stage, "request_information", EXPORT, "What is asked, and nothing else"))


def _follow_up(stage: Stage, console: Console) -> None:
    console.rule("2. The missing steps come; the ticket is registered and its clock starts")
    before = _last_mail(stage)
    asked = stage.sent("request_information", EXPORT)
    with console.status("Julie answers…"):
        stage.deliver(stage.reply(asked, JULIE, STEPS, 1))
    console.print(_decisions(stage, before))
    console.print(_tickets(stage))


def _two_hours_later(stage: Stage, console: Console) -> None:
    console.rule("3. Two hours and ten minutes later (the clock is put forward)")
    with console.status("The daemon sweeps…"):
        stage.clock.forward(timedelta(hours=2, minutes=10))
        _wait_for(stage, "agent_reminder")
    console.print(_answer(stage, "agent_reminder", BLOCKED, "The agent is warned in time"))


def _solved(stage: Stage, console: Console) -> None:
    console.rule("4. The agent answers by mail, the client confirms")
    before = _last_mail(stage)
    notice = stage.sent("agent_new", BLOCKED)
    with console.status("Anne proposes the solution with #résoudre, Claire confirms…"):
        stage.deliver(stage.reply(notice, ANNE, SOLUTION, 2))
        resolution = stage.sent("resolution", BLOCKED)
        stage.deliver(stage.reply(resolution, CLAIRE, CONFIRMED, 3))
    console.print(_answer(stage, "resolution", BLOCKED, "What the client is asked"))
    console.print(_decisions(stage, before))


def _wait_for(stage: Stage, kind: str) -> None:
    import time

    until = time.monotonic() + 20
    while time.monotonic() < until:
        with stage.desk.database.read() as session:
            if session.scalar(select(OutboxMail.id).where(OutboxMail.kind == kind)) is not None:
                break
        time.sleep(0.1)
    stage.wait()


def _last_mail(stage: Stage) -> int:
    with stage.desk.database.read() as session:
        return max(session.scalars(select(Inbound.id)).all(), default=0)


def _decisions(stage: Stage, after: int) -> Table:
    table = Table(title="Mails and decisions", title_justify="left", show_lines=True)
    table.add_column("Mail", ratio=3)
    table.add_column("Decision", no_wrap=True)
    table.add_column("Why, and the words that decided", ratio=5)
    with stage.desk.database.read() as session:
        rows = session.scalars(select(Inbound).where(Inbound.id > after).order_by(Inbound.id)).all()
        for row in rows:
            event = session.scalars(
                select(Event).where(Event.inbound_id == row.id, Event.kind == "triaged")
            ).first()
            words = _evidence(event.data["triage"]) if event else ""
            colour = COLOURS.get(row.outcome or "", "white")
            table.add_row(
                f"{escape(row.subject or '')}\n[dim]{escape(row.sender or '')}[/]",
                f"[{colour}]{row.outcome}[/]",
                escape(row.reason or "") + (f"\n[dim]{escape(words)}[/]" if words else ""),
            )
    return table


def _evidence(triage: dict[str, Any]) -> str:
    found: list[str] = []
    for name in ("exclusion", "priority", "kind"):
        for each in triage[name]["evidence"]:
            if each["text"] not in found and len(found) < 4:
                found.append(each["text"])
    shown = "exclusion" if triage["exclusion"]["value"] is not None else "priority"
    sure = triage[shown]["confidence"]
    words = " · ".join(" ".join(text.split())[:60] for text in found)
    return f"« {words} »  ({sure:.0%} sure of the {shown})" if words else ""


def _tickets(stage: Stage) -> Table:
    with stage.desk.database.read() as session:
        rows = session.scalars(
            select(Ticket).order_by(Ticket.due_at.is_(None), Ticket.due_at, Ticket.id)
        ).all()
    table = ticket_table(stage.desk, list(rows))
    table.title = "The tickets and their deadlines (Paris time)"
    return table


def _answer(stage: Stage, kind: str, subject: str, title: str) -> Panel:
    taken = stage.sent(kind, subject)
    return Panel(escape(_plain_text(taken)), title=title, title_align="left", border_style="cyan")


def _plain_text(taken: Accepted) -> str:
    mail = message_from_bytes(taken.content, policy=default)
    part = mail.get_body(("plain",))
    head = "\n".join(f"{name}: {mail[name]}" for name in ("From", "To", "Subject"))
    return f"{head}\n\n{part.get_content().strip() if part else ''}"


def _keep_mails(stage: Stage, console: Console) -> None:
    sent = stage.folder / "sent"
    sent.mkdir(exist_ok=True)
    with stage.desk.database.read() as session:
        rows = session.scalars(select(OutboxMail).order_by(OutboxMail.id)).all()
    for row in rows:
        if row.content is not None:
            name = f"{row.id:02d}-{row.kind}-{row.recipient.partition('@')[0]}.eml"
            (sent / name).write_bytes(row.content)
    console.print(f"\n{len(rows)} mails were sent; they are kept in [bold]{sent}[/]")
    console.print(f"The database: [bold]{stage.folder / 'mailflow.db'}[/]")
    console.print(
        f"Look closer: [bold]mailflow tickets why MF-2026-000001 -c {stage.folder}/config.toml[/]"
    )
