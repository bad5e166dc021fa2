"""Who or what wrote a mail, and how one knows: so that no machine is ever answered.

The rules are tried from top to bottom; the first that holds decides. Sources: RFC 3834 (automatic
answers), RFC 3464 (delivery reports), RFC 5965 (feedback reports), RFC 8098 (read receipts), RFC
2369 and 2919 (lists), RFC 5546 (calendar answers).
"""

import re
from collections.abc import Callable

from mailflow.core.delivery import is_daemon
from mailflow.core.delivery_phrases import BOUNCE_SUBJECT
from mailflow.core.evidence import Evidence, Verdict
from mailflow.core.forwards import subject_is_forward, subject_is_reply
from mailflow.core.machine_phrases import (
    ABSENCE_MORE,
    ABSENCE_TEXT,
    AUTO_REPLY_HEADERS,
    AUTO_REPLY_SUBJECT,
    AUTOMATIC_TEXT,
    CHALLENGE_HEADERS,
    CHALLENGE_LINK,
    CHALLENGE_MORE,
    CHALLENGE_SENDERS,
    CHALLENGE_SUBJECT,
    CHALLENGE_TEXT,
    LIST_HEADERS,
    MACHINE_LOCAL_PARTS,
    NO_ANSWER_TEXT,
    RECEIPT_SUBJECT,
    RECEIPT_TEXT,
)
from mailflow.core.messages import Bounce, MessageClass

MAX_TEXT = 4000

__all__ = ["Evidence", "Verdict", "classify"]


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


def _for_lower_case(pattern: str) -> re.Pattern[str]:
    """For texts in lower case: several times faster than ignoring the case at each letter."""
    return re.compile(pattern, re.DOTALL)


_AUTO_HEADERS = tuple((name, _compiled(p), why) for name, p, why in AUTO_REPLY_HEADERS)
_CHALLENGE_HEADERS = tuple((name, _compiled(p)) for name, p in CHALLENGE_HEADERS)
_LIST_HEADERS = tuple((name, _compiled(p)) for name, p in LIST_HEADERS)
_AUTO_SUBJECT = _compiled(AUTO_REPLY_SUBJECT)
_ABSENCE = tuple(map(_for_lower_case, ABSENCE_TEXT))
_ABSENCE_MORE = tuple(map(_for_lower_case, ABSENCE_MORE))
_AUTOMATIC = _for_lower_case(AUTOMATIC_TEXT)
_NO_ANSWER = _for_lower_case(NO_ANSWER_TEXT)
_RECEIPT_SUBJECT = _compiled(RECEIPT_SUBJECT)
_RECEIPT_TEXT = _compiled(RECEIPT_TEXT)
_CHALLENGE_MORE = _for_lower_case(CHALLENGE_MORE)
_CHALLENGE_LINK = _for_lower_case(CHALLENGE_LINK)
_CHALLENGE_TEXT = _for_lower_case(CHALLENGE_TEXT)
_CHALLENGE_SUBJECT = _for_lower_case(CHALLENGE_SUBJECT)
_REPORTS = _for_lower_case(
    r"\b(?:ne fonctionne|échoue|fails?|wrong|bug|not working|doesn't work|ne marche|mise à jour|"
    r"module|erreur \d|error \d|can you (?:fix|help|look))\b"
)
_TALKS_BUSINESS = _for_lower_case(
    r"\?|\b(?:error|erreur|bug|problème|issue|impossible de|cannot|can't|ne fonctionne|logiciel|"
    r"mise à jour|échoue|fails?|wrong|not working|doesn't work|ne marche|module|"
    r"screen|écran|capture|ticket)\b"
)
_ASKS_OF_US = _for_lower_case(
    r"\b(?:pouvez-vous|pourriez-vous|could you|can you|would you|j['’]ai (?:un|une|besoin)|"
    r"i (?:have|need|would like)|nous avons|we have|je (?:souhaite|voudrais|vous)(?! (?:répond|"
    r"recontact|remercie))|clos|clôtur|close the)"
)


