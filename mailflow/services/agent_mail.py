"""An agent's reply in an agent's thread: prove the sender, carry out the orders, report back."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.outgoing import clean_message_id
from mailflow.adapters.signatures import FindTxt, check_signatures, find_txt
from mailflow.adapters.store import add_event, loads_of_agents, note_load
from mailflow.adapters.tables import Inbound, OutboxMail, RawMail, Ticket
from mailflow.core.acting import Actor
from mailflow.core.agents import Agent, Role, choose_agent
from mailflow.core.authority import Proof, Signature, check_sender
from mailflow.core.commands import parse_orders
from mailflow.core.decide import Facts
from mailflow.core.decisions import Audience, Decision, Notice, NoticeKind
from mailflow.core.messages import InboundMessage, MessageClass
from mailflow.desk import Desk
from mailflow.services.owe import owe, tell_agents
from mailflow.services.ticket_actions import Transcript, order

QUARANTINED = "quarantined"


def is_agent_mail(facts: Facts) -> bool:
    """Whether the mail claims to be an agent's, in an agent's thread."""
    return facts.agent is not None and facts.in_agent_thread and facts.ticket is not None


def handle_agent_mail(
    session: Session,
    desk: Desk,
    message: InboundMessage,
    facts: Facts,
    inbound_id: int,
    now: datetime,
    find: FindTxt = find_txt,
) -> Decision:
    """Carry out what a proven agent wrote; hold what is not proven and tell the real agent."""
    agent, ticket_id = facts.agent, facts.ticket.id if facts.ticket else 0
    assert agent is not None  # noqa: S101
    ticket = session.get_one(Ticket, ticket_id, with_for_update=True)
    proof = _prove(session, desk, message, inbound_id, find)
    if proof.proven and _was_obeyed(session, message):
        proof = Proof(False, "a mail with this Message-ID was obeyed already; this is a replay")
    cause = f"in-{inbound_id}"
    if not proof.proven:
        data = {"claims": agent.address, "reason": proof.reason}
        add_event(session, ticket, "command_mail_held", now, "mailflow", data, inbound_id)
        reason = f"a mail in the name of {agent.name} was not obeyed: {proof.reason}"
        told = {"reason": reason, "not_obeyed": proof.reason, "to": agent.address}
        to_agent = Notice(NoticeKind.AGENT_PROBLEM, Audience.AGENT, told)
        owe(session, desk, to_agent, ticket, cause, now)
        return Decision(QUARANTINED, reason, ticket_id=ticket_id)
    if message.message_class is not MessageClass.PERSON:
        return _absent(session, desk, message, agent, ticket, now)
    transcript = _obey(session, desk, message, agent, ticket, inbound_id, now)
    done = "; ".join((*transcript.done, *(f"refused: {line}" for line in transcript.refused)))
    return Decision("ordered", f"{proof.reason}; {done}", ticket_id=ticket_id)


def _was_obeyed(session: Session, message: InboundMessage) -> bool:
    """Whether orders came under this Message-ID before: a signed mail can be sent again."""
    query = select(Inbound.id).where(
        Inbound.message_id == message.message_id, Inbound.outcome == "ordered"
    )
    return message.message_id is not None and session.scalar(query.limit(1)) is not None


def _prove(
    session: Session, desk: Desk, message: InboundMessage, inbound_id: int, find: FindTxt
) -> Proof:
    trust = desk.config.trust
    signatures: tuple[Signature, ...] = ()
    if trust.agent_proof == "dkim":
        signatures = check_signatures(session.get_one(RawMail, inbound_id).content, find)
    return check_sender(message, trust.agent_proof, trust.authserv_id, signatures)


def _obey(
    session: Session,
    desk: Desk,
    message: InboundMessage,
    agent: Agent,
    ticket: Ticket,
    inbound_id: int,
    now: datetime,
) -> Transcript:
    orders = parse_orders(message.new_text)
    actor = Actor(agent.name, agent.address, agent.role)
    cause = f"in-{inbound_id}"
    progress: tuple[Notice, ...] = ()
    may_act = agent.role is not Role.OBSERVER
    is_text = bool(orders.answer) and not orders.has_commands
    if may_act and is_text and _answers_prompt(session, message):
        data = {"text": orders.answer, "author": agent.name, "attachments_of": inbound_id}
        progress = (Notice(NoticeKind.PROGRESS, Audience.CLIENT, data),)
        orders = replace(orders, answer="")
    transcript = order(
        session, desk, ticket, orders, actor, cause, now, inbound_id=inbound_id, more=progress
    )
    if progress:
        add_event(session, ticket, "progress_given", now, agent.address, {}, inbound_id)
        transcript = replace(transcript, done=(*transcript.done, "progress sent to the client"))
    if orders.has_commands or transcript.refused:
        report_data = {
            "done": list(transcript.done),
            "refused": list(transcript.refused),
            "notes": [],
            "to": agent.address,
        }
        report = Notice(NoticeKind.AGENT_TRANSCRIPT, Audience.AGENT, report_data)
        owe(session, desk, report, ticket, cause, now, inbound_id=inbound_id)
    if may_act and (orders.answer or progress):
        _show_colleagues(session, desk, message, agent, ticket, inbound_id, now)
    return transcript


def _answers_prompt(session: Session, message: InboundMessage) -> bool:
    ids = [each for raw in message.in_reply_to if (each := clean_message_id(raw)) is not None]
    kind = session.scalar(select(OutboxMail.kind).where(OutboxMail.message_id.in_(ids)).limit(1))
    return kind == NoticeKind.AGENT_PROMPT


def _show_colleagues(
    session: Session,
    desk: Desk,
    message: InboundMessage,
    agent: Agent,
    ticket: Ticket,
    inbound_id: int,
    now: datetime,
) -> None:
    """Agents who had this ticket's mails see what a colleague answered."""
    seen = session.scalars(
        select(OutboxMail.recipient)
        .where(OutboxMail.ticket_id == ticket.id, OutboxMail.kind.startswith("agent_"))
        .distinct()
    )
    known = {each.address for each in desk.agents} - {agent.address}
    for address in sorted(known & {*seen, ticket.agent or ""}):
        data = {"to": address, "answer_by": agent.name}
        notice = Notice(NoticeKind.AGENT_REPLY, Audience.AGENT, data)
        owe(session, desk, notice, ticket, f"in-{inbound_id}", now, inbound_id=inbound_id)


