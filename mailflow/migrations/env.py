"""Run migrations on the connection that `mailflow.adapters.database.upgrade` hands over."""

from alembic import context

from mailflow.adapters.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
