"""Where a signature begins in what somebody wrote, and what machines added around it."""

import re
import unicodedata
from collections.abc import Sequence

from mailflow.core.footers import is_delimiter, is_disclaimer, is_mobile_footer, is_rule
from mailflow.core.signature_phrases import CLOSINGS, THANKS

MAX_SIGNATURE_LINES = 30
MAX_SIGNATURE_LINE = 110
_CLOSING_TAIL = 16

_LIST_RULE = re.compile(r"^_{2,80}\s*$")
_POSTSCRIPT = re.compile(
    r"^\W{0,3}(?:P\.?\s?S\.?|post-?scriptum|N\.?B\.?)\s?[:.\-–]", re.IGNORECASE
)
_DIGIT = re.compile(r"\d")
_PHONE = re.compile(
    r"(?:\+|\b0|\(0?\d{1,4}\))[\d\s().\-/]{7,20}\d|\b\d{3}[-. ]\d{3}[-. ]\d{4}\b|"
    r"\b\d{2}(?:[. ]\d{2}){4}\b"
)
_CONTACT = re.compile(
    r"^\W{0,4}(?:t[ée]l(?:[ée]phone)?|tel|fax|mobile|mob|portable|port|gsm|phone|cell|direct|ligne"
    r"|standard|e-?mail|mail|courriel|web|site|www|adresse|address|skype|linkedin|telefon|tlf|fixe|"
    r"ph|[tmpfdcw])\s?(?:\.|:|\+|\(|\s\d|\s:)",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\b(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{2,60}", re.IGNORECASE
)
_POSTCODE = re.compile(r"\b\d{5}\s+[A-ZÀ-Þ][\w'-]+|\b[A-Z]{1,2}\d[\dA-Z]?\s?\d[A-Z]{2}\b")
_STREET = re.compile(
    r"^\W{0,3}\d{1,4}(?:\s?(?:bis|ter))?,?\s(?:rue|avenue|av\.|bd|boulevard|place|all[ée]e|chemin"
    r"|route|quai|impasse|cours|street|road|"
    r"[\w ]{1,30}\s(?:street|road|avenue|lane|st\.?|rd\.?|ave\.?))\b",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    r"\b(?:S\.?A\.?S?\.?|SARL|SASU|EURL|GmbH|Ltd|Limited|Inc|LLC|Corp|SpA|S\.r\.l|B\.?V|"
    r"SIRET|RCS|TVA)\b"
)
_TITLE = re.compile(  # for text in lower case
    r"\b(?:direct(?:eur|rice|or)|responsable|ing[ée]nieur|engineer|manager|chef|charg[ée]e?|"
    r"assistante?"
    r"|consultante?|technicien(?:ne)?|comptable|g[ée]rante?|pr[ée]sidente?|ceo|cto|cfo|dsi|daf|drh|"
    r"head of|officer|administrat(?:eur|rice|or)|developer|d[ée]veloppeu(?:r|se)|analyst[e]?|lead|"
    r"service|d[ée]partement|department|team|[ée]quipe|support|sales|gestionnaire|secr[ée]taire|"
    r"coordinat(?:eur|rice|or)|acheteu(?:r|se)|controller|contr[ôo]leu(?:r|se)|architect[e]?)\b"
)
_IMAGE = re.compile(
    r"^\W{0,3}(?:\[?(?:cid|image|logo|inline image)[:\s].{0,120}\]?|\[.{0,100}\])\W{0,3}$", re.I
)
_END_OF_SENTENCE = re.compile(r"[.!?;:…]\s*$")
_VERBISH = re.compile(
    r"\b(?:[Jj]e|[Jj]['’]|[Nn]ous|[Vv]ous|[Ii]l|[Ee]lle|[Oo]n|est|sont|avez|avons|[Pp]ouvez|"
    r"[Pp]ourriez|ne|pas|is|are|was|have|has|can|could|[Pp]lease|would|[Ww]e|[Yy]ou|[Ii]t|not|don't|"
    r"ich|wir|[Bb]itte|nicht|ist)\b"
)
_NOT_WORD = re.compile(r"[^\w\s'&]+")
_CLOSING_SET = frozenset(CLOSINGS)
_THANKS_SET = frozenset(THANKS)


def _bare(text: str) -> str:
    """Lower case, without punctuation and emoji, spaces joined: to look a phrase up."""
    cleaned = _NOT_WORD.sub(" ", text.replace("’", "'")).strip()
    return " ".join(cleaned.lower().split())


def is_closing(line: str) -> bool:
    """True for a line that is a complimentary close and nothing else, save perhaps a name."""
    bare = _bare(line[:120])
    if bare in _CLOSING_SET:
        return True
    if bare in _THANKS_SET or len(line) > 90:
        return False
    return any(_starts_with_closing(bare, count) for count in (5, 4, 3, 2, 1))


def _starts_with_closing(bare: str, count: int) -> bool:
    """ "Regards Roman", "Cordialement Jean Dupont": a close and at most three words of name."""
    words = bare.split()
    if len(words) <= count or len(words) > count + 3 or " ".join(words[:count]) not in _CLOSING_SET:
        return False
    return count > 1 or words[0] not in _AMBIGUOUS


_AMBIGUOUS = frozenset({"best", "yours", "att", "br", "kr", "vg", "lg", "groet", "saluti"})


def is_thanks(line: str) -> bool:
    """True for a line that thanks and says nothing else."""
    return _bare(line[:80]) in _THANKS_SET


def _strength(line: str) -> int:
    """How much a line looks like a signature's: 2 a contact, 1 a title or firm, 0 no sign."""
    text = line.strip()
    has_digit = _DIGIT.search(text) is not None
    if _CONTACT.match(text) or (has_digit and _PHONE.search(text)) or _IMAGE.match(text):
        return 2
    if len(text) < 90 and _has_url(text):
        return 2
    if len(text) < 90 and has_digit and (_POSTCODE.search(text) or _STREET.match(text)):
        return 2
    if len(text) < 70 and (_COMPANY.search(text) or _TITLE.search(text.lower())):
        return 1
    return 0


def _has_url(text: str) -> bool:
    may = "@" in text or "://" in text or "www." in text.lower()
    return may and _URL.search(text) is not None


def _is_short(line: str) -> bool:
    text = line.strip()
    return len(text) <= MAX_SIGNATURE_LINE


def _is_sentence(line: str) -> bool:
    text = line.strip()
    return _reads_like_sentence(text) and not (len(text) < 80 and _strength(text) == 2)


def _reads_like_sentence(text: str) -> bool:
    words = text.split()
    if len(words) >= 6 and _VERBISH.search(text):
        return True
    return text.endswith("?") or (len(words) >= 8 and _END_OF_SENTENCE.search(text) is not None)


def is_name(line: str) -> bool:
    """True for one to four capitalised words, perhaps behind a dash: somebody's name."""
    text = line.strip().lstrip("-–—~* ").rstrip(" ,.*")
    words = text.split()
    if not 1 <= len(words) <= 4 or len(text) > 50 or any(c.isdigit() for c in text):
        return False
    return all(
        word[0].isupper() or word.lower() in ("de", "du", "la", "le", "van", "von", "der", "d'")
        for word in words
    )


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in decomposed if c.isalnum())


