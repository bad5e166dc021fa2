"""The vocabulary of templates for one mail: `adapters.sample` shows it with sample values."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.outgoing import clean_header
from mailflow.adapters.policies import load_policies
from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from mailflow.core.agents import find_agent
from mailflow.core.decisions import NoticeKind
from mailflow.core.sla import due_at
from mailflow.desk import Desk
from mailflow.services.clock import policy_of

STANDARD_POLICY = load_policies().base
LONGEST_CLIENT_TEXT = 20_000  # characters of the client's text in a mail to an agent


def reader_name(desk: Desk, row: OutboxMail, ticket: Ticket | None) -> str:
    if ticket is not None and row.recipient == ticket.requester:
        return ticket.requester_name
    agent = find_agent(desk.agents, row.recipient)
    return agent.name if agent else ""


def make_context(
    session: Session,
    desk: Desk,
    row: OutboxMail,
    kind: NoticeKind,
    ticket: Ticket | None,
    subject: str,
    now: datetime,
) -> dict[str, Any]:
    """The vocabulary of templates; `adapters.sample` shows it with sample values."""
    support = desk.config.support
    agent = find_agent(desk.agents, ticket.agent) if ticket else None
    return {
        "support": {
            "name": support.name,
            "address": support.address,
            "quotation_address": support.quotation_address,
        },
        "ticket": _ticket(session, desk, ticket, kind, now) if ticket else None,
        "agent": {"name": agent.name} if agent else None,
        "reader": {"name": reader_name(desk, row, ticket), "address": row.recipient},
        "thread_subject": subject,
        "mail_subject": ticket.subject if ticket else "",
        "client_text": _client_text(session, row, ticket) if kind.is_for_agents else "",
        "findings": _findings(session, ticket) if kind.is_for_agents else [],
        "now": now,
        "data": with_datetimes(row.data),
    }


def _ticket(
    session: Session, desk: Desk, ticket: Ticket, kind: NoticeKind, now: datetime
) -> dict[str, Any]:
    registered_at, due = ticket.registered_at, ticket.due_at
    if kind is NoticeKind.REGISTRATION and registered_at is None and ticket.priority:
        registered_at = now  # the clock starts when the server takes this very mail
        due = due_at(policy_of(session, desk, ticket), ticket.priority, now)
    return {
        "reference": ticket.reference,
        "subject": clean_header(ticket.subject),
        "summary": clean_header(ticket.summary),
        "state": ticket.state,
        "kind": ticket.kind,
        "exclusion": ticket.exclusion,
        "priority": ticket.priority,
        "requested_priority": ticket.requested_priority,
        "requester": ticket.requester,
        "requester_name": clean_header(ticket.requester_name),
        "organisation": clean_header(ticket.organisation) if ticket.organisation else None,
        "registered_at": registered_at,
        "due_at": due,
        "closed_at": ticket.closed_at,
        "contact": ticket.contact,
        "workaround": ticket.workaround,
        "review": list(ticket.review),
        "standard_target": _has_standard_target(session, desk, ticket),
    }


def _has_standard_target(session: Session, desk: Desk, ticket: Ticket) -> bool:
    """Whether the target is the contract's own, which the templates have words for."""
    if ticket.priority is None:
        return False
    target = policy_of(session, desk, ticket).targets.get(ticket.priority)
    return target == STANDARD_POLICY.targets.get(ticket.priority)


def _client_text(session: Session, row: OutboxMail, ticket: Ticket | None) -> str:
    """The words of the mail in hand (a client's, or a colleague's answer), else the ticket's."""
    mail = session.get(Inbound, row.inbound_id) if row.inbound_id else None
    if mail is not None and mail.message_class == "bounce":
        return ""
    if row.kind == NoticeKind.AGENT_NEW:
        mail = None  # what the client wrote until then, whoever's mail made this one be sent
    text = (mail.new_text if mail else None) or (ticket.text if ticket else "")
    return text if len(text) <= LONGEST_CLIENT_TEXT else text[:LONGEST_CLIENT_TEXT] + "\n[…]"


def _findings(session: Session, ticket: Ticket | None) -> list[dict[str, Any]]:
    """What triage found, with the client's words, for an agent to validate."""
    if ticket is None:
        return []
    event = session.scalar(
        select(Event)
        .where(Event.ticket_id == ticket.id, Event.kind == "triaged")
        .order_by(Event.id.desc())
        .limit(1)
    )
    if event is None:
        return []
    triage = event.data["triage"]
    found = []
    for name in ("kind", "exclusion", "priority", "requested_priority"):
        judged = triage[name]
        if judged["value"] is None:
            continue
        words = list(dict.fromkeys(each["text"] for each in judged["evidence"]))[:4]
        found.append(
            {
                "name": name,
                "value": str(judged["value"]),
                "confidence": judged["confidence"],
                "words": words,
            }
        )
    return found


def with_datetimes(value: Any, key: str = "") -> Any:
    """Return JSON data with ISO texts under keys ending in `_at` or `_on` as datetimes."""
    if isinstance(value, dict):
        return {name: with_datetimes(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [with_datetimes(each) for each in value]
    if isinstance(value, str) and key.endswith(("_at", "_on")):
        return datetime.fromisoformat(value)
    return value
