"""Is this mail really the agent's? Only then its commands count.

Source: RFC 8601 (Authentication-Results), RFC 7489 section 3.1 (alignment), RFC 6376 (DKIM).
"""

import re
from dataclasses import dataclass

from mailflow.core.messages import InboundMessage, MessageClass


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the sender is proven, and by what, or why not."""

    proven: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM signature that was checked by ourselves: its domain, and whether it holds."""

    domain: str
    valid: bool


_ADDRESS = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


def is_well_formed(address: str) -> bool:
    """Whether `address`, in lower case, is plain `local@domain` without any header syntax."""
    return _ADDRESS.fullmatch(address) is not None


def check_sender(
    message: InboundMessage,
    mode: str,
    authserv_id: str | None,
    signatures: tuple[Signature, ...] = (),
) -> Proof:
    """Say whether the one address in From is proven.

    `mode` is 'dmarc' (our own server said so), 'dkim' (`signatures` were checked here) or
    'token-only' (the signed thread token, checked elsewhere, must do).
    """
    if message.message_class is MessageClass.OWN:
        return Proof(False, "the mail says that it is from ourselves")
    names = [name.lower() for name, _ in message.headers]
    if names.count("from") != 1 or len(message.senders) != 1:
        return Proof(False, "there is not exactly one From with one address")
    address = message.senders[0].address
    if not is_well_formed(address):
        return Proof(False, "the address in From is not well-formed")
    domain = message.senders[0].domain
    if mode == "token-only":
        return Proof(True, "token-only: the thread's token is taken as proof, by configuration")
    if mode == "dkim":
        return _check_dkim(domain, signatures)
    return _check_dmarc(message, domain, authserv_id)


def _check_dkim(domain: str, signatures: tuple[Signature, ...]) -> Proof:
    for signature in signatures:
        if signature.valid and is_aligned(domain, signature.domain):
            return Proof(True, f"DKIM signature of {signature.domain} verified")
    found = ", ".join(f"{s.domain} ({'valid' if s.valid else 'broken'})" for s in signatures)
    return Proof(False, f"no valid DKIM signature of {domain}; found: {found or 'none'}")


def _check_dmarc(message: InboundMessage, domain: str, authserv_id: str | None) -> Proof:
    if authserv_id is None:
        return Proof(False, "trust.authserv_id is not set, so no result can be trusted")
    ours = [
        results
        for name, value in message.headers
        if name.lower() == "authentication-results"
        and (results := parse_results(value)).server == authserv_id.lower()
    ]
    if not ours:
        return Proof(False, f"no Authentication-Results of {authserv_id}")
    top = ours[0]
    if top.dmarc != "pass":
        return Proof(False, f"{authserv_id} says dmarc={top.dmarc or 'nothing'}")
    if top.header_from != domain:
        return Proof(False, f"dmarc=pass is for {top.header_from or 'no domain'}, not {domain}")
    if any(other.dmarc not in ("", "pass") for other in ours):
        return Proof(False, f"two results of {authserv_id} contradict each other")
    return Proof(True, f"{authserv_id}: dmarc=pass for {domain}")


def is_aligned(from_domain: str, signing_domain: str) -> bool:
    """Whether a signature's domain covers the From domain: the same, or a parent with a dot.

    A public suffix such as 'com' covers nothing: at least two labels are needed, and a shared
    second level such as 'co.uk' three.
    """
    signing = signing_domain.lower().rstrip(".")
    if from_domain == signing:
        return True
    labels = signing.split(".")
    if len(labels) < 2 or (len(labels) == 2 and len(labels[0]) <= 3):
        return False
    return from_domain.endswith("." + signing)


@dataclass(frozen=True, slots=True)
class Results:
    """What an Authentication-Results header says: the server, and its DMARC result."""

    server: str
    dmarc: str
    header_from: str


def parse_results(value: str) -> Results:
    """Read one Authentication-Results value; comments and quoted text decide nothing."""
    plain, is_whole = _without_comments(value)
    server, _, rest = plain.partition(";")
    name = next(iter(server.split()), "").lower()
    if not is_whole:  # a comment or quote without an end may hide the real result
        return Results(name, "unreadable", "")
    dmarc = header_from = ""
    for clause in rest.split(";"):
        found = re.match(r"\s*dmarc\s*=\s*([a-z]+)(?:\s|$)", clause, re.I | re.A)
        if found is None:
            continue
        if dmarc:  # two DMARC results in one header: not to be trusted
            return Results(name, "ambiguous", "")
        dmarc = found[1].lower()
        domain = re.findall(r"\sheader\.from\s*=\s*([a-z0-9.@_-]+)(?!\S)", clause, re.I | re.A)
        header_from = domain[0].rpartition("@")[2].lower() if len(domain) == 1 else ""
    return Results(name, dmarc, header_from)


def _without_comments(value: str) -> tuple[str, bool]:
    """Return `value` without (comments), nested ones too, and without "quoted strings".

    Also whether every comment and quoted string came to its end.
    """
    kept: list[str] = []
    depth = 0
    quoted = False
    escaped = False
    for character in value:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quoted:
            quoted = character != '"'
        elif character == '"' and depth == 0:
            quoted = True
        elif character == "(":
            depth += 1
            kept.append(" ")
        elif character == ")" and depth:
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept), not (depth or quoted or escaped)
