"""Notices that gateways put above a mail from outside: "[EXTERNAL]" and the like."""

import re
from collections.abc import Sequence

from mailflow.core.footers import is_banner, is_rule
from mailflow.core.lines import Label

MAX_BANNERS = 4
_GREETING = re.compile(r"\b(?:bonjour|hello|hi|madame|monsieur)\b", re.IGNORECASE)


def find_banner_lines(texts: Sequence[str], labels: Sequence[Label]) -> list[int]:
    """Return the indexes of the banner lines at the top, rules below them included.

    Banners stand at the top, a paragraph each; what follows them is the mail, so that a banner
    with nothing below it is left: somebody may have written it.
    """
    found: list[int] = []
    index = _next_text(texts, 0)
    for _ in range(MAX_BANNERS):
        end = index
        while end < len(texts) and end - index < 8 and not _is_gap(texts[end]):
            end += 1
        if index >= end or labels[index] is not Label.NEW:
            break
        stop = _banner_end(texts, index, end)
        below = _next_text(texts, stop)
        if stop == index or below >= len(texts):
            break
        found += range(index, below)
        index = below
    return found


def _next_text(texts: Sequence[str], index: int) -> int:
    """The next line that is neither blank nor a rule, or the end."""
    return next((i for i in range(index, len(texts)) if not _is_gap(texts[i])), len(texts))


def _is_gap(text: str) -> bool:
    return not text.strip() or is_rule(text)


def _banner_end(texts: Sequence[str], index: int, end: int) -> int:
    """A banner takes its paragraph, or only its first lines where the mail follows at once."""
    paragraph = " ".join(text.strip() for text in texts[index:end])
    if is_banner(paragraph) and not _GREETING.search(paragraph):
        return end
    stop = index
    while stop < end and is_banner(texts[stop].strip()):
        stop += 1
    return stop
