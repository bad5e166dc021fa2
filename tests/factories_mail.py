"""Mails as bytes, as a mail server hands them over."""

import itertools
from email.headerregistry import Address
from email.message import EmailMessage

_numbers = itertools.count(1)

FULL_REPORT = """\
Bonjour,

Dans le module Facturation, le bouton Exporter ne fonctionne plus : impossible d'exporter les
factures du mois.

Étapes pour reproduire :
1. Ouvrir le module Facturation
2. Choisir le mois de février
3. Cliquer sur Exporter

Message d'erreur : "Erreur 500 : export impossible"

Cordialement,
Claire Martin
"""


def make_mail(
    text: str = FULL_REPORT,
    subject: str = "Export des factures impossible",
    *,
    sender: str = "claire@client.example",
    name: str = "Claire Martin",
    to: str = "support@support.example",
    message_id: str | None = None,
    **headers: str,
) -> bytes:
    """A plain mail of a client; each has a Message-ID of its own. `In_Reply_To=…` sets a header."""
    mail = EmailMessage()
    mail["Message-ID"] = message_id or f"<mail-{next(_numbers)}@client.example>"
    mail["From"] = Address(name, addr_spec=sender)
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = "Tue, 03 Mar 2026 09:55:00 +0100"
    for header, value in headers.items():
        mail[header.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()