def find_signature(lines: Sequence[str], sender_name: str) -> int | None:
    """Return the index of the first line of the signature in a run of new text, or None.

    `lines` end where a quote begins or the mail ends. The signs, in order: the delimiter '-- ',
    a list's footer or legal notice, a complimentary close with nothing but a signature behind
    it, the sender's own name, a block of telephone numbers and addresses. A doubtful one is
    not taken.
    """
    candidates = [
        _find_delimiter(lines),
        _find_footer(lines),
        _find_closing(lines),
        _find_own_name(lines, sender_name),
        _find_contact_block(lines),
    ]
    found = [index for index in candidates if index is not None]
    if not found:
        return None
    return _with_close_before(lines, min(found))


def _find_delimiter(lines: Sequence[str]) -> int | None:
    for index, line in enumerate(lines):
        if is_delimiter(line):
            tail = [text for text in lines[index + 1 :] if text.strip()]
            exact = line == "-- "
            short = len(tail) <= MAX_SIGNATURE_LINES and not any(map(is_closing, tail))
            if (exact or short) and not _has_later_prose(tail):
                return index
        if _LIST_RULE.match(line) and any(
            "mailing list" in t for t in lines[index + 1 : index + 3]
        ):
            return index
    return None


def _has_later_prose(tail: Sequence[str]) -> bool:
    """A '--' used as a divider: several sentences stand below it, and no sign of a signature."""
    sentences = sum(_is_sentence(text) for text in tail)
    joined = " ".join(tail)[:800]
    return (
        sentences >= 2
        and not any(map(_strength, tail))
        and not any(is_disclaimer(text) for text in (*tail[:6], joined))
    )


