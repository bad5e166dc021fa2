"""What the sender wrote now, set apart from quoted thread, signature and forwarded mail.

Where unsure, text is kept: a quote too many is read over, an answer lost is not found again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailflow.core.cutter import MAX_LINE, Context, Cutter
from mailflow.core.forwards import parse_forwarded
from mailflow.core.lines import Label, Line
from mailflow.core.messages import Forwarded

__all__ = ["Context", "Reply", "split_reply"]

MAX_LINES = 4000
MAX_CHARACTERS = 300_000

_BLANKS = re.compile(r"\n{3,}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A body, cut. The parts together hold every line of it."""

    new_text: str
    signature: str
    quoted: str
    forwarded: Forwarded | None


def split_reply(lines: Sequence[Line], context: Context) -> Reply:
    """Cut a body into new text, signature, quoted thread and forwarded mail.

    `lines` come from the plain text or the HTML of a mail, with the marks that its markup
    gives. Beyond 4,000 lines nothing is looked at any more: what follows belongs with the last.
    """
    cutter = Cutter(lines[: _readable(lines)], context)
    labels = cutter.labels()
    texts = [cutter.shortened.get(i, line.text) for i, line in enumerate(lines)]
    labels += [labels[-1] if labels else Label.NEW] * (len(texts) - len(labels))
    forwarded = None
    if Label.FORWARD in labels:
        forwarded = parse_forwarded(
            [t for t, b in zip(texts, labels, strict=True) if b is Label.FORWARD]
        )
    return Reply(
        new_text=_join(texts, labels, (Label.NEW, Label.FORWARD)),
        signature=_join(texts, labels, (Label.SIGNATURE,)),
        quoted=_join(texts, labels, (Label.QUOTE,)),
        forwarded=forwarded,
    )


def _readable(lines: Sequence[Line]) -> int:
    """The number of lines to look at: 4,000, and no more than 300,000 characters."""
    total = 0
    for count, line in enumerate(lines[:MAX_LINES]):
        total += min(len(line.text), MAX_LINE)
        if total > MAX_CHARACTERS:
            return count
    return min(len(lines), MAX_LINES)


def _join(texts: Sequence[str], labels: Sequence[Label], wanted: tuple[Label, ...]) -> str:
    kept = [text.rstrip() for text, label in zip(texts, labels, strict=True) if label in wanted]
    return _BLANKS.sub("\n\n", "\n".join(kept)).strip()
