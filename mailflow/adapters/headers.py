"""The header block of a mail: found in the raw bytes, decoded, and bounded.

The standard library takes minutes on some header values (a 170 KB encoded word, 100 KB of
semicolons), so values are cut before any library sees them.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_tz

from mailflow.adapters.charsets import decode_text

MAX_HEADERS = 1000
MAX_VALUE = 8 * 1024
MAX_ADDRESS_VALUE = 256 * 1024
MAX_BLOCK = 2 * 1024 * 1024
MAX_MESSAGE_IDS = 200

_ADDRESS_HEADERS = frozenset({"to", "cc", "bcc"})
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|$)")
_NAME = re.compile(rb"([!-9;-~]{1,128})[ \t]*:")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_ENCODED_GAP = re.compile(r"(\?=)[ \t\r\n]+(=\?)")
_ENCODED_GLUED = re.compile(r'(?<=[^\s(",])(=\?[\w.:*-]{1,40}\?[bBqQ]\?)')
_RAW_IN_WORD = re.compile(r"=\?([\w.:*-]{1,40})\?[qQ]\?([^?]{0,400})\?=")
_SPLIT_WORD = re.compile(r"(=\?([\w.:-]{1,40})\?[qQ]\?[^?]{0,800})\?==\?\2\?[qQ]\?")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,990})>")
_BARE_ID = re.compile(r"[^\s<>,;]{1,500}@[^\s<>,;]{1,490}")
RawHeader = tuple[str, bytes]


def split_mail(raw: bytes) -> tuple[list[RawHeader], bytes, list[str]]:
    """Split `raw` into its header fields, in order and still encoded, and its body.

    A leading mbox line and blank lines are skipped. A mail whose first line is no header at all
    is a body without headers. Line ends may be CRLF, LF or a lone CR. Values are unfolded only
    by `decode_value`. Source: RFC 5322 section 2.2.
    """
    defects: list[str] = []
    headers: list[RawHeader] = []
    position = _skip_preamble(raw)
    end = min(len(raw), position + MAX_BLOCK)
    name = ""
    parts: list[bytes] = []
    strays = 0
    while position < end:
        match = _LINE.match(raw, position)
        line = match.group() if match else raw[position:]
        stripped = line.rstrip(b"\r\n")
        if not stripped:
            position += len(line)
            break
        if stripped[:1] in (b" ", b"\t"):
            if not stripped.strip() and not _looks_like_header(raw, position + len(line)):
                position += len(line)
                break
            parts.append(line)
            position += len(line)
            continue
        field = _NAME.match(stripped)
        if field is None:
            if not headers and not name:
                return [], raw[position:], ["no header block"]
            strays += 1
            if strays > 1 or not _looks_like_header(raw, position + len(line)):
                defects.append("header block ends without a blank line")
                break
            defects.append("a line of the header block is no header")
            position += len(line)
            continue
        _keep(headers, name, parts, defects)
        name = field.group(1).decode("ascii")
        parts = [stripped[field.end() :]]
        position += len(line)
        if len(headers) >= MAX_HEADERS:
            defects.append(f"more than {MAX_HEADERS} headers: the rest is left out")
            position = _skip_headers(raw, position)
            break
    _keep(headers, name, parts, defects)
    return headers, raw[position:], defects


def _skip_preamble(raw: bytes) -> int:
    position = 0
    if raw.startswith(b"\xef\xbb\xbf"):
        position = 3
    while position < len(raw) and raw[position] in b"\r\n":
        position += 1
    if raw.startswith((b"From ", b">From "), position):
        match = _LINE.match(raw, position)
        position = match.end() if match else position
    return position


def _skip_headers(raw: bytes, position: int) -> int:
    ends = [raw.find(b"\r\n\r\n", position), raw.find(b"\n\n", position)]
    found = [end for end in ends if end >= 0]
    return min(found) + 2 if found else len(raw)


def _looks_like_header(raw: bytes, position: int) -> bool:
    return _NAME.match(raw[position : position + 200]) is not None


def _keep(headers: list[RawHeader], name: str, parts: Sequence[bytes], defects: list[str]) -> None:
    if not name:
        return
    value = b"".join(parts)
    limit = MAX_ADDRESS_VALUE if name.lower() in _ADDRESS_HEADERS else MAX_VALUE
    if len(value) > limit:
        defects.append(f"header {name[:40]} is longer than {limit} bytes: cut")
        value = value[:limit]
        value = value.rpartition(b",")[0] or value if limit == MAX_ADDRESS_VALUE else value
    headers.append((name, value))


def decode_raw(value: bytes) -> str:
    """Decode raw header bytes: UTF-8 (RFC 6532) or, failing that, the likeliest charset."""
    if value.isascii():
        return value.decode("ascii")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return decode_text(value, "windows-1252")[0]


def decode_value(value: bytes) -> str:
    """Return a header value as a person reads it, on one line, free of control characters.

    Source: RFC 2047; broken encoded words are left as they stand.
    """
    text = decode_raw(value)
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(" ", text)
    if "=?" in text:
        text = decode_words(text)
    if not text.isprintable():  # only then is there any control character
        text = _CONTROL.sub(" ", text)
    return text.strip()


def decode_words(text: str) -> str:
    """Decode the RFC 2047 words in `text`, also those that lack the space between them."""
    if text.count("=?") > 500:
        return text
    text = _ENCODED_GAP.sub(r"\1\2", text)
    joined = _join_split_characters(text)
    spaced = _ENCODED_GLUED.sub(r" \1", joined) if "?==?" not in joined else joined
    spaced = _RAW_IN_WORD.sub(lambda word: word.group().replace(" ", "_"), spaced)
    try:
        chunks = decode_header(spaced.replace("?==?", "?= =?"))
    except (HeaderParseError, ValueError, LookupError, UnicodeError, AssertionError):
        return text
    parts = []
    for data, charset in chunks:
        if isinstance(data, str):
            parts.append(data)
        elif charset is None:
            parts.append(data.decode("raw-unicode-escape", "replace"))
        else:
            parts.append(decode_text(data, charset.partition("*")[0])[0])
    decoded = "".join(parts)
    return decoded if spaced == joined else decoded.replace("  ", " ")


def _join_split_characters(text: str) -> str:
    """Join neighbouring base64 words of one charset: some cut a character in two."""
    return _SPLIT_WORD.sub(r"\1", text)


def parse_message_ids(value: str) -> tuple[str, ...]:
    """Return the Message-IDs in `value`, with angle brackets, each once, at most 200.

    One without brackets is accepted if nothing else is there. Source: RFC 5322 section 3.6.4.
    """
    found = [f"<{match}>" for match in _MESSAGE_ID.findall(value)]
    if not found:
        found = [f"<{match}>" for match in _BARE_ID.findall(value[:2000])]
    unique = tuple(dict.fromkeys(found))
    return unique[:1] + unique[1:][-(MAX_MESSAGE_IDS - 1) :]


def parse_date(value: str) -> datetime | None:
    """Return an aware datetime, or None for a date that no calendar has.

    A zone of -0000 or none at all is read as UTC. Source: RFC 5322 section 3.3.
    """
    try:
        fields = parsedate_tz(value[:200])
        if fields is None or len(fields) < 10:
            return None
        offset = fields[9] or 0
        if abs(offset) >= 24 * 3600:
            return None
        zone = timezone(timedelta(seconds=offset)) if offset else UTC
        year, month, day, hour, minute, second = fields[:6]
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return moment
