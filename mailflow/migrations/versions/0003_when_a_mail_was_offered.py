"""Which of a worker's mails the server may have seen: those alone are in doubt if it dies."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add `outbox_mail.offered_at`; of a claim from before, any mail may have been offered."""
    op.add_column("outbox_mail", sa.Column("offered_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE outbox_mail SET offered_at = created_at "
        "WHERE status = 'sending' AND sent_at IS NULL"
    )