def _absent(
    session: Session,
    desk: Desk,
    message: InboundMessage,
    agent: Agent,
    ticket: Ticket,
    now: datetime,
) -> Decision:
    """An agent's absence message hands the ticket on before its deadline is lost."""
    is_absence = message.message_class is MessageClass.AUTO_REPLY and ticket.agent == agent.address
    if not is_absence:
        return Decision("ignored", message.class_reason, ticket_id=ticket.id)
    hand_over(session, desk, ticket, agent, f"{agent.name} is absent", now)
    return Decision("handed_over", f"absence message of {agent.name}", ticket_id=ticket.id)


def hand_over(
    session: Session, desk: Desk, ticket: Ticket, agent: Agent, why: str, now: datetime
) -> Agent | None:
    """Put the next agent on duty in charge; without one, everybody is told."""
    counts, latest = loads_of_agents(session)
    others = frozenset({agent.address})
    successor, reason = choose_agent(
        desk.agents, ticket.language, now, counts, latest, not_these=others
    )
    if successor is None:
        tell_agents(session, desk, f"{why}; {reason}", f"absent-{ticket.id}", now)
        return None
    ticket.agent = successor.address
    note_load(session, successor.address, now)
    data = {"agent": successor.address, "name": successor.name, "reason": f"{why}; {reason}"}
    event = add_event(session, ticket, "assigned", now, "mailflow", data)
    session.flush()
    notice = Notice(NoticeKind.AGENT_NEW, Audience.AGENT, {"to": successor.address})
    owe(session, desk, notice, ticket, f"event-{event.id}", now)
    return successor
