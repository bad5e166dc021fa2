"""The text of a mail from its bodies: lines with the marks of plain text and HTML together."""

import re
from collections.abc import Sequence

from mailflow.adapters.html_text import read_html
from mailflow.adapters.mime import Body
from mailflow.core.lines import Line, Mark

MAX_ALIGNED = 200_000
MAX_LINES = 50_000  # what lies beyond stays one piece
_WINDOW = 3000
_NO_TEXT = re.compile(  # this and the next are for text in lower case
    r"(?:message|e-?mail|mail|courriel) (?:is|est|contains|contient) .{0,20}html\b|"
    r"html[- ]compatible|"
    r"(?:support|prend|display|afficher?).{0,30}html\b|html.{0,20}(?:viewer|client|reader)"
)
_STUB = re.compile(r"\b(?:html|view this|compatible|viewer|afficher|navigateur|browser)\b")
_JOINED = re.compile(r"[^\w]+")
_LINK = re.compile(r"<(?:https?|mailto):[^>\s]{0,2000}>|\[(?:cid|image):[^\]\s]{0,300}\]")


def read_bodies(bodies: Sequence[Body]) -> list[Line]:
    """Return the lines of all bodies, one after the other, a blank line between two."""
    lines: list[Line] = []
    for body in bodies:
        found = read_body(body)
        if lines and found:
            lines.append(Line(""))
        lines += found
    while lines and not lines[-1].text.strip():
        lines.pop()
    return lines


def read_body(body: Body) -> list[Line]:
    """Return the plain text's lines, marked by the HTML that says the same; or the HTML's."""
    marked = read_html(body.html) if body.html is not None else []
    if body.plain is None or not body.plain.strip():
        return marked
    texts = [text.replace("\u00a0", " ").rstrip() for text in body.plain.split("\n", MAX_LINES)]
    if not marked:
        return [Line(text) for text in texts]
    if _is_stub(body.plain, marked):
        return marked
    if not any(line.mark for line in marked):
        return [Line(text) for text in texts]
    return _mark_plain(texts, marked)


def _is_stub(plain: str, marked: Sequence[Line]) -> bool:
    """True for a plain part that only says that the mail is in HTML, or leaves nearly all out."""
    length = len(_JOINED.sub("", plain))
    if length >= 400:
        return False
    lower = plain.lower()
    says_little = length < 20 or _STUB.search(lower) is not None
    names_html = "html" in lower and _NO_TEXT.search(lower) is not None
    if not says_little and not names_html:
        return False
    full = sum(len(_JOINED.sub("", line.text)) for line in marked)
    return (says_little and length * 4 < full) or (names_html and length < full)


def _mark_plain(texts: Sequence[str], marked: Sequence[Line]) -> list[Line]:
    """Find each plain line in the HTML's text, going forward only, and copy its mark."""
    pieces = [(_JOINED.sub("", line.text).lower(), line.mark) for line in marked]
    joined = "".join(piece for piece, _ in pieces)[:MAX_ALIGNED]
    marks = bytearray()
    for piece, mark in pieces:
        marks += bytes([mark]) * len(piece)
    lines = []
    cursor = 0
    last = Mark.NONE
    for text in texts:
        wanted = _JOINED.sub("", _LINK.sub("", text)).lower()
        if not wanted:
            lines.append(Line(text, last))
            continue
        at = joined.find(wanted, cursor, cursor + len(wanted) + _WINDOW)
        if at < 0 or (len(wanted) < 6 and at > cursor + 40):
            lines.append(Line(text, last))
            continue
        spread = marks[at : at + len(wanted)]
        last = Mark(max(set(spread), key=spread.count)) if spread else Mark.NONE
        lines.append(Line(text, last))
        cursor = at + len(wanted)
    return lines
