"""The MIME structure of a mail: bodies to read, attachments to keep.

mail-parser does the parsing. It is handed a mail whose sizes are bounded (`bounds`) and whose
header block holds only what it needs, in clean UTF-8.
"""

import hashlib
import logging
import mimetypes
import quopri
import re
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message
from typing import cast
from urllib.parse import unquote

from mailparser import MailParser

from mailflow.adapters.attachments import clean_filename
from mailflow.adapters.bounds import Slices, bound_body
from mailflow.adapters.charsets import decode_text
from mailflow.adapters.headers import RawHeader, decode_raw
from mailflow.adapters.mime_parts import (
    PARSE_ERRORS,
    charset_of,
    content_id_of,
    content_type_of,
    disposition_of,
    filename_of,
    is_enveloped,
    mend_headers,
    parameter_of,
    unflow,
)
from mailflow.adapters.smime import find_signed_content
from mailflow.adapters.uuencode import take_uuencoded
from mailflow.core.messages import Attachment

MAX_ATTACHMENTS = 200
MAX_TEXT_PART = 1024 * 1024

_KEPT = frozenset(
    {
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "mime-version",
    }
)
_ENCRYPTED_TYPES = frozenset({"application/pgp-encrypted"})
_BOUNDARY_LINE = re.compile(
    rb"(?:^|\n)--([^\s\"\\]{1,70})[ \t]*\r?\n(?:content-|\r?\n)", re.IGNORECASE
)
_CID = re.compile(r"[\"'(]cid:([^\"'()<>\s]{1,200})", re.IGNORECASE)
_PGP_BEGIN = b"-----BEGIN PGP MESSAGE-----"

logging.getLogger("mailparser").setLevel(logging.CRITICAL)


class _LeanParser(MailParser):  # type: ignore[misc]  # it comes without types
    """mail-parser without its dictionaries of headers, which are read here from the raw bytes."""

    def _make_mail(self, complete: bool = True) -> dict[str, object]:
        return {}


@dataclass(slots=True)
class Content:
    """What a mail holds, in reading order. Each body is an alternative of plain and HTML text."""

    bodies: list["Body"] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)  # attached mails, raw
    reports: list[tuple[str, str]] = field(default_factory=list)  # (content type, text)
    types: list[str] = field(default_factory=list)  # content type of every part
    parameters: dict[str, str] = field(default_factory=dict)  # of the outermost Content-Type
    calendar_method: str = ""
    encrypted: bool = False
    defects: list[str] = field(default_factory=list)
    parser: MailParser | None = None


@dataclass(slots=True)
class Body:
    """One readable part: `plain`, `html`, or both if they are alternatives of each other."""

    plain: str | None = None
    html: str | None = None


def read_content(headers: list[RawHeader], body: bytes) -> Content:
    """Parse the structure of a mail. Never raises; what could not be read is a defect."""
    content = Content()
    mime_type = next((v for k, v in headers if k.lower() == "content-type"), b"")
    bounded = bound_body(body, decode_raw(mime_type))
    content.defects += bounded.defects
    reduced = _reduced_header(headers)
    try:
        content.parser = _LeanParser.from_bytes(reduced + b"\n" + bounded.body)
    except PARSE_ERRORS as error:
        content.defects.append(f"MIME structure unreadable: {type(error).__name__}")
    if content.parser is None or content.parser.message is None:
        content.bodies.append(Body(plain=decode_text(bounded.body[:MAX_TEXT_PART], None)[0]))
        return content
    reader = _Reader(content, bounded.slices)
    message = cast("Message", content.parser.message)
    content.parameters = _parameters(message)
    reader.read(message)
    content.attachments = mark_inline(content.attachments, content.bodies)
    for category in sorted(content.parser.defects_categories):
        if category not in ("AddressHeaderDefect", "ReceivedHeaderDefect"):
            content.defects.append(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(category)).lower())
    return content


def mark_inline(attachments: list[Attachment], bodies: list[Body]) -> list[Attachment]:
    """Mark what the HTML shows by its Content-ID, whatever its disposition. Source: RFC 2392."""
    shown: set[str] = set()
    for body in bodies:
        shown.update(unquote(cid) for cid in _CID.findall(body.html or "")[:1000])
    return [
        replace(attachment, inline=True) if attachment.content_id in shown else attachment
        for attachment in attachments
    ]


