"""From a stored mail to a decision carried out: claim, parse, triage, decide, commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.parse import parse_message
from mailflow.adapters.sandboxed_parse import parse_in_child
from mailflow.adapters.store import claim_inbound, fetch_quotas
from mailflow.adapters.tables import Attachment, Blob, Inbound, RawMail, Ticket
from mailflow.adapters.triage_process import TriageProcess
from mailflow.core.agents import find_agent
from mailflow.core.decide import Facts, decide, needs_triage
from mailflow.core.decisions import Decision
from mailflow.core.messages import InboundMessage
from mailflow.core.tickets import State
from mailflow.core.triage import Triage
from mailflow.desk import Desk
from mailflow.errors import GatewayError, MailflowError, MessageError
from mailflow.failpoints import reach
from mailflow.logs import log
from mailflow.services.agent_mail import QUARANTINED, handle_agent_mail, is_agent_mail
from mailflow.services.apply import apply
from mailflow.services.facts import gather
from mailflow.services.owe import fetch_owed, tell_agents
from mailflow.services.throttle import hold_back_floods

LEASE = timedelta(seconds=60)
BATCH = 20
MOST_ATTEMPTS = 3
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


def process_due(desk: Desk) -> int:
    """Process what is due, one batch; return how many mails were claimed."""
    batch = _take_batch(desk)
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
        following = _take_batch(self._desk)
        if following.claimed:
            self._batch = following
        if before is not None:
            _finish_batch(self._desk, before)
        return following.claimed + (before.claimed if before is not None else 0)

    def finish(self) -> None:
        """Finish the batch that was taken, and take no other."""
        before, self._batch = self._batch, None
        if before is not None:
            _finish_batch(self._desk, before)


def _take_batch(desk: Desk) -> Batch:
    with desk.database.begin() as session:
        ids = claim_inbound(session, desk.worker, desk.clock(), LEASE, BATCH)
    reach("process-claimed")
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


def _finish_batch(desk: Desk, batch: Batch) -> None:
    _process_all(desk, _join_triages(batch))


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
        _try_again(desk, row.id, error)
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
        _fetch_quotas(session, desk, readings)
        for index, reading in enumerate(readings):
            facts = gather(session, desk, reading.message, split_off=reading.split_off)
            if needs_triage(reading.message, facts):
                text = _thread_text(session, facts)
                wanted.append((index, text, _with_thread(reading.message, facts, text)))
    return wanted


def _join_triages(batch: Batch) -> list[Reading]:
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


def _thread_text(session: Session, facts: Facts) -> str:
    """What the client wrote before in an incomplete ticket: required items add up over mails."""
    if facts.ticket is None or facts.ticket.state not in (State.INCOMPLETE, State.ABANDONED):
        return ""
    return session.get_one(Ticket, facts.ticket.id).text


def _with_thread(message: InboundMessage, facts: Facts, text: str) -> InboundMessage:
    if facts.ticket is None or not text:
        return message
    whole = f"{text}\n\n{message.new_text}"
    return replace(message, text=whole, new_text=whole, subject=facts.ticket.subject)


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
        _try_again(desk, reading.inbound_id, error)
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
        _fetch_blobs(session, [reading.message for reading in readings])
        _fetch_quotas(session, desk, readings)
        for reading in readings:
            row = rows[reading.inbound_id]
            if row.status == "processing" and row.claimed_by == desk.worker:
                decision = _decide(session, desk, reading, row, desk.clock())
                decisions.append((row.id, decision))
    return decisions


def _fetch_quotas(session: Session, desk: Desk, readings: Sequence[Reading]) -> None:
    senders = {each.message.sender.address for each in readings if each.message.sender}
    fetch_quotas(session, senders, desk.clock())


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
        text = _thread_text(session, facts)
        if triage is None or text != reading.thread_text:
            triage = desk.triager.triage(_with_thread(message, facts, text))
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
    _keep_attachments(session, desk, row.id, message)
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


def _keep_attachments(
    session: Session, desk: Desk, inbound_id: int, message: InboundMessage
) -> None:
    """Keep files by content hash; those over the limits stay in the raw mail only."""
    if not message.attachments:
        return
    limits = desk.config.limits
    _fetch_blobs(session, [message])
    known = loaded(session).blobs
    for number, file in enumerate(message.attachments):
        session.add(
            Attachment(
                inbound_id=inbound_id,
                sha256=file.sha256,
                filename=file.filename,
                content_type=file.content_type,
                size=file.size,
                inline=file.inline,
            )
        )
        fits = file.size <= limits.max_attachment_bytes and number < limits.max_attachments
        if fits and not known[file.sha256]:
            known[file.sha256] = True
            session.add(Blob(sha256=file.sha256, content=file.content))


def _fetch_blobs(session: Session, messages: Sequence[InboundMessage]) -> None:
    """Ask which of the files of many mails are stored already."""
    known = loaded(session).blobs
    files = {file.sha256 for message in messages for file in message.attachments}
    wanted = files - known.keys()
    if wanted:
        known.update(dict.fromkeys(wanted, False))
        stored = session.scalars(select(Blob.sha256).where(Blob.sha256.in_(wanted)))
        known.update(dict.fromkeys(stored, True))


def _try_again(desk: Desk, inbound_id: int, error: Exception) -> None:
    """Put a mail back after an unexpected error; the third time it goes to quarantine."""
    reason = f"{type(error).__name__}: {error}"
    with desk.database.begin() as session:
        row = session.get_one(Inbound, inbound_id)
        attempts = row.attempts
        if attempts < MOST_ATTEMPTS:
            row.status = "new"
            row.next_attempt_at = desk.clock() + timedelta(seconds=15 * 4**attempts)
            row.reason = reason
    is_ours = isinstance(error, MailflowError)
    log.error("mail.failed", attempt=attempts, reason=reason, exc_info=None if is_ours else error)
    if attempts >= MOST_ATTEMPTS:
        quarantine(desk, inbound_id, reason)


def quarantine(desk: Desk, inbound_id: int, reason: str) -> None:
    """Set a mail aside for a human and tell the agents. The raw mail stays as it is."""
    with desk.database.begin() as session:
        row = session.get_one(Inbound, inbound_id)
        row.status = "quarantined"
        row.reason = reason
        row.claimed_by = None
        row.claimed_until = None
        text = (
            f"mail {inbound_id} is in quarantine: {reason}; "
            f"see mailflow quarantine show {inbound_id}"
        )
        tell_agents(session, desk, text, f"quarantine-{inbound_id}", desk.clock())
    log.warning("mail.quarantined", mail=inbound_id, reason=reason)
