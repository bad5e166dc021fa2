"""Raw bytes → InboundMessage, whatever the bytes are."""

from datetime import datetime

from mailflow.adapters.addresses import parse_addresses
from mailflow.adapters.body_text import read_bodies
from mailflow.adapters.bounces import find_report
from mailflow.adapters.charsets import clean_text, decode_text
from mailflow.adapters.headers import (
    RawHeader,
    decode_raw,
    decode_value,
    parse_date,
    parse_message_ids,
    split_mail,
)
from mailflow.adapters.language import detect_language
from mailflow.adapters.mime import Content, read_content
from mailflow.adapters.tnef import unpack_tnef
from mailflow.core.classify import Evidence, classify
from mailflow.core.messages import Address, Forwarded, InboundMessage, MessageClass
from mailflow.core.replies import Context, Reply, split_reply

MAX_RAW = 64 * 1024 * 1024
PROOFS = frozenset({"authentication-results", "arc-authentication-results", "received-spf"})
MAX_TEXT = 1024 * 1024


def parse_message(raw: bytes, own_addresses: frozenset[str] = frozenset()) -> InboundMessage:
    """Read one mail. Never raises, on any bytes: what cannot be read is told in `defects`.

    `own_addresses`, in lower case, are those that mailflow itself sends from. Sizes are bounded
    before any library sees the mail: see docs/parsing.md for the limits.
    """
    try:
        return _parse(raw, own_addresses)
    except MemoryError:
        raise  # nothing can be built any more: the sandbox's parent tells the story
    except Exception as error:
        # Nothing is known to come here; a library's bug must not stop the other mails.
        return _unreadable(raw, error)


def _parse(raw: bytes, own_addresses: frozenset[str]) -> InboundMessage:
    defects: list[str] = []
    if len(raw) > MAX_RAW:
        defects.append(f"mail of {len(raw)} bytes: only the first {MAX_RAW} were read")
        raw = raw[:MAX_RAW]
    if not raw.strip():
        defects.append("empty mail")
    fields, body, found = split_mail(raw)
    defects += found
    content = read_content(fields, body)
    unpack_tnef(content)
    headers = tuple((name, _readable(name, value)) for name, value in fields)
    return _Assembler(fields, headers, content, defects, own_addresses).build(raw)


def _readable(name: str, value: bytes) -> str:
    """Decode a header, but not one that proofs are read from: a server never encodes those."""
    if name.lower() in PROOFS:
        return decode_raw(value).replace("\r", " ").replace("\n", " ").replace("\0", "")
    return decode_value(value)


