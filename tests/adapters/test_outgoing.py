import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailflow.adapters.outgoing import (
    File,
    OutboundMessage,
    build,
    clean_header,
    clean_message_id,
    is_sendable,
)
from mailflow.core.messages import Address
from mailflow.errors import MessageError

INJECTION = "=?utf-8?q?a=0D=0ABcc:_eve@evil.example?="
DATE = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)


def make(**changes):
    values = {
        "message_id": "<1@support.example>",
        "sender": Address("Support", "support@support.example"),
        "to": (Address("Ann", "ann@client.example"),),
        "subject": "Hello",
        "text": "Hello Ann\n",
        "html": "<p>Hello Ann</p>\n",
        "date": DATE,
    }
    return OutboundMessage(**(values | changes))


def parse(raw):
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def check_wire(raw):
    """Assert what holds for every mail of ours, and return its header names."""
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\0" not in raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 section 2.1.1
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    names = re.findall(rb"^([!-9;-~]+):", head, re.MULTILINE)
    lines = head.split(b"\r\n")
    assert all(line[:1] in b" \t" or re.match(rb"[!-9;-~]+: ?", line) for line in lines)
    assert len({name.lower() for name in names}) == len(names)
    return [name.decode() for name in names]


NAMES = {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}
AUTOMATIC = {"Auto-Submitted", "X-Auto-Response-Suppress"}


def test_an_automatic_mail():
    raw = build(make(reply_to="support+x@support.example", in_reply_to="<2@client.example>"))
    assert set(check_wire(raw)) == NAMES | AUTOMATIC | {"Reply-To", "In-Reply-To"}
    mail = parse(raw)
    assert mail["From"] == "Support <support@support.example>"
    assert mail["Message-ID"] == "<1@support.example>"
    assert mail["In-Reply-To"] == "<2@client.example>"
    assert mail["Reply-To"] == "support+x@support.example"
    assert mail["Date"] == "Tue, 03 Mar 2026 10:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


def test_what_a_person_wrote_is_not_marked_as_automatic():
    raw = build(make(auto_submitted=None, cc=(Address("Bob", "bob@client.example"),)))
    assert set(check_wire(raw)) == NAMES | {"Cc"}


def test_files_travel_unchanged():
    files = (
        File('été "1".txt', "text/plain", b"a\r\nb\x00\xff"),
        File("", "application/pdf", b"%PDF"),
        File("x.eml", "message/rfc822", b"From: a\r\n\r\nb"),  # never opened as a mail
        File("m", "multipart/mixed", b"--x"),
        File("odd", "text/plain\r\nBcc: x", b"odd"),
        File("upper", "Image/PNG", b"png"),
        File("none", "", b""),
    )
    raw = build(make(files=files))
    check_wire(raw)
    found = list(parse(raw).iter_attachments())
    kinds = [part.get_content_type() for part in found]
    assert kinds == ["text/plain", "application/pdf", *(["application/octet-stream"] * 5)]
    assert [part.get_payload(decode=True) for part in found] == [file.content for file in files]
    assert found[0].get_filename() == 'été "1".txt'


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("Hello", "Hello"),
        ("L'été à Zürich — 日本 🎉", "L'été à Zürich — 日本 🎉"),
        ("a\r\nBcc: eve@evil.example", "a Bcc: eve@evil.example"),
        ("a\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h\ti", "a b c d e f g h i"),
        ("a\0b\x1b[31m\x7f", "ab[31m"),
        ("a\u202eb\u2066c\u200d\ufeffd", "abcd"),  # direction marks and invisible characters
        ("a\ud800b", "ab"),  # half a character
        (INJECTION, "= ?utf-8?q?a=0D=0ABcc:_eve@evil.example?="),
        ("=\u200b?utf-8?q?a?=", "= ?utf-8?q?a?="),  # an encoded word after the cleaning
        ("==??", "== ??"),
        ("a  b", "a b"),
        (" ", ""),
        ("", ""),
        ("x" * 400, "x" * 400),
        ("x" * 401, "x" * 399 + "…"),
        ("x" * 398 + "  y y", "x" * 398 + "…"),
    ],
)
def test_clean_header(value, clean):
    assert clean_header(value) == clean
    assert clean_header(clean) == clean


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("<a@b.example>", "<a@b.example>"),
        (" <a@b.example>\r\n", "<a@b.example>"),
        ("<a.b$c=d+e@[192.0.2.1]>", "<a.b$c=d+e@[192.0.2.1]>"),
        ("a@b.example", None),  # no brackets
        ("<a@b.example> <c@d.example>", None),  # two
        ("<a@b.example\r\nBcc: x>", None),
        ("<a b@c.example>", None),
        ("<é@b.example>", None),
        ("<a@b.example\0>", None),
        (f"<{INJECTION}@b.example>", None),
        ("<=?utf-8?q?a?=@b.example>", None),
        ("<>", None),
        ("<@>", None),
        ("", None),
        (f"<{'a' * 241}@b.example>", None),
        (f"<{'a' * 240}@{'b' * 240}>", f"<{'a' * 240}@{'b' * 240}>"),
    ],
)
def test_clean_message_id(value, clean):
    assert clean_message_id(value) == clean