def classify(mail: Evidence) -> Verdict:
    """Say who or what wrote `mail`. Without any sign of a machine, it is a person."""
    for rule in _RULES:
        verdict = rule(mail)
        if verdict is not None:
            return verdict
    return Verdict(MessageClass.PERSON, "no sign of a machine")


def _own(mail: Evidence) -> Verdict | None:
    """Only the address counts: anyone can write our X-Mailflow headers."""
    if any(address in mail.own_addresses for address in mail.senders):
        return Verdict(MessageClass.OWN, "From is one of our own addresses")
    return None


def _feedback(mail: Evidence) -> Verdict | None:
    if mail.parameter("report-type") == "feedback-report" or (
        "message/feedback-report" in mail.part_types
    ):
        return Verdict(MessageClass.FEEDBACK, "feedback report (RFC 5965)")
    if mail.parameter("report-type") in ("tlsrpt", "dmarc") or any(
        kind.startswith("application/tlsrpt") for kind in mail.part_types
    ):
        return Verdict(MessageClass.FEEDBACK, "TLS report (RFC 8460)")
    if re.match(r"\W{0,3}report domain:\s?\S+\s.{0,40}submitter:", mail.subject, re.IGNORECASE):
        return Verdict(MessageClass.FEEDBACK, "DMARC report (RFC 7489)")
    return None


def _bounce(mail: Evidence) -> Verdict | None:
    if mail.bounce is not None:
        return Verdict(MessageClass.BOUNCE, "delivery report", mail.bounce)
    if mail.delivered:
        return Verdict(MessageClass.AUTO_REPLY, "report of a delivery that succeeded")
    return None


def _receipt(mail: Evidence) -> Verdict | None:
    if mail.parameter("report-type") == "disposition-notification" or (
        "message/disposition-notification" in mail.part_types
    ):
        return Verdict(MessageClass.AUTO_REPLY, "read receipt (RFC 8098)")
    if mail.calendar_method in ("REPLY", "COUNTER", "REFRESH"):
        return Verdict(MessageClass.AUTO_REPLY, "answer of a calendar (RFC 5546)")
    return None


def _challenge(mail: Evidence) -> Verdict | None:
    for name, pattern in _CHALLENGE_HEADERS:
        if any(pattern.search(value) for value in mail.values(name)):
            return Verdict(MessageClass.CHALLENGE, f"header {name}")
    domains = [address.rpartition("@")[2] for address in mail.senders]
    known = any(d == s or d.endswith(f".{s}") for d in domains for s in CHALLENGE_SENDERS)
    written = mail.new_text[:MAX_TEXT]
    text = written.lower()
    has_subject = _CHALLENGE_SUBJECT.search(mail.subject.lower()) is not None
    links = _CHALLENGE_LINK.search(text) is not None
    # What the text says is looked at last: the dearest, and few mails have another sign.
    says = (known or links or has_subject) and _CHALLENGE_TEXT.search(text) is not None
    if known and (says or has_subject):
        return Verdict(MessageClass.CHALLENGE, "sent by a challenge-response service")
    if says and links:
        return Verdict(MessageClass.CHALLENGE, "links to a challenge-response service")
    has_link = "http://" in written or "https://" in written or "text/html" in mail.part_types
    if says and has_subject and has_link and _CHALLENGE_MORE.search(text):
        return Verdict(MessageClass.CHALLENGE, "asks the sender to prove that he is a person")
    return None


def _auto_headers(mail: Evidence) -> Verdict | None:
    for name, pattern, why in _AUTO_HEADERS:
        for value in mail.values(name):
            if pattern.search(value[:200]):
                return Verdict(MessageClass.AUTO_REPLY, f"{name}: {value[:60]} ({why})")
    return None


def _lists(mail: Evidence) -> Verdict | None:
    for name, pattern in _LIST_HEADERS:
        for value in mail.values(name):
            if pattern.search(value[:200]):
                return Verdict(MessageClass.LIST, f"{name}: {value[:60]}")
    # Sales tools put List-Unsubscribe on what a person writes; an answer to us is a person's.
    if mail.values("list-unsubscribe") and not mail.values("in-reply-to"):
        return Verdict(MessageClass.LIST, "list-unsubscribe, and no answer to us")
    return None


