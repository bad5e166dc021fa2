"""Build the mails that we send. Every outgoing header value is cleaned here and nowhere else.

Python 3.11's `email` package decodes encoded words in values that it is given, line breaks
included, and then writes those into the header. So an `=?` never reaches it.
"""

import re
import secrets
import unicodedata
from base64 import encodebytes
from binascii import b2a_qp
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import Message
from email.policy import Compat32
from email.utils import format_datetime, make_msgid
from urllib.parse import quote

from mailflow.core.messages import Address
from mailflow.errors import MessageError

LONGEST_HEADER = 400  # characters; longer subjects are cut with an ellipsis
LONGEST_FILENAME = 800  # characters, as RFC 2231 writes it
LONGEST_REFERENCES = 15  # message ids; the first and the latest are kept (RFC 5322 3.6.4)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}@[!-;=?-~]{1,240}>")
_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@.{1,253}\Z)(?!.*=\?)"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 .,'()_@+&!:;-]+")
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


CRLF = "\r\n"
CRLF_SPACE = "\r\n "


class _Policy(Compat32):
    """CRLF, and headers that were folded here are written as they are."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if isinstance(value, _Folded):
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


class _Folded(str):
    """A header's value as it goes out: clean, ASCII, one message id or address a line."""

    __slots__ = ()


def _mailboxes(*addresses: Address) -> _Folded:
    return _Folded(f",{CRLF_SPACE}".join(map(_mailbox, addresses)))


def _mailbox(address: Address) -> str:
    if not is_sendable(address.address):
        raise MessageError(f"cannot write to {address.address!r}: not a plain mail address")
    name = clean_header(address.name).replace('"', "'").replace("\\", "")[:120]
    if not name:
        return address.address
    if not _PLAIN_NAME.fullmatch(name):
        words = Header(name, "utf-8", maxlinelen=75, header_name="Reply-To")
        return f"{words.encode(linesep=CRLF)}{CRLF_SPACE}<{address.address}>"
    quoted = name if re.fullmatch(r"[A-Za-z0-9 -]+", name) else f'"{name}"'
    return f"{quoted} <{address.address}>"


def _text(name: str, value: str) -> _Folded:
    clean = clean_header(value)
    is_plain = clean.isascii() and all(len(word) <= 60 for word in clean.split())  # it folds
    words = Header(clean, None if is_plain else "utf-8", maxlinelen=75, header_name=name)
    return _Folded(words.encode(linesep=CRLF))


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # category Cc but for line end and tab
POLICY = _Policy(linesep=CRLF)


@dataclass(frozen=True, slots=True)
class File:
    """A file to send along."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A mail of ours, in words. `auto_submitted` is None for what a person wrote (RFC 3834)."""

    message_id: str
    sender: Address
    to: tuple[Address, ...]
    subject: str
    text: str
    html: str
    date: datetime
    cc: tuple[Address, ...] = ()
    reply_to: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    auto_submitted: str | None = "auto-replied"
    wants_absences: bool = False  # an agent's out-of-office message is news to us
    files: tuple[File, ...] = ()


def clean_header(value: str) -> str:
    """Return `value` as one line that is safe in a header.

    Line breaks, controls and invisible or direction-changing characters become spaces or go;
    encoded words lose their meaning; what is too long is cut.
    """
    is_visible = value.isascii() and value.isprintable()
    kept = value if is_visible else "".join(map(_visible, value))
    kept = re.sub(r"=(?=\?)", "= ", kept)
    line = " ".join(kept.split())
    return line if len(line) <= LONGEST_HEADER else line[: LONGEST_HEADER - 1].rstrip() + "…"


def _visible(character: str) -> str:
    if character in "\r\n\t\v\f\x85\u2028\u2029":
        return " "
    return "" if unicodedata.category(character) in _INVISIBLE else character


def clean_message_id(value: str) -> str | None:
    """Return a well-formed Message-ID out of `value`, or None where it holds none."""
    found = _MESSAGE_ID.fullmatch(value.strip())
    return found[0] if found and "=?" not in found[0] else None