class _Assembler:
    """Puts the parts of one mail together."""

    def __init__(
        self,
        fields: list[RawHeader],
        headers: tuple[tuple[str, str], ...],
        content: Content,
        defects: list[str],
        own_addresses: frozenset[str],
    ) -> None:
        self.fields = fields
        self.headers = headers
        self.content = content
        self.defects = defects
        self.own_addresses = own_addresses
        self.first: dict[str, str] = {}
        for name, value in headers:
            self.first.setdefault(name.lower(), value)

    def build(self, raw: bytes) -> InboundMessage:
        senders = self._addresses("from")
        subject = self.first.get("subject", "")
        lines = read_bodies(self.content.bodies)
        text = "\n".join(line.text for line in lines)
        if len(text) > MAX_TEXT:
            self.defects.append(f"text of {len(text)} characters: cut")
            text = text[:MAX_TEXT]
        references = parse_message_ids(self.first.get("references", ""))
        in_reply_to = parse_message_ids(self.first.get("in-reply-to", ""))
        reply = split_reply(
            lines,
            Context(
                subject=subject,
                is_reply=bool(references or in_reply_to),
                sender_name=senders[0].name if senders else "",
            ),
        )
        report = find_report(self.headers, [s.address for s in senders], self.content, text, raw)
        verdict = classify(
            Evidence(
                headers=self.headers,
                senders=tuple(sender.address for sender in senders),
                subject=subject,
                text=text,
                new_text=reply.new_text,
                content_type=self.content.types[0] if self.content.types else "text/plain",
                parameters=tuple(self.content.parameters.items()),
                part_types=tuple(self.content.types),
                calendar_method=self.content.calendar_method,
                bounce=report.bounce,
                delivered=report.delivered,
                own_addresses=self.own_addresses,
            )
        )
        if self.content.encrypted:
            self.defects.append("encrypted: nobody here can read the body")
        new_text, forwarded = self._with_attached_mail(reply, verdict.message_class)
        return InboundMessage(
            message_id=next(iter(parse_message_ids(self.first.get("message-id", ""))), None),
            in_reply_to=in_reply_to,
            references=references,
            senders=senders,
            reply_to=self._addresses("reply-to"),
            to=self._addresses("to"),
            cc=self._addresses("cc"),
            subject=subject,
            date=self._date(),
            language=self._language(new_text, text, subject),
            text=text.strip("\n"),
            new_text=new_text,
            signature=reply.signature,
            quoted=reply.quoted,
            forwarded=forwarded,
            message_class=verdict.message_class,
            class_reason=verdict.reason,
            bounce=verdict.bounce,
            attachments=tuple(self.content.attachments),
            defects=tuple(dict.fromkeys([*self.defects, *self.content.defects])),
            headers=self.headers,
            encrypted=self.content.encrypted,
        )

    def _addresses(self, name: str) -> tuple[Address, ...]:
        found: dict[Address, None] = {}
        for key, value in self.fields:
            if key.lower() == name:
                found.update(dict.fromkeys(parse_addresses(value)))
        return tuple(found)

    def _date(self) -> datetime | None:
        value = self.first.get("date")
        date = parse_date(value) if value else None
        if value and date is None:
            self.defects.append("unreadable date")
        return date

    def _language(self, new_text: str, text: str, subject: str) -> str:
        hint = self.first.get("content-language")
        found = detect_language(new_text, hint) if new_text else "und"
        if found == "und" or len(new_text) < 25:
            wider = detect_language(f"{subject}\n{new_text}\n{text[:600]}", hint)
            return wider if found == "und" else found
        return found

    def _with_attached_mail(
        self, reply: Reply, message_class: MessageClass
    ) -> tuple[str, Forwarded | None]:
        """A mail attached as message/rfc822 is a forwarded mail, unless a machine returns it."""
        if reply.forwarded or not self.content.messages or message_class != MessageClass.PERSON:
            return reply.new_text, reply.forwarded
        forwarded = _read_attached(self.content.messages[0])
        return reply.new_text or forwarded.text, forwarded


def _unreadable(raw: bytes, error: Exception) -> InboundMessage:
    """What is left when the parser itself fails: no sender, so that nobody is answered."""
    text, _ = decode_text(raw[:MAX_TEXT], None)
    return InboundMessage(
        message_id=None,
        in_reply_to=(),
        references=(),
        senders=(),
        reply_to=(),
        to=(),
        cc=(),
        subject="",
        date=None,
        language="und",
        text=text,
        new_text=text,
        signature="",
        quoted="",
        forwarded=None,
        message_class=MessageClass.PERSON,
        class_reason="the parser failed",
        bounce=None,
        attachments=(),
        defects=(f"the parser failed: {type(error).__name__}",),
    )


def _read_attached(raw: bytes) -> Forwarded:
    fields, body, _ = split_mail(raw)
    values = {name.lower(): value for name, value in reversed(fields)}
    senders = parse_addresses(values.get("from", b""))
    lines = read_bodies(read_content(fields, body).bodies)
    return Forwarded(
        senders[0] if senders else None,
        decode_value(values.get("subject", b"")),
        clean_text("\n".join(line.text for line in lines)[:MAX_TEXT]).strip(),
    )
