"""What became of each mail: mailbox, database and SMTP sink compared, each read independently."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser

from imapclient import IMAPClient
from sqlalchemy import select

from mailflow.adapters.tables import Inbound, OutboxMail, Ticket
from mailflow.core.decisions import NoticeKind
from mailflow.demo.servers import Accepted
from mailflow.desk import Desk
from mailflow.errors import GatewayError
from tests.servers.boxes import Box

NONCE = re.compile(r"nonce[0-9]{6}")
HEADERS = BytesHeaderParser()
OVER = ("sent", "failed")
MOST_COPIES = 2  # for a client: one repeat, under the same Message-ID


@dataclass
class Account:
    """What went wrong, in words; and how many mails were flagged or refused for good."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)  # taken twice by the sink
    not_allowed: list[str] = field(default_factory=list)  # twice and not flagged, or more often
    wrong: list[str] = field(default_factory=list)  # sent_at or the clock against the sink
    flagged: int = 0
    refused: int = 0  # ended as failed, with an agent told
    unsure: int = 0  # the same, but the mail was perhaps sent, and is flagged so

    @property
    def complaints(self) -> list[str]:
        """All that must not be, whatever the fault."""
        return self.lost + self.not_allowed + self.wrong


@dataclass(frozen=True)
class _Rows:
    inbound: Sequence[Inbound]
    tickets: Sequence[Ticket]
    outbox: Sequence[OutboxMail]


def is_settled(desk: Desk, nonces: Sequence[str]) -> bool:
    """Whether each mail met its fate and nothing is owed; False while the database is gone."""
    try:
        rows = _read(desk)
    except GatewayError:
        return False
    seen = {_nonce(row.subject) for row in rows.inbound if row.status in ("done", "quarantined")}
    return seen >= set(nonces) and all(row.status in OVER for row in rows.outbox)


def take_account(
    desk: Desk,
    box: Box,
    accepted: Sequence[Accepted],
    delivered: Sequence[str],
    others: Sequence[str],
) -> Account:
    """Compare at the end: `delivered` came by the mailbox, `others` by another way."""
    rows = _read(desk)
    account = Account(flagged=sum(row.maybe_duplicate for row in rows.outbox))
    _compare_sink(account, rows, accepted)
    _follow_mails(account, rows, [*delivered, *others])
    left, filed = box.uids(), _filed(box)
    if left or len(filed) != len(delivered) or set(filed) != set(delivered):
        account.lost.append(f"mailbox: {len(left)} left, {len(filed)} of {len(delivered)} filed")
    return account


def check_sink(desk: Desk, accepted: Sequence[Accepted]) -> Account:
    """Compare outbox and sink only: true at any moment, in the midst of a fault, too."""
    rows = _read(desk)
    account = Account(flagged=sum(row.maybe_duplicate for row in rows.outbox))
    _compare_sink(account, rows, accepted, is_over=False)
    return account


def _read(desk: Desk) -> _Rows:
    with desk.database.read() as session:
        return _Rows(
            session.scalars(select(Inbound)).all(),
            session.scalars(select(Ticket)).all(),
            session.scalars(select(OutboxMail)).all(),
        )


def _compare_sink(
    account: Account, rows: _Rows, accepted: Sequence[Accepted], *, is_over: bool = True
) -> None:
    taken = Counter(str(HEADERS.parsebytes(mail.content)["Message-ID"]) for mail in accepted)
    for row in rows.outbox:
        count = taken.pop(row.message_id, 0)
        name = f"{row.kind} to {row.recipient}"
        if count > 1:
            account.doubled.append(f"{name}: taken {count} times")
        is_too_often = count > MOST_COPIES and not NoticeKind(row.kind).is_for_agents
        if is_too_often or (count > 1 and not row.maybe_duplicate):
            flag = "flagged" if row.maybe_duplicate else "not flagged"
            account.not_allowed.append(f"{name}: taken {count} times, {flag}")
        if is_over and (row.status == "sent") != (row.sent_at is not None):
            account.wrong.append(f"{name}: {row.status}, sent_at {row.sent_at}")
        is_noted = row.status == "sent" or row.sent_at is not None
        if is_noted and not count and not row.maybe_duplicate:
            account.wrong.append(f"{name}: marked as sent, never taken")
        is_told = row.status == "failed" and row.maybe_duplicate
        if is_over and count and row.status != "sent" and not is_told:
            account.wrong.append(f"{name}: taken, but {row.status}")
    account.not_allowed += [f"{message_id}: not ours" for message_id in taken]


def _follow_mails(account: Account, rows: _Rows, nonces: Sequence[str]) -> None:
    stored = Counter(_nonce(row.subject) for row in rows.inbound)
    tickets = {row.id: row for row in rows.tickets}
    registrations = {row.ticket_id: row for row in rows.outbox if row.kind == "registration"}
    told = {row.once.split("/")[0] for row in rows.outbox if row.status == "sent"}
    for row in rows.inbound:
        if row.status != "done":
            account.lost.append(f"{_nonce(row.subject)}: {row.status}: {row.reason}")
    for nonce in nonces:
        if stored[nonce] != 1:
            account.lost.append(f"{nonce}: {stored[nonce]} times in the database")
    opened = Counter(_nonce(ticket.subject) for ticket in rows.tickets)
    for nonce in nonces:
        if opened[nonce] != 1:
            wrong = account.lost if opened[nonce] == 0 else account.not_allowed
            wrong.append(f"{nonce}: {opened[nonce]} tickets")
    for ticket_id, ticket in tickets.items():
        _follow_answer(account, ticket, registrations.get(ticket_id), told)


def _follow_answer(
    account: Account, ticket: Ticket, answer: OutboxMail | None, told: set[str]
) -> None:
    nonce = _nonce(ticket.subject)
    if answer is None:
        account.lost.append(f"{nonce}: no registration")
        return
    if answer.status == "failed":
        if f"failed-{answer.id}" in told and ticket.undelivered:
            account.unsure += answer.maybe_duplicate
            account.refused += not answer.maybe_duplicate
        else:
            account.lost.append(f"{nonce}: refused, and no agent was told: {answer.error}")
    if (ticket.registered_at is not None) != (answer.status == "sent"):
        account.wrong.append(f"{nonce}: clock {ticket.registered_at}, mail {answer.status}")


def _nonce(subject: str | None) -> str:
    found = NONCE.search(subject or "")
    return found[0] if found else f"without a nonce: {subject}"


def _filed(box: Box) -> list[str]:
    with box.session() as client:
        if not client.folder_exists(box.processed):
            return []
        return _nonces_in(client, box.processed)


def _nonces_in(client: IMAPClient, folder: str) -> list[str]:
    client.select_folder(folder, readonly=True)
    uids = client.search(["UNDELETED"])
    part = "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
    found = client.fetch(uids, [part]) if uids else {}
    return [_nonce(data[part.replace(".PEEK", "").encode()].decode()) for data in found.values()]
