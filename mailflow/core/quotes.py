"""Where a quoted or forwarded mail begins: attributions, header blocks, separators."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailflow.core.header_blocks import alternatives, header_block_length, unquoted
from mailflow.core.quote_phrases import (
    ATTRIBUTION_STARTS,
    DAY_NAMES,
    FORWARDED_MESSAGE,
    ORIGINAL_MESSAGE,
    WROTE,
)

MAX_ATTRIBUTION = 420


class Kind(Enum):
    """What announces the quoted mail."""

    ATTRIBUTION = "attribution"  # one to six lines, "On … wrote:"
    HEADERS = "headers"  # From, Sent, To, Subject, copied
    ORIGINAL = "original"  # "-----Original Message-----"
    FORWARDED = "forwarded"  # "---------- Forwarded message ---------"


@dataclass(frozen=True, slots=True)
class Opening:
    """A quoted mail is announced on `length` lines; `before` is new text on the first of them."""

    kind: Kind
    length: int
    before: str = ""


_VERB = rf"(?:{'|'.join(WROTE)})"
_START = re.compile(
    rf"^[\s*_<\[(-]{{0,12}}(?:(?:{alternatives(ATTRIBUTION_STARTS)})(?=[\s*:])|"
    rf"(?:{alternatives(DAY_NAMES)})\.?,?\s|\d{{1,4}}[./:年 -])",
    re.IGNORECASE,
)
_STRICT_START = re.compile(
    r"^[\s*_<\[(-]{0,12}(?:On|Le|Am|El|Il|In data|Il giorno|Op|Em|Den|På|W dniu|Dnia|Dne|Dňa|"
    r"At|Ngày|Vào|Στις|No dia|A)\s|^[\s*_-]{0,12}(?:"
    rf"{alternatives(DAY_NAMES)})\.?,?\s|^[\s*_-]{{0,12}}\d{{1,4}}[./:年 -]",
    re.IGNORECASE,
)
_WORD_START = re.compile(
    r"^[\s*_<\[(-]{0,12}(?:On|Le|Am|El|Il|In data|Op|Em|Den|På|W dniu|Dnia|Dne)\s", re.IGNORECASE
)
_REPLY_ABOVE = re.compile(
    r"^[\s>#*=~_-]{0,40}(?:please )?(?:(?:type|write|enter|add) (?:your )?(?:reply|response) above|"
    r"reply above|"
    r"(?:merci de |veuillez )?(?:répond(?:ez|re)|écri(?:vez|re)) (?:votre réponse )?au[- ]dessus|"
    r"ne (?:rien )?(?:pas )?"
    r"(?:écri(?:vez|re)|modifi(?:ez|er)) (?:sous|au[- ]dessous|en[- ]dessous)|"
    r"bitte (?:antworten sie )?oberhalb)"
    r".{0,80}$",
    re.IGNORECASE,
)
# These two meet text in lower case: several times faster than ignoring the case at each letter.
_ENDS_WITH_VERB = re.compile(rf"\b{_VERB}\s{{0,3}}[:：]?[\s*_>-]{{0,12}}$")
_HAS_VERB = re.compile(rf"(?:\b|(?<=\s)){_VERB}(?!\w)")
_CJK_VERB = re.compile(r"(?:写道|寫道|写了|のメール|書きました|작성)[^:：]{0,20}[:：]\s*$")
_ENDS_WITH_COLON = re.compile(r"[:：][\s*_-]{0,6}$")
_ADDRESS = re.compile(r"[^\s<>@\"'()\[\]]{1,64}@[\w.-]{1,120}")
_CLOCK = re.compile(r"\b\d{1,2}\s?[:hH.]\s?\d{2}\b|\b\d{1,2}\s?h\b|\b(?:19|20)\d{2}\b")
_DATE = re.compile(
    r"\b\d{1,4}\s?[./-]\s?\d{1,2}(?:\s?[./-]\s?\d{1,4})?\b|\b\d{1,2}(?:st|nd|rd|th|er|º|\.)?[\s-]"
    r"(?:de\s|of\s)?[^\W\d]{3,12}\b|\b[^\W\d]{3,12}\.?\s\d{1,2}\b|\d{4}年"
)
_DASHED_VERB = re.compile(
    rf"^[\s>]*-{{2,12}}\s*\S.{{0,300}}\b{_VERB}\s*-{{2,12}}\s*$", re.IGNORECASE
)
_SHARED_LINE = re.compile(
    r"^(.{0,600}?)(?:-{2,8}\s*|\s)((?:On|Le)\s(?:mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|jeu|ven|"
    r"sam|dim)[a-z]{0,8}[.,]{0,2}\s.{5,300}(?:wrote|a écrit)\s?:)\s*$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[!?;]\s|\.\s+[A-ZÀ-Þ][a-zà-ÿ]+\s+[a-zà-ÿ]+\s+[a-zà-ÿ]+")
_QUOTING = re.compile(
    r"^(?:quoting|selon|zitat von|citando a?|citado por|citat från)\s.{2,200}:\s*$", re.IGNORECASE
)
_BARE_DATE_ADDRESS = re.compile(
    r"^\d{4}[/.-]\d{1,2}[/.-]\d{1,2}\b.{0,150}<[^<>\s]+@[^<>\s]+>\s*:?$"
)
_NOTES = re.compile(
    r"^\S.{1,80}?\s?-{2,5}\s?\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\s\d{1,2}:\d{2}(?::\d{2})?\s?-{2,5}"
)

_DASHES = r"[-_=*~–—‐#]{2,60}"
_SEPARATED = re.compile(
    rf"^[\s>]{{0,20}}{_DASHES}[\s>]{{0,5}}(?:{alternatives(ORIGINAL_MESSAGE)})(?!\w).{{0,60}}?"
    rf"(?:{_DASHES}|[:：])?\s*$",
    re.IGNORECASE,
)
_FORWARD_SEPARATED = re.compile(
    rf"^[\s>]{{0,20}}{_DASHES}\s{{0,5}}(?:{alternatives(FORWARDED_MESSAGE)})(?!\w).{{0,150}}$",
    re.IGNORECASE,
)
_FORWARDED_ALONE = alternatives(
    [phrase for phrase in FORWARDED_MESSAGE if " " in phrase or not phrase.isascii()]
)
_ORIGINAL_ALONE = alternatives([phrase for phrase in ORIGINAL_MESSAGE if " " in phrase])
_FORWARD_BARE = re.compile(
    rf"^[\s>]{{0,20}}(?:{_FORWARDED_ALONE})"
    r"\s{0,3}[:：]?\s*$",
    re.IGNORECASE,
)
_ORIGINAL_BARE = re.compile(
    rf"^[\s>]{{0,20}}(?:{_ORIGINAL_ALONE})\s{{0,3}}[:：]?\s*$",
    re.IGNORECASE,
)
RULE = re.compile(r"^[\s>]*[-_=*~–—‐─━═]{3,}[\s]*$")


def find_opening(lines: Sequence[str], index: int, quoted_after: int) -> Opening | None:
    """Say whether a quoted or forwarded mail is announced at `lines[index]`.

    `quoted_after` is the index of the next line known to be quoted (by '>' or by HTML), or -1:
    right behind a doubtful attribution, it settles the doubt.
    """
    line = lines[index]
    separator = _find_separator(line)
    if separator is not None:
        return separator
    length = header_block_length(lines, index)
    if length:
        return Opening(Kind.HEADERS, length)
    return _find_attribution(lines, index, quoted_after)


def _find_separator(line: str) -> Opening | None:
    if len(line) > 250:
        return None
    if _FORWARD_SEPARATED.match(line) or _FORWARD_BARE.match(line):
        return Opening(Kind.FORWARDED, 1)
    if _SEPARATED.match(line):
        return Opening(Kind.ORIGINAL, 1)
    if _NOTES.match(line) or _REPLY_ABOVE.match(line):
        return Opening(Kind.ORIGINAL, 1)
    return None


def is_bare_original(line: str) -> bool:
    """True for "Original message" without dashes, which only a header block behind it proves."""
    return _ORIGINAL_BARE.match(line) is not None


def _find_attribution(lines: Sequence[str], index: int, quoted_after: int) -> Opening | None:
    line = lines[index]
    if _DASHED_VERB.match(line):
        return Opening(Kind.ATTRIBUTION, 1)
    shared = _SHARED_LINE.match(line) if line.rstrip().endswith(":") else None
    if (
        shared is not None
        and shared.group(1).strip(" -")
        and _is_next(lines, index + 1, quoted_after)
    ):
        return Opening(Kind.ATTRIBUTION, 1, shared.group(1).rstrip(" -"))
    if _START.match(line) or "@" in line or _HAS_VERB.search(line[-80:].lower()):
        length = _attribution_length(lines, index, quoted_after)
        if length:
            return Opening(Kind.ATTRIBUTION, length)
    return None


def _attribution_length(lines: Sequence[str], index: int, quoted_after: int) -> int:
    joined = ""
    for count in range(1, 7):
        position = index + count - 1
        if position >= len(lines):
            return 0
        line = unquoted(lines[position]).strip() if count > 1 else lines[position].strip()
        if not line:
            following = lines[position + 1].strip() if position + 1 < len(lines) else ""
            if not (following.startswith("<") and count > 1):
                return 0
            continue
        joined = f"{joined} {line}" if joined else line
        if len(joined) > MAX_ATTRIBUTION:
            return 0
        if _is_attribution(joined, _is_next(lines, position + 1, quoted_after)):
            return 0 if _begins_later(lines[index : position + 1]) else count
        if count >= 2 and not _START.match(joined) and "@" not in joined:
            return 0
    return 0


def _begins_later(lines: Sequence[str]) -> bool:
    """True if the attribution begins on a later line, so that the first one is somebody's text."""
    for start in range(1, len(lines)):
        tail = " ".join(line.strip() for line in lines[start:])
        if _WORD_START.match(tail) and _DATE.search(tail) and _is_attribution(tail, False):
            return True
    return False


