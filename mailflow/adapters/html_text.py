"""HTML mail → lines of text, each with what the markup says of it (quoted, signature).

Nothing is fetched, nothing executed: the tree is only read. The marks are those that mail
programs leave: `gmail_quote`, `blockquote type=cite`, Outlook's header block, and so on.
"""

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

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
_INVISIBLE = re.compile("[\u200b\u200c\u2060\ufeff\u00ad]+")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]*)[^>]{0,2000}>")
_ANY_TAG = re.compile(r"<[^>]{0,5000}>")
_VOID = frozenset(
    "br hr img input meta link area base col embed source track wbr p li td tr th o:p".split()
)

# Classes and ids (a leading 'x_' of Outlook on the web taken off) whose content is quoted.
_QUOTE_NAMES = frozenset(
    "yahoo_quoted moz-cite-prefix protonmail_quote zmail_extra zmail_extra_hr gmail_attr "
    "gmail_quote_container mail-editor-reference-message-container reply-intro "
    "ntes-mailmaster-quote isreplycontent origbody origcontent _origcontentsafe sh-quoted-content "
    "front-blockquote quoted_message quotedtext quoted-text mail-quote-collapse hs_reply "
    "ymail_quoted cloudhq_quote ydp_yahoo_quoted mailspring-quote wm-reply msg-quote-block "
    "tutanota_quote airmail_ext_on edo-quote bm-quoted replyforwardcontainer mb_quote "
    "oriavg quotedmessage zimbraquote messagereplysection gmail-quote_container "
    "gmail_quote_attribution email-quote mailquote".split()
)
# Everything from here on, to the end of the mail, is the quoted mail.
_QUOTE_AFTER = frozenset(
    "divrplyfwdmsg appendonsend outlookmessageheader zwchr stopspelling "
    "ms-outlook-mobile-body-separator-line mailcontainerseparator "
    "mail-editor-reference-message outlookidf".split()
)
_SIGNATURE_NAMES = frozenset(
    "gmail_signature gmail_signature_prefix moz-signature signature outlooksignature "
    "ms-outlook-mobile-signature protonmail_signature_block composer_signature "
    "applemailsignature ymail_android_signature ymail_ios_signature "
    "protonmail_signature_block-user protonmail_signature_block-proton "
    "yahoo-signature zmail_signature mailbirdsignature roundcube-signature -x-evo-signature "
    "wisestamp divtagdefaultwrapper-signature mobile-signature lineheight_signature "
    "edo-signature tutanota-signature front-signature spark-signature".split()
)
_FORWARD_NAMES = frozenset({"moz-forward-container", "isforwardcontent"})
_TOP_BORDER = re.compile(
    r"border:none;\s*border-top:solid\s+#?(?:e1e1e1|b5c4df|cccccc|c0c0c0)", re.I
)
_LEFT_BORDER = re.compile(r"border-left(?:-width)?\s*:\s*(?!none|0|medium none)", re.I)
_LEFT_BORDER_NONE = re.compile(r"border(?:-left)?\s*:\s*(?:none|0)", re.I)


_COLOUR = re.compile(
    r"(?<![\w-])color\s*:\s*(?:red|green|#(?:ff0000|c00000|00b050|ed7d31|ff6600|70ad47|c82613|e97132)"
    r"|rgb\((?:255, ?0, ?0|192, ?0, ?0|200, ?38, ?19|0, ?176, ?80)\))",
    re.I,
)


@dataclass(slots=True)
class _Writer:
    """Collects text into lines; a line carries the mark of its first visible text."""

    lines: list[Line] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    mark: Mark = Mark.NONE
    blank_wanted: bool = False

    def write(self, text: str, mark: Mark) -> None:
        if not self.words:
            text = text.lstrip(" ")
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
        mark, starts_rest = _judge(node, tag, attributes, style, mark)
        if starts_rest and after is Mark.NONE:
            after = Mark.QUOTED
            mark = Mark.QUOTED
        if tag == "br":
            writer.end_line() if writer.words else writer.blank_line(max(mark, after))
            continue
        if tag == "img":
            _write_image(attributes, writer, max(mark, after))
            continue
        if after is Mark.QUOTED and mark < Mark.ANSWER and _is_coloured(attributes, style):
            mark = Mark.ANSWER
        _open(tag, attributes, writer)
        tight = tag == "p" and "mso" in (attributes.get("class") or "").lower()
        stack.append(("div" if tight else tag, mark, False))
        children = list(_children(node))
        inner = preformatted or tag == "pre"
        stack.extend((child, mark, inner) for child in reversed(children))


def _children(node: LexborNode) -> list[LexborNode]:
    found = []
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
            writer.write(first, mark)
        for line in others:
            writer.end_line() if writer.words else writer.blank_line(mark)
            if line:
                writer.write(line, mark)
        return
    text = _SPACE.sub(_one_space, text)
    if text:
        writer.write(text, mark)
    elif not writer.words and "\u00a0" in (node.text_content or ""):
        writer.blank_line(mark)


def _one_space(match: re.Match[str]) -> str:
    return " " if _INVISIBLE.sub("", match.group()).strip("\u200d") else ""


def _write_image(attributes: dict[str, str | None], writer: _Writer, mark: Mark) -> None:
    """An emoji sent as an image is text; any other image is not."""
    text = attributes.get("data-emoji") or attributes.get("alt") or ""
    if 0 < len(text) <= 4 and not text.isascii():
        writer.write(text, mark)


def _judge(
    node: LexborNode, tag: str, attributes: dict[str, str | None], style: str, mark: Mark
) -> tuple[Mark, bool]:
    """Return the mark for the content of `node`, and whether the rest of the mail is quoted."""
    if not attributes:
        return mark, False
    names = _names(attributes)
    if names & _QUOTE_AFTER:
        return mark, True
    if tag in ("div", "table", "p") and style and _TOP_BORDER.search(style):
        return mark, mark is Mark.NONE
    marker = attributes.get("data-marker") or ""
    if marker in ("__DIVIDER__", "__HEADERS__", "__QUOTED_TEXT__"):
        return Mark.QUOTED, False
    if mark is Mark.QUOTED:
        return mark, False
    if "gmail_quote" in names and tag == "div":
        # Answers may stand in this div between its blockquotes: then only those are quoted.
        return (mark if node.css_first("blockquote") else Mark.QUOTED), False
    if names & _QUOTE_NAMES:
        return Mark.QUOTED, False
    if tag == "blockquote" and _is_quote(attributes, names, style):
        return Mark.QUOTED, False
    if names & _SIGNATURE_NAMES:
        return Mark.SIGNATURE, False
    return mark, False


def _is_coloured(attributes: dict[str, str | None], style: str) -> bool:
    """Red, green or orange text: how Outlook users set their answers apart in a quoted mail."""
    colour = attributes.get("color") or ""
    return bool(_COLOUR.search(f"color:{colour}" if colour else style))


def _names(attributes: dict[str, str | None]) -> set[str]:
    found: set[str] = set()
    for key in ("class", "id", "name"):
        value = attributes.get(key)
        if value:
            found.update(
                word.removeprefix("x_").removeprefix("x_") for word in value.lower().split()[:20]
            )
    return found


def _is_quote(attributes: dict[str, str | None], names: set[str], style: str) -> bool:
    if (attributes.get("type") or "").lower() == "cite" or "cite" in attributes:
        return True
    if any("quote" in name or "cite" in name for name in names):
        return True
    return bool(_LEFT_BORDER.search(style)) and not _LEFT_BORDER_NONE.search(style)
