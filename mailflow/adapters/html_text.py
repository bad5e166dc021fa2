# ruff: noqa: SIM905 -- words, not a list of strings, are what one reads here
"""HTML mail → lines of text, each with what the markup says of it (quoted, signature).

Nothing is fetched, nothing executed: the tree is only read. The marks are those that mail
programs leave: `gmail_quote`, `blockquote type=cite`, Outlook's header block, and so on.
"""

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailflow.adapters.html_marks import is_coloured, judge_element
from mailflow.core.lines import Line, Mark

MAX_HTML = 2 * 1024 * 1024
MAX_DEPTH = 400
MAX_NODES = 60_000

_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption "
    "figure footer form h1 h2 h3 h4 h5 h6 header hr li main menu nav ol p pre section table tbody "
    "tfoot thead tr ul".split()
)
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 ul ol dl pre blockquote table".split())
_SKIPPED = frozenset(
    "head script style title template noscript object embed iframe svg math select textarea "
    "button _comment -comment !doctype meta link xml".split()
)
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden", re.I)
_SPACE = re.compile(r"[ \t\n\r\f\v\u00a0\u202f\u2007\u200b\u200c\u200d\u2060\ufeff\u00ad]+")
_UNUSUAL_SPACE = re.compile("  |[\t\n\r\f\v\u00a0\u202f\u2007\u200b\u200c\u200d\u2060\ufeff\u00ad]")
_INVISIBLE = re.compile("[\u200b\u200c\u2060\ufeff\u00ad]+")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]*)[^>]{0,2000}>")
_ANY_TAG = re.compile(r"<[^>]{0,5000}>")
_VOID = frozenset(
    "br hr img input meta link area base col embed source track wbr p li td tr th o:p".split()
)


@dataclass(slots=True)
class _Writer:
    """Collects text into lines; a line carries the mark of its first visible text."""

    lines: list[Line] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    mark: Mark = Mark.NONE
    blank_wanted: bool = False

    def write(self, text: str, mark: Mark, *, indented: bool = False) -> None:
        if not self.words:
            text = text if indented else text.lstrip(" ")
            if not text:
                return
            self.mark = mark
        elif text[0] == " " and self.words[-1][-1:] == " ":
            text = text[1:]
            if not text:
                return
        self.words.append(text)

    def end_line(self) -> None:
        if self.words:
            if self.blank_wanted and self.lines and self.lines[-1].text:
                self.lines.append(Line("", self.mark))
            self.lines.append(Line("".join(self.words).rstrip(), self.mark))
            self.words.clear()
            self.blank_wanted = False

    def blank_line(self, mark: Mark) -> None:
        if self.words:
            self.end_line()
        elif self.lines and self.lines[-1].text:
            self.lines.append(Line("", mark))


def read_html(source: str) -> list[Line]:
    """Return the visible text of `source`, line by line, with marks.

    Tags nested hundreds deep (parsing those is quadratic) are read without their marks.
    """
    source = source[:MAX_HTML]
    if _is_too_deep(source):
        plain = _ANY_TAG.sub("\n", source)
        return [Line(text) for text in plain.splitlines() if text.strip()]
    tree = LexborHTMLParser(source)
    writer = _Writer()
    if tree.body is not None:
        _walk(tree.body, writer)
    writer.end_line()
    return writer.lines


def _is_too_deep(source: str) -> bool:
    if source.count("<") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _TAG.finditer(source):
        if match.group(2).lower() not in _VOID:
            depth += -1 if match.group(1) else 1
            if depth > MAX_DEPTH:
                return True
    return False


def _walk(root: LexborNode, writer: _Writer) -> None:
    """Depth first, with a stack of our own: (node, mark) to open, (tag, None) to close."""
    stack: list[tuple[LexborNode | str, Mark, bool]] = [(root, Mark.NONE, False)]
    after = Mark.NONE
    nodes = 0
    while stack:
        node, mark, preformatted = stack.pop()
        if isinstance(node, str):
            _close(node, writer)
            continue
        nodes += 1
        if nodes > MAX_NODES:
            return
        tag = node.tag or ""
        if tag == "-text":
            _write_text(node, writer, max(mark, after), preformatted)
            continue
        if tag in _SKIPPED:
            continue
        attributes = node.attributes
        style = attributes.get("style") or ""
        if style and _HIDDEN.search(style):
            continue
        mark, starts_rest = judge_element(node, tag, attributes, style, mark)
        if starts_rest and after is Mark.NONE:
            after = Mark.QUOTED
            mark = Mark.QUOTED
        if tag == "br":
            writer.end_line() if writer.words else writer.blank_line(max(mark, after))
            continue
        if tag == "img":
            _write_image(attributes, writer, max(mark, after))
            continue
        if after is Mark.QUOTED and mark < Mark.ANSWER and is_coloured(attributes, style):
            mark = Mark.ANSWER
        _open(tag, attributes, writer)
        tight = tag == "p" and "mso" in (attributes.get("class") or "").lower()
        stack.append(("div" if tight else tag, mark, False))
        children = list(_children(node))
        inner = preformatted or tag == "pre"
        stack.extend((child, mark, inner) for child in reversed(children))


def _children(node: LexborNode) -> list[LexborNode]:
    found: list[LexborNode] = []
    child = node.child
    while child is not None and len(found) < MAX_NODES:
        found.append(child)
        child = child.next
    return found


def _open(tag: str, attributes: dict[str, str | None], writer: _Writer) -> None:
    if tag in _BLOCKS:
        writer.end_line()
        if tag in _SPACED and "mso" not in (attributes.get("class") or "").lower():
            writer.blank_wanted = True
        if tag == "li":
            writer.write("- ", Mark.NONE)
    elif tag in ("td", "th") and writer.words:
        writer.write(" ", Mark.NONE)


def _close(tag: str, writer: _Writer) -> None:
    if tag in _BLOCKS:
        writer.end_line()
        if tag in _SPACED:
            writer.blank_wanted = True


def _write_text(node: LexborNode, writer: _Writer, mark: Mark, preformatted: bool) -> None:
    text = node.text_content or ""
    if preformatted:
        first, *others = _INVISIBLE.sub("", text).split("\n")
        if first:
            writer.write(first, mark, indented=True)
        for line in others:
            writer.end_line() if writer.words else writer.blank_line(mark)
            if line:
                writer.write(line, mark, indented=True)
        return
    joined = _SPACE.sub(_one_space, text) if _UNUSUAL_SPACE.search(text) else text
    if joined == " " and not writer.words and "\u00a0" in text:
        writer.blank_line(mark)  # Word writes an empty line as a paragraph of one no-break space
    elif joined:
        writer.write(joined, mark)


def _one_space(match: re.Match[str]) -> str:
    return " " if _INVISIBLE.sub("", match.group()).strip("\u200d") else ""


def _write_image(attributes: dict[str, str | None], writer: _Writer, mark: Mark) -> None:
    """An emoji sent as an image is text; any other image is not."""
    text = attributes.get("data-emoji") or attributes.get("alt") or ""
    if 0 < len(text) <= 4 and not text.isascii():
        writer.write(text, mark)
