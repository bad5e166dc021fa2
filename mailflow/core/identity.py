"""When are two mails the same mail? Same Message-ID and same content, however it travelled."""

import hashlib
import re

_KEPT = (
    b"message-id",
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"in-reply-to",
    b"content-type",
    b"content-transfer-encoding",
)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n|\r\r")


def identity_of(raw: bytes) -> str:
    """Return the SHA-256 in hex of what the sender sent: written headers and body.

    Headers that servers add on the way (Received, Return-Path, DKIM-Signature …) do not count,
    nor do line endings, so that a copy that came by another way is the same mail. Any bytes are
    taken, also those that are no mail at all.
    """
    found = _END_OF_HEADER.search(raw)
    head, body = (raw[: found.start()], raw[found.end() :]) if found else (raw, b"")
    digest = hashlib.sha256()
    kept = False
    for line in head.splitlines():
        if line[:1] in (b" ", b"\t"):
            if kept:
                digest.update(b" " + line.strip())
            continue
        name = line.partition(b":")[0].strip().lower()
        kept = name in _KEPT or b":" not in line
        if kept:
            digest.update(b"\n" + line.strip())
    digest.update(b"\n\n" + b"\n".join(body.splitlines()).rstrip(b"\n"))
    return digest.hexdigest()