def _reduced_header(headers: list[RawHeader]) -> bytes:
    lines = []
    seen = set()
    for name, value in headers:
        lowered = name.lower()
        if lowered not in _KEPT or lowered in seen:
            continue
        seen.add(lowered)
        limit = 2000 if lowered.startswith("content-") else 4000
        text = re.sub(r"[\r\n\x00]+[ \t]*", " ", decode_raw(value[:limit])).strip()
        if lowered.startswith("content-") and text.count(";") > 60:
            text = ";".join(text.split(";")[:60])
        lines.append(f"{name}: {text}\n".encode("utf-8", "replace"))
    return b"".join(lines)


def _parameters(message: Message) -> dict[str, str]:
    try:
        pairs = message.get_params(failobj=[], header="content-type")
        return {str(key).lower(): str(value) for key, value in pairs or []}
    except PARSE_ERRORS:
        return {}


class _Reader:
    """Walks the parts of one mail, without recursion limits being reached (depth is bounded)."""

    def __init__(self, content: Content, slices: Slices) -> None:
        self.content = content
        self.slices = slices
        self.mended = False
        self.unwrapped = False

    def read(self, part: Message) -> None:
        """Read `part` and all that is in it."""
        mend_headers(part)
        kind = content_type_of(part)
        self.content.types.append(kind)
        if kind in ("message/rfc822", "message/global"):
            self._attached_message(part)
        elif kind in ("message/delivery-status", "message/global-delivery-status"):
            self.content.reports.append((kind, self._report(part)))
        elif part.is_multipart():
            self._multipart(part, kind)
        elif kind.startswith("multipart/"):
            self._broken_multipart(part)
        else:
            self._leaf(part, kind)

    def _multipart(self, part: Message, kind: str) -> None:
        children = cast("list[Message]", part.get_payload())
        if kind == "multipart/encrypted":
            self.content.encrypted = True
        if kind == "multipart/alternative":
            self._alternative(children)
            return
        if kind == "multipart/appledouble":
            children = children[1:]
        for child in children:
            self.read(child)

    def _broken_multipart(self, part: Message) -> None:
        """A multipart without the boundary it names: find one in the body, or read it as text."""
        content = self._decoded(part)
        line = _BOUNDARY_LINE.search(content[:20_000])
        if line is not None and not self.mended:
            self.mended = True
            mended = b'Content-Type: multipart/mixed; boundary="%s"\n\n%s' % (
                line.group(1),
                content,
            )
            try:
                self.read(message_from_bytes(mended))
            except PARSE_ERRORS:
                self.content.defects.append("multipart unreadable")
            else:
                return
        self.content.bodies.append(Body(plain=decode_text(content[:MAX_TEXT_PART], None)[0]))

    def _alternative(self, children: list[Message]) -> None:
        before = len(self.content.bodies)
        for child in children:
            self.read(child)
        found = self.content.bodies[before:]
        plains = [body for body in found if body.plain is not None and body.html is None]
        htmls = [body for body in found if body.html is not None and body.plain is None]
        if len(plains) == 1 and len(htmls) >= 1:
            merged = Body(plain=plains[0].plain, html="<br>".join(b.html or "" for b in htmls))
            others = [body for body in found if body not in plains and body not in htmls]
            self.content.bodies[before:] = [merged, *others]

    def _leaf(self, part: Message, kind: str) -> None:
        content = self._decoded(part)
        disposition = disposition_of(part)
        name = filename_of(part)
        if kind in _ENCRYPTED_TYPES:
            self.content.encrypted = True
        if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
            self._smime(part, name, content)
        if kind in ("text/rfc822-headers", "message/disposition-notification",
                    "message/feedback-report"):  # fmt: skip
            self.content.reports.append((kind, decode_text(content[:MAX_TEXT_PART], None)[0]))
            return
        if kind == "text/calendar":
            method = re.search(rb"(?im)^METHOD:([A-Z]{3,20})", content[:20000])
            if method and not self.content.calendar_method:
                self.content.calendar_method = method.group(1).decode("ascii").upper()
        is_text = kind in ("text/plain", "text/html", "text/enriched", "text/markdown")
        if is_text and disposition != "attachment" and not (name and self.content.bodies):
            self._text(part, kind, content)
            if not name:
                return
            if kind == "text/plain" and disposition in ("", "inline") and len(content) < 200:
                return
        self.add(name, kind, content, content_id_of(part), disposition == "inline")

    def _smime(self, part: Message, name: str, content: bytes) -> None:
        """Ciphertext cannot be read; an opaque signature holds a mail that can."""
        signed = find_signed_content(content)
        if signed is None:
            self.content.encrypted = self.content.encrypted or is_enveloped(part, name, content)
        elif not self.unwrapped:
            self.unwrapped = True
            try:
                self.read(message_from_bytes(signed))
            except PARSE_ERRORS:
                self.content.defects.append("signed content unreadable")

    def _text(self, part: Message, kind: str, content: bytes) -> None:
        if len(content) > MAX_TEXT_PART:
            self.content.defects.append(f"text part of {len(content)} bytes: cut")
            content = content[:MAX_TEXT_PART]
        if kind != "text/html" and b"begin " in content:
            content, files = take_uuencoded(content)
            for name, data in files:
                self.add(name, "application/octet-stream", data, None)
        text, remark = decode_text(content, charset_of(part))
        if remark:
            self.content.defects.append(remark)
        if _PGP_BEGIN.decode() in text[:5000]:
            self.content.encrypted = True
        if parameter_of(part, "format").lower() == "flowed":
            text = unflow(text, parameter_of(part, "delsp").lower() == "yes")
        body = Body(html=text) if kind == "text/html" else Body(plain=text)
        self.content.bodies.append(body)

    def _attached_message(self, part: Message) -> None:
        payload = part.get_payload()
        try:
            if isinstance(payload, list) and payload:
                raw = cast("Message", payload[0]).as_bytes()
            else:
                raw = self._decoded(part)
        except PARSE_ERRORS:
            self.content.defects.append("attached mail unreadable")
            return
        raw = self.slices.restore_encoded(raw)
        self.content.messages.append(raw)
        self.add(filename_of(part) or "message.eml", "message/rfc822", raw, None)

    def _report(self, part: Message) -> str:
        payload = part.get_payload()
        try:
            if isinstance(payload, list):
                return "\n\n".join(
                    decode_raw(cast("Message", sub).as_bytes()).strip() for sub in payload[:500]
                )
            return decode_text(self._decoded(part), None)[0]
        except PARSE_ERRORS:
            return ""

    def _decoded(self, part: Message) -> bytes:
        encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
        try:
            content = part.get_payload(decode=True)
        except PARSE_ERRORS:
            content = None
        if not isinstance(content, bytes):
            payload = part.get_payload() if not part.is_multipart() else ""
            content = str(payload).encode("utf-8", "surrogateescape")
            if encoding == "quoted-printable":
                content = quopri.decodestring(content)
        if encoding == "base64":
            return self.slices.restore_decoded(content)
        return self.slices.restore_encoded(content)

    def add(
        self, name: str, kind: str, content: bytes, content_id: str | None, inline: bool = False
    ) -> None:
        """Keep `content` as an attachment, or say that there are too many."""
        attachments = self.content.attachments
        if len(attachments) >= MAX_ATTACHMENTS:
            remark = f"more than {MAX_ATTACHMENTS} attachments: the rest is only in the raw mail"
            if remark not in self.content.defects:
                self.content.defects.append(remark)
            return
        attachments.append(
            Attachment(
                filename=clean_filename(name, kind, len(attachments) + 1),
                content_type=kind,
                size=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                content=content,
                content_id=content_id,
                inline=inline,
            )
        )


def keep_file(content: Content, name: str, data: bytes) -> None:
    """Keep a file that came without a content type, guessed from its name."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    _Reader(content, Slices(b"", ())).add(name.replace("\0", ""), kind, data, None)
