import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailflow.core.identity import identity_of

MAIL = (
    b"Message-ID: <1@client.example>\nFrom: Ann <ann@client.example>\nTo: support@x.example\n"
    b"Subject: The export\n fails\nDate: Tue, 3 Mar 2026 10:00:00 +0100\n\nHello\n\nBye\n"
)


@pytest.mark.parametrize(
    "copy",
    [
        MAIL.replace(b"\n", b"\r\n"),  # CRLF, as on the wire
        MAIL.replace(b"\n", b"\r"),  # CR alone, as very old programs write
        b"Received: from a by b;\n Tue, 3 Mar\n" + MAIL,  # one more hop, folded
        b"Return-Path: <x>\nDKIM-Signature: v=1;\n\tb=abc\n" + MAIL,
        MAIL.replace(b"Subject", b"X-Spam: no\nSubject"),
        MAIL.replace(b"export\n fails", b"export fails"),  # unfolded on the way
        MAIL.replace(b"export\n fails", b"export\n\t fails "),  # folded otherwise
        MAIL + b"\n\n",  # blank lines that a relay adds at the end
        MAIL.rstrip(),
    ],
)
def test_the_same_mail_by_another_way(copy):
    assert identity_of(copy) == identity_of(MAIL)


@pytest.mark.parametrize(
    "other",
    [
        MAIL.replace(b"<1@", b"<2@"),
        MAIL.replace(b"Ann", b"Eve"),
        MAIL.replace(b"export", b"import"),
        MAIL.replace(b" fails", b" works"),  # the second line of a folded header
        MAIL.replace(b"10:00", b"10:01"),
        MAIL.replace(b"Hello", b"Hallo"),  # the same id with another body is another mail
        MAIL.replace(b"\n\nBye", b"\nBye"),  # blank lines inside count
        MAIL.replace(b"To:", b"Cc: b@x.example\nTo:"),
        MAIL.replace(b"To:", b"Content-Type: text/html\nTo:"),
        b"",
        MAIL.partition(b"\n\n")[0],  # no body at all
    ],
)
def test_another_mail(other):
    assert identity_of(other) != identity_of(MAIL)


def test_a_line_without_a_colon_counts():
    assert identity_of(b"Subject: a\nodd line\n\nb") != identity_of(b"Subject: a\n\nb")


@given(st.binary(max_size=300))
def test_any_bytes_have_an_identity(raw):
    assert len(identity_of(raw)) == 64
    assert identity_of(raw) == identity_of(bytes(raw))


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\r", b"")))
def test_line_ends_do_not_count(raw):
    assert identity_of(raw.replace(b"\n", b"\r\n")) == identity_of(raw)


@given(st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=40))
def test_what_servers_add_does_not_count(value):
    added = b"Received: " + value.encode("ascii") + b"\n"
    assert identity_of(added + MAIL) == identity_of(MAIL)