def _find_footer(lines: Sequence[str]) -> int | None:
    """The first legal notice or mobile footer behind which nothing of the sender's stands."""
    start = True
    for index, line in enumerate(lines):
        if not line.strip():
            start = True
            continue
        if is_rule(line):
            start = True
            continue
        if is_mobile_footer(line) and (start or index == len(lines) - 1):
            return index
        if start and is_disclaimer(_paragraph(lines, index)):
            return index
        start = False
    return None


def _paragraph(lines: Sequence[str], index: int) -> str:
    parts = []
    for line in lines[index : index + 8]:
        if not line.strip():
            break
        parts.append(line.strip())
    return " ".join(parts)


def _find_closing(lines: Sequence[str]) -> int | None:
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if not line.strip() or len(line) > 120:
            continue
        if is_closing(line) and _is_tail(lines[index + 1 :]):
            return index
    return None


def _is_tail(tail: Sequence[str]) -> bool:
    """True if `tail` holds only what stands below a close: name, post, firm, contacts, notices."""
    texts = []
    for index, text in enumerate(tail):
        if not text.strip():
            continue
        if is_disclaimer(_paragraph(tail, index)) or is_mobile_footer(text) or is_delimiter(text):
            break
        texts.append(text)
    if len(texts) > _CLOSING_TAIL or any(_POSTSCRIPT.match(text) for text in texts):
        return False
    if not texts:
        return True
    sentences = sum(_is_sentence(text) for text in texts)
    if sentences == 0:
        return all(_is_short(text) for text in texts)
    return sentences == 1 and sum(map(_strength, texts)) >= 2 and not _is_sentence(texts[0])


def _find_own_name(lines: Sequence[str], sender_name: str) -> int | None:
    """The sender's full name on a line of its own, with nothing but a signature below."""
    name = _fold(sender_name)
    if len(name) < 6 or len(sender_name.split()) < 2:
        return None
    reverse = _fold("".join(reversed(sender_name.split())))
    for index in range(len(lines) - 1, max(-1, len(lines) - 25), -1):
        text = lines[index].strip()
        if not text or len(text) > 120 or "@" in text.split()[0]:
            continue
        folded = _fold(text)
        if folded in (name, reverse) or (
            folded.startswith((name, reverse))
            and len(folded) < len(name) + 40
            and (_strength(text) or " - " in text or "|" in text)
        ):
            tail = [line for line in lines[index + 1 :] if line.strip()]
            above = next((line for line in reversed(lines[:index]) if line.strip()), ":")
            if _is_tail(tail) and not above.rstrip().endswith(":"):
                return index
    return None


def _find_contact_block(lines: Sequence[str]) -> int | None:
    """A last block of short lines with two or more contacts in it, behind a blank line."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = None
    strength = 0
    position = end - 1
    best = None
    while position >= 0 and end - position <= 14:
        line = lines[position]
        if not line.strip():
            if start is not None and strength >= 4 and _introduces(lines, position, start):
                best = start
            position -= 1
            continue
        if not _is_short(line) or _is_sentence(line) or line.lstrip()[:2] in ("- ", "* ", "• "):
            break
        strength += _strength(line)
        start = position
        position -= 1
    if best is None or best == 0:
        return None
    return best


def _introduces(lines: Sequence[str], blank: int, start: int) -> bool:
    """A block counts if it begins with a name or a firm and no colon announces it."""
    before = next((lines[i] for i in range(blank, -1, -1) if lines[i].strip()), "")
    first = lines[start].strip()
    if before.rstrip().endswith(":"):
        return False
    return (
        is_name(first)
        or (_strength(first) == 1)
        or (is_rule(first) or first.startswith(("[", "*")))
    )


def _with_close_before(lines: Sequence[str], start: int) -> int:
    """Begin the signature at a close, a thanks line with a name, or a rule just above it."""
    position = start
    while True:
        above = position - 1
        while above >= 0 and not lines[above].strip():
            above -= 1
        if above < 0:
            return position
        line = lines[above]
        dangling = is_thanks(line) and line.rstrip().endswith(",")
        if is_rule(line) or is_closing(line) or dangling or _IMAGE.match(line):
            position = above
            continue
        return position
