"""The tree of parts is the one that the standard library builds, whatever the mail."""

from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from mailflow.adapters import mime_tree
from mailflow.adapters.mime_tree import read_tree

MAILS = sorted((Path(__file__).parents[1] / "data" / "mails").rglob("*.eml"))
HEAD = "Content-Type: multipart/mixed; boundary=b\n\n"


def described(part: Message) -> object:
    """All that a message holds, nothing decoded."""
    payload = part._payload  # type: ignore[attr-defined]
    inside = [described(child) for child in payload] if isinstance(payload, list) else payload
    defects = [type(defect).__name__ for defect in part.defects]
    kind = part.get_default_type()
    return (list(part.raw_items()), part.preamble, part.epilogue, defects, kind, inside)


def test_read_tree_equals_the_library_on_every_mail() -> None:
    assert MAILS
    for path in MAILS:
        raw = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for mail in (raw, raw.replace(b"\n", b"\r\n")):
            assert described(read_tree(mail)) == described(message_from_bytes(mail)), path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\nonly a body\n",
        "Subject: no blank line\n",
        "Subject: folded\n \n\tvalue\n\nbody",
        "no header\n\nbody\n",
        f"{HEAD}--b\n\none\n--b\n\ntwo\n--b--\n",
        f"{HEAD}--b\n\none\n--b--",  # the last line without its end
        f"{HEAD}Preamble.\n\n--b\n\none\n\n--b--\nEpilogue.\n",
        f"{HEAD}--b\nX: y\n--b--\n",  # a part without a body
        f"{HEAD}--b\n--b\n\none\n--b--\n",  # two delimiters in a row
        f"{HEAD}--b \n\none\n--b-- \n",  # blanks behind the boundary
        f"{HEAD}--b\n\none\n--bb\ntwo\n--b--\n",  # a line that only begins like a delimiter
        f"{HEAD}--b\n\none\n",  # never closed
        f"{HEAD}no delimiter at all\n",
        f"{HEAD}--b--\n",
        f"{HEAD}--b\n\none\n--b--\n--b\n\nbehind the end\n--b--\n",
        f"{HEAD}--b\n{HEAD.replace('=b', '=c')}--c\n\none\n--c--\n--b--\n",
        f"{HEAD}--b\n{HEAD.replace('=b', '=c')}--c\n\none\n--c--\n\n--b--\n",
        f"{HEAD}--b\n{HEAD.replace('=b', '=c')}--c\n\none\n--b--\n",  # the inner one not closed
        f"{HEAD}--b\nContent-Type: message/rfc822\n\nSubject: inner\n\none\n--b--\n",
        f"Content-Transfer-Encoding: base64\n{HEAD}--b\n\none\n--b--\n",
        f"{HEAD.replace('mixed', 'digest')}--b\n\nSubject: inner\n\none\n--b--\n",
        "Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n",  # no boundary named
        'Content-Type: multipart/mixed; boundary=""\n\n--\n\none\n----\n',
        'Content-Type: multipart/mixed; boundary="a\n b"\n\n--a\n b\n\none\n--a\n b--\n',
    ],
)
def test_read_tree_equals_the_library_on_odd_mails(text: str) -> None:
    for mail in (text.encode(), text.replace("\n", "\r\n").encode()):
        assert described(read_tree(mail)) == described(message_from_bytes(mail))


def test_ordinary_mails_are_not_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime_tree, "message_from_bytes", None)
    tree = read_tree(f"{HEAD}--b\n\none\n--b\n\ntwo\n--b--\n".encode())
    assert [part.get_payload() for part in tree.walk()][1:] == ["one", "two"]
