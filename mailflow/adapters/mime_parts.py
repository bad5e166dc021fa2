"""What the headers of one MIME part say, read without trusting them."""

import binascii
from email.errors import MessageError as EmailError
from email.message import Message

from mailparser.exceptions import MailParserError

from mailflow.adapters.headers import decode_raw, decode_value, decode_words

PARSE_ERRORS = (
    MailParserError, EmailError, ValueError, LookupError, AttributeError, TypeError,
    RecursionError, AssertionError, binascii.Error,
)  # fmt: skip


def mend_headers(part: Message) -> None:
    """Turn raw 8-bit bytes in a part's MIME headers into the text that they mean."""
    for name, raw in list(part.raw_items()):
        value = str(raw)
        if name.lower().startswith("content-") and not value.isascii():
            part.replace_header(name, decode_raw(value.encode("utf-8", "surrogateescape")))


def content_type_of(part: Message) -> str:
    try:
        return part.get_content_type()[:100]
    except PARSE_ERRORS:
        return "text/plain"


def charset_of(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except PARSE_ERRORS:
        return parameter_of(part, "charset") or None


def parameter_of(part: Message, name: str) -> str:
    """A parameter of Content-Type, or ''."""
    try:
        if name not in str(part.get("content-type", "")).lower():
            return ""
        value = part.get_param(name)
    except PARSE_ERRORS:
        return ""
    return value if isinstance(value, str) else ""


def disposition_of(part: Message) -> str:
    try:
        return (part.get_content_disposition() or "")[:40]
    except PARSE_ERRORS:
        return ""


def filename_of(part: Message) -> str:
    """The file's name from Content-Disposition or Content-Type. Source: RFC 2231, RFC 2047."""
    try:
        values = (part.get("content-disposition", ""), part.get("content-type", ""))
        if not any("name" in str(value).lower() for value in values):
            return ""
        name = part.get_filename() or ""
    except PARSE_ERRORS:
        return ""
    name = decode_raw(name.encode("utf-8", "surrogateescape"))
    return decode_words(name) if "=?" in name else name


def content_id_of(part: Message) -> str | None:
    value = part.get("content-id")
    return (
        decode_value(str(value).encode("utf-8", "replace")).strip("<> ")[:200] or None
        if (value)
        else None
    )


def is_enveloped(part: Message, name: str, content: bytes) -> bool:
    """True for S/MIME ciphertext, False for an opaque signature. Source: RFC 8551 section 3.2."""
    smime_type = parameter_of(part, "smime-type").lower()
    if smime_type:
        return smime_type not in ("signed-data", "certs-only")
    # OID 1.2.840.113549.1.7.3 is enveloped data, …7.2 signed data
    if b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" in content[:40]:
        return False
    return not name.lower().endswith((".p7s", ".p7c"))


def unflow(text: str, delete_space: bool) -> str:
    """Join the soft line breaks of format=flowed, except in quotes. Source: RFC 3676."""
    lines: list[str] = []
    open_paragraph = False
    for line in text.split("\n"):
        if line.startswith(">"):
            lines.append(line)
            open_paragraph = False
            continue
        stuffed = line.startswith(" ")
        content = line[1:] if stuffed else line
        if open_paragraph and content and content != "-- ":
            lines[-1] += content
        else:
            lines.append(content)
        open_paragraph = content.endswith(" ") and content != "-- " and bool(content.strip())
        if open_paragraph and delete_space:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)
