"""Claim stored mails, parse them, and hand those that need it over for triage: the slow part,
outside any transaction that writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.parse import parse_message
from mailflow.adapters.sandboxed_parse import parse_in_child
from mailflow.adapters.store import claim_inbound, fetch_quotas
from mailflow.adapters.tables import Inbound, RawMail, Ticket
from mailflow.adapters.triage_process import TriageProcess
from mailflow.core.decide import Facts, needs_triage
from mailflow.core.messages import InboundMessage
from mailflow.core.tickets import State
from mailflow.core.triage import Triage
from mailflow.desk import Desk
from mailflow.errors import GatewayError, MessageError
from mailflow.failpoints import reach
from mailflow.logs import log
from mailflow.services.facts import gather
from mailflow.services.recovery import give_back_inbound, unfinished
from mailflow.services.setbacks import quarantine, try_again
from mailflow.services.throttle import hold_back_floods

LEASE = timedelta(seconds=60)
BATCH = 20
MOST_DEATHS = 10  # of the daemon over one mail: it may not be the mail's fault
PARSER_FAILED = "the parser failed"  # the defect of a mail that nobody could read
SPLIT_OFF = "split"  # the outcome of a mail that `ticket_actions` gave back
RISKY_BYTES = 2_000_000  # larger mails, and second attempts, are parsed in a child process


@dataclass(frozen=True, slots=True)
class Reading:
    """A mail that was parsed, and triaged if it needed that, before the transaction."""

    inbound_id: int
    message: InboundMessage
    triage: Triage | None
    thread_text: str  # the text that the triage was made with, from the ticket's thread
    split_off: bool = False  # an agent gave it a ticket of its own


@dataclass(frozen=True, slots=True)
class Batch:
    """Mails that were claimed and read, those that need it handed over for triage."""

    claimed: int
    readings: Sequence[Reading]
    wanted: Sequence[tuple[int, str]]  # which of them, and the thread's text they go with
    triages: Callable[[], Sequence[Triage]]


def take_batch(desk: Desk) -> Batch:
    with desk.database.begin() as session:
        give_back_inbound(session, desk)
        ids = claim_inbound(session, desk.worker, desk.clock(), LEASE, BATCH)
    unfinished(desk).inbound.clear()
    reach("process-claimed")
    try:
        return _read_batch(desk, ids)
    except GatewayError:
        unfinished(desk).inbound.update(ids)
        raise


def _read_batch(desk: Desk, ids: Sequence[int]) -> Batch:
    readings = _read_all(desk, ids)
    if readings:
        held = hold_back_floods(desk, [(each.inbound_id, each.message) for each in readings])
        readings = [each for each in readings if each.inbound_id not in held]
    wanted = _find_wanted(desk, readings)
    messages = [message for _, _, message in wanted]
    triages = _hand_over(desk, messages)
    return Batch(len(ids), readings, [(at, text) for at, text, _ in wanted], triages)


def _hand_over(desk: Desk, messages: Sequence[InboundMessage]) -> Callable[[], Sequence[Triage]]:
    if not messages:
        return list
    if isinstance(desk.triager, TriageProcess):
        return desk.triager.hand_over(messages).get
    return partial(desk.triager.triage_many, messages)


def _read_all(desk: Desk, ids: Sequence[int]) -> list[Reading]:
    """Parse the mails; one that cannot be parsed is set aside."""
    with desk.database.read() as session:
        found = session.execute(
            select(Inbound, RawMail.content)
            .join(RawMail, RawMail.inbound_id == Inbound.id)
            .where(Inbound.id.in_(ids))
            .order_by(Inbound.id)
        )
        mails = [(row, content) for row, content in found]
    readings = (_read(desk, row, content) for row, content in mails)
    return [reading for reading in readings if reading is not None]


def _read(desk: Desk, row: Inbound, raw: bytes) -> Reading | None:
    if row.attempts > MOST_DEATHS:
        reason = f"processing it ended the daemon {row.attempts - 1} times"
        quarantine(desk, row.id, row.reason or reason)
        return None
    own = desk.config.support.own_addresses
    limits = desk.config.limits
    structlog.contextvars.bind_contextvars(mail=row.id)
    try:
        if len(raw) > RISKY_BYTES or row.attempts > 1:
            message = parse_in_child(
                raw, own, seconds=limits.parse_seconds, memory_mb=limits.parse_memory_mb
            )
        else:
            message = parse_message(raw, own)
    except MessageError as error:
        quarantine(desk, row.id, str(error))
        return None
    except Exception as error:
        try_again(desk, row.id, error)
        return None
    finally:
        structlog.contextvars.unbind_contextvars("mail")
    failed = next((each for each in message.defects if each.startswith(PARSER_FAILED)), None)
    if failed is not None:
        quarantine(desk, row.id, failed)
        return None
    return Reading(row.id, message, None, "", split_off=row.outcome == SPLIT_OFF)


def _find_wanted(desk: Desk, readings: Sequence[Reading]) -> list[tuple[int, str, InboundMessage]]:
    """Find the mails that need a triage: place, the thread's text, what is to be triaged."""
    wanted: list[tuple[int, str, InboundMessage]] = []
    if not readings:
        return wanted
    with desk.database.read() as session:
        fetch_sender_quotas(session, desk, readings)
        for index, reading in enumerate(readings):
            facts = gather(session, desk, reading.message, split_off=reading.split_off)
            if needs_triage(reading.message, facts):
                text = thread_text(session, facts)
                wanted.append((index, text, with_thread(reading.message, facts, text)))
    return wanted


def join_triages(batch: Batch) -> list[Reading]:
    """Wait for the triages. They are made together: models are faster on many.

    Where that fails, each is triaged alone later on, so that the one at fault fails alone.
    """
    done = list(batch.readings)
    try:
        triages = batch.triages()
    except GatewayError:
        raise
    except Exception as error:
        log.error("triage.failed", mails=len(batch.wanted), exc_info=error)
        return done
    for (at, text), triage in zip(batch.wanted, triages, strict=True):
        done[at] = replace(done[at], triage=triage, thread_text=text)
    return done


def thread_text(session: Session, facts: Facts) -> str:
    """What the client wrote before in an incomplete ticket: required items add up over mails."""
    if facts.ticket is None or facts.ticket.state not in (State.INCOMPLETE, State.ABANDONED):
        return ""
    return session.get_one(Ticket, facts.ticket.id).text


def with_thread(message: InboundMessage, facts: Facts, text: str) -> InboundMessage:
    if facts.ticket is None or not text:
        return message
    whole = f"{text}\n\n{message.new_text}"
    return replace(message, text=whole, new_text=whole, subject=facts.ticket.subject)


def fetch_sender_quotas(session: Session, desk: Desk, readings: Sequence[Reading]) -> None:
    senders = {each.message.sender.address for each in readings if each.message.sender}
    fetch_quotas(session, senders, desk.clock())
