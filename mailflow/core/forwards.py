"""A colleague's mail inside a mail: who wrote it first, its subject and its text."""

import re
from collections.abc import Sequence

from mailflow.core.header_blocks import header_block_length, label_of, unquoted
from mailflow.core.messages import Address, Forwarded
from mailflow.core.quote_phrases import FORWARD_PREFIXES, REPLY_PREFIXES

_PREFIX = re.compile(
    r"^\s*(?:\[[^\]]{1,40}\]\s*)*([^\W\d]{1,8}(?:-[^\W\d]{2,4})?)\s?(?:\[\d{1,3}\])?\s?[:：]"
)
_ADDRESS = re.compile(r"[^\s<>@\"'()\[\],;:]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_NAME_NOISE = re.compile(
    r"<[^>]{0,300}>|\[mailto:[^\]]{0,300}\]|\([^)]{0,300}@[^)]{0,300}\)|mailto:\S{0,300}"
)
_FORWARD_SET = frozenset(FORWARD_PREFIXES)
_REPLY_SET = frozenset(REPLY_PREFIXES)


def _first_prefix(subject: str) -> str:
    match = _PREFIX.match(subject)
    return match.group(1).lower() if match else ""


def subject_is_forward(subject: str) -> bool:
    """True if the subject begins with "Fwd:", "TR :", "WG:" or the like."""
    return _first_prefix(subject) in _FORWARD_SET


def subject_is_reply(subject: str) -> bool:
    """True if the subject begins with "Re:", "AW:", "SV:" or the like."""
    return _first_prefix(subject) in _REPLY_SET


def parse_forwarded(lines: Sequence[str]) -> Forwarded:
    """Read the forwarded mail in `lines`, which begin with its separator or header block.

    Where no header block stands in the first lines, sender and subject are unknown and the
    text is all that follows the separator.
    """
    bare = [unquoted(line) if line.lstrip().startswith(">") else line for line in lines]
    start, length = _find_block(bare)
    if not length:
        return Forwarded(None, "", "\n".join(bare[1:]).strip())
    values = _values(bare[start : start + length])
    sender = parse_mailbox(values.get("from", ""))
    text = "\n".join(line.rstrip() for line in bare[start + length :]).strip()
    return Forwarded(sender, values.get("subject", ""), text)


def _find_block(lines: Sequence[str]) -> tuple[int, int]:
    for index in range(min(len(lines), 15)):
        if lines[index].strip():
            length = header_block_length(lines, index)
            if length:
                return index, length
    return 0, 0


def _values(block: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    current = ""
    for line in block:
        label = label_of(line)
        if label is not None:
            current = label[0]
            if current not in values:
                values[current] = label[1]
            else:
                current = ""
        elif current and line.strip():
            values[current] = f"{values[current]} {line.strip()}".strip()
    return values


def parse_mailbox(text: str) -> Address | None:
    """Read 'Name <address>' as mail programs show it in a body; None where nothing is there."""
    text = text.replace("*", " ").strip()
    if not text:
        return None
    match = _ADDRESS.search(text)
    address = match.group().lower().rstrip(".") if match else ""
    name = _NAME_NOISE.sub(" ", text)
    name = _ADDRESS.sub(" ", name)
    name = " ".join(name.replace("<", " ").replace(">", " ").split()).strip(" \"',;()[]")
    return Address(name, address)
