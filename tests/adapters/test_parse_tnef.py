"""winmail.dat, built by hand as [MS-OXTNEF] section 2.1 lays it out."""

import base64
import struct

import pytest

from mailflow.adapters import tnef
from mailflow.adapters.parse import parse_message

HEAD = b"From: Claire <claire@client.example>\nSubject: Export\nMIME-Version: 1.0\n"
BODY, TITLE, DATA, RENDERING, VERSION = 0x2800C, 0x18010, 0x6800F, 0x69002, 0x89006


def attribute(level: int, kind: int, data: bytes) -> bytes:
    checksum = sum(data) & 0xFFFF
    return struct.pack("<BII", level, kind, len(data)) + data + struct.pack("<H", checksum)


def winmail(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def mail(data: bytes, text: bytes = b"") -> bytes:
    return (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\n'
        + text
        + b"\n--b\nContent-Type: application/ms-tnef; name=winmail.dat\n"
        + b"Content-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(data)
        + b"--b--\n"
    )


FILE = (
    attribute(1, VERSION, struct.pack("<I", 0x10000))
    + attribute(2, RENDERING, bytes(14))
    + attribute(2, TITLE, b"rapport.pdf\0")
    + attribute(2, DATA, b"%PDF-1.4")
)


def test_files_inside_are_kept_and_the_wrapping_is_not() -> None:
    message = parse_message(mail(winmail(FILE), b"Voir le rapport."))
    assert message.new_text == "Voir le rapport."
    kept = [(a.filename, a.content_type, a.content) for a in message.attachments]
    assert kept == [("rapport.pdf", "application/pdf", b"%PDF-1.4")]


def test_the_text_inside_is_read_where_the_mail_has_none() -> None:
    message = parse_message(mail(winmail(attribute(1, BODY, b"Bonjour\0"))))
    assert message.new_text == "Bonjour"


def test_a_broken_one_stays_as_it_is() -> None:
    for broken in (winmail(FILE)[:40], b"\x78\x9f\x3e\x22", b"garbage"):
        message = parse_message(mail(broken, b"Voir."))
        assert message.new_text == "Voir."


def test_one_that_is_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tnef, "MAX_TNEF", 50)
    message = parse_message(mail(winmail(FILE), b"Voir."))
    assert [a.filename for a in message.attachments] == ["winmail.dat"]
    assert any("winmail.dat too large" in defect for defect in message.defects)
