"""Delivery reports: RFC 3464 blocks, refusals, and the words of mail systems."""

import pytest

from mailflow.core.delivery import (
    find_original_id,
    is_daemon,
    is_machine_name,
    parse_delivery_status,
    parse_rejection,
    read_bounce_text,
)
from mailflow.core.messages import BouncedRecipient

NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(("text", "recipients", "others"), [
    ("", [], []),
    ("Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; A@x.example\nAction: failed\nStatus: 5.1.1",
     [("a@x.example", "5.1.1", True)], []),
    # the original address is the one that we wrote to
    ("Original-Recipient: rfc822;a@x.example\nFinal-Recipient: rfc822;b@y.example\nAction: failed",
     [("a@x.example", "", True)], []),
    ("X-Actual-Recipient: rfc822; a@x.example\nAction: failed", [("a@x.example", "", True)], []),
    # a folded diagnostic holds the status
    ("Final-Recipient: rfc822; a@x.example\nAction: failed\nDiagnostic-Code: smtp;\n 550 5.7.1 no",
     [("a@x.example", "5.7.1", True)], []),
    ("Final-Recipient: rfc822; a@x.example\nAction: delayed\nStatus: 4.4.1",
     [("a@x.example", "4.4.1", False)], []),
    # no action: the status, or else the reply code, tells
    ("Final-Recipient: rfc822; a@x.example\nStatus: 4.2.2", [("a@x.example", "4.2.2", False)], []),
    ("Final-Recipient: rfc822; a@x.example\nDiagnostic-Code: smtp; 450 later",
     [("a@x.example", "", False)], []),
    ("Final-Recipient: rfc822; a@x.example", [("a@x.example", "", True)], []),
    ("Final-Recipient: rfc822; a@x.example\nAction: relayed (to x)", [], ["relayed"]),
    # two recipients without the blank line between them
    ("Final-Recipient: rfc822; a@x.example\nAction: failed\n"
     "Final-Recipient: rfc822; b@x.example\nAction: failed",
     [("a@x.example", "", True), ("b@x.example", "", True)], []),
    # the same recipient twice: the block with a status counts
    ("Final-Recipient: rfc822; a@x.example\nAction: failed\n\n"
     "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\n\n"
     "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.9.9",
     [("a@x.example", "5.0.0", True)], []),
    ("garbage\n continued\n", [], []),
])  # fmt: skip
def test_delivery_status(
    text: str, recipients: list[tuple[str, str, bool]], others: list[str]
) -> None:
    assert parse_delivery_status(text) == ([BouncedRecipient(*r) for r in recipients], others)


def test_at_most_two_hundred_recipients_are_kept() -> None:
    blocks = "\n\n".join(
        f"Final-Recipient: rfc822; u{n}@x.example\nAction: failed" for n in range(300)
    )
    assert len(parse_delivery_status(blocks)[0]) == 200


@pytest.mark.parametrize(("text", "addresses"), [
    ("Final-Recipient: rfc822; a@x.example\n"
     "Disposition: automatic-action/MDN-sent-automatically; deleted", ["a@x.example"]),
    ("Disposition: automatic-action/MDN-sent-automatically; deleted", []),
    ("Final-Recipient: rfc822; a@x.example\nDisposition: manual-action/MDN-sent; displayed", []),
    ("", []),
])  # fmt: skip
def test_a_receipt_can_be_a_refusal(text: str, addresses: list[str]) -> None:
    assert [r.address for r in parse_rejection(text)] == addresses


@pytest.mark.parametrize(("text", "known", "found"), [
    ("Could not deliver to <a@x.example>: 550 5.1.1 unknown", [], [("a@x.example", "5.1.1", True)]),
    ("<a@x.example>: 550 unknown", [], [("a@x.example", "", True)]),
    ("<a@x.example>: 451 try later", [], [("a@x.example", "", False)]),
    ("a@x.example: not yet been delivered, will retry", [], [("a@x.example", "", False)]),
    ("a@x.example: 5.4.7 delayed, still trying", [], [("a@x.example", "5.4.7", True)]),
    ("4.4.1 a@x.example delayed", [], [("a@x.example", "4.4.1", False)]),
    ("x", ["A@x.example"], [("a@x.example", "", True)]),  # known, though the text is silent
    # our own address and the mail system's are no recipients, nor is anything in the copy below
    ("s@d.example wrote to a@x.example\n" + "x" * 80 + "\n--- Below this line is a copy\nb@x.example",
     [], [("a@x.example", "", True)]),
    ("postmaster@x.example", [], []),
])  # fmt: skip
def test_words_of_mail_systems(
    text: str, known: list[str], found: list[tuple[str, str, bool]]
) -> None:
    result = read_bounce_text(text, known, frozenset({"s@d.example"}))
    assert result == [BouncedRecipient(*r) for r in found]


def test_the_original_mail_is_found_in_copied_headers() -> None:
    assert find_original_id("x\n> Message-ID: <t1@d.example>\n") == "<t1@d.example>"
    assert find_original_id("no header here") is None


@pytest.mark.parametrize(("address", "daemon", "machine"), [
    ("MAILER-DAEMON@x.example", True, True),
    ("postmaster@x.example", True, False),
    ("lists-mailer-daemon@x.example", True, True),
    ("imss@x.example", False, True),
    ("claire@x.example", False, False),
])  # fmt: skip
def test_addresses_of_mail_systems(address: str, daemon: bool, machine: bool) -> None:
    assert (is_daemon(address), is_machine_name(address)) == (daemon, machine)
