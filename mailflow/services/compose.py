"""Make the mail of an outbox row: its words from the templates, its threading from the ticket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from mailflow.adapters.outgoing import File, OutboundMessage, is_sendable
from mailflow.adapters.tables import Attachment, Blob, Inbound, OutboxMail, Ticket
from mailflow.core.decisions import NoticeKind
from mailflow.core.messages import Address
from mailflow.core.threads import (
    ROOT,
    ThreadRole,
    bare_subject,
    make_message_id,
    make_reply_token,
)
from mailflow.desk import Desk
from mailflow.services.context import make_context, reader_name

IN_PERSON = frozenset({NoticeKind.ANSWER})
REPLIES = frozenset(
    {
        NoticeKind.REGISTRATION,
        NoticeKind.REQUEST_INFORMATION,
        NoticeKind.EXCLUSION,
        NoticeKind.HELD,
        NoticeKind.REFUSED,
        NoticeKind.UNREADABLE,
        NoticeKind.CLOSED,
        NoticeKind.REOPENED,
        NoticeKind.AGENT_TRANSCRIPT,
    }
)
SHOWS_FILES = frozenset({NoticeKind.AGENT_REPLY, NoticeKind.AGENT_REVIEW})
SMALLEST_SCREENSHOT = 12_000  # bytes; smaller images in the text are logos of signatures
MOST_FILE_BYTES = 20_000_000  # in one mail; larger ones stay with the stored mail


@dataclass(frozen=True, slots=True)
class _Parent:
    """The mail that an outgoing mail answers."""

    message_id: str | None
    references: tuple[str, ...]
    subject: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outbox rows refer to, read for all of them at once and held for as long as needed.

    `tickets` and `mails` by id; `last_mails`: by ticket, the last that its requester wrote.
    """

    tickets: Mapping[int, Ticket]
    mails: Mapping[int, Inbound]
    last_mails: Mapping[int, _Parent]

    @classmethod
    def of(cls, session: Session, rows: Sequence[OutboxMail]) -> "Surroundings":
        """Read the tickets and mails of `rows`."""
        ticket_ids = {row.ticket_id for row in rows} - {None}
        mail_ids = {row.inbound_id for row in rows} - {None}
        found = session.scalars(select(Ticket).where(Ticket.id.in_(ticket_ids)))
        tickets = {each.id: each for each in found}
        causes = session.scalars(select(Inbound).where(Inbound.id.in_(mail_ids)))
        mails = {each.id: each for each in causes}
        newest = (
            select(func.max(Inbound.id))
            .join(Ticket, (Ticket.id == Inbound.ticket_id) & (Ticket.requester == Inbound.sender))
            .where(Inbound.ticket_id.in_(ticket_ids), Inbound.message_class == "person")
            .group_by(Inbound.ticket_id)
        )
        last = session.execute(
            select(
                Inbound.ticket_id, Inbound.message_id, Inbound.references, Inbound.subject
            ).where(Inbound.id.in_(newest))
        )
        return cls(tickets, mails, {row.ticket_id: _as_parent(row) for row in last})


def _as_parent(mail: Inbound | Row[Any]) -> _Parent:
    own = (mail.message_id,) if mail.message_id else ()
    return _Parent(mail.message_id, (*mail.references, *own), mail.subject or "")


def compose(
    session: Session, desk: Desk, row: OutboxMail, now: datetime, around: Surroundings
) -> OutboundMessage:
    """Return the mail for `row`, as it is to be sent at `now`.

    Raises ConfigError naming the template where one is broken.
    """
    kind = NoticeKind(row.kind)
    ticket = around.tickets[row.ticket_id] if row.ticket_id else None
    for_agents = kind.is_for_agents
    parent = _parent(session, row, ticket, around, for_agents)
    subject = _subject(desk, ticket, parent, for_agents)
    context = make_context(session, desk, row, kind, ticket, subject, now)
    words = desk.renderer.render(kind, row.language, context)
    support = desk.config.support
    author = _author(desk, row)
    name = f"{author} ({support.name})" if author else support.name
    return OutboundMessage(
        message_id=row.message_id,
        sender=Address(name, support.address),
        to=(Address(reader_name(desk, row, ticket), row.recipient),),
        cc=tuple(Address("", each) for each in row.cc if is_sendable(each)),
        reply_to=_reply_to(desk, ticket, for_agents),
        subject=words.subject,
        text=words.text,
        html=words.html,
        date=now,
        in_reply_to=parent.message_id,
        references=(*parent.references, *_root(desk, ticket, for_agents)),
        auto_submitted=_auto_submitted(kind, author),
        wants_absences=for_agents,
        files=_files(session, row, kind, ticket),
    )


