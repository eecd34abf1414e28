"""What Alembic runs: the migrations, over the connection and in the transaction that it was handed."""

from alembic import context

from sharing.db.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
