"""What holds for every mail, and the adapters' edges that no file of the corpus shows."""

import json
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mailflow.adapters import parse
from mailflow.adapters.addresses import parse_addresses
from mailflow.adapters.attachments import clean_filename
from mailflow.adapters.bounds import set_base64_apart
from mailflow.adapters.charsets import decode_text
from mailflow.adapters.headers import decode_value, parse_date, parse_message_ids, split_mail
from mailflow.adapters.html_text import read_html
from mailflow.adapters.mime_parts import unflow
from mailflow.adapters.parse import parse_message
from mailflow.cli import parse as command
from mailflow.core.lines import Mark
from mailflow.core.messages import Address
from tests.fuzz import check

HEAD = b"From: Claire <claire@client.example>\nSubject: Export\nMIME-Version: 1.0\n"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=3000))
def test_any_bytes_are_parsed(raw: bytes) -> None:
    check(parse_message(raw))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=300))
def test_any_header_values_stay_on_one_line(name: str, subject: str, body: str) -> None:
    raw = f"From: {name} <a@b.example>\nSubject: {subject}\nX-Any: {name}\n\n{body}"
    check(parse_message(raw.encode("utf-8", "surrogateescape" if name.isascii() else "replace")))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_any_file_name_is_made_safe(name: str) -> None:
    cleaned = clean_filename(name, "image/png", 3)
    assert cleaned
    assert len(cleaned) <= 120
    assert not set('/\\\0\r\n\u202e\u200b<>:"|?*') & set(cleaned)
    assert cleaned not in (".", "..")


@pytest.mark.parametrize(("name", "cleaned"), [
    ("", "attachment-3.png"),
    ("...", "attachment-3.png"),  # nothing is left of it
    ("a/b/", "a_b_"),  # a path without a last part
    ("CON: x.txt", "CON_ x.txt"),
    (".htaccess", "htaccess"),
    ("x" * 200, "x" * 120),
    ("x." + "y" * 200, ("x." + "y" * 200)[:120]),  # no extension is that long
])  # fmt: skip
def test_file_names(name: str, cleaned: str) -> None:
    assert clean_filename(name, "image/png", 3) == cleaned


@pytest.mark.parametrize(("value", "addresses"), [
    (b"", []),
    (b"a@b.example", [("", "a@b.example")]),
    (b"A <A@B.example>, b@c.example", [("A", "a@b.example"), ("", "b@c.example")]),
    (b"agent@corp.example <x@evil.example>", [("agent@corp.example", "x@evil.example")]),
    (b'"a\\"b" <a@b.example>', [('a"b', "a@b.example")]),
    (b"a@b.example;c@d.example", [("", "a@b.example"), ("", "c@d.example")]),
    (b"group: a@b.example, c@d.example;", [("", "a@b.example"), ("", "c@d.example")]),
    (b"undisclosed-recipients:;", []),
    (b"nothing here", []),
    (b'"Claire <claire@client.example>', [("Claire", "claire@client.example")]),
    (b"=?utf-8?Q?Zo=C3=A9?= <z@b.example>", [("Zoé", "z@b.example")]),
    (b"<a@b.example", [("", "a@b.example")]),
])  # fmt: skip
def test_addresses(value: bytes, addresses: list[tuple[str, str]]) -> None:
    found = parse_addresses(value)
    if value == b"a@b.example;c@d.example":  # Outlook's separator, outside the grammar
        assert set(found) <= {Address(*pair) for pair in addresses}
    else:
        assert found == tuple(Address(*pair) for pair in addresses)


@pytest.mark.parametrize(("content", "charset", "text"), [
    (b"abc", None, "abc"),
    (b"a\0b\r\nc\rd", "utf-8", "ab\nc\nd"),
    ("été".encode("cp1252"), None, "été"),
    ("été".encode(), "us-ascii", "été"),
    (b"\xff\xfea\0b\0", "utf-8", "ab"),  # a byte order mark says more than the label
    (b"\x1b$B%F%9%H\x1b(B", "iso-2022-jp", "テスト"),
    (b"\x81\x8d", "windows-1252", "\x81\x8d"),  # bytes that windows-1252 lacks
    ("你好，世界".encode("gb18030") * 20, "gb2312", "你好，世界" * 20),
    ("你好，世界，导出失败".encode("gb18030") * 9, "x-none", "你好，世界，导出失败" * 9),
])  # fmt: skip
def test_charsets(content: bytes, charset: str | None, text: str) -> None:
    assert decode_text(content, charset)[0] == text


