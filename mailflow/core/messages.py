"""Mails as plain values: what came in, what goes out."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class MessageClass(StrEnum):
    """Who or what wrote a mail. Only a `PERSON` is ever answered automatically."""

    PERSON = "person"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    FEEDBACK = "feedback"
    CHALLENGE = "challenge"
    LIST = "list"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: display name (may be empty) and address, in lower case."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the last '@', or '' where there is none."""
        return self.address.rpartition("@")[2] if "@" in self.address else ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a mail. `filename` is cleaned: no path, no control characters."""

    filename: str
    content_type: str
    size: int  # bytes, decoded
    sha256: str
    content: bytes = field(repr=False)
    content_id: str | None = None
    inline: bool = False  # Content-Disposition: inline, or referred to by the HTML part


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A colleague's mail inside a mail: who wrote it first, and what."""

    sender: Address | None
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class BouncedRecipient:
    """One recipient of a delivery report (RFC 3464). `status` like '5.1.1', or '' if unknown."""

    address: str
    status: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Bounce:
    """A delivery report, and the Message-ID of the mail that it speaks of, if it says so."""

    recipients: tuple[BouncedRecipient, ...]
    original_message_id: str | None = None


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One mail as a person would read it. Every string is decoded and free of NUL.

    `text` is the whole body as plain text; `new_text` what the sender wrote now, a forwarded
    mail included; `signature` and `quoted` are what was set apart from it. Message-IDs keep
    their angle brackets.
    """

    message_id: str | None
    in_reply_to: tuple[str, ...]
    references: tuple[str, ...]
    senders: tuple[Address, ...]  # every address of every From header; one, in honest mail
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    date: datetime | None  # aware, or None if missing or unreadable
    language: str  # ISO 639-1: 'fr', 'en', 'de' …; 'und' where nothing can be told
    text: str
    new_text: str
    signature: str
    quoted: str
    forwarded: Forwarded | None
    message_class: MessageClass
    class_reason: str
    bounce: Bounce | None
    attachments: tuple[Attachment, ...]
    defects: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # raw order, decoded
    encrypted: bool = False  # the body is S/MIME or PGP ciphertext, so nobody here can read it

    @property
    def sender(self) -> Address | None:
        """The one author, or None where From is missing or names several."""
        return self.senders[0] if len(self.senders) == 1 else None

    def header(self, name: str) -> str | None:
        """The first header called `name` (any case), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)
