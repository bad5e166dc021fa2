"""Which ticket does a mail belong to? Signed Message-IDs first, then the reference.

A Message-ID of ours is `<mf.TICKET.ROLE.NONCE.MAC@domain>`. ROLE says whose thread it is, so
that nobody can turn a client's thread into an agent's. MAC is a full HMAC-SHA256 in base32
over the rest, so that no id can be made up. The token of a whole thread can stand in a reply
address (`support+mf.TICKET.ROLE.root.MAC@domain`), its MAC cut to 130 bits: the part before the
'@' has 64 characters at most (RFC 5321 section 4.5.3.1.1).
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum


class ThreadRole(StrEnum):
    """Whose thread a token opens."""

    CLIENT = "c"
    AGENT = "a"


@dataclass(frozen=True, slots=True)
class ThreadToken:
    """A token whose signature is right."""

    ticket_id: int
    role: ThreadRole
    nonce: str  # what is told apart within the thread; '' for the whole of it


_TOKEN = re.compile(
    r"mf\.(?P<ticket>[0-9]{1,18})\.(?P<role>[ca])\.(?P<nonce>[a-z0-9]{1,40})\."
    r"(?P<mac>[a-z2-7]{52}|[a-z2-7]{26})(?![a-z2-7])"
)
_CUT = 26  # characters that a reply address leaves out of the MAC
ROOT = "root"  # the nonce of the id that stands in References of every mail of a thread


def sign(key: bytes, ticket_id: int, role: ThreadRole, nonce: str) -> str:
    """Return the token `mf.TICKET.ROLE.NONCE.MAC`. `nonce` is 1 to 40 of a-z and 0-9."""
    text = f"mf.{ticket_id}.{role.value}.{nonce}"
    digest = hmac.new(key, text.encode("ascii"), hashlib.sha256).digest()
    mac = base64.b32encode(digest).decode("ascii").rstrip("=").lower()
    return f"{text}.{mac}"


def make_reply_token(key: bytes, ticket_id: int, role: ThreadRole) -> str:
    """Return the token of a whole thread, short enough for a reply address."""
    return sign(key, ticket_id, role, ROOT)[:-_CUT]


def make_message_id(key: bytes, ticket_id: int, role: ThreadRole, nonce: str, domain: str) -> str:
    """Return a signed Message-ID with its angle brackets."""
    return f"<{sign(key, ticket_id, role, nonce)}@{domain}>"


def find_token(key: bytes, text: str) -> ThreadToken | None:
    """Return the first token in `text` whose signature is right, or None. Case is ignored."""
    for match in _TOKEN.finditer(text.lower()):
        ticket_id, role = int(match["ticket"]), ThreadRole(match["role"])
        expected = sign(key, ticket_id, role, match["nonce"])[: len(match[0])]
        if str(ticket_id) == match["ticket"] and hmac.compare_digest(expected, match[0]):
            return ThreadToken(ticket_id, role, "" if match["nonce"] == ROOT else match["nonce"])
    return None


def find_tokens(key: bytes, texts: tuple[str, ...]) -> tuple[ThreadToken, ...]:
    """Return the tokens with a right signature among `texts`, in their order."""
    return tuple(token for text in texts if (token := find_token(key, text)) is not None)


def find_references(subject: str, prefix: str) -> tuple[str, ...]:
    """Return the ticket references in `subject`, such as MF-2026-000123, in upper case."""
    pattern = re.compile(
        rf"(?<![A-Z0-9-]){re.escape(prefix)}-[0-9]{{4}}-[0-9]{{6,9}}(?![0-9])", re.I | re.ASCII
    )
    return tuple(found.upper() for found in pattern.findall(subject))


_REPLY_PREFIX = re.compile(
    r"^\s*(?:(?:re|r[ée]f?|rép|tr|fw|fwd|aw|wg|sv|vs|antw|odp|ynt|enc|rif|rv|res)"
    r"(?:\s?\[\d{1,3}\])?\s?[:：]\s*)+",
    re.I,
)


def bare_subject(subject: str, prefix: str) -> str:
    """Return `subject` without Re:, TR: and our reference: what stays the same in a thread."""
    text = re.sub(
        rf"(?<!\s)\s*\[{re.escape(prefix)}-[0-9]{{4}}-[0-9]{{6,9}}\]", "", subject, flags=re.I
    )
    return _REPLY_PREFIX.sub("", text).strip()
