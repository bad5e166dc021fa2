"""Who does a job that only one worker may do at a time, such as reading a mailbox."""

from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from mailflow.adapters.database import Database
from mailflow.adapters.tables import Lease
from mailflow.workers import is_dead

DURATION = timedelta(seconds=15)
RENEW_SECONDS = 5.0


def hold(database: Database, name: str, holder: str, now: datetime) -> bool:
    """Take or renew the lease `name` for `holder`; False where another worker has it.

    A lease is free when it ran out, when its holder is a dead process of this host, or when it
    reaches further into the future than any lease can: then the clock was put back.
    """
    try:
        with database.begin() as session:
            lease = session.get(Lease, name, with_for_update=True)
            if lease is None:
                session.add(Lease(name=name, holder=holder, until=now + DURATION))
                return True
            is_free = not now < lease.until <= now + DURATION or is_dead(lease.holder)
            if lease.holder != holder and not is_free:
                return False
            lease.holder, lease.until = holder, now + DURATION
            return True
    except IntegrityError:  # another worker took it between our look and our write
        return False


def release(database: Database, name: str, holder: str) -> None:
    """Give the lease up, so that another worker can go on at once."""
    with database.begin() as session:
        lease = session.get(Lease, name, with_for_update=True)
        if lease is not None and lease.holder == holder:
            session.delete(lease)