def is_sendable(address: str) -> bool:
    """Whether mail can go to `address`: plain ASCII, one '@', no header syntax."""
    return _ADDRESS.fullmatch(address) is not None


def build(mail: OutboundMessage) -> bytes:
    """Return the mail as bytes with CRLF line ends.

    Raises MessageError where an address cannot be written to.
    """
    message = _multipart("alternative", _body("plain", mail.text), _body("html", mail.html))
    if mail.files:
        message = _multipart("mixed", message, *map(_attachment, mail.files))
    message["MIME-Version"] = "1.0"
    message["From"] = _mailboxes(mail.sender)
    message["To"] = _mailboxes(*mail.to)
    if mail.cc:
        message["Cc"] = _mailboxes(*mail.cc)
    if mail.reply_to is not None:
        message["Reply-To"] = _mailboxes(Address("", mail.reply_to))
    message["Subject"] = _text("Subject", mail.subject)
    message["Date"] = _Folded(format_datetime(mail.date))
    message["Message-ID"] = _Folded(
        clean_message_id(mail.message_id)
        or make_msgid(domain=mail.sender.address.rpartition("@")[2])
    )
    parent = clean_message_id(mail.in_reply_to) if mail.in_reply_to else None
    if parent is not None:
        message["In-Reply-To"] = _Folded(parent)
    references = _references(mail.references)
    if references:
        message["References"] = _Folded(CRLF_SPACE.join(references))
    if mail.auto_submitted is not None:
        message["Auto-Submitted"] = _text("Auto-Submitted", mail.auto_submitted)
        # Exchange: what it is not to answer this with. OOF, its word for an absence, is left out
        # for agents.
        message["X-Auto-Response-Suppress"] = _Folded(
            "DR, RN, NRN" if mail.wants_absences else "All"
        )
    return message.as_bytes()


def _multipart(subtype: str, *parts: Message) -> Message:
    message = Message(POLICY)
    message["Content-Type"] = f'multipart/{subtype}; boundary="=_{secrets.token_hex(12)}"'
    message.set_payload(list(parts))
    return message


def _body(subtype: str, text: str) -> Message:
    message = Message(POLICY)
    message["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    message["Content-Transfer-Encoding"] = "quoted-printable"
    message.set_payload(b2a_qp(_clean_body(text).encode("utf-8"), istext=True).decode("ascii"))
    return message


def _references(ids: tuple[str, ...]) -> list[str]:
    clean = list(dict.fromkeys(each for raw in ids if (each := clean_message_id(raw)) is not None))
    if len(clean) > LONGEST_REFERENCES:
        clean = [clean[0], *clean[1 - LONGEST_REFERENCES :]]
    return clean


def _clean_body(text: str) -> str:
    """Return `text` with plain line ends, without NUL and without half characters."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return _CONTROLS.sub("", unified).encode("utf-8", "replace").decode("utf-8")


def _attachment(file: File) -> Message:
    content_type = file.content_type
    maintype = content_type.partition("/")[0]
    if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", content_type) or maintype in (
        "message",
        "multipart",
    ):
        content_type = "application/octet-stream"
    name = _fitting_name(clean_header(file.filename))
    message = Message(POLICY)
    message["Content-Type"] = content_type
    message["Content-Transfer-Encoding"] = "base64"
    told = name if name.isascii() else ("utf-8", "", name)  # RFC 2231
    message.add_header("Content-Disposition", "attachment", filename=told)
    message.set_payload(encodebytes(file.content).decode("ascii"))
    return message


def _fitting_name(name: str) -> str:
    """Return a file's name, its middle left out where a header line would not hold it all.

    Source: RFC 5322 section 2.1.1 (998 characters a line).
    """
    if len(quote(name, safe="")) <= LONGEST_FILENAME:
        return name
    stem, dot, suffix = name.rpartition(".")
    kept = f"…{dot}{suffix}" if dot and len(suffix) <= 10 else "…"
    return f"{(stem or name)[:50]}{kept}"
