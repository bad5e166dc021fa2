"""Labels each line of a body: new, quoted, signature, or forwarded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailflow.core.banners import find_banner_lines
from mailflow.core.footers import is_banner, is_disclaimer, is_mobile_footer
from mailflow.core.forwards import subject_is_forward, subject_is_reply
from mailflow.core.header_blocks import header_block_length, unquoted
from mailflow.core.lines import Label, Line, Mark
from mailflow.core.quotes import RULE, Kind, Opening, find_opening, is_bare_original
from mailflow.core.signatures import find_signature

MAX_LINE = 700  # of a longer one, only this much is looked at

_QUOTED = re.compile(r"^[ \t]{0,8}>")
_DEPTH = re.compile(r"^[ \t]{0,8}((?:>[ \t]?)+)")
_PROMPT = re.compile(r"^\s{0,4}>>>\s?\S")
_ENDED = re.compile(r"[.!?:;)\]>…]\s*$")
_POINTS_BELOW = re.compile(
    r"\b(?:ci-dessous|ci-apr[eè]s|below|transf[eéè]r|forward|fyi|pour (?:info|suite|action)|fwd|"
    r"mail (?:suivant|du client|reçu)|reçu ce|received this|weitergeleitet|siehe unten)",
    re.IGNORECASE,
)
_ANNOUNCES_ANSWERS = re.compile(
    r"\b(?:en (?:rouge|bleu|vert|orange|couleur|gras)|ci-dessous|dans (?:le|votre|ton) (?:corps|"
    r"texte|"
    r"mail|message)|in (?:red|blue|green|orange|colou?r|bold|your (?:mail|text))|in-?line|below|"
    r"in rot|in blau|unten|en rojo|in rosso)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Context:
    """What the headers say that helps to cut: subject, whether it answers a mail, sender."""

    subject: str = ""
    is_reply: bool = False
    sender_name: str = ""


class Cutter:
    """One pass over one body. Each step only labels lines that are still new."""

    def __init__(self, lines: Sequence[Line], context: Context) -> None:
        self.lines = lines
        self.texts = [line.text[:MAX_LINE] for line in lines]
        self.shortened: dict[int, str] = {}
        self.context = context
        self.label = [Label.NEW] * len(lines)
        self.has_html_quotes = any(line.mark >= Mark.QUOTED for line in lines)

    def labels(self) -> list[Label]:
        self._label_marks()
        for index in find_banner_lines(self.texts, self.label):
            self.label[index] = Label.SIGNATURE
        self._label_openings()
        self._keep_coloured_answers()
        self._label_signatures()
        self._fill_blanks()
        self._keep_something()
        return self.label

    # -- '>' and HTML ------------------------------------------------------------------------

    def _label_marks(self) -> None:
        depths = [self._depth(text) for text in self.texts]
        shallow = any(depth in (1, 2) for depth in depths)
        for index, depth in enumerate(depths):
            prompt = depth >= 3 and not shallow and _PROMPT.match(self.texts[index])
            if (depth and not prompt) or self.lines[index].mark >= Mark.QUOTED:
                self.label[index] = Label.QUOTE
        for index in range(1, len(depths) - 1):
            if self._is_wrapped_quote(index, depths):
                self.label[index] = Label.QUOTE

    @staticmethod
    def _depth(text: str) -> int:
        if not _QUOTED.match(text):
            return 0
        match = _DEPTH.match(text)
        return match.group(1).count(">") if match else 0

    def _is_wrapped_quote(self, index: int, depths: Sequence[int]) -> bool:
        """A quoted line that a gateway wrapped: its rest stands without the '>'."""
        if depths[index] or not depths[index - 1] or not depths[index + 1]:
            return False
        text = self.texts[index].strip()
        if not text:
            return False
        if not text.strip("<>()[]").lower().lstrip().startswith(("http://", "https://")):
            above = unquoted(self.texts[index - 1]).strip()
            if not above or _ENDED.search(above) or text[0].isupper():
                return False
            return len(above) > 55 or "://" in above
        return True

    # -- attributions, header blocks, separators ----------------------------------------------

    def _label_openings(self) -> None:
        index = 0
        bare = [unquoted(text) for text in self.texts]
        while index < len(self.texts):
            if self.label[index] is Label.SIGNATURE or not self.texts[index].strip():
                index += 1
                continue
            if self.label[index] is Label.QUOTE:
                index = self._at_quote(index, bare)
                continue
            if is_mobile_footer(self.texts[index]) and self._starts_paragraph(index):
                index = self._at_footer(index)
                continue
            opening = find_opening(self.texts, index, self._next_quoted(index))
            if opening is None and is_bare_original(self.texts[index]):
                below = self._next_text(index + 1)
                if below is not None and header_block_length(self.texts, below):
                    opening = Opening(Kind.ORIGINAL, 1)
            index = index + 1 if opening is None else self._at_opening(index, opening)

    def _at_quote(self, index: int, bare: Sequence[str]) -> int:
        """At the first line of a marked region: is it a forwarded mail? Return where it ends."""
        end = index
        while end < len(self.label) and (
            self.label[end] is Label.QUOTE or not self.texts[end].strip()
        ):
            end += 1
        opening = find_opening(bare, index, -1)
        if opening is not None and self._is_forward(index, opening, bare):
            self._set(
                index, len(self.label) if opening.kind is Kind.HEADERS else end, Label.FORWARD
            )
        return end

    def _at_footer(self, index: int) -> int:
        """Below a phone's footer stands the quoted mail, even where nothing announces it."""
        self.label[index] = Label.SIGNATURE
        if not any(self.label[i] is Label.NEW and self.texts[i].strip() for i in range(index)):
            return index + 1
        position = index + 1
        quoted = self._next_quoted(index)
        while position < len(self.texts):
            if self.label[position] is Label.QUOTE:
                return position
            opening = (
                find_opening(self.texts, position, quoted) if self.texts[position].strip() else None
            )
            if opening is not None:
                return position
            if self.lines[position].mark is Mark.SIGNATURE or is_disclaimer(self.texts[position]):
                self.label[position] = Label.SIGNATURE
            else:
                self.label[position] = Label.QUOTE
            position += 1
        return position

    def _at_opening(self, index: int, opening: Opening) -> int:
        if opening.before:
            return self._at_shared_line(index, opening)
        if self._is_forward(index, opening, self.texts):
            self._set(self._rule_above(index), len(self.label), Label.FORWARD)
            return len(self.label)
        body = index + opening.length
        self._set(self._rule_above(index), body, Label.QUOTE)
        following = self._next_text(body)
        if following is None:
            return len(self.label)
        if self.label[following] is Label.QUOTE and (
            opening.kind is Kind.ATTRIBUTION or self._is_fully_marked(following)
        ):
            return following
        if (
            opening.kind is Kind.ATTRIBUTION
            and self.has_html_quotes
            and not self._depth_below(body)
        ):
            return following
        self._set(body, len(self.label), Label.QUOTE)
        return len(self.label)

    def _at_shared_line(self, index: int, opening: Opening) -> int:
        """ "reply On Wed … wrote:" — only what stands before the attribution is new."""
        self.texts[index] = self.shortened[index] = opening.before
        return index + 1

    def _is_fully_marked(self, index: int) -> bool:
        """True if the mail that a header block announces is marked line by line with '>'."""
        return self._depth(self.texts[index]) > 0

    def _depth_below(self, index: int) -> bool:
        return any(self.label[i] is Label.QUOTE for i in range(index, len(self.label)))

    def _is_forward(self, index: int, opening: Opening, texts: Sequence[str]) -> bool:
        if opening.kind is Kind.FORWARDED:
            return True
        if opening.kind is Kind.ATTRIBUTION:
            return False
        if opening.kind is Kind.ORIGINAL:
            below = self._next_text(index + opening.length)
            if below is None or not header_block_length(texts, below):
                return False
        if subject_is_reply(self.context.subject):
            return False
        if subject_is_forward(self.context.subject):
            return True
        above = "\n".join(
            t for t, b in zip(texts[:index], self.label, strict=False) if b is Label.NEW
        )
        return not self.context.is_reply and (
            not above.strip() or bool(_POINTS_BELOW.search(above))
        )

    def _rule_above(self, index: int) -> int:
        """Take in a rule, or Lotus Notes' name and date, just above the announcement."""
        above = index - 1
        while above >= 0 and not self.texts[above].strip():
            above -= 1
        if above >= 0 and self.label[above] is Label.NEW and RULE.match(self.texts[above]):
            return above
        return index

    def _next_quoted(self, index: int) -> int:
        for position in range(index + 1, min(len(self.label), index + 12)):
            if self.label[position] is Label.QUOTE:
                return position
        return -1

    def _next_text(self, index: int) -> int | None:
        return next((i for i in range(index, len(self.texts)) if self.texts[i].strip()), None)

    def _starts_paragraph(self, index: int) -> bool:
        return index == 0 or not self.texts[index - 1].strip() or self._ends_block(index)

    def _ends_block(self, index: int) -> bool:
        if index + 1 >= len(self.texts) or not self.texts[index + 1].strip():
            return True
        return find_opening(self.texts, index + 1, self._next_quoted(index)) is not None

    def _set(self, start: int, end: int, label: Label) -> None:
        for position in range(start, end):
            self.label[position] = label

    def _keep_coloured_answers(self) -> None:
        """Text in colour within the quoted mail is an answer if the new text announces it."""
        if not any(line.mark is Mark.ANSWER for line in self.lines):
            return
        above = "\n".join(t for t, b in zip(self.texts, self.label, strict=True) if b is Label.NEW)
        if _ANNOUNCES_ANSWERS.search(above):
            for index, line in enumerate(self.lines):
                if line.mark is Mark.ANSWER and self.label[index] is Label.QUOTE:
                    self.label[index] = Label.NEW

    # -- signatures ------------------------------------------------------------------------------

    def _label_signatures(self) -> None:
        for start, end in self._new_runs():
            texts = self.texts[start:end]
            marked = next(
                (i for i in range(start, end) if self.lines[i].mark is Mark.SIGNATURE
                 and self.texts[i].strip()), None,
            )  # fmt: skip
            found = find_signature(texts, self.context.sender_name)
            if found is not None:
                self._set(start + found, end, Label.SIGNATURE)
            if marked is not None and (found is None or marked < start + found):
                self._label_marked_signature(marked, end)

    def _label_marked_signature(self, start: int, end: int) -> None:
        for position in range(start, end):
            if self.lines[position].mark is Mark.SIGNATURE:
                self.label[position] = Label.SIGNATURE

    def _new_runs(self) -> list[tuple[int, int]]:
        runs = []
        start: int | None = None
        for index, label in enumerate([*self.label, Label.QUOTE]):
            if label is Label.NEW and start is None:
                start = index
            elif label is not Label.NEW and start is not None:
                if any(text.strip() for text in self.texts[start:index]):
                    runs.append((start, index))
                start = None
        return runs

    # -- last touches ----------------------------------------------------------------------------

    def _fill_blanks(self) -> None:
        """A rule left at the end of the new text belongs to what was cut below it."""
        last = len(self.label) - 1
        while last >= 0 and (self.label[last] is not Label.NEW or not self.texts[last].strip()):
            last -= 1
        if 0 <= last < len(self.label) - 1 and RULE.match(self.texts[last]):
            below = self._next_text(last + 1)
            if below is not None:
                self.label[last] = self.label[below]

    def _keep_something(self) -> None:
        """A mail of nothing but a close or a signature is what the person wrote."""
        if self._has((Label.NEW, Label.FORWARD)):
            return
        written = [
            i for i, label in enumerate(self.label)
            if label is Label.SIGNATURE and self.texts[i].strip()
            and not is_mobile_footer(self.texts[i]) and not is_disclaimer(self.texts[i])
            and not is_banner(self.texts[i])
        ]  # fmt: skip
        if written:
            for index in written:
                self.label[index] = Label.NEW
        elif not self.context.is_reply and not subject_is_reply(self.context.subject):
            self.label = [Label.NEW if b is Label.QUOTE else b for b in self.label]

    def _has(self, wanted: tuple[Label, ...]) -> bool:
        return any(b in wanted and t.strip() for b, t in zip(self.label, self.texts, strict=True))
