"""Keep the files that mails bring, each content once."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailflow.adapters.loaded import loaded
from mailflow.adapters.tables import Attachment, Blob
from mailflow.core.messages import InboundMessage
from mailflow.desk import Desk


def keep_attachments(
    session: Session, desk: Desk, inbound_id: int, message: InboundMessage
) -> None:
    """Keep files by content hash; those over the limits stay in the raw mail only."""
    if not message.attachments:
        return
    limits = desk.config.limits
    fetch_files(session, [message])
    known = loaded(session).blobs
    for number, file in enumerate(message.attachments):
        session.add(
            Attachment(
                inbound_id=inbound_id,
                sha256=file.sha256,
                filename=file.filename,
                content_type=file.content_type,
                size=file.size,
                inline=file.inline,
            )
        )
        fits = file.size <= limits.max_attachment_bytes and number < limits.max_attachments
        if fits and not known[file.sha256]:
            known[file.sha256] = True
            session.add(Blob(sha256=file.sha256, content=file.content))


def fetch_files(session: Session, messages: Sequence[InboundMessage]) -> None:
    """Ask which of the files of many mails are stored already."""
    known = loaded(session).blobs
    files = {file.sha256 for message in messages for file in message.attachments}
    wanted = files - known.keys()
    if wanted:
        known.update(dict.fromkeys(wanted, False))
        stored = session.scalars(select(Blob.sha256).where(Blob.sha256.in_(wanted)))
        known.update(dict.fromkeys(stored, True))