@pytest.mark.parametrize(("value", "text"), [
    (b" a\r\n b", "a b"),
    (b"=?utf-8?Q?a=00b?=", "ab"),
    (b"=?iso-8859-1*fr?Q?=E9t=E9?=", "été"),  # a language tag (RFC 2231)
    (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
    (b"=? ?=" * 600, "=? ?=" * 600),  # too many to try
])  # fmt: skip
def test_header_values(value: bytes, text: str) -> None:
    assert decode_value(value) == text


@pytest.mark.parametrize(("value", "year"), [
    ("Tue, 5 Mar 2024 10:15:60 +0100", 2024),  # a leap second
    ("Tue, 5 Mar 2024 10:15:00 +9900", None),
    ("Tue, 30 Feb 2024 10:15:00 +0100", None),
    ("", None), ("x" * 10_000, None),
])  # fmt: skip
def test_dates(value: str, year: int | None) -> None:
    date = parse_date(value)
    assert (date.year if date else None) == year


def test_message_ids_are_bounded_but_the_first_and_last_are_kept() -> None:
    ids = parse_message_ids(" ".join(f"<{n}@x>" for n in range(500)))
    assert (len(ids), ids[0], ids[-1]) == (200, "<0@x>", "<499@x>")


@pytest.mark.parametrize(("raw", "names", "body"), [
    (b"A: 1\n\nx", ["A"], b"x"),
    (b"A: 1\r\n\r\nx", ["A"], b"x"),
    (b"\xef\xbb\xbfA: 1\n\nx", ["A"], b"x"),  # a byte order mark
    (b"A: 1\n \nB: 2\n\nx", ["A", "B"], b"x"),  # a line of spaces is a folded one
    (b"A: 1\n \nx", ["A"], b"x"),
    (b">From a@b\nA: 1\n\nx", ["A"], b"x"),
    (b"A: 1", ["A"], b""),
    (b"A: 1\nrubbish\nB: 2\nmore rubbish\n\nx", ["A", "B"], b"more rubbish\n\nx"),
])  # fmt: skip
def test_header_block(raw: bytes, names: list[str], body: bytes) -> None:
    headers, rest, _ = split_mail(raw)
    assert ([name for name, _ in headers], rest) == (names, body)


def test_flowed_text_keeps_quotes_and_signature() -> None:
    assert unflow("a \nb\n> c \n> d\n-- \nx", False) == "a b\n> c \n> d\n-- \nx"
    assert unflow("日 \n本\n from", True) == "日本\nfrom"


def test_a_base64_run_with_odd_lines_is_left_in_place() -> None:
    body = (b"A" * 61 + b"\n") * 402
    left, slices = set_base64_apart(body)
    assert (left, slices.runs) == (body, ())


@pytest.mark.parametrize(("html", "lines"), [
    ("a<br>b", ["a", "b"]),
    ("a<br><br>b", ["a", "", "b"]),
    ("<p>a</p><p>b</p>", ["a", "", "b"]),
    ("<p class=MsoNormal>a</p><p class=MsoNormal>&nbsp;</p><p class=MsoNormal>b</p>", ["a", "", "b"]),
    ("<pre>a\n  b\n\nc</pre>", ["a", "  b", "", "c"]),
    ("a <b> b </b> c", ["a b c"]),
    ("<td>a</td><td>b</td>", ["ab"]),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", ["a b", "c"]),
    ("<img alt='👍'><img alt='logo'>ok", ["👍ok"]),
    ("a\u200bb<!-- c -->", ["ab"]),
    ("", []),
])  # fmt: skip
def test_html_lines(html: str, lines: list[str]) -> None:
    assert [line.text for line in read_html(html)] == lines


def test_html_marks() -> None:
    html = "<div>a</div><blockquote type=cite>b</blockquote><div id=Signature>c</div>"
    marks = {line.text: line.mark for line in read_html(html)}
    assert [marks[text] for text in "abc"] == [Mark.NONE, Mark.QUOTED, Mark.SIGNATURE]


def test_a_failing_library_leaves_a_mail_without_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net below everything: nobody can be answered, and the defect says why."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(parse, "read_content", fail)
    message = parse_message(HEAD + b"\nBonjour\n")
    assert message.senders == ()
    assert "Bonjour" in message.text
    assert message.defects == ("the parser failed: ZeroDivisionError",)


def test_an_image_that_the_html_shows_is_inline_whatever_its_disposition() -> None:
    raw = (
        HEAD
        + b"""Content-Type: multipart/related; boundary="b"

--b
Content-Type: text/html

<p>Voir <img src="cid:a%40x"></p>
--b
Content-Type: image/png; name=a.png
Content-ID: <a@x>
Content-Disposition: attachment; filename=a.png

x
--b
Content-Type: image/png; name=b.png
Content-ID: <b@x>

x
--b--
"""
    )
    assert [a.inline for a in parse_message(raw).attachments] == [True, False]


def test_several_from_headers_give_no_single_sender() -> None:
    message = parse_message(b"From: a@b.example\nFrom: c@d.example\n\nx")
    assert [a.address for a in message.senders] == ["a@b.example", "c@d.example"]
    assert message.sender is None


def test_own_mail_is_known_by_its_address_alone() -> None:
    own = frozenset({"claire@client.example"})
    assert parse_message(HEAD + b"\nx", own).message_class == "own"
    assert parse_message(HEAD + b"X-Mailflow-Ticket: 1\n\nx").message_class == "person"


def test_the_command_writes_a_line_a_file_and_goes_on_past_an_unreadable_one(
    tmp_path: Path,
) -> None:
    app = typer.Typer()
    command.register(app)
    first, second = tmp_path / "a.eml", tmp_path / "b.eml"
    first.write_bytes(HEAD + b"\nBonjour\n")
    second.write_bytes(HEAD + b"\nAu revoir\n")
    names = [str(first), str(tmp_path / "none.eml"), str(second)]
    result = CliRunner().invoke(app, ["--json", *names])
    assert result.exit_code == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["new_text"] for record in records] == ["Bonjour", "Au revoir"]
    assert "none.eml" in result.stderr
    shown = CliRunner().invoke(app, [str(first)])
    assert "Bonjour" in shown.stdout
    assert shown.exit_code == 0
