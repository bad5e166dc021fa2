"""Compare what was delivered with what is in the mailbox, the database and the sink.

Nothing here asks mailflow: the mailbox is read over IMAP, the database by SQL, and the sink is the
files that the SMTP server wrote.
"""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from sqlalchemy import select

from mailflow.adapters.tables import Event, Inbound, OutboxMail, Ticket
from tests.reliability.mails import find_nonce, kind_of, nonces_of
from tests.reliability.stage import Round

SENT_EVENTS = ("mail_sent", "registration_sent")
SINK_SECONDS = 20.0
_NUMBER = re.compile(r"\+[0-9]+@")  # which of the senders of a kind it was


@dataclass
class Findings:
    """What the checker saw. Each list holds one line for each thing that is wrong, or repeated."""

    mails: int = 0
    lost: list[str] = field(default_factory=list)
    doubled_tickets: list[str] = field(default_factory=list)
    doubled_mails: list[str] = field(default_factory=list)  # repeated without being marked
    repeated: list[str] = field(default_factory=list)  # under the same id, marked maybe_duplicate
    noted_twice: list[str] = field(default_factory=list)  # as sent, in the ticket's log
    different: list[str] = field(default_factory=list)  # from the uninterrupted run
    marked: int = 0  # mails that are marked maybe_duplicate, repeated or not
    fates: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by nonce

    @property
    def wrong(self) -> list[str]:
        """What must never be: everything but marked repeats."""
        return (
            [f"lost: {each}" for each in self.lost]
            + [f"doubled: {each}" for each in self.doubled_tickets + self.doubled_mails]
            + [f"noted twice: {each}" for each in self.noted_twice]
            + [f"different: {each}" for each in self.different]
        )

    def is_clean(self, *, window: bool) -> bool:
        """Whether nothing is wrong. `window`: a mail may have been repeated, if it is marked."""
        return not self.wrong and (window or not self.repeated)


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail in the sink."""

    message_id: str
    nonce: str | None
    subject: str
    readers: tuple[str, ...]
    at: float  # seconds since the epoch, by the file system


def check(
    desk: Round, sent: list[bytes], expected: dict[str, tuple[str, ...]] | None = None
) -> Findings:
    """Compare what was delivered (`sent`) with mailbox, database and sink.

    `expected` says what must become of each kind of mail; None compares no fates.
    """
    found = Findings(mails=len(sent))
    nonces = nonces_of(sent)
    _check_mailbox(desk, found, nonces)
    taken = read_sink(desk.sink)
    with desk.engine() as connection:
        inbound = connection.execute(select(Inbound)).all()
        tickets = connection.execute(select(Ticket)).all()
        outbox = connection.execute(select(OutboxMail)).all()
        events = connection.execute(select(Event.data).where(Event.kind.in_(SENT_EVENTS))).all()
    _check_tickets(found, nonces, inbound, tickets)
    _check_sink(found, taken, outbox)
    noted = Counter(data["mail"]["message_id"] for (data,) in events if "mail" in data)
    found.noted_twice += [f"{each}: {count} times" for each, count in noted.items() if count > 1]
    found.fates = _fates(inbound, tickets, taken)
    for nonce, fate in found.fates.items() if expected is not None else ():
        if expected.get(kind_of(nonce)) != fate:
            found.different.append(f"{nonce}: {fate}, not {expected.get(kind_of(nonce))}")
    return found


def read_sink(folder: Path) -> list[Taken]:
    """Return what the SMTP server took, once it is not in the midst of taking more.

    Raises RuntimeError when that does not come about.
    """
    until = time.monotonic() + SINK_SECONDS
    while any(folder.glob("*.part")):
        if time.monotonic() > until:
            raise RuntimeError("the SMTP server does not end taking a mail")
        time.sleep(0.01)
    parser = BytesHeaderParser(policy=default)
    found = []
    for file in folder.glob("*.eml"):
        head = parser.parsebytes(file.read_bytes().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        subject = str(head["Subject"] or "")
        readers = tuple(sorted(file.with_suffix(".to").read_text().split()))
        at = file.stat().st_mtime
        found.append(Taken(str(head["Message-ID"]), find_nonce(subject), subject, readers, at))
    return sorted(found, key=lambda each: each.at)


def _check_mailbox(desk: Round, found: Findings, nonces: set[str]) -> None:
    field_name = "BODY[HEADER.FIELDS (MESSAGE-ID)]"
    with desk.session() as client:
        client.select_folder("INBOX", readonly=True)
        left = client.search(["UNDELETED"])
        client.select_folder("Processed", readonly=True)
        filed: Counter[str | None] = Counter()
        uids = client.search(["UNDELETED"])
        for start in range(0, len(uids), 500):
            answer = client.fetch(uids[start : start + 500], [field_name.replace("[", ".PEEK[", 1)])
            for each in answer.values():
                filed[find_nonce(each[field_name.encode()].decode("ascii", "replace"))] += 1
    if left:
        found.lost.append(f"{len(left)} mails were left in the mailbox")
    found.lost += [f"{nonce}: not in the processed folder" for nonce in nonces - set(filed)]
    found.different += [
        f"{each}: filed {count} times" for each, count in filed.items() if count > 1
    ]


def _check_tickets(found: Findings, nonces: set[str], inbound: list, tickets: list) -> None:
    found.lost += [f"mail {row.id}: {row.reason}" for row in inbound if not row.subject]
    seen = Counter(find_nonce(row.subject) for row in inbound if row.subject)
    found.lost += [f"{nonce}: not in the database" for nonce in sorted(nonces - set(seen))]
    found.doubled_tickets += [f"{each}: {n} rows" for each, n in seen.items() if n > 1]
    opened = Counter(find_nonce(row.subject) for row in tickets)
    found.doubled_tickets += [f"{each}: {n} tickets" for each, n in opened.items() if n > 1]


def _check_sink(found: Findings, taken: list[Taken], outbox: list) -> None:
    copies = Counter(mail.message_id for mail in taken)
    for row in outbox:
        count = copies.pop(row.message_id, 0)
        found.marked += row.maybe_duplicate
        if count > 1:
            line = f"{row.message_id}: taken {count} times"
            (found.repeated if row.maybe_duplicate else found.doubled_mails).append(line)
        if row.status == "sent" and count == 0:
            found.lost.append(f"{row.message_id}: marked as sent, never taken")
    found.different += [f"{message_id}: sent, but not ours" for message_id in copies]
    purposes = Counter(
        (subject, readers)
        for subject, readers, _ in {
            (mail.subject, mail.readers, mail.message_id) for mail in taken if mail.nonce is None
        }
    )
    found.doubled_mails += [f"{each}: {n} ids" for each, n in purposes.items() if n > 1]


def _fates(inbound: list, tickets: list, taken: list[Taken]) -> dict[str, tuple[str, ...]]:
    """Say of each mail by its nonce: status, outcome, its ticket, and who was written to."""
    by_id = {row.id: row for row in tickets}
    readers: dict[str | None, Counter[str]] = {}
    for nonce, _, to in {(mail.nonce, mail.message_id, mail.readers) for mail in taken}:
        readers.setdefault(nonce, Counter()).update(_NUMBER.sub("@", each) for each in to)
    found = {}
    for row in inbound:
        nonce = find_nonce(row.subject or "")
        if nonce is None:
            continue
        facts = (row.status, row.outcome or "")
        ticket = by_id.get(row.ticket_id or 0)
        if ticket is not None:
            started = "clock" if ticket.registered_at else "no clock"
            facts += (ticket.state, str(ticket.priority), started)
        written = readers.get(nonce, Counter())
        found[nonce] = (*facts, *sorted(f"{address} x{n}" for address, n in written.items()))
    return found