@pytest.mark.parametrize(
    ("address", "sendable"),
    [
        ("ann@client.example", True),
        ("a.b+c=d'e{f}@client-1.example", True),
        ("root@localhost", True),
        ("a" * 64 + "@client.example", True),
        ("a" * 65 + "@client.example", False),  # RFC 5321 section 4.5.3.1
        ("a@" + "b" * 254, False),
        ("", False),
        ("ann", False),
        ("@client.example", False),
        ("ann@", False),
        (".ann@client.example", False),  # the library cannot write these
        ("ann.@client.example", False),
        ("an..n@client.example", False),
        ("ann@client.example.", False),
        ("ann@.example", False),
        ("ann@client..example", False),
        ("ann@client.example\n", False),
        ("ann@client.example\r\nBcc: eve@evil.example", False),
        ("ann@client.example,eve@evil.example", False),
        ("ann@eve@client.example", False),
        ("<ann@client.example>", False),
        ('"ann"@client.example', False),
        ("ann@[192.0.2.1]", False),
        ("änn@client.example", False),  # needs SMTPUTF8
        ("=?utf-8?q?a=0D=0Abcc?=@client.example", False),
    ],
)
def test_is_sendable(address, sendable):
    assert is_sendable(address) is sendable
    if not sendable:
        with pytest.raises(MessageError, match="not a plain mail address"):
            build(make(to=(Address("Ann", address),)))


def test_references_keep_the_first_and_the_latest():
    ids = tuple(f"<{number}@client.example>" for number in range(40))
    kept = parse(build(make(references=ids)))["References"].split()
    assert kept == [ids[0], *ids[-14:]]
    assert len(kept) == 15


def test_references_are_cleaned_one_by_one():
    ids = ("<a@b.example>", f"<{INJECTION}>", "x\r\nBcc: y", "<a@b.example>", " <c@d.example> ")
    raw = build(make(references=ids, in_reply_to="nonsense\r\nBcc: x"))
    assert parse(raw)["References"] == "<a@b.example> <c@d.example>"
    assert "In-Reply-To" not in check_wire(raw)


def test_long_message_ids_stay_whole():
    long = tuple(f"<{str(number) * 200}@{'d' * 200}>" for number in range(3))
    raw = build(make(references=long, message_id=long[0]))
    check_wire(raw)
    assert parse(raw)["References"].split() == list(long)
    assert b"=?" not in raw.partition(b"\r\n\r\n")[0]


HOSTILE = st.one_of(
    st.text(max_size=120),
    st.text(st.characters(), max_size=40),  # halves of characters as well
    st.lists(
        st.sampled_from(
            [
                *("\r\n\0\u202e\t\x85\u2028=?\"\\'()<>,;:@ é🎉*[]"),
                *(INJECTION, "\r\n", "\ud83d", "Bcc: x@y.example", "=?", "?=", "utf-8", "q"),
                *("a" * 90, "é" * 90, "%0a", "./", "{{x}}"),
            ]
        ),
        max_size=12,
    ).map("".join),
)


@settings(deadline=None)  # the parser of the library is slow on long names
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
@example(INJECTION, INJECTION, INJECTION, INJECTION, INJECTION, INJECTION)
@example("a" * 2000, "é" * 2000, "x" * 2000, "<" + "a" * 900 + "@b>", "n" * 2000, "\r\n.\r\n")
@example('"', '\\"', "\\", '"', '"\\', "")
@example("", "", "", "", "", "")
@example(
    "x", "Doe, Jo <eve@evil.example>, é " * 4, "", "", "a, b@c.example " * 30, "==" + INJECTION * 2
)
def test_whatever_goes_in_one_clean_mail_comes_out(subject, name, body, msgid, filename, other):
    raw = build(
        make(
            subject=subject,
            sender=Address(name, "support@support.example"),
            to=(Address(other, "ann@client.example"), Address(name, "bob@client.example")),
            text=body,
            html=body,
            in_reply_to=msgid,
            references=(msgid, f"<{msgid}@x.example>", "<ok@client.example>"),
            files=(File(filename, other, b"\0binary\xff\r\n"),),
        )
    )
    names = check_wire(raw)
    assert set(names) - {"In-Reply-To"} == NAMES | AUTOMATIC | {"References"}
    mail = parse(raw)
    assert [each.addr_spec for each in mail["From"].addresses] == ["support@support.example"]
    assert [each.addr_spec for each in mail["To"].addresses] == [
        "ann@client.example",
        "bob@client.example",
    ]
    shown = mail["From"].addresses[0].display_name
    assert "".join(shown.split()) == "".join(_shown(name).split())
    assert "<ok@client.example>" in mail["References"]
    assert mail["Subject"] == clean_header(subject)
    written = body.replace("\r\n", "\n").replace("\r", "\n")
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert b"=0D" not in plain.as_bytes()
    text = plain.get_content().replace("\r\n", "\n")
    assert text.rstrip("\n") == _printable(written).rstrip("\n")
    (attached,) = mail.iter_attachments()
    assert attached.get_payload(decode=True) == b"\0binary\xff\r\n"
    shown, meant = attached.get_filename() or "", clean_header(filename)
    assert shown == meant or ("…" in shown and shown.startswith(meant[:40]))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("facture n° 12.pdf", "facture n° 12.pdf"),
        ("a" * 300 + ".pdf", "a" * 300 + ".pdf"),
        ("é" * 200 + ".pdf", "é" * 50 + "….pdf"),
        ("é" * 200, "é" * 50 + "…"),
        ("é" * 200 + "." + "x" * 30, "é" * 50 + "…"),
    ],
)
def test_a_files_name_keeps_its_ending_where_it_is_too_long(name: str, written: str) -> None:
    mail = parse(build(make(files=(File(name, "application/pdf", b"x"),))))
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == written


def _shown(name):
    return clean_header(name).replace('"', "'").replace("\\", "")[:120].strip()


def _printable(text):
    kept = "".join(c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))
    return kept.encode("utf-8", "replace").decode("utf-8")
