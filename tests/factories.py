"""Values for the tests of the core: mails, facts, tickets and triages, with harmless defaults."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mailflow.core.agents import Agent, Role
from mailflow.core.decide import Facts
from mailflow.core.followups import FollowUpRules
from mailflow.core.messages import Address, InboundMessage, MessageClass
from mailflow.core.organisations import Organisation
from mailflow.core.tickets import State, Ticket
from mailflow.core.triage import (
    ErrorField,
    ErrorStatus,
    Exclusion,
    Field,
    Fields,
    Item,
    Judged,
    Kind,
    Outcome,
    Review,
    Triage,
)

NOW = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)  # a Tuesday
CLIENT = Address("Ann Client", "ann@client.example")
STRANGER = Address("Eve", "eve@elsewhere.example")
SUPPORT = "support@support.example"
ORGANISATION = Organisation("Client SA", domains=("client.example",))
RULES = FollowUpRules(reopening_grace=timedelta(days=14), priority_after_workaround=3)
MARIE = Agent("Marie Dupont", "marie@support.example", ("fr", "en"))
JOHN = Agent("John Doe", "john@support.example", ("en",))
SUSAN = Agent("Susan Chief", "susan@support.example", ("en", "fr"), Role.SUPERVISOR)
OLIVER = Agent("Oliver Watcher", "oliver@support.example", ("fr",), Role.OBSERVER)
AGENTS = (MARIE, JOHN, SUSAN, OLIVER)

_MESSAGE = InboundMessage(
    message_id="<1@client.example>",
    in_reply_to=(),
    references=(),
    senders=(CLIENT,),
    reply_to=(),
    to=(Address("", SUPPORT),),
    cc=(),
    subject="The export fails",
    date=NOW,
    language="en",
    text="The export fails.",
    new_text="The export fails.",
    signature="",
    quoted="",
    forwarded=None,
    message_class=MessageClass.PERSON,
    class_reason="",
    bounce=None,
    attachments=(),
    defects=(),
)
_FACTS = Facts(
    own_addresses=frozenset({SUPPORT}),
    today=date(2026, 3, 3),
    organisation=ORGANISATION,
    unknown_sender="hold",
    default_language="fr",
    languages=frozenset({"fr", "en"}),
    rules=RULES,
)
_TICKET = Ticket(
    id=7,
    state=State.OPEN,
    reference="MF-2026-000007",
    subject="The export fails",
    requester=CLIENT.address,
    participants=frozenset({CLIENT.address}),
    language="en",
    priority=3,
)


def make_message(new_text: str = "The export fails.", **changes: Any) -> InboundMessage:
    """A person's mail from `CLIENT`, with `changes`."""
    return replace(_MESSAGE, new_text=new_text, text=new_text, **changes)


def make_facts(**changes: Any) -> Facts:
    """What is known of a mail from `CLIENT`, whose contract runs."""
    return replace(_FACTS, **changes)


def make_ticket(state: State = State.OPEN, **changes: Any) -> Ticket:
    """A ticket of `CLIENT`; without a reference in the states that come before one."""
    if state in (State.INCOMPLETE, State.HELD, State.ABANDONED, State.EXCLUDED):
        changes.setdefault("reference", None)
    return replace(_TICKET, state=state, **changes)


def make_triage(
    outcome: Outcome = Outcome.REGISTER,
    *,
    kind: Kind = Kind.PROBLEM,
    exclusion: Exclusion | None = None,
    priority: int | None = 3,
    requested: int | None = None,
    missing: tuple[Item, ...] = (),
    reasons: tuple[str, ...] = (),
) -> Triage:
    """A triage that is sure of itself; `reasons` make it ask for a review."""
    return Triage(
        language="en",
        kind=Judged(kind, 0.9),
        exclusion=Judged(exclusion, 0.9),
        priority=Judged(priority, 0.9),
        requested_priority=Judged(requested, 0.9),
        fields=Fields(
            description=Field(Item.DESCRIPTION not in missing),
            feature=Field(Item.FEATURE not in missing),
            steps=Field(Item.STEPS not in missing),
            error_message=ErrorField(
                ErrorStatus.MISSING if Item.ERROR_MESSAGE in missing else ErrorStatus.GIVEN
            ),
        ),
        missing=missing,
        outcome=outcome,
        review=Review(bool(reasons), reasons),
    )
