"""What is decided about a mail, as plain values; `services.apply` carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mailflow.core.tickets import Action, State

Json = Any  # what json.dumps takes


class Audience(StrEnum):
    """Who a notice goes to."""

    CLIENT = "client"  # the requester, the watchers in Cc
    SENDER = "sender"  # the sender of the mail in hand, who has no ticket
    AGENT = "agent"  # the agent in charge, or all agents where there is none
    SUPERVISOR = "supervisor"


class NoticeKind(StrEnum):
    """Each kind of mail that mailflow writes; the name of its template."""

    REGISTRATION = "registration"
    REQUEST_INFORMATION = "request_information"
    EXCLUSION = "exclusion"
    HELD = "held"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    ANSWER = "answer"
    PRIORITY_CHANGED = "priority_changed"
    RESOLUTION = "resolution"
    CLOSED = "closed"
    REOPENED = "reopened"
    WAITING = "waiting"
    PROGRESS = "progress"
    MISSING_REMINDER = "missing_reminder"
    CONFIRMATION_REMINDER = "confirmation_reminder"
    ABANDONED = "abandoned"
    AGENT_NEW = "agent_new"
    AGENT_REPLY = "agent_reply"
    AGENT_REVIEW = "agent_review"
    AGENT_REMINDER = "agent_reminder"
    AGENT_ESCALATION = "agent_escalation"
    AGENT_PROMPT = "agent_prompt"
    AGENT_PROBLEM = "agent_problem"
    AGENT_TRANSCRIPT = "agent_transcript"
    AGENT_DIGEST = "agent_digest"

    @property
    def is_for_agents(self) -> bool:
        """Whether agents read it, not clients."""
        return self.value.startswith("agent_")


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail that we owe someone."""

    kind: NoticeKind
    audience: Audience
    data: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a ticket: what happened, what it does to the state, what it changes."""

    kind: str
    action: Action | None = None
    changes: Mapping[str, Json] = field(default_factory=dict)  # column → value
    data: Mapping[str, Json] = field(default_factory=dict)  # the evidence


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket to be written. Its reference is given by the store, if `registered`."""

    state: State
    registered: bool
    subject: str
    requester: str
    requester_name: str
    watchers: tuple[str, ...]
    language: str
    organisation: str | None
    kind: str
    exclusion: str | None
    priority: int | None
    requested_priority: int | None
    review: tuple[str, ...]
    items: tuple[str, ...]
    asked: tuple[str, ...]
    text: str = field(repr=False)
    linked_to: int | None = None
    agent: str | None = None  # who knows the matter already; else one is chosen


@dataclass(frozen=True, slots=True)
class Decision:
    """All that follows from one mail: applied whole, in one transaction, or not at all."""

    outcome: str
    reason: str
    new_ticket: NewTicket | None = None
    ticket_id: int | None = None
    steps: tuple[Step, ...] = ()
    notices: tuple[Notice, ...] = ()
