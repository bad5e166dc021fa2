"""A client's mail in the thread of a ticket: what it does depends on the ticket's state."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailflow.core.confirmations import Answer, Confirmation, read_confirmation
from mailflow.core.contacts import find_contact
from mailflow.core.decisions import Audience, Decision, Json, Notice, NoticeKind, Step
from mailflow.core.messages import InboundMessage
from mailflow.core.tickets import Action, State, Ticket
from mailflow.core.triage import Item, Kind, Outcome, Triage


@dataclass(frozen=True, slots=True)
class FollowUpRules:
    """What the policy says of answers: how long a closed ticket can be reopened, and more."""

    reopening_grace: timedelta
    priority_after_workaround: int


MOST_QUESTIONS = 3  # after that an agent reads the thread instead of a fourth automatic question
FEWEST_WORDS = 6  # an answer of so many words to a single question is taken as the answer


def follow_up(
    message: InboundMessage,
    ticket: Ticket,
    triage: Triage | None,
    now: datetime,
    rules: FollowUpRules,
    watchers: tuple[str, ...] = (),
) -> Decision | None:
    """Decide a mail of the client in its thread; None means: treat it as a new request.

    `triage` is needed for incomplete, abandoned and closed tickets; for the first two it was
    made of the whole thread's text, since the required items are added up over all mails.
    """
    received = Step("received", data={"watchers": list(watchers)} if watchers else {})
    if ticket.state in (State.INCOMPLETE, State.ABANDONED):
        assert triage is not None  # noqa: S101
        return _completed(message, ticket, triage, received)
    if ticket.state is State.RESOLVED:
        return _confirmed(message, ticket, received, rules)
    if ticket.state is State.CLOSED:
        assert triage is not None  # noqa: S101
        return _after_closing(message, ticket, triage, now, rules.reopening_grace, received)
    return _in_work(message, ticket, received)


def _completed(message: InboundMessage, ticket: Ticket, triage: Triage, received: Step) -> Decision:
    revive = (Step("revived", Action.REVIVE),) if ticket.state is State.ABANDONED else ()
    changed = triage.kind.value in (Kind.EXCLUDED, Kind.NOISE)  # these need no items
    wanted = triage.missing
    if triage.kind.value is Kind.NOISE:  # thanks, or a word between: nothing was given yet
        wanted = tuple(Item(name) for name in ticket.asked)
    missing = [
        item
        for item in wanted
        if item.value not in ticket.items and not _is_answer(message, ticket, item)
    ]
    given = frozenset(item.value for item in Item) - {item.value for item in missing}
    judgement = {
        "kind": triage.kind.value.value,
        "priority": triage.priority.value,
        "requested_priority": triage.requested_priority.value,
    }
    if changed:  # what was asked for stays a problem until an agent says otherwise
        judgement = {}
    changes = {
        "items": sorted(given),
        **{name: value for name, value in judgement.items() if value is not None},
    }
    judged = Step("triaged", data={"triage": triage})
    if missing and ticket.times_asked < MOST_QUESTIONS:
        names = [item.value for item in missing]
        asked = Step("asked", Action.ASK, {**changes, "asked": names}, {"items": names})
        return Decision(
            "asked",
            "still missing: " + ", ".join(names),
            ticket_id=ticket.id,
            steps=(*revive, received, judged, asked),
            notices=(
                Notice(
                    NoticeKind.REQUEST_INFORMATION,
                    Audience.CLIENT,
                    {"missing": names, "again": True},
                ),
            ),
        )
    review = list(triage.review.reasons) if triage.review.needed else []
    if triage.kind.value is Kind.EXCLUDED:
        review.append("with the client's answer it looks like something that is excluded")
    if missing:
        review.append(
            f"asked {ticket.times_asked} times, still missing: "
            + ", ".join(item.value for item in missing)
        )
    registered = Step("completed", Action.REGISTER, {**changes, "review": review, "asked": []})
    return Decision(
        "registered",
        review[-1] if missing else "all required items are there",
        ticket_id=ticket.id,
        steps=(*revive, received, judged, registered),
        notices=(Notice(NoticeKind.REGISTRATION, Audience.CLIENT),),
    )


def _is_answer(message: InboundMessage, ticket: Ticket, item: Item) -> bool:
    """Whether the reply can be taken as the answer to the only thing that we asked for."""
    if ticket.asked != (item.value,) or item is Item.ERROR_MESSAGE:
        return False
    words = message.new_text.split()
    return len(words) >= FEWEST_WORDS and "?" not in message.new_text


def _confirmed(
    message: InboundMessage, ticket: Ticket, received: Step, rules: FollowUpRules
) -> Decision:
    answer = read_confirmation(message.new_text, message.language)
    said = {"verdict": answer.verdict.value, "words": answer.evidence_text, "reason": answer.reason}
    tell_agent = Notice(NoticeKind.AGENT_REPLY, Audience.AGENT, {"confirmation": said})
    if answer.verdict is Answer.YES and ticket.workaround and ticket.priority == 1:
        return _workaround_confirmed(ticket, received, said, rules.priority_after_workaround)
    if answer.verdict is Answer.YES:
        confirmed = Step("confirmed", Action.CONFIRM, data=said)
        return Decision(
            "closed",
            f"the client confirmed: {answer.evidence_text}",
            ticket_id=ticket.id,
            steps=(received, confirmed),
            notices=(Notice(NoticeKind.CLOSED, Audience.CLIENT, {"confirmed": True}), tell_agent),
        )
    if answer.verdict is Answer.NO:
        refused = Step("resolution_refused", Action.REFUSE, data=said)
        return Decision(
            "reopened",
            f"the client says that it is not solved: {answer.evidence_text}",
            ticket_id=ticket.id,
            steps=(received, refused),
            notices=(tell_agent,),
        )
    return _unclear(ticket, received, answer, tell_agent)


def _workaround_confirmed(
    ticket: Ticket, received: Step, said: dict[str, str], priority: int
) -> Decision:
    """The way round works: the P1 regime ends, what is left to mend has a lower priority.

    Source: contract, 'PRIORITE 1 … jusqu'à … la fourniture d'une solution de contournement'.
    """
    change = {"old": ticket.priority, "new": priority, "reason": "workaround"}
    return Decision(
        "forwarded",
        f"the workaround holds; the rest goes on under P{priority}",
        ticket_id=ticket.id,
        steps=(
            received,
            Step("workaround_confirmed", Action.KEEP_OPEN, {"workaround": False}, said),
            Step("priority_changed", changes={"priority": priority}, data=change),
        ),
        notices=(
            Notice(NoticeKind.PRIORITY_CHANGED, Audience.CLIENT, change),
            Notice(
                NoticeKind.AGENT_REPLY,
                Audience.AGENT,
                {"confirmation": {**said, "verdict": "workaround"}},
            ),
        ),
    )


def _unclear(ticket: Ticket, received: Step, answer: Confirmation, tell_agent: Notice) -> Decision:
    return Decision(
        "forwarded",
        f"neither a clear yes nor a clear no: {answer.reason}",
        ticket_id=ticket.id,
        steps=(received, Step("client_replied", Action.CLIENT_REPLIED)),
        notices=(tell_agent,),
    )


def _after_closing(
    message: InboundMessage,
    ticket: Ticket,
    triage: Triage,
    now: datetime,
    grace: timedelta,
    received: Step,
) -> Decision | None:
    if ticket.kind == Kind.NOISE:
        return Decision("ignored", "closed as spam", ticket_id=ticket.id, steps=(received,))
    answer = read_confirmation(message.new_text, message.language)
    is_thanks = answer.verdict is Answer.YES or triage.outcome is Outcome.IGNORE
    if is_thanks:
        return Decision(
            "ignored",
            f"thanks after closing: {answer.reason}",
            ticket_id=ticket.id,
            steps=(received,),
        )
    if ticket.closed_at is not None and now - ticket.closed_at > grace:
        return None
    return Decision(
        "reopened",
        "an answer within the grace time after closing",
        ticket_id=ticket.id,
        steps=(received, Step("reopened", Action.REOPEN)),
        notices=(
            Notice(NoticeKind.REOPENED, Audience.CLIENT),
            Notice(NoticeKind.AGENT_REPLY, Audience.AGENT),
        ),
    )


def _in_work(message: InboundMessage, ticket: Ticket, received: Step) -> Decision:
    steps = [received]
    was_waiting = ticket.state is State.PENDING
    steps.append(Step("resumed" if was_waiting else "client_replied", Action.CLIENT_REPLIED))
    data: dict[str, Json] = {}
    if ticket.wants_contact:
        contact = find_contact(message.new_text)
        if contact is not None:
            found = {"name": contact.name, "telephone": contact.phone.text}
            steps.append(Step("contact_given", changes={"contact": found}, data=found))
            data["contact"] = found
    if ticket.state is State.EXCLUDED:
        data["objection"] = True
        steps.append(Step("objection", changes={"review": ["the client objects to the exclusion"]}))
    return Decision(
        "forwarded",
        "the client's answer ends the wait" if was_waiting else "passed on to the agent in charge",
        ticket_id=ticket.id,
        steps=tuple(steps),
        notices=(Notice(NoticeKind.AGENT_REPLY, Audience.AGENT, data),),
    )
