"""The mails that the harnesses deliver: the demonstration's in turn, each with a nonce."""

import re

from mailflow.demo.stage import demo_mails

NONCE = re.compile(r"nonce([0-9]{3})([0-9]{5})")
KINDS_LEFT_OUT = "12"  # the demonstration's last mail answers another
SENDERS = 500  # of each kind, so that nobody comes near a limit for one sender


def make_mails(count: int) -> list[bytes]:
    """Return `count` mails, each with a nonce in its subject and its Message-ID.

    The nonce's first three digits say which of the demonstration's mails it is: all mails of one
    kind must meet the same fate. Each kind comes from many senders: claire.martin+17@….
    """
    sources = [content for name, content in demo_mails() if not name.startswith(KINDS_LEFT_OUT)]
    mails = []
    for number in range(count):
        turn, kind = divmod(number, len(sources))
        head, _, body = sources[kind].partition(b"\n\n")
        lines = [_own(line, f"nonce{kind:03d}{turn:05d}", turn) for line in head.split(b"\n")]
        mails.append((b"\n".join(lines) + b"\n\n" + body).replace(b"\n", b"\r\n"))
    return mails


def find_nonce(text: str) -> str | None:
    """Return the nonce in a subject or a Message-ID, or None."""
    found = NONCE.search(text)
    return found[0] if found else None


def nonces_of(mails: list[bytes]) -> set[str]:
    """Return the nonces of mails that `make_mails` made."""
    return {nonce for mail in mails if (nonce := find_nonce(mail.decode("utf-8", "replace")))}


def kind_of(nonce: str) -> str:
    """Return which of the demonstration's mails it is, such as '003'."""
    found = NONCE.fullmatch(nonce)
    if found is None:
        raise ValueError(f"{nonce!r} is no nonce")
    return found[1]


def _own(line: bytes, nonce: str, turn: int) -> bytes:
    name = line.partition(b":")[0].lower()
    if name == b"message-id":
        return f"Message-ID: <{nonce}@brasserie-du-lac.example>".encode()
    if name == b"subject":
        return line + f" {nonce}".encode()
    if name == b"from" and b"MAILER-DAEMON" not in line:
        return line.replace(b"@", f"+{turn % SENDERS}@".encode(), 1)
    return line
