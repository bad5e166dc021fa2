"""What machines write: reports of non-delivery, absence messages, lists."""

from collections.abc import Sequence

from mailflow.core.messages import Address
from tests.flows.office import Sent, write


def bounce(of: Sent, recipient: str, *, permanent: bool = True) -> bytes:
    """Return the report of a mail server that `of` did not reach `recipient`."""
    status, action = ("5.1.1", "failed") if permanent else ("4.4.1", "delayed")
    return f"""\
From: MAILER-DAEMON@mx.client.example
To: support@support.example
Subject: Undelivered Mail Returned to Sender
Date: Tue, 03 Mar 2026 10:10:00 +0100
Auto-Submitted: auto-replied
Message-ID: <report-{recipient}-{status}@mx.client.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.

<{recipient}>: host mx.client.example said: 550 {status} User unknown

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.client.example

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 {status} User unknown

--B
Content-Type: message/rfc822

Message-ID: {of["Message-ID"]}
From: support@support.example
To: {recipient}
Subject: report

text
--B--
""".encode()


def absence(to: Sent, sender: Address, auth: str | None = None) -> bytes:
    """Return what an absent reader's mail server answers."""
    heads: Sequence[tuple[str, str]] = (
        ("Auto-Submitted", "auto-replied"),
        ("In-Reply-To", to["Message-ID"] or ""),
        ("References", to["Message-ID"] or ""),
    )
    return write(
        sender,
        f"Automatic reply: {to['Subject']}",
        "I am out of the office until 16 March.",
        auth=auth,
        headers=heads,
    )