def _author(desk: Desk, row: OutboxMail) -> str:
    """The agent whose own words this mail carries to the client, or ''."""
    author = str(row.data.get("author") or "")
    has_words = bool(row.data.get("text") or row.data.get("question"))
    return author if has_words and any(agent.name == author for agent in desk.agents) else ""


def _auto_submitted(kind: NoticeKind, author: str) -> str | None:
    """Source: RFC 3834 section 5: a person's words carry no such header."""
    if kind in IN_PERSON or author:
        return None
    return "auto-replied" if kind in REPLIES else "auto-generated"


def _subject(desk: Desk, ticket: Ticket | None, parent: _Parent, for_agents: bool) -> str:
    prefix = desk.config.support.reference_prefix
    subject = ticket.subject if ticket else parent.subject
    bare = bare_subject(subject, prefix) or "…"
    if ticket is None:
        return bare if for_agents else f"Re: {bare}"
    if for_agents:
        tag = ticket.reference or f"#{ticket.id}"
        return f"[{tag}] {bare}"
    return f"Re: {bare} [{ticket.reference}]" if ticket.reference else f"Re: {bare}"


def _parent(
    session: Session,
    row: OutboxMail,
    ticket: Ticket | None,
    around: Surroundings,
    for_agents: bool,
) -> _Parent:
    """The mail that is answered: the one that caused this, else the client's last."""
    if for_agents:
        return _agents_parent(session, row, ticket)
    if ticket is not None:
        return around.last_mails.get(ticket.id) or _Parent(None, (), ticket.subject)
    mail = around.mails.get(row.inbound_id or 0)
    is_persons = mail is not None and mail.message_class == "person"
    return _as_parent(mail) if mail is not None and is_persons else _Parent(None, (), "")


def _agents_parent(session: Session, row: OutboxMail, ticket: Ticket | None) -> _Parent:
    """Agents have one thread for a ticket, apart from the client's: it starts with our mail."""
    if ticket is None:
        return _Parent(None, (), "")
    first = session.scalar(
        select(OutboxMail.message_id)
        .where(
            OutboxMail.ticket_id == ticket.id,
            OutboxMail.recipient == row.recipient,
            OutboxMail.kind.startswith("agent_"),
            OutboxMail.id < row.id,
        )
        .order_by(OutboxMail.id)
        .limit(1)
    )
    return _Parent(first, (first,) if first else (), ticket.subject)


def _root(desk: Desk, ticket: Ticket | None, for_agents: bool) -> tuple[str, ...]:
    """The thread's own id: it comes back in References even where servers rewrite Message-IDs."""
    if ticket is None:
        return ()
    role = ThreadRole.AGENT if for_agents else ThreadRole.CLIENT
    domain = desk.config.support.address.rpartition("@")[2]
    return (make_message_id(desk.database.thread_key(), ticket.id, role, ROOT, domain),)


def _reply_to(desk: Desk, ticket: Ticket | None, for_agents: bool) -> str:
    support = desk.config.support
    if ticket is None or not support.plus_addressing:
        return support.address
    role = ThreadRole.AGENT if for_agents else ThreadRole.CLIENT
    local, _, domain = support.address.rpartition("@")
    token = make_reply_token(desk.database.thread_key(), ticket.id, role)
    tagged = f"{local}+{token}@{domain}"
    return tagged if is_sendable(tagged) else support.address


def _files(
    session: Session, row: OutboxMail, kind: NoticeKind, ticket: Ticket | None
) -> tuple[File, ...]:
    """The files that an agent's answer or a client's mail brought, to go along."""
    ids: list[int] = []
    if row.data.get("attachments_of"):
        ids = [int(row.data["attachments_of"])]
    elif kind is NoticeKind.AGENT_NEW and ticket is not None:
        ids = list(session.scalars(_mails_of_client(ticket)))
    elif kind in SHOWS_FILES and row.inbound_id is not None:
        ids = [row.inbound_id]
    if not ids:
        return ()
    is_shown = Attachment.inline.is_(False) | (
        Attachment.content_type.startswith("image/") & (Attachment.size >= SMALLEST_SCREENSHOT)
    )
    rows = session.execute(
        select(Attachment, Blob.content)
        .join(Blob, Blob.sha256 == Attachment.sha256)
        .where(Attachment.inbound_id.in_(ids), is_shown)
        .order_by(Attachment.id)
    )
    found: dict[str, File] = {}
    size = 0
    for file, content in rows:
        size += len(content) if file.sha256 not in found else 0
        if size <= MOST_FILE_BYTES:
            found.setdefault(file.sha256, File(file.filename, file.content_type, content))
    return tuple(found.values())


def _mails_of_client(ticket: Ticket) -> Select[int]:
    return (
        select(Inbound.id)
        .where(Inbound.ticket_id == ticket.id, Inbound.sender == ticket.requester)
        .order_by(Inbound.id)
    )
