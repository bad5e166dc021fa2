"""The JSON form of a parsed mail, as `mailflow parse --json` writes it."""

from typing import Any

from mailflow.core.messages import Address, InboundMessage


def as_record(file: str, message: InboundMessage) -> dict[str, Any]:
    """Return the JSON form of a parsed mail (docs/parsing.md)."""
    sender = message.senders[0] if message.senders else Address("", "")
    forwarded = message.forwarded
    bounce = message.bounce
    return {
        "file": file,
        "message_id": message.message_id,
        "in_reply_to": list(message.in_reply_to),
        "references": list(message.references),
        "from": _mailbox(sender),
        "reply_to": [_mailbox(address) for address in message.reply_to],
        "to": [_mailbox(address) for address in message.to],
        "cc": [_mailbox(address) for address in message.cc],
        "subject": message.subject,
        "date": message.date.isoformat() if message.date else None,
        "language": message.language,
        "text": message.text,
        "new_text": message.new_text,
        "signature": message.signature,
        "quoted": message.quoted,
        "forwarded": forwarded
        and {
            "from": _mailbox(forwarded.sender or Address("", "")),
            "subject": forwarded.subject,
            "text": forwarded.text,
        },
        "class": str(message.message_class),
        "class_reason": message.class_reason,
        "bounce": bounce
        and {
            "recipients": [
                {"address": r.address, "status": r.status, "permanent": r.permanent}
                for r in bounce.recipients
            ]
        },
        "attachments": [
            {"filename": a.filename, "content_type": a.content_type, "size": a.size}
            for a in message.attachments
        ],
        "defects": list(message.defects),
    }


def _mailbox(address: Address) -> dict[str, str]:
    return {"name": address.name, "address": address.address}
