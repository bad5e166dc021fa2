"""Who or what wrote a mail, from headers and text alone."""

import pytest

from mailflow.core.classify import Evidence, classify
from mailflow.core.messages import Bounce, MessageClass

ABSENT = "Bonjour,\n\nJe suis absente jusqu'au 15 mars. En cas d'urgence, contactez Paul.\n"
AUTO = MessageClass.AUTO_REPLY
PERSON = MessageClass.PERSON
MACHINE_PATH = (("Return-Path", "<>"),)


def mail(headers: tuple[tuple[str, str], ...] = (), **known: object) -> Evidence:
    facts = {"senders": ("claire@client.example",), "subject": "Export", **known}
    facts.setdefault("new_text", facts.get("text", ""))
    return Evidence(headers=headers, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(("evidence", "expected", "reason"), [
    (mail(), PERSON, "no sign"),
    (mail(senders=("s@d.example",), own_addresses=frozenset({"s@d.example"})),
     MessageClass.OWN, "our own"),
    # two From headers, one of them ours: never answered
    (mail(senders=("x@evil.example", "s@d.example"), own_addresses=frozenset({"s@d.example"})),
     MessageClass.OWN, "our own"),
    (mail(parameters=(("Report-Type", "feedback-report"),)), MessageClass.FEEDBACK, "RFC 5965"),
    (mail(part_types=("multipart/mixed", "message/feedback-report")), MessageClass.FEEDBACK, "5965"),
    (mail(parameters=(("report-type", "tlsrpt"),)), MessageClass.FEEDBACK, "RFC 8460"),
    (mail(subject="Report Domain: d.example Submitter: x"), MessageClass.FEEDBACK, "DMARC"),
    (mail(bounce=Bounce(())), MessageClass.BOUNCE, "delivery report"),
    (mail(delivered=True), AUTO, "succeeded"),
    (mail(part_types=("message/disposition-notification",)), AUTO, "RFC 8098"),
    (mail(calendar_method="REPLY"), AUTO, "RFC 5546"),
    (mail(calendar_method="REQUEST"), PERSON, "no sign"),
    (mail((("X-Boxbe-Notification", "challenge"),)), MessageClass.CHALLENGE, "header"),
    (mail(senders=("a@mib.mailinblack.com",), subject="Authentification"),
     MessageClass.CHALLENGE, "service"),
    (mail(senders=("sales@mailinblack.com",), text="Nos offres"), PERSON, "no sign"),
    (mail(subject="Please confirm your message", text="Your message has been held. Please click "
          "here to verify: https://c.example"), MessageClass.CHALLENGE, "prove"),
    (mail(subject="Please confirm your message", text="Please confirm"), PERSON, "no sign"),
    (mail(text="Click the link below to verify that you are a person: https://x.boxbe.com/1"),
     MessageClass.CHALLENGE, "links to"),
    (mail(subject="Lu : Export", text="Votre message a été lu."), AUTO, "in words"),
    (mail(subject="Lu : devis", text="Approuvé."), PERSON, "no sign"),
    (mail(subject="Absence: wrong days in the module", text="Wrong days."), PERSON, "no sign"),
    (mail((("Auto-Submitted", "auto-replied"),)), AUTO, "RFC 3834"),
    (mail((("Auto-Submitted", "no"),)), PERSON, "no sign"),
    (mail((("X-Autoreply", "no"),)), PERSON, "no sign"),
    (mail((("List-Id", "<x>"),)), MessageClass.LIST, "list-id"),
    (mail((("List-Post", "NO"),)), PERSON, "no sign"),
    (mail((("List-Unsubscribe", "<x>"),)), MessageClass.LIST, "list-unsubscribe"),
    (mail((("List-Unsubscribe", "<x>"), ("In-Reply-To", "<y>"))), PERSON, "no sign"),
    (mail(subject="Out of Office: Export"), AUTO, "subject begins"),
    (mail(subject="Absence du bureau"), AUTO, "subject begins"),
    (mail(subject="Autoreply sent twice"), PERSON, "no sign"),
    (mail(subject="Re: Out of Office: Export"), PERSON, "no sign"),
    (mail((("X-Auto-Response-Suppress", "All"),)), PERSON, "no sign"),
    (mail((("X-Auto-Response-Suppress", "All"), *MACHINE_PATH)), AUTO, "Suppress"),
    (mail((("X-Auto-Response-Suppress", "All"),), text="Ceci est un message automatique."),
     AUTO, "Suppress"),
    (mail(text=ABSENT), AUTO, "out-of-office text"),
    (mail(MACHINE_PATH, text="Je suis absente."), AUTO, "absence told"),
    (mail(text="Je suis absente."), PERSON, "no sign"),  # no second sign
    (mail(text=ABSENT + "Pouvez-vous clore le ticket"), PERSON, "no sign"),  # wants something
    (mail(text=ABSENT + "L'export ne fonctionne plus."), PERSON, "no sign"),  # reports something
    (mail(text=ABSENT + "x" * 2000), PERSON, "no sign"),  # too long
    (mail(text="x" * 300 + ABSENT), PERSON, "no sign"),  # does not open with it
    (mail(text=ABSENT, subject="TR: Absence de Claire"), PERSON, "no sign"),  # forwarded
    (mail(senders=("no-reply@shop.example",)), AUTO, "nobody reads"),
    (mail(senders=("mailer-daemon@x.example",), subject="Returned mail"), MessageClass.BOUNCE, "mail"),
    (mail(senders=("postmaster@x.example",)), AUTO, "mail system"),
    (mail(senders=("postmaster@x.example",), subject="Re: Export"), PERSON, "no sign"),
    (mail(MACHINE_PATH), AUTO, "empty return path"),
    (mail(text="This is an automated message."), AUTO, "automatically"),
    (mail(text="This is an automated message? It shows an error."), PERSON, "no sign"),
])  # fmt: skip
def test_class(evidence: Evidence, expected: MessageClass, reason: str) -> None:
    verdict = classify(evidence)
    assert verdict.message_class == expected, verdict.reason
    assert reason in verdict.reason
