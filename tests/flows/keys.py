"""DKIM keys of the tests, and a DNS that knows them."""

import base64
import subprocess
from dataclasses import dataclass, field
from functools import cache

import dkim

SIGNED = [b"from", b"to", b"subject", b"date", b"message-id", b"in-reply-to", b"references"]


@cache
def make_key(name: str) -> bytes:
    """A private key, as PEM; the same name again is the same key."""
    return _openssl(["genrsa", "-traditional", "1024"])


def _openssl(arguments: list[str], given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True)
    return done.stdout


@dataclass
class FakeDns:
    """The TXT records of domains that sign, by name."""

    records: dict[str, bytes] = field(default_factory=dict)

    def publish(self, domain: str, key: str, selector: str = "s1") -> None:
        spki = _openssl(["rsa", "-pubout", "-outform", "DER"], make_key(key))
        name = f"{selector}._domainkey.{domain}."
        self.records[name] = b"v=DKIM1; k=rsa; p=" + base64.b64encode(spki)

    def __call__(self, name: bytes | str, timeout: float = 5.0) -> bytes | None:
        text = name.decode("ascii") if isinstance(name, bytes) else name
        return self.records.get(text.rstrip(".") + ".")


def sign(
    mail: bytes, domain: str, key: str, selector: str = "s1", *, length: bool = False
) -> bytes:
    """Return `mail` with a DKIM signature of `domain` above it."""
    header: bytes = dkim.sign(
        mail,
        selector.encode(),
        domain.encode(),
        make_key(key),
        include_headers=SIGNED,
        length=length,
    )
    return header + mail
