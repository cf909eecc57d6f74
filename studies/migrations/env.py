"""Runs the migrations on the connection that Database.migrate opened."""

from alembic import context

from studies.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
