"""From a stored mail to a decision carried out: decide, carry out, commit."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import Inbound
from mailflow.core.agents import find_agent
from mailflow.core.decide import decide, needs_triage
from mailflow.core.decisions import Decision
from mailflow.core.messages import InboundMessage
from mailflow.desk import Desk
from mailflow.errors import GatewayError, MessageError
from mailflow.failpoints import reach
from mailflow.logs import log
from mailflow.services.agent_mail import QUARANTINED, handle_agent_mail, is_agent_mail
from mailflow.services.apply import apply
from mailflow.services.facts import gather
from mailflow.services.files import fetch_files, keep_attachments
from mailflow.services.owe import fetch_owed
from mailflow.services.reading import (
    Batch,
    Reading,
    fetch_sender_quotas,
    join_triages,
    take_batch,
    thread_text,
    with_thread,
)
from mailflow.services.recovery import unfinished
from mailflow.services.setbacks import quarantine, try_again


def process_due(desk: Desk) -> int:
    """Process what is due, one batch; return how many mails were claimed."""
    batch = take_batch(desk)
    _finish_batch(desk, batch)
    return batch.claimed


class Pipeline:
    """Processes batch after batch; the next one is triaged while this one is committed and sent."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._batch: Batch | None = None

    def advance(self) -> int:
        """Take the next batch, finish the one before; return how many mails were in either."""
        before, self._batch = self._batch, None
        following = take_batch(self._desk)
        if following.claimed:
            self._batch = following
        if before is not None:
            _finish_batch(self._desk, before)
        return following.claimed + (before.claimed if before is not None else 0)

    def drop(self) -> None:
        """Let go of the batch that was taken: its mails are given back."""
        before, self._batch = self._batch, None
        if before is not None:
            unfinished(self._desk).inbound.update(each.inbound_id for each in before.readings)

    def finish(self) -> None:
        """Finish the batch that was taken, and take no other."""
        before, self._batch = self._batch, None
        if before is not None:
            _finish_batch(self._desk, before)


def _finish_batch(desk: Desk, batch: Batch) -> None:
    try:
        _process_all(desk, join_triages(batch))
    except GatewayError:
        unfinished(desk).inbound.update(each.inbound_id for each in batch.readings)
        raise


def _process_all(desk: Desk, readings: Sequence[Reading]) -> None:
    """Decide the mails and carry it out: clients' mails in one transaction, where that works.

    Where it does not, whatever the reason, each has its own, so that the one at fault fails
    alone. Agents' mails always have: their senders' proof may take a question to the network.
    """
    together: list[Reading] = []
    alone: list[Reading] = []
    for reading in readings:
        senders = (find_agent(desk.agents, each.address) for each in reading.message.senders)
        (alone if any(senders) else together).append(reading)
    if len(together) > 1:
        try:
            decisions = _commit_together(desk, together)
        except Exception as error:
            log.warning("batch.failed", mails=len(together), error=str(error))
            alone = [*together, *alone]
        else:
            reach("process-committed")
            for inbound_id, decision in decisions:
                _log(inbound_id, decision)
    else:
        alone = [*together, *alone]
    for reading in sorted(alone, key=lambda each: each.inbound_id):
        _process(desk, reading)


def _process(desk: Desk, reading: Reading) -> None:
    """Decide one mail and carry it out; an error sets this mail aside and no other."""
    structlog.contextvars.bind_contextvars(mail=reading.inbound_id)
    try:
        decision = _commit(desk, reading)
        if decision is not None:
            reach("process-committed")
            _log(reading.inbound_id, decision)
    except GatewayError:
        raise
    except MessageError as error:
        quarantine(desk, reading.inbound_id, str(error))
    except Exception as error:
        try_again(desk, reading.inbound_id, error)
    finally:
        structlog.contextvars.unbind_contextvars("mail")


def _log(inbound_id: int, decision: Decision) -> None:
    log.info("mail.processed", mail=inbound_id, outcome=decision.outcome, reason=decision.reason)


def _commit_together(desk: Desk, readings: Sequence[Reading]) -> list[tuple[int, Decision]]:
    ids = [reading.inbound_id for reading in readings]
    decisions = []
    with desk.database.begin() as session:
        query = select(Inbound).where(Inbound.id.in_(ids)).order_by(Inbound.id).with_for_update()
        rows = {row.id: row for row in session.scalars(query)}
        fetch_owed(session, ids)
        fetch_files(session, [reading.message for reading in readings])
        fetch_sender_quotas(session, desk, readings)
        for reading in readings:
            row = rows[reading.inbound_id]
            if row.status == "processing" and row.claimed_by == desk.worker:
                decision = _decide(session, desk, reading, row, desk.clock())
                decisions.append((row.id, decision))
    return decisions


def _commit(desk: Desk, reading: Reading) -> Decision | None:
    with desk.database.begin() as session:
        row = session.get_one(Inbound, reading.inbound_id, with_for_update=True)
        if row.status != "processing" or row.claimed_by != desk.worker:
            return None  # our claim ran out and another worker has it
        return _decide(session, desk, reading, row, desk.clock())


def _decide(
    session: Session, desk: Desk, reading: Reading, row: Inbound, now: datetime
) -> Decision:
    """Decide on the mail and write all that follows into the transaction."""
    message = reading.message
    facts = gather(session, desk, message, split_off=reading.split_off)
    triage = reading.triage
    if needs_triage(message, facts):
        text = thread_text(session, facts)
        if triage is None or text != reading.thread_text:
            triage = desk.triager.triage(with_thread(message, facts, text))
    if is_agent_mail(facts):
        decision = handle_agent_mail(session, desk, message, facts, row.id, now)
        ticket_id = decision.ticket_id
    else:
        decision = decide(message, facts, triage, now)
        sender = message.sender.address if message.sender else ""
        ticket = apply(
            session,
            desk,
            decision,
            f"in-{row.id}",
            now,
            inbound_id=row.id,
            sender=sender,
            actor=sender or "mailflow",
            new_text=message.new_text,
        )
        ticket_id = ticket.id if ticket else None
    _record(session, row, message, decision, ticket_id, now)
    keep_attachments(session, desk, row.id, message)
    return decision


def _record(
    session: Session,
    row: Inbound,
    message: InboundMessage,
    decision: Decision,
    ticket_id: int | None,
    now: datetime,
) -> None:
    row.status = QUARANTINED if decision.outcome == QUARANTINED else "done"
    row.processed_at = now
    row.claimed_by = None
    row.claimed_until = None
    row.outcome = decision.outcome
    row.reason = decision.reason
    row.ticket_id = ticket_id
    row.message_id = message.message_id
    row.references = list(message.references)[-30:]
    row.sender = message.sender.address if message.sender else None
    row.subject = message.subject
    row.message_class = message.message_class.value
    row.language = message.language
    row.new_text = message.new_text
