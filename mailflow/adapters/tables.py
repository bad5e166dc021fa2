"""The tables. Every instant is aware UTC; what is unique here can happen only once."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from mailflow.adapters.instants import UtcDateTime

BigId = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """The root of all tables."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
    }


def _claims(name: str) -> Index:
    """Return an index of the few rows that a worker holds: it finds them among millions."""
    held = text("claimed_by IS NOT NULL")
    return Index(name, "claimed_by", sqlite_where=held, postgresql_where=held)


class Inbound(Base):
    """A mail that came in. `identity` is unique: the same mail is stored once."""

    __tablename__ = "inbound"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    identity: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    received_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="new")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(80))
    claimed_until: Mapped[datetime | None]
    processed_at: Mapped[datetime | None]
    message_id: Mapped[str | None] = mapped_column(Text, index=True)
    references: Mapped[list[Any]] = mapped_column(default=list)
    sender: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    message_class: Mapped[str | None] = mapped_column(String(20))
    language: Mapped[str | None] = mapped_column(String(8))
    new_text: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(String(30))
    reason: Mapped[str | None] = mapped_column(Text)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)

    __table_args__ = (
        Index("ix_inbound_work", "status", "next_attempt_at"),
        Index("ix_inbound_sender", "sender", "processed_at"),
        _claims("ix_inbound_claims"),
    )


class RawMail(Base):
    """The bytes of a mail, exactly as they came."""

    __tablename__ = "raw_mail"

    inbound_id: Mapped[int] = mapped_column(ForeignKey("inbound.id"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class MailboxEntry(Base):
    """The ledger: each UID that was fetched, and the mail that it held."""

    __tablename__ = "mailbox_entry"
    __table_args__ = (UniqueConstraint("mailbox", "folder", "uidvalidity", "uid"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    mailbox: Mapped[str] = mapped_column(String(255))
    folder: Mapped[str] = mapped_column(String(255))
    uidvalidity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    inbound_id: Mapped[int] = mapped_column(ForeignKey("inbound.id"), index=True)
    seen_at: Mapped[datetime]


class Attachment(Base):
    """A file that came with a mail; its bytes are kept once, by content hash."""

    __tablename__ = "attachment"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inbound_id: Mapped[int] = mapped_column(ForeignKey("inbound.id"), index=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    filename: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(String(255))
    size: Mapped[int]
    inline: Mapped[bool] = mapped_column(default=False)


class Blob(Base):
    """The bytes of attachments, by SHA-256."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Ticket(Base):
    """A ticket as it stands now; `event` holds how it came to be so."""

    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reference: Mapped[str | None] = mapped_column(String(40), unique=True)
    state: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="")
    requester: Mapped[str] = mapped_column(Text)
    requester_name: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(8))
    organisation: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(20))
    exclusion: Mapped[str | None] = mapped_column(String(30))
    priority: Mapped[int | None]
    proposed_priority: Mapped[int | None]
    requested_priority: Mapped[int | None]
    review: Mapped[list[Any]] = mapped_column(default=list)
    items: Mapped[list[Any]] = mapped_column(default=list)
    asked: Mapped[list[Any]] = mapped_column(default=list)
    times_asked: Mapped[int] = mapped_column(default=0)
    contact: Mapped[dict[str, Any] | None]
    agent: Mapped[str | None] = mapped_column(Text)
    triage: Mapped[dict[str, Any] | None]
    text: Mapped[str] = mapped_column(Text, default="")
    policy_version: Mapped[str | None] = mapped_column(ForeignKey("sla_policy.version"))
    undelivered: Mapped[bool] = mapped_column(default=False)
    workaround: Mapped[bool] = mapped_column(default=False)
    linked_to: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    registered_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_ticket_state", "state", "agent", "created_at"),  # all that agents' loads need
        Index("ix_ticket_requester", "requester", "state"),
    )


class TicketPerson(Base):
    """Who belongs to a ticket on the client's side: the requester, and watchers."""

    __tablename__ = "ticket_person"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    role: Mapped[str] = mapped_column(String(20))
    added_at: Mapped[datetime]


class Event(Base):
    """What happened to a ticket. Rows are only ever added (a trigger sees to it)."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(Text)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


class OutboxMail(Base):
    """A mail we owe someone, written in the transaction that decided it."""

    __tablename__ = "outbox_mail"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    once: Mapped[str] = mapped_column(String(200), unique=True)  # what it is for: never twice
    message_id: Mapped[str] = mapped_column(Text, unique=True)  # fixed here: a retry reuses it
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    inbound_id: Mapped[int | None] = mapped_column(ForeignKey("inbound.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(320))
    cc: Mapped[list[Any]] = mapped_column(default=list)
    language: Mapped[str] = mapped_column(String(8))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(80))
    claimed_until: Mapped[datetime | None]
    offered_at: Mapped[datetime | None]  # noted before the server sees it, anew with each claim
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    error: Mapped[str | None] = mapped_column(Text)
    maybe_duplicate: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index("ix_outbox_work", "status", "next_attempt_at"),
        Index("ix_outbox_recipient", "recipient", "created_at", "kind"),
        _claims("ix_outbox_claims"),
    )


_WAITS = text("status = 'pending'")


class Reminder(Base):
    """A moment at which someone must be told, once for each ticket, deadline and stage."""

    __tablename__ = "reminder"
    __table_args__ = (
        UniqueConstraint("ticket_id", "deadline", "stage"),
        Index("ix_reminder_work", "moment", sqlite_where=_WAITS, postgresql_where=_WAITS),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    track: Mapped[str] = mapped_column(String(20))  # deadline, missing, confirmation, progress
    deadline: Mapped[datetime]
    stage: Mapped[str] = mapped_column(String(40))
    audience: Mapped[str] = mapped_column(String(20))
    rank: Mapped[int]  # higher is more urgent
    moment: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(20), default="pending")
    done_at: Mapped[datetime | None]


class StoredPolicy(Base):
    """An SLA policy as it was when a ticket was registered under it."""

    __tablename__ = "sla_policy"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)
    content: Mapped[dict[str, Any]]
    stored_at: Mapped[datetime]


class ReferenceCounter(Base):
    """The last ticket number of each year."""

    __tablename__ = "reference_counter"

    year: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class Setting(Base):
    """What a database carries with it, such as the key that signs threads."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Lease(Base):
    """Who does a job that only one may do at a time, and until when."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    holder: Mapped[str] = mapped_column(String(80))
    until: Mapped[datetime]


class Correction(Base):
    """What an agent changed in a triage: a mail and its right labels, to train on."""

    __tablename__ = "correction"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inbound_id: Mapped[int] = mapped_column(ForeignKey("inbound.id"))
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"))
    labels: Mapped[dict[str, Any]]
    agent: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
