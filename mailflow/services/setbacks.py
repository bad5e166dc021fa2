"""A mail that cannot be processed: put back, and the third time set aside with an agent told."""

from datetime import timedelta

from mailflow.adapters.tables import Inbound
from mailflow.desk import Desk
from mailflow.errors import MailflowError
from mailflow.logs import log
from mailflow.services.owe import tell_agents

MOST_ATTEMPTS = 3


def is_held(desk: Desk, row: Inbound) -> bool:
    """Whether this worker holds the mail: after a long pause another may have taken it over."""
    return row.status == "processing" and row.claimed_by == desk.worker


def try_again(desk: Desk, inbound_id: int, error: Exception) -> None:
    """Put a mail back after an unexpected error; the third time it goes to quarantine.

    Nothing is changed where another worker has taken the mail over.
    """
    reason = f"{type(error).__name__}: {error}"
    with desk.database.begin() as session:
        row = session.get_one(Inbound, inbound_id, with_for_update=True)
        if not is_held(desk, row):
            return
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
    """Set a mail that we hold aside for a human and tell the agents. The raw mail stays."""
    with desk.database.begin() as session:
        row = session.get_one(Inbound, inbound_id, with_for_update=True)
        if not is_held(desk, row):
            return
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
