"""Delivery reports: of RFC 3464, and the many that only say it in words."""

import re
from collections.abc import Sequence

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

# Subjects that only mail systems write.
BOUNCE_SUBJECT = re.compile(
    r"(?:undeliver(?:able|ed)|mail (?:delivery )?(?:failed|failure|error)|delivery (?:status|failure|"
    r"has failed|report|notification|error|problem|delayed|incomplete)|returned (?:mail|to sender)"
    r"|failure notice|mail (?:could not be|not) delivered|message (?:not|could not be) delivered|"
    r"non[- ]?remis|non[- ]?d[ée]livr|non distribu|[ée]chec (?:de|d['’]) ?(?:la )?(?:remise|distribution"
    r"|l['’]?envoi|envoi|livraison|d[ée]livrance)|remise (?:impossible|retard[ée]e|diff[ée]r[ée]e)"
    r"|avis de non[- ]?(?:remise|distribution|d[ée]livrance)|notification d['’][ée]tat de remise|"
    r"message (?:non|retard[ée])|courrier (?:non|en attente)|retour (?:de|du) (?:courrier|mail|message)|"
    r"impossible de (?:remettre|distribuer)|mail system error|warning: (?:could not send|message)|"
    r"message d['’]erreur de remise|rapport de non|unzustellbar|nicht zugestellt|zustell(?:ung|fehler)"
    r"|no se (?:ha podido|puede) entregar|devuelto|mancata consegna|onbestelbaar|"
    r"niet (?:bezorgd|afgeleverd)|não (?:entregue|foi entregue)|kunde inte levereras|"
    r"delivery failure|could not deliver|unzustellbare|mailbox (?:full|unavailable)|"
    r"\bNDR\b|returned mail|mail error|error during delivery|processing error|failed mail|"
    r"(?:mail|message|e-?mail)\b.{0,120}(?:could not be|was not|not) (?:be )?delivered|non-?delivery|"
    r"mail delivery warning|automatically rejected|rejected mail|delivery failed|not deliverable|"
    r"failed delivery|undelivered|bounced? (?:mail|message)|message rejected|mail delivery (?:system|subsystem)|message delayed|delayed mail)",
    re.IGNORECASE,
)  # fmt: skip

# Texts of mail systems: what is refused for good, then what is only late.
BOUNCE_TEXT = re.compile(
    r"(?:could ?n[o']t be delivered|could not (?:be )?deliver|was(?: not|n't) delivered|were not "
    r"delivered|unable to deliver|undeliverable|delivery (?:to the following|has failed|failed|failure)"
    r"|wasn['’]t able to deliver|permanent (?:fatal )?error|failed permanently|"
    r"delivery attempts|returned (?:to sender|below|to you)|i'm afraid i|i wasn't able to|"
    r"address(?:es)? (?:failed|couldn['’]t be found|not found|had (?:permanent|fatal))|"
    r"user (?:unknown|not found|doesn't (?:exist|have))|no such (?:user|recipient|mailbox|address)|"
    r"(?:recipient|user|mailbox|address|account)(?: \S{1,80})? (?:rejected|unknown|does not exist|"
    r"doesn['’]t exist|not found|unavailable|disabled|is full|is (?:inactive|invalid))|"
    r"mailbox (?:is )?full|quota exceeded|over ?quota|relay(?:ing)? (?:access )?denied|"
    r"n['’]a pas (?:pu|été) (?:être )?(?:remis|distribu|d[ée]livr|transmis|envoy)|"
    r"n['’]ont pas (?:pu|été) (?:être )?(?:remis|distribu|d[ée]livr|transmis)|"
    r"impossible de (?:remettre|distribuer|d[ée]livrer|livrer|transmettre)|"
    r"[ée]chec (?:de|d['’]|permanent|lors)|(?:destinataire|utilisateur|adresse|bo[iî]te)(?: \S{1,80})? "
    r"(?:inconnue?|inexistante?|introuvable|refus[ée]e?|pleine|n['’]existe|est pleine)|"
    r"adresse e-?mail (?:introuvable|n['’]a pas|inexistante)|pas (?:pu )?atteindre (?:le|les) destinataire|"
    r"votre message n['’]est pas parvenu|konnte nicht zugestellt|nicht zugestellt werden|"
    r"no se (?:ha podido|pudo|puede) entregar|non (?:è stato possibile|può essere) (?:consegn|recapit)|"
    r"kon niet worden (?:bezorgd|afgeleverd)|não (?:pôde|foi possível) (?:ser )?entreg|"
    r"user not listed|not listed in (?:domino|public name)|no route (?:to|found)|"
    r"host (?:or domain name )?not found|message (?:was |has been )?(?:rejected|refused|blocked)|"
    r"this is (?:the|a) (?:mail system|mail delivery|qmail|permanent error)|smtp error|"
    r"rejected (?:by|your message)|550[ -]|5\.\d\.\d)",
    re.IGNORECASE,
)  # fmt: skip
SOUNDS_LIKE_A_PERSON = re.compile(
    r"\b(?:bonjour|bonsoir|hello|hi|dear|salut|madame|monsieur|cordialement|regards|merci|thanks|je|nous|"
    r"pouvez-vous|could you|please help|mon|notre|we|our|i am|i'm|i have)\b",
    re.IGNORECASE,
)
_TEMPORARY = re.compile(
    r"(?:delayed|not yet been delivered|still (?:be )?(?:retr|trying|being)|will (?:be )?(?:retr|"
    r"continue|keep trying)|temporar(?:y|ily)|warning(?: only)?|retard[ée]e?|diff[ée]r[ée]e?|"
    r"nouvelle(?:s)? tentative|sera (?:de nouveau|encore)|n['’]a pas encore|temporaire|no action is "
    r"required|do not need to resend|you do not need|verz[öo]gert|will retry|delivery incomplete)",
    re.IGNORECASE,
)
_FOR_GOOD = re.compile(
    r"(?:giving up|have failed|has failed|failed permanently|permanent|user unknown|does not exist|"
    r"could not be delivered|définitif|5\.\d\.\d|\b55\d\b)",
    re.IGNORECASE,
)
_COPY_BELOW = re.compile(
    r"(?im)^.{0,40}(?:below this line is a copy|this is a copy of (?:the|your)|copy of the message|"
    r"original message(?: follows| headers)?|message headers? follow|-{3,}.{0,30}returned message|"
    r"en-t[êe]tes? (?:du message|d['’]origine)|message d['’]origine|copie (?:de votre|du) message|"
    r"transcript of session follows|unsent message below|returned message|"
    r"[-_=]{3,}\s?(?:original|message)|received:\s+(?:from|by)\s).{0,80}$"
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
    if "automatic-action" not in disposition or not disposition.endswith(("deleted", "denied", "failed")):
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
    copy = _COPY_BELOW.search(text)
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
    return bool(_TEMPORARY.search(report)) and not _FOR_GOOD.search(report)


def is_permanent_text(report: str) -> bool:
    """False if the words speak of a delay only."""
    return not (_TEMPORARY.search(report) and not _FOR_GOOD.search(report))


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
