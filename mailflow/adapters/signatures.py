"""Check DKIM signatures ourselves, with `dkimpy`."""

import logging
from collections.abc import Callable

import dkim
import dns.exception
import dns.resolver

from mailflow.core.authority import Signature

MOST_SIGNATURES = 5
DNS_SECONDS = 2.0  # a lookup; all of a mail together take less than IDLE_MILLISECONDS
FindTxt = Callable[..., bytes | None]

_quiet = logging.getLogger("mailflow.dkim")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def find_txt(name: bytes | str, timeout: float = DNS_SECONDS) -> bytes | None:
    """Return the TXT record at `name`, its strings joined, or None."""
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
    try:
        answer = dns.resolver.resolve(text, "TXT", lifetime=timeout)
    except dns.exception.DNSException:
        return None
    return b"".join(next(iter(answer)).strings)


def check_signatures(raw: bytes, find: FindTxt = find_txt) -> tuple[Signature, ...]:
    """Return each DKIM signature of a mail (five at most) and whether it holds.

    A signature over a part of the body only (`l=`) counts as broken: anyone can add to it.
    Source: RFC 6376 sections 3.5 and 8.2.
    """
    found: list[Signature] = []
    try:
        mail = dkim.DKIM(raw, logger=_quiet)
        count = sum(1 for name, _ in mail.headers if name.lower() == b"dkim-signature")
    except dkim.DKIMException:
        return ()
    for index in range(min(count, MOST_SIGNATURES)):
        try:
            valid = bool(mail.verify(idx=index, dnsfunc=find))
            fields = mail.signature_fields or {}
        except (dkim.DKIMException, ValueError, KeyError, TypeError):
            continue
        domain = fields.get(b"d", b"").decode("ascii", "replace").lower()
        found.append(Signature(domain, valid and b"l" not in fields))
    return tuple(found)