def _auto_subject(mail: Evidence) -> Verdict | None:
    """An autoresponder's subject; a person who answers one puts "Re:" before it.

    A person may also write about such mails, or about a module called 'Absence': a text that
    reports something is a person's.
    """
    if _RECEIPT_SUBJECT.search(mail.subject) and _RECEIPT_TEXT.search(mail.text[:MAX_TEXT]):
        return Verdict(MessageClass.AUTO_REPLY, "read receipt in words")
    match = _AUTO_SUBJECT.search(mail.subject)
    if match is None or _REPORTS.search(mail.new_text[:MAX_TEXT].lower()):
        return None
    return Verdict(MessageClass.AUTO_REPLY, f"subject begins {match.group()[:40]!r}")


def _suppressed(mail: Evidence) -> Verdict | None:
    """X-Auto-Response-Suppress alone proves nothing: some firms put it on every mail.

    With an empty return path, or a text that says so, it is a machine. Source: [MS-OXCMAIL]
    section 2.1.3.2.20.
    """
    values = mail.values("x-auto-response-suppress")
    if not values:
        return None
    null_path = any(value.strip() in ("<>", "") for value in mail.values("return-path"))
    if null_path or _AUTOMATIC.search(mail.new_text[:MAX_TEXT].lower()):
        return Verdict(MessageClass.AUTO_REPLY, "X-Auto-Response-Suppress on an automatic mail")
    return None


def _absence(mail: Evidence) -> Verdict | None:
    """An out-of-office text: it opens with the absence, says more of it, and asks nothing."""
    text = mail.new_text.strip()[:MAX_TEXT].lower()
    if not text or len(text) > 1800:
        return None
    opening = text[:260]
    if not any(pattern.search(opening) for pattern in _ABSENCE):
        return None
    more = sum(1 for pattern in _ABSENCE_MORE if pattern.search(text))
    null_path = any(value.strip() == "<>" for value in mail.values("return-path"))
    if null_path:
        return Verdict(MessageClass.AUTO_REPLY, "absence told with an empty return path")
    if _TALKS_BUSINESS.search(text) or subject_is_forward(mail.subject):
        return None
    # A person who mentions an absence mostly also wants something of the desk.
    if more and (len(text) < 900) and not _ASKS_OF_US.search(text):
        return Verdict(MessageClass.AUTO_REPLY, "out-of-office text")
    return None


def _machine_sender(mail: Evidence) -> Verdict | None:
    locals_ = [address.partition("@")[0] for address in mail.senders]
    if any(local in MACHINE_LOCAL_PARTS for local in locals_):
        return Verdict(MessageClass.AUTO_REPLY, "sent from an address that nobody reads")
    if any(is_daemon(address) for address in mail.senders) and not subject_is_reply(mail.subject):
        if BOUNCE_SUBJECT.search(mail.subject):
            return Verdict(MessageClass.BOUNCE, "subject of a mail system", Bounce(()))
        return Verdict(MessageClass.AUTO_REPLY, "sent by a mail system")
    null_path = any(value.strip() == "<>" for value in mail.values("return-path"))
    if null_path:
        return Verdict(MessageClass.AUTO_REPLY, "empty return path (RFC 3834 section 2)")
    text = mail.new_text[:MAX_TEXT].lower()
    if "?" in text or len(mail.new_text) > MAX_TEXT:
        return None
    if _AUTOMATIC.search(text) or (_NO_ANSWER.search(text) and not _TALKS_BUSINESS.search(text)):
        return Verdict(MessageClass.AUTO_REPLY, "says that it was written automatically")
    return None


_RULES: tuple[Callable[[Evidence], Verdict | None], ...] = (
    _own,
    _feedback,
    _bounce,
    _receipt,
    _challenge,
    _auto_headers,
    _lists,
    _auto_subject,
    _suppressed,
    _absence,
    _machine_sender,
)
