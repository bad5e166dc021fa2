"""The steps from a mail to a decision, in order. Read `decide` from top to bottom."""

from dataclasses import dataclass
from datetime import date, datetime

from mailflow.core.agents import Agent
from mailflow.core.decisions import Audience, Decision, NewTicket, Notice, NoticeKind, Step
from mailflow.core.followups import FollowUpRules, follow_up
from mailflow.core.guard import may_answer
from mailflow.core.messages import InboundMessage, MessageClass
from mailflow.core.organisations import ContractStatus, Organisation, contract_status
from mailflow.core.tickets import State, Ticket
from mailflow.core.triage import Item, Outcome, Triage


@dataclass(frozen=True, slots=True)
class Facts:
    """What the shell looked up before the core decides."""

    own_addresses: frozenset[str]
    today: date  # in the desk's zone
    organisation: Organisation | None
    unknown_sender: str  # 'hold', 'refuse' or 'accept'
    default_language: str
    languages: frozenset[str]  # those that have templates
    rules: FollowUpRules
    held_notice: bool = False
    ticket: Ticket | None = None  # the ticket whose thread this mail is in
    thread_reason: str = "no thread of ours"
    outsider: bool = False  # in the thread, but not one of its people
    in_agent_thread: bool = False  # the thread that agents have about the ticket
    agent: Agent | None = None  # the agent whose address stands in From (not proof of anything)
    watchers: tuple[str, ...] = ()  # colleagues in To and Cc, of the sender's organisation
    bounced: str | None = None  # our own mail that this bounce speaks of, in a few words
    in_quota: bool = True  # an automatic mail to this sender is still under the daily cap


def needs_triage(message: InboundMessage, facts: Facts) -> bool:
    """Say whether `decide` will look at a triage: new requests, and answers to our questions."""
    if not may_answer(message, facts.own_addresses).answer or message.encrypted:
        return False
    if facts.ticket is None:
        return True
    if facts.outsider:
        return False
    state = facts.ticket.state
    return state in (State.INCOMPLETE, State.ABANDONED, State.CLOSED)


def decide(message: InboundMessage, facts: Facts, triage: Triage | None, now: datetime) -> Decision:
    """Say all that follows from `message`. Pure: the same values give the same decision."""
    if message.message_class is MessageClass.BOUNCE and facts.bounced is not None:
        return _our_mail_bounced(message, facts)
    verdict = may_answer(message, facts.own_addresses)
    if not verdict.answer:
        return _unanswered(message, facts, verdict.reason)
    if message.encrypted:
        return _unreadable(message, facts)
    if facts.ticket is not None and facts.outsider:
        return _outsider(message, facts)
    if facts.ticket is not None:
        decision = follow_up(message, facts.ticket, triage, now, facts.rules, facts.watchers)
        if decision is not None:
            return decision
    assert triage is not None, "needs_triage said so"  # noqa: S101
    return _new_request(message, facts, triage)


def language_for(message: InboundMessage, facts: Facts) -> str:
    """The language that we answer in: the mail's, else the organisation's, else the desk's."""
    wished = facts.organisation.language if facts.organisation else None
    for language in (message.language, wished):
        if language in facts.languages and language is not None:
            return language
    return facts.default_language


def _new_request(message: InboundMessage, facts: Facts, triage: Triage) -> Decision:
    status = contract_status(facts.organisation, facts.today)
    if status is not ContractStatus.RUNNING and facts.unknown_sender != "accept":
        return _without_contract(message, facts, triage, status)
    if triage.outcome is Outcome.IGNORE:
        return Decision("ignored", f"needs no answer: {triage.kind.value.value}")
    if triage.outcome is Outcome.REQUEST_INFORMATION:
        return _open(message, facts, triage, State.INCOMPLETE, NoticeKind.REQUEST_INFORMATION)
    if triage.outcome is Outcome.NOTIFY_EXCLUSION:
        return _open(message, facts, triage, State.EXCLUDED, NoticeKind.EXCLUSION)
    if triage.outcome is Outcome.HOLD:
        reason = "; ".join(triage.review.reasons) or "triage asks for a human"
        foreign = message.language not in facts.languages  # told, in the default language
        return _hold(message, facts, triage, reason, NoticeKind.HELD if foreign else None)
    return _open(message, facts, triage, State.OPEN, NoticeKind.REGISTRATION)


def _open(
    message: InboundMessage, facts: Facts, triage: Triage, state: State, kind: NoticeKind
) -> Decision:
    missing = tuple(item.value for item in triage.missing) if state is State.INCOMPLETE else ()
    ticket = _ticket(message, facts, triage, state, asked=missing)
    first = Notice(kind, Audience.CLIENT, {"missing": list(missing)} if missing else {})
    notices = [first]
    if not facts.in_quota:
        notices = [_told_agent("the answer was withheld: daily cap of automatic mails reached")]
    if state is State.EXCLUDED:
        notices.append(Notice(NoticeKind.AGENT_REVIEW, Audience.AGENT, {"reason": "excluded"}))
    steps = [Step("received", data={"thread": facts.thread_reason}), _triaged(triage)]
    if missing:
        steps.append(Step("asked", data={"items": list(missing)}))
    return Decision(
        {State.OPEN: "registered", State.INCOMPLETE: "asked", State.EXCLUDED: "excluded"}[state],
        _summary(triage),
        new_ticket=ticket,
        steps=tuple(steps),
        notices=tuple(notices),
    )


