"""Build the mails that we send. Every outgoing header value is cleaned here and nowhere else.

Python 3.11's `email` package decodes encoded words in values that it is given, line breaks
included, and then writes those into the header. So an `=?` never reaches it.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.headerregistry import Address as HeaderAddress
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from mailflow.core.messages import Address
from mailflow.errors import MessageError

LONGEST_HEADER = 400  # characters; longer subjects are cut with an ellipsis
LONGEST_REFERENCES = 15  # message ids; the first and the latest are kept (RFC 5322 3.6.4)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}@[!-;=?-~]{1,240}>")
_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@.{1,253}\Z)(?!.*=\?)"
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 .,'()_@+&!:;-]+")
_MESSAGE_ID_HEADERS = frozenset({"message-id", "in-reply-to", "references"})
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class _Policy(EmailPolicy):
    """The SMTP policy, but one message id or address a line.

    The library would encode long ids, and it loses the quotes of a long display name, so that
    what stands in the name is read as one more address.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        if isinstance(value, AddressHeader):
            written = f",{CRLF_SPACE}".join(map(_mailbox, value.addresses))
            return f"{name}: {written}\r\n".encode("ascii")
        if name.lower() in _MESSAGE_ID_HEADERS:
            return f"{name}: {CRLF_SPACE.join(str(value).split())}\r\n".encode("ascii")
        return super().fold_binary(name, value)


def _mailbox(address: HeaderAddress) -> str:
    name = address.display_name
    if not name:
        return address.addr_spec
    if not _PLAIN_NAME.fullmatch(name):
        words = Header(name, "utf-8", maxlinelen=75, header_name="Reply-To")
        return f"{words.encode(linesep=CRLF)}{CRLF_SPACE}<{address.addr_spec}>"
    quoted = name if re.fullmatch(r"[A-Za-z0-9 -]+", name) else f'"{name}"'
    return f"{quoted} <{address.addr_spec}>"


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # category Cc but for line end and tab
CRLF = "\r\n"
CRLF_SPACE = "\r\n "
POLICY = _Policy(linesep="\r\n", raise_on_defect=False)


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
    kept = "".join(
        " " if character in "\r\n\t\v\f\x85\u2028\u2029" else character
        for character in value
        if character in "\r\n\t\v\f\x85\u2028\u2029"
        or unicodedata.category(character) not in _INVISIBLE
    )
    kept = re.sub(r"=(?=\?)", "= ", kept)
    line = " ".join(kept.split())
    return line if len(line) <= LONGEST_HEADER else line[: LONGEST_HEADER - 1].rstrip() + "…"


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
    message = EmailMessage(policy=POLICY)
    message["From"] = _header_address(mail.sender)
    message["To"] = [_header_address(each) for each in mail.to]
    if mail.cc:
        message["Cc"] = [_header_address(each) for each in mail.cc]
    if mail.reply_to is not None:
        message["Reply-To"] = _header_address(Address("", mail.reply_to))
    message["Subject"] = clean_header(mail.subject)
    message["Date"] = format_datetime(mail.date)
    message["Message-ID"] = mail.message_id
    parent = clean_message_id(mail.in_reply_to) if mail.in_reply_to else None
    if parent is not None:
        message["In-Reply-To"] = parent
    references = _references(mail.references)
    if references:
        message["References"] = " ".join(references)
    if mail.auto_submitted is not None:
        message["Auto-Submitted"] = mail.auto_submitted
        # Exchange: what it is not to answer this with. OOF, its word for an absence, is left out
        # for agents.
        message["X-Auto-Response-Suppress"] = "DR, RN, NRN" if mail.wants_absences else "All"
    message.set_content(_clean_body(mail.text), cte="quoted-printable")
    message.add_alternative(_clean_body(mail.html), subtype="html", cte="quoted-printable")
    for file in mail.files:
        _attach(message, file)
    return message.as_bytes()


def _header_address(address: Address) -> HeaderAddress:
    if not is_sendable(address.address):
        raise MessageError(f"cannot write to {address.address!r}: not a plain mail address")
    name = clean_header(address.name).replace('"', "'").replace("\\", "")
    return HeaderAddress(display_name=name[:120], addr_spec=address.address)


def _references(ids: tuple[str, ...]) -> list[str]:
    clean = list(dict.fromkeys(each for raw in ids if (each := clean_message_id(raw)) is not None))
    if len(clean) > LONGEST_REFERENCES:
        clean = [clean[0], *clean[1 - LONGEST_REFERENCES :]]
    return clean


def _clean_body(text: str) -> str:
    """Return `text` with plain line ends, without NUL and without half characters."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return _CONTROLS.sub("", unified).encode("utf-8", "replace").decode("utf-8")


def _attach(message: EmailMessage, file: File) -> None:
    maintype, _, subtype = file.content_type.partition("/")
    if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", file.content_type) or maintype in (
        "message",
        "multipart",
    ):
        maintype, subtype = "application", "octet-stream"
    message.add_attachment(
        file.content, maintype=maintype, subtype=subtype, filename=clean_header(file.filename)
    )
