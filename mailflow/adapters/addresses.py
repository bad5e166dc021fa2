"""Address headers → addresses. A misleading From shows the mailbox in angle brackets only."""

import re

from mailparser.utils import get_addresses

from mailflow.adapters.headers import decode_raw, decode_value
from mailflow.core.messages import Address

MAX_ADDRESSES = 25_000
_PLAIN = re.compile(
    r"\s*(?:\"?([^\"<>@,;:()\\]{0,200}?)\"?\s*<([\w.+=#%&'*/!?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,10})>"
    r"|([\w.+=#%&'*/!?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,10}))\s*"
)
_ANGLE = re.compile(r"<\s*([^<>\s@]{1,64}@[^<>\s@]{1,255})\s*>")
_BARE = re.compile(r"(?<![\w.@+-])([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,10})(?![\w@])")
_FOLD = re.compile(r"[\r\n\x00]+[ \t]*")


def parse_addresses(value: bytes) -> tuple[Address, ...]:
    """Return the addresses of one header value, in lower case, with decoded display names.

    `agent@corp <attacker@evil>` is attacker@evil; an address within a display name or a comment
    is never taken. Source: RFC 5322 section 3.4.
    """
    text = _FOLD.sub(" ", decode_raw(value)).strip()
    if not text:
        return ()
    fast = _read_plain(text)
    if fast is not None:
        return fast
    return _read_hard(text)


def _read_plain(text: str) -> tuple[Address, ...] | None:
    """Read a list of ordinary addresses; None as soon as anything is out of the ordinary."""
    found = []
    position = 0
    while position < len(text):
        match = _PLAIN.match(text, position)
        if match is None or match.end() == position:
            return None
        position = match.end()
        if position < len(text):
            if text[position] != ",":
                return None
            position += 1
        name = decode_value((match.group(1) or "").encode()).strip(" '")
        found.append(Address(_clean(name), (match.group(2) or match.group(3)).lower()))
        if len(found) >= MAX_ADDRESSES:
            break
    return tuple(found)


def _read_hard(text: str) -> tuple[Address, ...]:
    text = text[: 64 * 1024]
    try:
        pairs = get_addresses(text, decode_names=True)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pairs = []
    found = tuple(
        Address(_clean(decode_value(name.encode("utf-8", "replace"))), _clean(address).lower())
        for name, address in pairs
        if "@" in address
    )
    return found or _salvage(text)


def _salvage(text: str) -> tuple[Address, ...]:
    """Broken beyond the grammar: the last address in angle brackets, or the only one there is."""
    angled = _ANGLE.findall(text)
    if angled:
        name = text[: text.rindex("<")].strip(" \"'")
        return (
            Address(
                _clean(decode_value(name.encode("utf-8", "replace")))[:200], angled[-1].lower()
            ),
        )
    bare = _BARE.findall(text)
    return (Address("", bare[0].lower()),) if len(set(bare)) == 1 else ()


def _clean(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]+", " ", text).strip()