def _is_next(lines: Sequence[str], position: int, quoted_after: int) -> bool:
    """True if the first line with text from `position` on is known to be quoted."""
    if quoted_after < position:
        return False
    return all(not lines[i].strip() for i in range(position, min(quoted_after, len(lines))))


def _is_attribution(text: str, quote_follows: bool) -> bool:
    ends = _ENDS_WITH_COLON.search(text) is not None
    lower = text.lower()
    verb_at_end = _ENDS_WITH_VERB.search(lower) is not None or _CJK_VERB.search(text) is not None
    if not ends and not verb_at_end:
        return quote_follows and _BARE_DATE_ADDRESS.match(text) is not None
    address = _ADDRESS.search(text) is not None
    dated = _DATE.search(text) is not None
    if _SENTENCE.search(text) and not (address and quote_follows) and not (address and dated):
        return False
    starts = _STRICT_START.match(text) is not None
    proofs = address + (_CLOCK.search(text) is not None and dated) + quote_follows
    if verb_at_end and (ends or (starts and dated)):
        return (proofs >= 1 and (starts or address)) or (quote_follows and len(text) < 120)
    if _HAS_VERB.search(lower):
        return dated and (address or (starts and proofs >= 1))
    if _QUOTING.match(text):
        return address or quote_follows
    return starts and address and _date_leads(text)


def _date_leads(text: str) -> bool:
    """True for '2024-03-05 10:15 GMT+01:00 Name <address>:': a date, then who, then a colon."""
    date = _DATE.search(text[:60])
    address = _ADDRESS.search(text)
    if date is None or address is None or address.start() < date.start():
        return False
    return re.search(r"[>)\]]\s*[:：]$", text) is not None
