"""One sender's flood waits, so that the others' mails do not. Nothing is lost by waiting."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailflow.adapters.tables import Inbound
from mailflow.core.messages import InboundMessage
from mailflow.desk import Desk
from mailflow.logs import log
from mailflow.services.setbacks import is_held

WINDOW = timedelta(minutes=1)


def hold_back_floods(desk: Desk, mails: Sequence[tuple[int, InboundMessage]]) -> frozenset[int]:
    """Put back the mails of senders who are over the limit; return the ids that were put back.

    A sender may have `limits.max_mails_per_sender_and_minute` mails processed in a minute. The
    rest is spread over the minutes that follow, in its order. Bounces count like all mail.
    """
    limit = desk.config.limits.max_mails_per_sender_and_minute
    now = desk.clock()
    senders = Counter(message.senders[0].address for _, message in mails if message.senders)
    held: list[int] = []
    with desk.database.begin() as session:
        done = _count(session, senders, Inbound.processed_at > now - WINDOW)
        waiting = _count(
            session, senders, (Inbound.status == "new") & (Inbound.next_attempt_at > now)
        )
        room = {each: limit - done[each] for each in senders}
        for inbound_id, message in mails:
            if not message.senders:
                continue
            address = message.senders[0].address
            room[address] -= 1
            if room[address] >= 0:
                continue
            held.append(inbound_id)
            row = session.get_one(Inbound, inbound_id, with_for_update=True)
            if not is_held(desk, row):
                continue  # another worker has taken it over
            row.status, row.attempts = "new", row.attempts - 1
            row.claimed_by = row.claimed_until = None
            row.sender = address
            row.next_attempt_at = now + WINDOW * (1 + waiting[address] // limit)
            row.reason = f"held back: more than {limit} mails a minute from {address}"
            waiting[address] += 1
    if held:
        log.warning("mail.held_back", mails=len(held))
    return frozenset(held)


def _count(
    session: Session, senders: Collection[str], condition: ColumnElement[bool]
) -> Counter[str]:
    query = (
        select(Inbound.sender, func.count(Inbound.id))
        .where(Inbound.sender.in_(senders), condition)
        .group_by(Inbound.sender)
    )
    return Counter({str(sender): count for sender, count in session.execute(query)})