def _without_contract(
    message: InboundMessage, facts: Facts, triage: Triage, status: ContractStatus
) -> Decision:
    name = facts.organisation.name if facts.organisation else "no organisation"
    reason = {
        ContractStatus.UNKNOWN: "the sender belongs to no organisation with a contract",
        ContractStatus.NOT_BEGUN: f"the contract of {name} has not begun",
        ContractStatus.ENDED: f"the contract of {name} has ended",
    }[status]
    if triage.outcome is Outcome.IGNORE:
        return Decision("ignored", f"{reason}, and the mail needs no answer")
    if facts.unknown_sender == "refuse":
        notices: tuple[Notice, ...] = ()
        if facts.in_quota:
            data = {"contract": status.value, "language": language_for(message, facts)}
            notices = (Notice(NoticeKind.REFUSED, Audience.SENDER, data),)
        return Decision("refused", reason, notices=notices)
    return _hold(message, facts, triage, reason, NoticeKind.HELD if facts.held_notice else None)


def _hold(
    message: InboundMessage,
    facts: Facts,
    triage: Triage | None,
    reason: str,
    notice: NoticeKind | None,
) -> Decision:
    ticket = _ticket(message, facts, triage, State.HELD, review=(reason,))
    notices = [_told_agent(reason)]
    if notice is not None and facts.in_quota:
        notices.append(Notice(notice, Audience.CLIENT))
    steps = [Step("received", data={"thread": facts.thread_reason})]
    if triage is not None:
        steps.append(_triaged(triage))
    steps.append(Step("held", data={"reason": reason}))
    return Decision("held", reason, new_ticket=ticket, steps=tuple(steps), notices=tuple(notices))


def _unanswered(message: InboundMessage, facts: Facts, reason: str) -> Decision:
    """A machine's mail ends here; one of unclear authorship goes to a human."""
    if message.message_class is MessageClass.PERSON and not _is_own(message, facts):
        return _hold(message, facts, None, reason, None)
    if facts.ticket is None or message.message_class is MessageClass.OWN:
        return Decision("ignored", reason)
    step = Step("machine_mail", data={"class": message.message_class.value, "reason": reason})
    return Decision("ignored", reason, ticket_id=facts.ticket.id, steps=(step,))


def _is_own(message: InboundMessage, facts: Facts) -> bool:
    return any(sender.address in facts.own_addresses for sender in message.senders)


def _unreadable(message: InboundMessage, facts: Facts) -> Decision:
    reason = "the mail is encrypted, so that nobody here can read it"
    status = contract_status(facts.organisation, facts.today)
    is_client = status is ContractStatus.RUNNING or facts.unknown_sender == "accept"
    return _hold(message, facts, None, reason, NoticeKind.UNREADABLE if is_client else None)


def _outsider(message: InboundMessage, facts: Facts) -> Decision:
    assert facts.ticket is not None  # noqa: S101
    about = facts.ticket.reference or f"ticket {facts.ticket.id}"
    reason = f"someone outside the thread answered in it ({about}); nothing was shown to them"
    return _hold(message, facts, None, reason, None)


def _our_mail_bounced(message: InboundMessage, facts: Facts) -> Decision:
    bounce = message.bounce
    recipients = [r.address for r in bounce.recipients if r.permanent] if bounce else []
    if not recipients or facts.ticket is None:
        return Decision("ignored", f"bounce of {facts.bounced}: {message.class_reason}")
    data = {"what": facts.bounced, "recipients": recipients, "reason": message.class_reason}
    problem = f"{facts.bounced} did not reach {', '.join(recipients)}"
    told = () if facts.ticket.undelivered else (_told_agent(problem, NoticeKind.AGENT_PROBLEM),)
    return Decision(
        "bounced",
        problem,
        ticket_id=facts.ticket.id,
        steps=(Step("bounced", data=data, changes={"undelivered": True}),),
        notices=told,  # once a ticket: a storm of bounces is one piece of news
    )


def _told_agent(reason: str, kind: NoticeKind = NoticeKind.AGENT_REVIEW) -> Notice:
    return Notice(kind, Audience.AGENT, {"reason": reason})


def _ticket(
    message: InboundMessage,
    facts: Facts,
    triage: Triage | None,
    state: State,
    asked: tuple[str, ...] = (),
    review: tuple[str, ...] = (),
) -> NewTicket:
    sender = message.sender or (message.senders[0] if message.senders else None)
    reasons = review + (triage.review.reasons if triage and triage.review.needed else ())
    old = facts.ticket if facts.ticket is not None and not facts.outsider else None
    return NewTicket(
        state=state,
        registered=state is State.OPEN,
        subject=message.subject,
        requester=sender.address if sender else "",
        requester_name=sender.name if sender else "",
        watchers=facts.watchers if sender else (),
        language=language_for(message, facts),
        organisation=facts.organisation.name if facts.organisation else None,
        kind=triage.kind.value.value if triage else "problem",
        exclusion=triage.exclusion.value.value if triage and triage.exclusion.value else None,
        priority=triage.priority.value if triage else None,
        requested_priority=triage.requested_priority.value if triage else None,
        review=reasons,
        items=tuple(sorted(given_items(triage))) if triage else (),
        asked=asked,
        text=message.new_text,
        linked_to=old.id if old else None,
        agent=facts.ticket.agent if facts.ticket is not None and facts.outsider else None,
    )


def given_items(triage: Triage) -> frozenset[str]:
    """The required items that triage found in a mail."""
    return frozenset(item.value for item in Item) - {item.value for item in triage.missing}


def _triaged(triage: Triage) -> Step:
    return Step("triaged", data={"triage": triage})


def _summary(triage: Triage) -> str:
    parts = [triage.kind.value.value]
    if triage.exclusion.value is not None:
        parts.append(triage.exclusion.value.value)
    if triage.priority.value is not None:
        parts.append(f"P{triage.priority.value}")
    if triage.missing:
        parts.append("missing " + ", ".join(item.value for item in triage.missing))
    if triage.review.needed:
        parts.append("an agent will check it")
    return "; ".join(parts)
