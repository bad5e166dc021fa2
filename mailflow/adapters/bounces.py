"""Delivery reports, found in the parts, headers and words of a mail, and by flufl.bounce."""

import email
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from flufl.bounce import all_failures

from mailflow.adapters.headers import decode_value, parse_message_ids, split_mail
from mailflow.adapters.mime import Content
from mailflow.core.delivery import (
    find_original_id,
    is_daemon,
    is_machine_name,
    parse_delivery_status,
    parse_rejection,
    read_bounce_text,
)
from mailflow.core.delivery_phrases import BOUNCE_SUBJECT, BOUNCE_TEXT, SOUNDS_LIKE_A_PERSON
from mailflow.core.forwards import subject_is_forward, subject_is_reply
from mailflow.core.messages import Bounce, BouncedRecipient

MAX_WORDS = 20_000
MAX_SCANNED = 256 * 1024
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """`bounce` where something failed or is late; `delivered` for a report of success."""

    bounce: Bounce | None = None
    delivered: bool = False


def find_report(
    headers: Sequence[tuple[str, str]],
    senders: Sequence[str],
    content: Content,
    text: str,
    raw: bytes,
) -> DeliveryReport:
    """Read `raw` as a delivery report, if it is one.

    A person who forwards or quotes a report is none: without a report's structure, the mail must
    come from a mail system (MAILER-DAEMON, an empty return path) or carry its subject.
    """
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), value)
    statuses = [report for kind, report in content.reports if kind in _STATUS_TYPES]
    recipients: list[BouncedRecipient] = []
    others: list[str] = []
    for status in statuses:
        found, done = parse_delivery_status(status)
        recipients += found
        others += done
    if statuses and not recipients and others:
        return DeliveryReport(delivered=True)
    for kind, report in content.reports:
        if kind == "message/disposition-notification" and not recipients:
            recipients += parse_rejection(report)
    if not recipients:
        if not _may_be_report(first, senders, text, bool(statuses)):
            return DeliveryReport()
        recipients = _from_words(first, text, raw, senders)
        if not recipients and not statuses and not BOUNCE_SUBJECT.search(first.get("subject", "")):
            return DeliveryReport()
    elif any(not recipient.address for recipient in recipients):
        recipients = _name_recipients(recipients, first, text, raw, senders)
    return DeliveryReport(Bounce(tuple(recipients), _original_id(first, content, text)))


def _may_be_report(
    first: dict[str, str], senders: Sequence[str], text: str, has_status: bool
) -> bool:
    mime_type = first.get("content-type", "").replace('"', "").replace(" ", "").lower()
    if has_status or "x-failed-recipients" in first or "report-type=delivery-status" in mime_type:
        return True
    subject = first.get("subject", "")[:300]
    has_subject = BOUNCE_SUBJECT.search(subject) is not None
    path = first.get("return-path", "").strip().lower()
    from_daemon = any(map(is_daemon, senders)) or "mailer-daemon" in path
    if from_daemon:
        return has_subject or BOUNCE_TEXT.search(text[:MAX_WORDS]) is not None
    auto = first.get("auto-submitted", "").lower().startswith(("auto-replied", "auto-generated"))
    if path == "<>":
        return has_subject or (not auto and BOUNCE_TEXT.search(text[:600]) is not None)
    if not has_subject or subject_is_forward(subject):
        return False
    opening = text.strip()[:1200]
    machine = (
        not senders
        or any(map(is_machine_name, senders))
        or mime_type.startswith("multipart/report")
    )
    if machine or auto:
        return BOUNCE_TEXT.search(opening) is not None
    return (
        BOUNCE_TEXT.search(opening[:300]) is not None
        and not subject_is_reply(subject)
        and not SOUNDS_LIKE_A_PERSON.search(opening)
    )


def _from_words(
    first: dict[str, str], text: str, raw: bytes, senders: Sequence[str]
) -> list[BouncedRecipient]:
    known = [a.strip() for a in first.get("x-failed-recipients", "").split(",") if "@" in a]
    temporary: set[str] = set()
    permanent: set[str] = set()
    if not known:
        temporary, permanent = _scan(raw)
        known = sorted(permanent) or sorted(temporary)
    excluded = frozenset(
        [
            *senders,
            *parse_addresses_of(first.get("to", "")),
            *parse_addresses_of(first.get("delivered-to", "")),
        ]
    )
    known = [a for a in known if a.lower() not in excluded] or known
    found = read_bounce_text(text, known, excluded)
    return [
        BouncedRecipient(
            r.address,
            r.status,
            r.address in permanent or (r.permanent and r.address not in temporary),
        )
        for r in found
    ]


def parse_addresses_of(value: str) -> list[str]:
    """The addresses of a decoded header value, lower case."""
    from mailflow.adapters.addresses import parse_addresses

    return [address.address for address in parse_addresses(value.encode("utf-8"))]


def _name_recipients(
    recipients: list[BouncedRecipient],
    first: dict[str, str],
    text: str,
    raw: bytes,
    senders: Sequence[str],
) -> list[BouncedRecipient]:
    """A report block without an address: the words may name it."""
    words = _from_words(first, text, raw, senders)
    named = [r for r in recipients if r.address]
    if named or not words:
        return named or recipients
    status = recipients[0].status
    return [BouncedRecipient(r.address, r.status or status, recipients[0].permanent) for r in words]


def _scan(raw: bytes) -> tuple[set[str], set[str]]:
    """Ask flufl.bounce, on a bounded mail; it may raise on a broken one."""
    try:
        message = email.message_from_bytes(raw[:MAX_SCANNED])
        temporary, permanent = all_failures(message)
    except Exception:  # its detectors index and decode without checks
        return set(), set()
    return _texts(temporary), _texts(permanent)


def _texts(addresses: frozenset[bytes]) -> set[str]:
    found = {address.decode("ascii", "replace").strip("<>").lower() for address in addresses}
    return {address for address in found if "@" in address and len(address) < 320}


def _original_id(first: dict[str, str], content: Content, text: str) -> str | None:
    for raw in content.messages:
        for name, value in split_mail(raw[:MAX_SCANNED])[0]:
            if name.lower() == "message-id":
                ids = parse_message_ids(decode_value(value))
                if ids:
                    return ids[0]
    for kind, report in content.reports:
        if kind == "text/rfc822-headers":
            found = find_original_id(report)
            if found:
                return found
    found = find_original_id(text)
    if found:
        return found
    for kind, report in content.reports:
        if kind in _STATUS_TYPES and "original-message-id" in report.lower():
            found = find_original_id(report.lower().replace("original-message-id", "message-id"))
            if found:
                return found
    for name in ("x-original-message-id", "in-reply-to", "references"):
        ids = parse_message_ids(first.get(name, ""))
        if ids:
            return ids[-1]
    return None
