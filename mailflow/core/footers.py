"""What machines and habit put around a text: phone footers, legal notices, banners, rules."""

import re

from mailflow.core.signature_phrases import BANNERS, DISCLAIMERS, MOBILE_STARTS

_DELIMITER = re.compile(r"^\s{0,3}(?:--|—|––)[ \u00a0]?\s*$")
_MOBILE = re.compile(rf"^[\W_]{{0,6}}(?:{'|'.join(MOBILE_STARTS)})", re.IGNORECASE)
_FOOTER_LINK = re.compile(r"<https?://[^>\s]{0,400}>|\(https?://[^)\s]{0,400}\)|https?://\S{0,400}")
_EXCUSE = re.compile(
    r"\.\s(?:please )?(?:excuse|pardon|forgive|veuillez (?:excuser|pardonner)|excusez|merci d['’]"
    r"excuser|entschuldigen|disculpe)\b.{0,80}$",
    re.IGNORECASE,
)
_DISCLAIMER = re.compile(rf"^\W{{0,12}}(?:{'|'.join(DISCLAIMERS)})", re.IGNORECASE)
_BANNER = re.compile(rf"^(?:{'|'.join(BANNERS)})", re.IGNORECASE)
_RULE = re.compile(r"^[\s>]*(?:[-_=*~–—‐─━═#]\s?){3,}\s*$")


def is_mobile_footer(line: str) -> bool:
    """True for "Sent from my iPhone", "Envoyé depuis l'application Mail Orange" and the like."""
    text = line.strip()
    if not text or len(text) > 500 or _MOBILE.match(text) is None:
        return False
    rest = _EXCUSE.sub("", _FOOTER_LINK.sub("", text)).strip(" .<>()[]*_-")
    if len(rest) > 80 or len(rest.split()) > 12:
        return False
    return not re.search(r"[.!?]\s+\S|[:;?!]$|\b(?:was|were|has|did|est|pour que)\s", rest[5:])


def is_disclaimer(paragraph: str) -> bool:
    """True for the beginning of a legal notice, an antivirus line, or a list's footer."""
    return _DISCLAIMER.match(_FOOTER_LINK.sub("", paragraph[:600])) is not None


def is_banner(paragraph: str) -> bool:
    """True for a gateway's "[EXTERNAL]" and "You don't often get email from" notices."""
    return len(paragraph) < 700 and _BANNER.match(paragraph) is not None


def is_rule(line: str) -> bool:
    """True for a line of dashes, underscores or the like."""
    return _RULE.match(line) is not None


def is_delimiter(line: str) -> bool:
    """True for '-- ' and its common misspellings. Source: RFC 3676 section 4.3."""
    return _DELIMITER.match(line) is not None
