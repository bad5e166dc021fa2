"""Mails as values, for the tests of triage."""

from mailflow.core.messages import Address, Attachment, InboundMessage, MessageClass


def make_attachment(
    filename: str,
    content_type: str = "image/png",
    size: int = 50_000,
    content: bytes = b"x",
    inline: bool = False,
) -> Attachment:
    """An attachment with what triage reads of it."""
    return Attachment(filename, content_type, size, "0" * 64, content, inline=inline)


def make_message(
    body: str,
    subject: str = "",
    language: str = "en",
    text: str | None = None,
    attachments: tuple[Attachment, ...] = (),
    message_class: MessageClass = MessageClass.PERSON,
    encrypted: bool = False,
) -> InboundMessage:
    """A first mail of a client; `text` is the whole body where it is more than `body`."""
    return InboundMessage(
        message_id="<1@client.example>",
        in_reply_to=(),
        references=(),
        senders=(Address("Ann", "ann@client.example"),),
        reply_to=(),
        to=(),
        cc=(),
        subject=subject,
        date=None,
        language=language,
        text=body if text is None else text,
        new_text=body,
        signature="",
        quoted="",
        forwarded=None,
        message_class=message_class,
        class_reason="",
        bounce=None,
        attachments=attachments,
        defects=(),
        encrypted=encrypted,
    )
