# ruff: noqa: SIM905 -- words, not a list of strings, are what one reads here
"""What the elements of an HTML mail say of their content: quoted, signature, answer in colour."""

import re

from selectolax.lexbor import LexborNode

from mailflow.core.lines import Mark

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


def judge_element(
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


def is_coloured(attributes: dict[str, str | None], style: str) -> bool:
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
