# ruff: noqa: SIM905 -- words, not a list of strings, are what one reads here
"""Delivery reports: of RFC 3464, and the many that only say it in words."""

import re
from collections.abc import Sequence

from mailflow.core.delivery_phrases import COPY_BELOW, FOR_GOOD, TEMPORARY
from mailflow.core.messages import BouncedRecipient

MAX_RECIPIENTS = 200
MAX_TEXT = 30_000

_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]{1,60}):[ \t]*(.*)$")
_ADDRESS = re.compile(r"[^\s<>@\"'()\[\],;:]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,2}\.\d{1,3})(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.:/-])([45]\d{2})(?=[\s\-#,;:])(?!-\d)")
_MESSAGE_ID = re.compile(
    r"^[\s>|]{0,10}message-id:\s{0,5}(<[^<>\s]{3,500}>)", re.IGNORECASE | re.MULTILINE
)


def parse_delivery_status(text: str) -> tuple[list[BouncedRecipient], list[str]]:
    """Read a message/delivery-status part: failed or delayed recipients, and other actions.

    Each block of fields but the first tells of one recipient; mail systems that join the blocks
    are understood too. 'delivered', 'relayed' and 'expanded' are no failures: they come back as
    the second list. Source: RFC 3464 section 2.3.
    """
    recipients: list[BouncedRecipient] = []
    others: list[str] = []
    for block in _blocks(text):
        final = _address(block.get("final-recipient", "")) or _address(
            block.get("x-actual-recipient", "")
        )
        original = _address(block.get("original-recipient", ""))
        action = block.get("action", "").strip().lower()
        if not (final or original) and not action:
            continue
        if action.startswith(("delivered", "relayed", "expanded")):
            others.append(action.split()[0])
            continue
        diagnostic = block.get("diagnostic-code", "")
        status = _status(block.get("status", "")) or _status(diagnostic)
        permanent = _is_permanent(action, status, diagnostic)
        if len(recipients) < MAX_RECIPIENTS:
            recipients.append(BouncedRecipient(original or final, status, permanent))
    return _unique(recipients), others


def parse_rejection(text: str) -> list[BouncedRecipient]:
    """Read a read receipt by which a server says that it deleted the mail unread: a refusal.

    Sieve's `reject` of Dovecot answers so. Source: RFC 8098 section 3.2.6, RFC 5429 section 2.1.
    """
    block = next((b for b in _blocks(text) if "disposition" in b), {})
    disposition = block.get("disposition", "").replace(" ", "").lower()
    if "automatic-action" not in disposition or not disposition.endswith(
        ("deleted", "denied", "failed")
    ):
        return []
    address = _address(block.get("final-recipient", ""))
    return [BouncedRecipient(address, "", True)] if address else []


def _blocks(text: str) -> list[dict[str, str]]:
    blocks: list[dict[str, str]] = [{}]
    name = ""
    for line in text.split("\n")[:5000]:
        field = _FIELD.match(line)
        if field is not None:
            name = field.group(1).lower()
            if name in blocks[-1] and name in ("final-recipient", "original-recipient"):
                blocks.append({})
            blocks[-1].setdefault(name, field.group(2).strip())
        elif line[:1] in (" ", "\t") and name:
            blocks[-1][name] = f"{blocks[-1].get(name, '')} {line.strip()}"[:2000]
        elif not line.strip() and blocks[-1]:
            blocks.append({})
            name = ""
    return blocks


def _address(value: str) -> str:
    value = value.rpartition(";")[2] if ";" in value else value
    match = _ADDRESS.search(value)
    return match.group().lower().rstrip(".") if match else ""


def _status(text: str) -> str:
    match = _STATUS.search(text)
    return match.group(1) if match else ""


def _is_permanent(action: str, status: str, diagnostic: str) -> bool:
    if action.startswith("delay"):
        return False
    if action.startswith(("fail", "error")):
        return True
    if status:
        return status.startswith("5")
    code = _REPLY_CODE.search(diagnostic)
    return code is None or code.group(1).startswith("5")


def _unique(recipients: Sequence[BouncedRecipient]) -> list[BouncedRecipient]:
    kept: dict[str, BouncedRecipient] = {}
    for recipient in recipients:
        known = kept.get(recipient.address)
        if known is None or (not known.status and recipient.status):
            kept[recipient.address] = recipient
    return list(kept.values())


def read_bounce_text(
    text: str, known: Sequence[str], excluded: frozenset[str]
) -> list[BouncedRecipient]:
    """Find recipients and their status in the words of a mail system.

    `known` are addresses already found (X-Failed-Recipients, flufl.bounce); without any, those
    that the text names above the returned mail count, `excluded` ones apart.
    """
    copy = COPY_BELOW.search(text)
    report = text[: copy.start()] if copy and copy.start() > 60 else text[:MAX_TEXT]
    report = report[:MAX_TEXT]
    found = list(dict.fromkeys(address.lower() for address in known if "@" in address))
    if not found:
        addresses = [match.lower().rstrip(".") for match in _ADDRESS.findall(report)]
        found = [
            address
            for address in dict.fromkeys(addresses)
            if address not in excluded and not is_daemon(address)
        ][:20]
    permanent = is_permanent_text(report)
    return [_with_status(address, report, permanent) for address in found[:MAX_RECIPIENTS]]


def _with_status(address: str, report: str, permanent: bool) -> BouncedRecipient:
    at = report.lower().find(address)
    near = report[at : at + 900] if at >= 0 else report
    status = _status(near) or _status(report)
    if status:
        return BouncedRecipient(address, status, status.startswith("5") and not _only_late(report))
    code = _REPLY_CODE.search(near) or _REPLY_CODE.search(report)
    if code is not None:
        return BouncedRecipient(address, "", code.group(1).startswith("5"))
    return BouncedRecipient(address, "", permanent)


def _only_late(report: str) -> bool:
    return bool(TEMPORARY.search(report)) and not FOR_GOOD.search(report)


def is_permanent_text(report: str) -> bool:
    """False if the words speak of a delay only."""
    return not (TEMPORARY.search(report) and not FOR_GOOD.search(report))


def find_original_id(text: str) -> str | None:
    """Return the Message-ID of a mail whose headers are copied in `text`."""
    match = _MESSAGE_ID.search(text)
    return match.group(1) if match else None


_DAEMONS = frozenset(
    "mailer-daemon postmaster mailerdaemon mail-daemon mailer_daemon mdaemon mailsystem "
    "mail-delivery-system maildeliverysystem bounce bounces no-reply-bounce daemon mmdf uucp "
    "microsoftexchange329e71ec88ae4615bbc36ab6ce41109e".split()
)


_MACHINE_NAME = re.compile(
    r"(?:mail|smtp|system|admin|virus|symantec|imss|inetgw|ndr$|deliver|gateway|server|robot|daemon|"
    r"bounce|mta$|relay|exchange|spam|filter|notif|no-?reply)"
)


def is_machine_name(address: str) -> bool:
    """True for local parts that mail systems use, though a person's may look alike."""
    return _MACHINE_NAME.search(address.partition("@")[0].lower()) is not None


def is_daemon(address: str) -> bool:
    """True for the addresses under which mail systems report: MAILER-DAEMON, postmaster."""
    local = address.partition("@")[0].lower()
    return (
        local in _DAEMONS
        or local.startswith(("mailer-daemon", "postmaster", "microsoftexchange"))
        or local.endswith(("-mailer-daemon", ".mailer-daemon"))
    )
