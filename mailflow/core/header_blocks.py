"""Header blocks that mail programs copy above a quoted or forwarded mail."""

import re
from collections.abc import Sequence

from mailflow.core.quote_phrases import HEADER_LABELS

MAX_LINE = 1000


def alternatives(words: Sequence[str]) -> str:
    """Return a pattern for any of `words`, the longest tried first."""
    return "|".join(sorted(map(re.escape, set(words)), key=len, reverse=True))


_QUOTE_PREFIX = re.compile(r"^[ \t]{0,8}(?:>[ \t]?){1,40}")
_LABEL_KINDS = {label: kind for kind, labels in HEADER_LABELS.items() for label in labels}
_LABEL = re.compile(
    rf"^[\s>*_|]{{0,20}}({alternatives(list(_LABEL_KINDS))})[\s\u00a0]{{0,3}}[*_]{{0,2}}"
    r"[\s\u00a0]{0,20}[:：]\s?[*_]{0,2}(.*)$",
    re.IGNORECASE,
)


def unquoted(text: str) -> str:
    """Take the leading '>' marks off a line."""
    return _QUOTE_PREFIX.sub("", text) if ">" in text[:9] else text


def label_of(line: str) -> tuple[str, str] | None:
    """Return (kind, value) of a copied header line such as 'Envoyé : lundi…', or None."""
    if ":" not in line[:60] and "：" not in line[:60]:
        return None
    match = _LABEL.match(line[:MAX_LINE])
    if match is None:
        return None
    return _LABEL_KINDS[match.group(1).lower()], match.group(2).strip(" \t*_\u00a0")


def header_block_length(lines: Sequence[str], index: int) -> int:
    """Return the number of lines of the copied header block at `index`, or 0.

    A block names the sender and at least the date, or the recipient and the subject; where it
    is short, only an address in it proves that it is not a form that somebody filled in. Values
    may be wrapped, and blank lines may stand between the headers.
    """
    first = label_of(lines[index])
    if first is None or first[0] in ("cc", "other"):
        return 0
    kinds = {first[0]}
    has_address = "@" in lines[index]
    end = index + 1
    strays = blanks = 0
    for position in range(index + 1, min(len(lines), index + 40)):
        line = lines[position]
        if not unquoted(line).strip():
            blanks += 1
            if blanks > 1 or (len(kinds) >= 3 and "subject" in kinds):
                break
            continue
        label = label_of(line)
        if label is None:
            strays += 1
            wrapped = blanks == 0 and (strays <= 2 or "@" in line or line[:1] in " \t")
            if not wrapped or strays > 30 or ("subject" in kinds and strays > 1):
                break
            if "subject" in kinds and not _continues_subject(lines, position):
                break
            has_address = has_address or "@" in line
            continue
        if label[0] in kinds and label[0] in ("from", "subject", "sent"):
            break
        kinds.add(label[0])
        has_address = has_address or "@" in line
        end = position + 1
        strays = blanks = 0
    return end - index if _is_block(kinds, has_address) else 0


def _continues_subject(lines: Sequence[str], position: int) -> bool:
    """A subject may be wrapped if another header or a blank line follows."""
    following = lines[position + 1] if position + 1 < len(lines) else ""
    return label_of(following) is not None


def _is_block(kinds: set[str], has_address: bool) -> bool:
    when = kinds & {"sent", "date"}
    if "from" in kinds:
        if "sent" in kinds and len(kinds) >= 2:
            return True
        if len(kinds - {"other"}) >= 4:
            return True
        return has_address and bool(kinds & {"date", "subject"})
    if "sent" in kinds and len(kinds) >= 3:
        return True
    return has_address and bool(when) and "to" in kinds
