"""Mails made to hang, crash or fill memory: each is read in time, or given up with a defect."""

import base64
import time
from collections.abc import Callable

import pytest

from mailflow.adapters.parse import parse_message

HEAD = b"From: Claire <claire@client.example>\nSubject: Export\nMIME-Version: 1.0\n"
MIXED = HEAD + b'Content-Type: multipart/mixed; boundary="b"\n\n'


def _nested(levels: int) -> bytes:
    body = b"x\n"
    for level in range(levels):
        head = b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level)
        body = head + body + b"\n--b%d--\n" % level
    return HEAD + body


CASES: list[tuple[str, Callable[[], bytes]]] = [
    ("a million parts", lambda: MIXED + b"--b\n\nx\n" * 1_000_000),
    ("nested 200 deep", lambda: _nested(200)),
    ("attached mails 200 deep", lambda: HEAD + b"Content-Type: message/rfc822\n\n" * 200 + b"x"),
    ("attached mails 5,000 deep", lambda: HEAD + b"Content-Type: message/rfc822\n\n" * 5000),
    ("30 MB of text", lambda: HEAD + b"\n" + b"hello world, this is text\n" * 1_150_000),
    ("30 MB on one line", lambda: HEAD + b"\n" + b"hello " * 5_000_000),
    ("20,000 recipients", lambda: HEAD + b"Cc: " + b",\n ".join(
        b"User %d <user%d@client.example>" % (n, n) for n in range(20_000)) + b"\n\nx"),
    ("a lone quote in From", lambda: b'From: "\n\nx'),
    ("many quotes in From", lambda: b"From: " + b'"a"' * 50_000 + b"\n\nx"),
    ("many brackets in From", lambda: b"From: " + b"(" * 50_000 + b"\n\nx"),
    ("100 KB of semicolons", lambda: HEAD + b"Content-Disposition: attachment; " + b";" * 100_000),
    ("semicolons in a part", lambda: MIXED + b"--b\nContent-Disposition: attachment; "
        + b";" * 100_000 + b"\n\nx\n--b--"),
    ("20,000 pieces of a name", lambda: MIXED + b"--b\nContent-Disposition: attachment; "
        + b"".join(b"filename*%d=a;" % n for n in range(20_000)) + b"\n\nx\n--b--"),
    ("a subject of encoded words", lambda: b"Subject: " + b"=?utf-8?Q?a?= " * 12_000 + b"\n\nx"),
    ("encoded words never closed", lambda: b"Subject: " + b"=?utf-8?Q?a" * 20_000 + b"\n\nx"),
    ("half a million headers", lambda: b"X-A: b\n" * 500_000 + b"\nx"),
    ("HTML 300,000 deep", lambda: HEAD + b"Content-Type: text/html\n\n" + b"<div>" * 300_000),
    ("HTML of brackets", lambda: HEAD + b"Content-Type: text/html\n\n" + b"<" * 1_000_000),
    ("a million quote marks", lambda: HEAD + b"\n" + b">" * 1_000_000),
    ("deep quote marks on many lines", lambda: HEAD + b"\n" + (b"> " * 500 + b"x\n") * 4000),
    ("attributions that never end", lambda: HEAD + b"\n"
        + b"On Tue, Mar 5, 2024 at 9:12 AM a@b.example\n" * 20_000),
    ("header labels", lambda: HEAD + b"\n" + b"Subject: \nTo: \n" * 20_000),
    ("closes", lambda: HEAD + b"\n" + b"Cordialement\n" * 5000),
    ("phone footers", lambda: HEAD + b"\n" + b"\nSent from my iPhone\n" * 5000),
    ("spaces", lambda: HEAD + b"\n" + b" " * 1_000_000 + b"x\n" + (b" " * 900 + b"x\n") * 1000),
    ("dashes", lambda: HEAD + b"\n" + b"-" * 1_000_000 + b"\n" + (b"- " * 5000 + b"\n") * 20),
    ("uuencoded files", lambda: HEAD + b"\n" + b"begin 644 x\n#0V%T\nend\n" * 50_000),
    ("a bounce of addresses", lambda: b"From: <mailer-daemon@x.example>\nSubject: failure notice\n\n"
        + b"<u@x.example>: 550\n" * 50_000),
    ("status blocks", lambda: HEAD + b'Content-Type: multipart/report; boundary="b"\n\n--b\n'
        b"Content-Type: message/delivery-status\n\n"
        + b"Final-Recipient: rfc822; a@b.example\nAction: failed\n\n" * 20_000 + b"--b--\n"),
    ("boundaries declared", lambda: MIXED + b"boundary=x\n" * 100_000),
    ("lone CR", lambda: HEAD + b"\n" + b"x\r" * 2_000_000),
    ("NUL", lambda: b"\0" * 1_000_000),
    ("every byte", lambda: bytes(range(256)) * 4000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make"), CASES, ids=[name for name, _ in CASES])
def test_hostile_mail_is_read_in_time(name: str, make: Callable[[], bytes]) -> None:
    raw = make()
    started = time.process_time()
    message = parse_message(raw)
    assert time.process_time() - started < 4.0  # 2 s on an idle machine
    assert "\0" not in message.text


def test_a_30_mb_attachment_is_kept_whole() -> None:
    data = bytes(range(256)) * 88_000
    raw = MIXED + b"--b\n\nVoir le fichier.\n--b\nContent-Type: application/pdf; name=a.pdf\n"
    raw += b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(data) + b"--b--\n"
    message = parse_message(raw)
    assert message.new_text == "Voir le fichier."
    assert message.attachments[0].content == data
    assert message.defects == ()


def test_base64_set_apart_comes_back_in_text_and_in_attached_mails() -> None:
    """Long base64 that is no attachment (a key pasted, a mail attached) is not lost either."""
    lines = base64.encodebytes(bytes(range(256)) * 200)
    pasted = parse_message(HEAD + b"\nLa cle :\n" + lines * 2)
    assert lines.decode().split()[5] in pasted.text
    inner = b"From: a@b.example\nContent-Type: application/zip; name=a.zip\n"
    inner += b"Content-Transfer-Encoding: base64\n\n" + lines * 2
    outer = parse_message(MIXED + b"--b\nContent-Type: message/rfc822\n\n" + inner + b"\n--b--\n")
    assert lines.strip().split(b"\n")[7] in outer.attachments[0].content


def test_more_than_two_hundred_attachments_are_told() -> None:
    part = b"--b\nContent-Type: image/png; name=a.png\n\nx\n"
    message = parse_message(MIXED + part * 250 + b"--b--\n")
    assert len(message.attachments) == 200
    assert any("attachments" in defect for defect in message.defects)
